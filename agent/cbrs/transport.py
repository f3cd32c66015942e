"""POST to a SAS over mutual TLS, and what comes back as a value: an answer, or why there is none.

A redirect is not followed, a proxy of the environment not used, an answer of more than `ANSWER_MAX` bytes, of another
type, late or cut short is none; late is the whole exchange, however slowly its bytes come. The SAS's role is looked at
in the handshake, before a request leaves. A connection is made anew after `RENEW_S`, and when one of the files changes:
what expired or was revoked meanwhile is found then.
"""

import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from agent.cbrs.tls import SAS, TlsFileError, TlsFiles, client_context, role_flaw
from radio.cbrs.messages import BadBody, read_json

ANSWER_MAX = 1024 * 1024
TIMEOUT_S = 5.0
"""For one step of an exchange; all of it may take twice as long."""
RENEW_S: Final = 600.0
_exchange = threading.local()
"""Until when (monotonic s) this thread's exchange may take: `ends`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """Nothing that counts came back."""

    why: str


class _BoundedSocket(ssl.SSLSocket):
    """A TLS connection none of whose waits outlasts the exchange that it is part of."""

    def settimeout(self, value: float | None) -> None:
        """Wait so long, but not past the exchange's end; raises TimeoutError once that is past."""
        left = getattr(_exchange, "ends", float("inf")) - time.monotonic()
        if left <= 0:
            raise TimeoutError("the whole exchange took too long")
        super().settimeout(min(left, value or left) if left < float("inf") else value)


class _SasSocket(_BoundedSocket):
    """A TLS connection that ends in its handshake where the other side is no SAS."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, then look at the role."""
        super().do_handshake(block)
        flaw = role_flaw(self.getpeercert(binary_form=True), (SAS,))
        if flaw is not None:
            self.close()
            raise ssl.SSLCertVerificationError(f"the SAS's certificate: {flaw}")


class SasTransport:
    """One SAS, by its base address up to the version (https://host:port/v1.2)."""

    def __init__(self, url: str, files: TlsFiles, *, roles: bool = True, timeout_s: float = TIMEOUT_S) -> None:
        """Raises TlsFileError."""
        self._url, self._files, self._roles, self._timeout_s = url.rstrip("/"), files, roles, timeout_s
        self._lock, self._active = threading.Lock(), 0
        self._seen = files.changed()
        self._client = self._made()
        self._made_s = time.monotonic()

    def _made(self) -> httpx.Client:
        context = client_context(self._files)
        context.sslsocket_class = _SasSocket if self._roles else _BoundedSocket
        return httpx.Client(
            verify=context,
            trust_env=False,
            follow_redirects=False,
            timeout=self._timeout_s,
            limits=httpx.Limits(max_connections=4, keepalive_expiry=120),
        )

    @contextlib.contextmanager
    def _connected(self) -> Iterator[httpx.Client]:
        """The client; made anew, while nobody uses it, when it is old or a file changed. Raises TlsFileError."""
        with self._lock:
            seen = self._files.changed()
            stale = seen != self._seen or time.monotonic() - self._made_s > RENEW_S
            if stale and not self._active:
                made = self._made()
                self._client.close()
                self._client, self._made_s, self._seen = made, time.monotonic(), seen
            self._active += 1
            client = self._client
        try:
            yield client
        finally:
            with self._lock:
                self._active -= 1

    def post(self, method: str, body: dict[str, Any]) -> Any | NoAnswer:
        """Send one batch and read its answer."""
        _exchange.ends = time.monotonic() + 2 * self._timeout_s
        try:
            with self._connected() as client, client.stream("POST", f"{self._url}/{method}", json=body) as answer:
                return _read(answer)
        except (httpx.HTTPError, ssl.SSLError, OSError, ValueError, TlsFileError) as exc:
            return NoAnswer(why=f"{type(exc).__name__}: {exc}"[:200])
        finally:
            _exchange.ends = float("inf")

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


def _read(answer: httpx.Response) -> Any | NoAnswer:
    if answer.status_code != 200:
        return NoAnswer(why=f"HTTP {answer.status_code}")
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return NoAnswer(why="not application/json")
    data = bytearray()
    for part in answer.iter_raw():
        data += part
        if len(data) > ANSWER_MAX:
            return NoAnswer(why=f"more than {ANSWER_MAX} bytes")
    value = read_json(bytes(data), limit=ANSWER_MAX)
    return NoAnswer(why=value.why) if isinstance(value, BadBody) else value
