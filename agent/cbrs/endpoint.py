"""The HTTPS endpoint for base stations: parses requests and returns answers; the warden decides what they may use."""

import asyncio
import contextlib
import hashlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.cbrs.halfopen import HalfOpen, TlsDoor
from agent.cbrs.tls import CBSD, OPERATOR, ServerTls, TlsFileError, role_flaw
from radio.cbrs.answers import Sas
from radio.cbrs.messages import BODY_MAX, METHODS, BadBody, read_batch

BODY_S = 10.0
CONNECTIONS_MAX = 512
OF_ONE_MAX = 32
"""Most connections with one certificate; the others remain free for other base stations."""
BACKLOG = 64
"""Most connections that wait to be accepted."""
NO_FILES = "socket.accept() out of system resource"
NO_FILES_MEND = "no file is left for whoever comes: raise the limit of open files (LimitNOFILE) and start it again"
NO_FILES_OVER_S = 10.0
"""Seconds without a failed accept after which a shortage of descriptors is over: asyncio retries once a second."""
LIFE_S = 600.0
REST_S = 130.0
"""Seconds without a whole request after which a connection ends; longer than it is kept between two requests."""
CERTIFICATE = "bandpact.certificate"


class _Peers(H11Protocol):
    """A connection with a known peer: without a certificate of the right role it ends before any byte is read."""

    needed: tuple[str, ...] = (CBSD, OPERATOR)
    tls: ServerTls
    certificate = ""
    born_s = moved_s = 0.0

    def connection_made(self, transport: Any) -> None:
        """Take the peer's certificate from the handshake, and hand its SHA-256 to the application."""
        session: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        der = session.getpeercert(binary_form=True) if session is not None else None
        if der is None or (self.needed and role_flaw(der, self.needed) is not None) or self.tls.flaw(der) is not None:
            transport.abort()
            return
        self.certificate = hashlib.sha256(der).hexdigest()
        theirs = sum(getattr(one, "certificate", "") == self.certificate for one in self.connections)
        if theirs >= OF_ONE_MAX:
            transport.abort()
            return
        self.born_s = self.moved_s = time.monotonic()
        super().connection_made(transport)
        self.app = partial(_known, self.app, self.certificate)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, but ignore them once the connection was refused."""
        if getattr(self, "transport", None) is not None:
            super().data_received(data)

    @property
    def resting(self) -> bool:
        """Whether no request is being answered: none arrived, or only a part of one."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def end(self) -> None:
        """End after the answer in progress, if there is one."""
        if self.resting:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up, except after a connection that was refused."""
        if getattr(self, "transport", None) is not None:
            super().connection_lost(exc)


class _Anyone(_Peers):
    """A connection where certificates have no roles: a private authority that certifies base stations only."""

    needed = ()


async def _known(app: Any, certificate: str, scope: Any, receive: Any, send: Any) -> None:
    await app({**scope, CERTIFICATE: certificate}, receive, send)


def _silent(_line: str) -> None:
    """Discard a line: nobody reads it."""


@dataclass(slots=True)
class CbsdEndpoint:
    """The HTTP routes. `now_ns` returns the latest possible UTC; None without a trusted clock: nothing is granted."""

    sas: Sas
    now_ns: Callable[[], int | None]
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(routes=[Route("/{version}/{method}", self.answer, methods=["POST"])])

    async def answer(self, request: Request) -> Response:
        """Answer one batch. HTTP codes report a bad body, the batch's own response codes a bad item."""
        method, certificate = request.path_params["method"], request.scope.get(CERTIFICATE)
        if method not in METHODS or not isinstance(certificate, str):
            return _refused(404, f"no method {method!r}"[:80])
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refused(415, "application/json")
        body = await _body(request)
        items = body if isinstance(body, BadBody) else read_batch(method, body)
        if isinstance(items, BadBody):
            return _refused(items.status, items.why)
        async with self._turn:
            made = await asyncio.to_thread(self._answer, request.path_params["version"], method, items, certificate)
        return _refused(503, "the clock is not trusted") if made is None else JSONResponse(made)

    def _answer(self, version: str, method: str, items: list[Any], certificate: str) -> dict[str, Any] | None:
        now_ns = self.now_ns()
        return None if now_ns is None else self.sas.answer(version, method, items, certificate, now_ns)


