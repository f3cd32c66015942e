"""Benchmark of base stations below a real warden and endpoint: response time and cost of a batch of heartbeats.

Real processes, mutual TLS and a disk; the benchmark acts as the agent and settles with its own holder. The
base stations are behind one domain proxy, over one connection.
"""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.bench.gate.rig import NS, Rig
from agent.bench.gate.settler import Settler
from agent.config.settings import load
from agent.trial.basestations import ENDPOINT, TrialCbrs, registration, serials
from agent.trial.coordinator import write_config
from agent.trial.folder import Layout, prepare
from agent.trial.processes import TrialError, free_ports, spawn, stop
from agent.trial.run import Options, scenario_of, start_air, work_folder
from agent.words.spread import spread
from radio.cbrs.messages import BATCH_MAX
from radio.cbrs.power import density_mdbm_per_mhz

MS = 1e6
LIMIT_MS, SHARE_LIMIT = 50.0, 0.10
HEARTBEAT_S = 60
USER, HOLDER = "user-a", "holder"
EIRP_DBM, LEASE_S = 20.0, 240.0
IDLE_S, PATIENCE_S = 3.0, 20.0
TICKS_PER_S: Final = 100


@dataclass(slots=True)
class BenchProxy:
    """One domain proxy's connection, and the last answers to its base stations."""

    port: int
    context: ssl.SSLContext
    grants: dict[str, str] = field(default_factory=dict)
    good: set[str] = field(default_factory=set)
    refused: int = 0
    _connection: http.client.HTTPSConnection | None = None

    def post(self, method: str, items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], float]:
        """Send one batch; returns its answers, and their delay in ms."""
        if self._connection is None:
            self._connection = http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=10)
        body = json.dumps({f"{method}Request": items})
        began_ns = time.perf_counter_ns()
        self._connection.request("POST", f"/v1.2/{method}", body, {"Content-Type": "application/json"})
        data = self._connection.getresponse().read()
        took_ms = (time.perf_counter_ns() - began_ns) / MS
        answers: list[dict[str, Any]] = json.loads(data)[f"{method}Response"]
        return answers, took_ms

    def enter(self, names: list[str], operation: dict[str, Any], place: tuple[float, float], plan: Any) -> None:
        """Register every base station and ask for its grant. Raises TrialError."""
        for part in _parts(names):
            items = [registration(plan.model_copy(update={"name": one}), *place) for one in part]
            ids = [one.get("cbsdId") for one in self.post("registration", items)[0]]
            asked = [{"cbsdId": one, "operationParam": operation} for one in ids]
            for answer in self.post("grant", asked)[0]:
                if answer["response"]["responseCode"] != 0:
                    raise TrialError(f"no grant: {answer['response']}")
                self.grants[answer["cbsdId"]] = answer["grantId"]

    def beat(self, ids: list[str]) -> float:
        """Send a heartbeat of each in one batch; returns the delay in ms."""
        states = ["AUTHORIZED" if one in self.good else "GRANTED" for one in ids]
        items = [
            {"cbsdId": one, "grantId": self.grants[one], "operationState": state}
            for one, state in zip(ids, states, strict=True)
        ]
        answers, took_ms = self.post("heartbeat", items)
        for one, answer in zip(ids, answers, strict=True):
            if answer["response"]["responseCode"] == 0:
                self.good.add(one)
            else:
                self.good.discard(one)
                self.refused += 1
        return took_ms

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


def _parts(names: list[str]) -> Iterator[list[str]]:
    return (names[at : at + BATCH_MAX] for at in range(0, len(names), BATCH_MAX))


