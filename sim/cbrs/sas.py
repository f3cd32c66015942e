"""A Spectrum Access System for tests and scenarios: real sockets, mutual TLS, and every way to misbehave.

It shares no code with the product. What it answers can be scripted: the next answer to a method may be a code, changed
members, or no HTTP at all; a base station may be suspended from outside. It keeps what it allowed, and when.
"""

import calendar
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Script = Callable[["SimSas", list[Json], list[Json]], "Raw | list[Any] | None"]
"""Replaces one response: takes the requests and the honest responses; None leaves them unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Raw bytes instead of a response; `promised` is its Content-Length, `delay_s` its delay."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    promised: int | None = None
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SasAllowed:
    """A permission that the SAS gave: from and until, s since the Unix epoch; band in Hz; EIRP in dBm/MHz."""

    cbsd: str
    grant: str
    from_s: float
    until_s: float
    low_hz: int
    high_hz: int
    max_eirp: float


@dataclass(slots=True)
class SimSas:
    """The SAS. `transmit_s` is the validity of transmitExpireTime, `heartbeat_s` the interval it asks for."""

    transmit_s: int = 60
    heartbeat_s: int = 20
    grant_s: int = 3600
    report: tuple[str, ...] = ()
    clock: Callable[[], float] = time.time
    suspended: set[str] = field(default_factory=set)
    suspend_from: dict[str, float] = field(default_factory=dict)
    """Base stations to suspend, and from when (s since the Unix epoch)."""
    scripts: dict[str, list[Script]] = field(default_factory=dict)
    grants: dict[str, tuple[str, Json]] = field(default_factory=dict)
    cbsds: dict[str, Json] = field(default_factory=dict)
    seen: list[tuple[float, str, Json, Any]] = field(default_factory=list)
    allowed: list[SasAllowed] = field(default_factory=list)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def script(self, method: str, *scripts: Script) -> None:
        """Queue scripts for the next responses to a method."""
        self.scripts.setdefault(method, []).extend(scripts)

    def answer(self, method: str, items: list[Json]) -> "Raw | Json":
        """The response to one batch, as changed by the next script."""
        with self._lock:
            honest = [self._one(method, item) for item in items]
            waiting = self.scripts.get(method) or []
            changed = waiting.pop(0)(self, items, honest) if waiting else None
            made = honest if changed is None else changed
            answers = made if isinstance(made, list) else []
            for place, item in enumerate(items):
                one = answers[place] if place < len(answers) else None
                self.seen.append((self.clock(), method, item, one))
                if method == "heartbeat" and isinstance(one, dict):
                    self._note(item, one)
        return made if isinstance(made, Raw) else {f"{method}Response": made}

    def _one(self, method: str, item: Json) -> Json:
        ok: Json = {"response": {"responseCode": 0}}
        cbsd = item.get("cbsdId")
        if method == "registration":
            name = f"{item.get('fccId')}/{item.get('cbsdSerialNumber')}"
            self.cbsds[name] = item
            config = {"measReportConfig": list(self.report)} if self.report else {}
            return {"cbsdId": name, **config, **ok}
        if cbsd not in self.cbsds:
            return {"response": {"responseCode": 103, "responseData": ["cbsdId"]}}
        if method == "spectrumInquiry":
            rule = {"channelType": "GAA", "ruleApplied": "FCC_PART_96", "maxEirp": 37}
            return {
                "cbsdId": cbsd,
                "availableChannel": [{"frequencyRange": span, **rule} for span in item["inquiredSpectrum"]],
                **ok,
            }
        if method == "grant":
            self._count += 1
            name = f"grant-{self._count}"
            self.grants[name] = (str(cbsd), item["operationParam"])
            return {
                "cbsdId": cbsd, "grantId": name, "grantExpireTime": self.time(self.grant_s),
                "heartbeatInterval": self.heartbeat_s, "channelType": "GAA", **ok,
            }  # fmt: skip
        if method == "deregistration":
            del self.cbsds[str(cbsd)]
            return {"cbsdId": cbsd, **ok}
        grant = str(item.get("grantId"))
        if self.grants.get(grant, ("",))[0] != cbsd:
            return {"cbsdId": cbsd, "response": {"responseCode": 103, "responseData": ["grantId"]}}
        if method == "relinquishment":
            del self.grants[grant]
            return {"cbsdId": cbsd, "grantId": grant, **ok}
        if cbsd in self.suspended or self.clock() >= self.suspend_from.get(str(cbsd), 2**63):
            return {
                "cbsdId": cbsd,
                "grantId": grant,
                "transmitExpireTime": self.time(0),
                "response": {"responseCode": 501},
            }
        return {"cbsdId": cbsd, "grantId": grant, "transmitExpireTime": self.time(self.transmit_s), **ok}

    def time(self, ahead_s: float) -> str:
        """An instant `ahead_s` from now in the interface's format."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(self.clock() + ahead_s)))

    def _note(self, item: Json, one: Json) -> None:
        """Record the permission that a heartbeat response with code 0 gives."""
        held = self.grants.get(str(item.get("grantId")))
        response = one.get("response")
        if held is None or not isinstance(response, dict) or response.get("responseCode") != 0:
            return
        try:
            until = time.strptime(str(one.get("transmitExpireTime")), "%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            return
        span = held[1]["operationFrequencyRange"]
        self.allowed.append(
            SasAllowed(
                cbsd=held[0],
                grant=str(item["grantId"]),
                from_s=self.clock(),
                until_s=float(calendar.timegm(until)),
                low_hz=int(span["lowFrequency"]),
                high_hz=int(span["highFrequency"]),
                max_eirp=float(held[1]["maxEirp"]),
            )
        )


class SasServer:
    """The SAS on a port of the loopback interface."""

    def __init__(self, sas: SimSas, *, key: Path, certificate: Path, roots: Path, revoked: Path, port: int = 0) -> None:
        self.sas = sas
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(roots)
        context.load_verify_locations(revoked)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        self.context = context
        self._server = _Server(("127.0.0.1", port), _handler(sas))
        self._server.context = context
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL, up to the version."""
        return f"https://localhost:{self.port}/v1.2"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake on the connection's own thread; a failed handshake ends the connection."""
        try:
            request.settimeout(10)
            wrapped = self.context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            return
        try:
            super().finish_request(wrapped, client_address)
        except (OSError, ssl.SSLError):
            pass
        finally:
            wrapped.close()


def _handler(sas: SimSas) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            method = self.path.rpartition("/")[2]
            made = sas.answer(method, json.loads(body)[f"{method}Request"])
            raw = made if isinstance(made, Raw) else Raw(body=json.dumps(made).encode())
            time.sleep(raw.delay_s)
            self.send_response(raw.status)
            for name, value in raw.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw.body) if raw.promised is None else raw.promised))
            self.end_headers()
            self.wfile.write(raw.body)
            if raw.promised is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Log nothing."""

    return Handler