async def _body(request: Request) -> bytes | BadBody:
    """Return the body, within a time limit and no larger than the largest batch."""
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                data += part
                if len(data) > BODY_MAX:
                    return BadBody(status=413, why=f"more than {BODY_MAX} bytes")
    except TimeoutError:
        return BadBody(status=408, why=f"the body did not come within {BODY_S:g} s")
    except ClientDisconnect:
        return BadBody(status=400, why="half a body")
    return bytes(data)


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status_code=status)


class _Server(uvicorn.Server):
    """An HTTPS server that stops when told to, not by a signal: its process handles the signals.

    A connection lives at most `LIFE_S`, and none outlives a change of the TLS files: the peer must show again that its
    certificate is good. A connection without a whole request for `REST_S` ends.
    """

    renewing: ServerTls | None = None
    half_open: HalfOpen | None = None
    not_accepted = 0
    """Number of connections not accepted for lack of descriptors; asyncio would write thousands of lines about each."""
    _unused = ""
    _not_accepted = 0
    _short_s: float | None = None
    """When the last descriptor shortage occurred; None once its end was reported."""
    say: Callable[[str], None] = staticmethod(_silent)

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Listen; errors that the event loop cannot deliver elsewhere go to `fault`."""
        asyncio.get_running_loop().set_exception_handler(self.fault)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Stop listening, and end every connection."""
        if self.half_open is not None:
            self.half_open.end()
        await super().shutdown(sockets)

    def fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an error as asyncio does, but only count the repeated one of missing descriptors."""
        if str(context.get("message", "")).startswith(NO_FILES):
            self.not_accepted += 1
            return
        loop.default_exception_handler(context)

    async def on_tick(self, counter: int) -> bool:
        """Check for missing descriptors and look after every connection about once a second."""
        if counter % 10 == 0:
            self.look_after(time.monotonic())
            self.tell_of_files(self.not_accepted, time.monotonic())
        return await super().on_tick(counter)

    def look_after(self, now_s: float) -> None:
        """End the connections whose time is over; `now_s` is monotonic."""
        changed = False
        try:
            changed = self.renewing is not None and self.renewing.renewed()
            self._unused = ""
        except TlsFileError as exc:
            if str(exc) != self._unused:
                self.say(f"the TLS files changed and are not used: {exc}")
            self._unused = str(exc)
        for one in list(self.server_state.connections):
            if not isinstance(one, _Peers):
                continue
            if not one.resting:
                one.moved_s = now_s
            if changed or now_s - one.born_s > LIFE_S or now_s - one.moved_s > REST_S:
                one.end()

    def tell_of_files(self, not_accepted: int, now_s: float) -> None:
        """Report once that connections fail for lack of descriptors, and once that this is over.

        Args: not_accepted: the number of failed connections so far. now_s: monotonic.
        """
        if not_accepted > self._not_accepted:
            if self._short_s is None:
                self.say(NO_FILES_MEND)
            self._not_accepted, self._short_s = not_accepted, now_s
        elif self._short_s is not None and now_s - self._short_s > NO_FILES_OVER_S:
            self.say("base stations are let in again")
            self._short_s = None

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave signal handling to the process."""
        yield


def server_of(
    endpoint: CbsdEndpoint,
    *,
    host: str,
    port: int,
    tls: ServerTls,
    roles: bool = True,
    say: Callable[[str], None] = _silent,
) -> uvicorn.Server:
    """Return a server ready to `serve`; `roles`: certificates must name the role of a CBSD or of a domain proxy."""
    peers = type("Peers", (_Peers if roles else _Anyone,), {"tls": tls})
    half_open = HalfOpen()
    door = {"inner": peers, "context": tls.context, "half_open": half_open}
    config = uvicorn.Config(
        endpoint.application(),
        host=host,
        port=port,
        http=type("Door", (TlsDoor,), door),
        backlog=BACKLOG,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=120,
    )
    server = _Server(config)
    server.renewing, server.half_open, server.say = tls, half_open, say
    return server
