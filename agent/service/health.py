"""Health and metrics over HTTP on loopback: /livez, /readyz?verbose and /metrics."""

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agent.samples.shown import gauges
from agent.service.snapshot import PARTS, gate_now, problems
from hw_profiles.printable import printable

Status = dict[str, Any]


def metrics(status: Status | None) -> bytes:
    """Return the metrics text (Prometheus exposition) of one state; an unknown value is left out, never zero."""
    registry = CollectorRegistry()
    built = Gauge("bandpact_build_info", "The version that runs", ["version"], registry=registry)
    built.labels(version("bandpact")).set(1)
    ready = Gauge("bandpact_ready", "Whether a part of the node is ready", ["part"], registry=registry)
    wrong = problems(status)
    for part in PARTS:
        if part in wrong or "agent" not in wrong:
            ready.labels(part).set(part not in wrong)
    if status is not None:
        clock = status["clock"]
        Gauge("bandpact_clock_trusted", "Whether the clock is trusted", registry=registry).set(clock["trusted"])
        if clock["bound_ns"] is not None:
            name = "bandpact_clock_error_bound_seconds"
            Gauge(name, "How wrong the clock may be", registry=registry).set(clock["bound_ns"] / 1e9)
        if status["worst_turn_ns"] is not None:
            name = "bandpact_gate_loop_worst_seconds"
            Gauge(name, "Longest turn of the gate loop of late", registry=registry).set(status["worst_turn_ns"] / 1e9)
        if status.get("log_bytes") is not None:
            kept, budget = status["log_bytes"], status["log_budget_bytes"]
            Gauge("bandpact_log_bytes", "Bytes in the node's folder", registry=registry).set(kept)
            Gauge("bandpact_log_budget_bytes", "Bytes the node's folder may hold", registry=registry).set(budget)
            low = status["disk_low"] is not None
            Gauge("bandpact_disk_low", "Whether the disk runs low", registry=registry).set(low)
        if status.get("strangers") is not None:
            over = Gauge("bandpact_over_share", "Messages over their sender's share", ["share"], registry=registry)
            for name, count in status["strangers"]["over_share"].items():
                over.labels(name).set(count)
            faults = status["strangers"]["faults"]
            Gauge("bandpact_faults_undone", "Messages and duties that failed", registry=registry).set(faults)
        known: dict[str, Gauge] = {}
        for name, meaning, labels, value in gauges(status.get("samples")):
            gauge = known.setdefault(name, Gauge(name, meaning, list(labels), registry=registry))
            (gauge.labels(**labels) if labels else gauge).set(value)
        state, _ = gate_now(status, time.monotonic_ns())
        if state != "UNKNOWN":
            Gauge("bandpact_tx_gate_open", "Whether the gate is open", registry=registry).set(state == "OPEN")
    return generate_latest(registry)


def part_line(part: str, wrong: dict[str, str]) -> str:
    """Return one part's line of a readiness answer; while the agent reports no state, each part is unknown."""
    if part in wrong:
        return f"[-] {part}: {printable(wrong[part])}"
    return f"[?] {part}: not known, the agent does not say" if "agent" in wrong else f"[+] {part}: ok"


def app_of(read: Callable[[], Status | None]) -> Starlette:
    """Build the web application that answers from `read`, which returns the node's state."""

    def livez(request: Request) -> Response:
        del request
        reason = problems(read()).get("agent")
        return PlainTextResponse(printable(reason or "ok"), status_code=503 if reason else 200)

    def readyz(request: Request) -> Response:
        wrong = problems(read())
        lines = [part_line(part, wrong) for part in PARTS]
        short = "ok" if not wrong else f"not ready: {', '.join(wrong)}"
        body = "\n".join([*lines, short]) if "verbose" in request.query_params else short
        return PlainTextResponse(body + "\n", status_code=503 if wrong else 200)

    def shown(request: Request) -> Response:
        del request
        return Response(metrics(read()), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", shown)])
