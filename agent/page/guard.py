"""Access rules of the page, checked for every request before any handler reads it.

(1) the Host header names this page (no other name resolves to it: DNS rebinding)
(2) GET and HEAD only read; a change is a POST with the token, and with the page's own Origin if any is sent
(3) a WebSocket is opened only from this page's own Origin, or by a client that sends none
(4) every answer carries a policy that lets the page load nothing but itself, in no frame, kept by no cache
"""

import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
ANSWERED = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=()",
    "cache-control": "no-store",
}
READS = frozenset({"GET", "HEAD"})


def hosts_of(host: str, port: int) -> frozenset[str]:
    """Return the Host headers under which a page that listens at this host and port is reached."""
    names = {host, "localhost", "127.0.0.1", "[::1]"} if host in ("127.0.0.1", "::1", "localhost") else {host}
    plain = {f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names}
    return frozenset(f"{name}:{port}" for name in plain) | (frozenset(plain) if port == 80 else frozenset())


class RequestGuard:
    """ASGI middleware that applies the rules to each request of the application."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], token: str) -> None:
        self._app, self._hosts, self._token = app, frozenset(hosts), token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request; refuse it or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        if scope["type"] == "websocket":
            if refused is not None:
                await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
                return
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in ANSWERED.items():
                    answer[name] = value
            await send(message)

        if refused is not None:
            await JSONResponse({"error": refused[1]}, status_code=refused[0])(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)

    def _refused(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:  # (1)
            return 421, "this page answers only under its own name"
        own = {f"http://{host}" for host in self._hosts}
        foreign = any(origin.lower() not in own for origin in origins) or len(origins) > 1
        if scope["type"] == "websocket":  # (3)
            return (403, "opened from another page") if foreign else None
        if scope["method"] in READS:
            return None
        if scope["method"] != "POST":
            return 405, "GET reads, POST changes; nothing else is taken"
        if foreign:  # (2)
            return 403, "a change is asked for by this page alone"
        given = headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return 401, "a change needs the token: open the link that `bandpact page` prints"
        return None