def _cpu_s(pids: list[int]) -> float:
    """Return the CPU time that processes have used, s."""
    fields = [Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS_PER_S


def _layout(root: Path, count: int) -> Layout:
    options = Options(scenario="cbrs", seed=7, duration_s=3600.0, recording=None, base_port=None)
    scenario, spec, length_s = scenario_of(options)
    if spec.cbrs is None:
        raise TrialError("the scenario cbrs has no base stations")
    one = next(plan for plan in spec.cbrs.stations if plan.node == USER).model_copy(update={"count": count})
    terms = spec.terms.model_copy(update={"envelope_required": False, "lease_s": LEASE_S})
    spec = spec.model_copy(update={"terms": terms, "cbrs": spec.cbrs.model_copy(update={"stations": [one]})})
    cbrs = TrialCbrs.made(root, spec, free_ports(2, None))
    ports = free_ports(len(scenario.nodes), None)
    return prepare(root, scenario, spec, seed=7, duration_s=length_s, ports=ports, cbrs=cbrs)


def _without_sas(layout: Layout) -> Path:
    """Return the user's configuration with base stations below and no SAS above, to measure this node alone."""
    path = layout.config_of(USER)
    values = load(path).model_dump(mode="json", exclude_none=True, exclude={"sas"})
    values["cbsd"]["experimental"] = True
    made = path.with_name("node-bench.toml")
    write_config(made, values)
    return made


@contextmanager
def _pumping(rig: Rig) -> Iterator[None]:
    """Act as the agent while the context lasts."""
    ended = threading.Event()

    def live() -> None:
        while not ended.is_set():
            rig.pump()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _await_port(port: int, failed: Any) -> None:
    late_s = time.monotonic() + PATIENCE_S
    while True:
        probe = http.client.HTTPConnection("localhost", port, timeout=1)
        try:
            probe.connect()
        except OSError as exc:
            if failed() is not None or time.monotonic() > late_s:
                raise TrialError(f"the endpoint did not come up: {failed() or exc}") from exc
            time.sleep(0.05)
        else:
            return
        finally:
            probe.close()


def measure(count: int, rounds: int) -> list[dict[str, Any]]:
    """Time `rounds` batches of 100 heartbeats, then as many single ones, of `count` stations. Raises TrialError."""
    with work_folder() as work:
        layout = _layout(Path(work), count)
        if layout.cbrs is None or layout.spec.cbrs is None:
            raise TrialError("the scenario cbrs has no base stations")
        (plan,) = layout.spec.cbrs.stations
        air, _ = start_air(layout)
        config = _without_sas(layout)
        settler = Settler(layout, holder=HOLDER, user=USER)
        rig = Rig(layout, config, settler)
        endpoint = spawn("endpoint", ENDPOINT, config, layout.root)
        try:
            rig.await_warden()
            _await_port(layout.cbrs.ports[1], endpoint.failed)
            now_ns = time.monotonic_ns() + layout.utc_at_zero_ns
            window = {"start_ns": now_ns + NS // 2, "end_ns": now_ns + int(LEASE_S) * NS}
            _, artifact = settler.settle(rig.band, **window, eirp_mdbm=round(EIRP_DBM * 1000))
            rig.warden.permit(artifact)
            rig.live_until(time.monotonic_ns() + NS)
            with _pumping(rig):
                proxy = BenchProxy(layout.cbrs.ports[1], layout.cbrs.client_context(plan.name))
                try:
                    return _measured(proxy, layout, plan, [endpoint.process.pid, rig.warden.pid], rounds)
                finally:
                    proxy.close()
        finally:
            stop([endpoint])
            rig.stop()
            settler.close()
            layout.cbrs.close()
            stop([air])


def _measured(proxy: BenchProxy, layout: Layout, plan: Any, pids: list[int], rounds: int) -> list[dict[str, Any]]:
    node = next(one for one in layout.scenario.nodes if one.name == plan.node)
    width_hz = plan.high_hz - plan.low_hz
    names = serials(plan)
    # Together they are no louder than the settlement allows, with a margin for rounding.
    each = density_mdbm_per_mhz(EIRP_DBM, width_hz) / 1000 - density_mdbm_per_mhz(0, len(names) * 1_000_000) / -1000
    operation = {
        "maxEirp": each - 0.1,
        "operationFrequencyRange": {"lowFrequency": plan.low_hz, "highFrequency": plan.high_hz},
    }
    proxy.enter(names, operation, (node.lat_deg, node.lon_deg), plan)
    ids = list(proxy.grants)
    parts = list(_parts(ids))
    for part in parts:
        proxy.beat(part)
    proxy.refused = 0
    idle = _cpu_s(pids)
    time.sleep(IDLE_S)
    idle = (_cpu_s(pids) - idle) / IDLE_S
    for part in parts:  # their time may have run out meanwhile
        proxy.beat(part)
    proxy.refused = 0
    batches, batch_s = _timed(proxy, [parts[n % len(parts)] for n in range(rounds)], pids, idle)
    singles, single_s = _timed(proxy, [[ids[n % len(ids)]] for n in range(rounds)], pids, idle)
    share = single_s / rounds * len(ids) / HEARTBEAT_S
    found = spread(batches)
    return [
        {
            "what": "batch", "of": min(BATCH_MAX, len(ids)), "count": rounds, "answered_ms": found,
            "limit_ms": LIMIT_MS, "cpu_ms": round(1000 * batch_s / rounds, 2), "refused": proxy.refused,
            "met": (found["p99"] or found["max"] or LIMIT_MS + 1) <= LIMIT_MS,
        },
        {
            "what": "single", "of": 1, "count": rounds, "answered_ms": spread(singles),
            "cpu_ms": round(1000 * single_s / rounds, 2), "cbsds": len(ids), "heartbeat_s": HEARTBEAT_S,
            "core_share": round(share, 4), "limit_share": SHARE_LIMIT, "met": share <= SHARE_LIMIT,
        },
    ]  # fmt: skip


def _timed(proxy: BenchProxy, batches: list[list[str]], pids: list[int], idle: float) -> tuple[list[float], float]:
    """Return each batch's delay in ms, and the CPU time of both processes beyond their idle time, s."""
    before_s, began = _cpu_s(pids), time.monotonic()
    took = [proxy.beat(one) for one in batches]
    return took, max(0.0, _cpu_s(pids) - before_s - idle * (time.monotonic() - began))
