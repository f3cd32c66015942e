"""Sends POST requests to a SAS over mutual TLS; returns the answer, or why there is none, as a value.

Redirects are not followed and proxies of the environment not used. An answer over `ANSWER_MAX` bytes, of another type,
late or cut short does not count; the time limit covers the whole exchange. The SAS's role is checked in the handshake,
before a request is sent. A connection is renewed after `RENEW_S`, and when one of the files changes: expired or revoked
certificates are found then.
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
"""Seconds for one step of an exchange; a whole exchange may take twice as long."""
RENEW_S: Final = 600.0
_exchange = threading.local()
"""Deadline (monotonic s) of this thread's exchange: `ends`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """No valid answer came back."""

    why: str


class _BoundedSocket(ssl.SSLSocket):
    """A TLS connection whose waits all end at the deadline of its exchange."""

    def settimeout(self, value: float | None) -> None:
        """Set the timeout, cut to the deadline of the exchange; raises TimeoutError once that has passed."""
        left = getattr(_exchange, "ends", float("inf")) - time.monotonic()
        if left <= 0:
            raise TimeoutError("the whole exchange took too long")
        super().settimeout(min(left, value or left) if left < float("inf") else value)


class _SasSocket(_BoundedSocket):
    """A TLS connection that ends in its handshake where the other side is no SAS."""

    def do_handshake(self, block: bool = False) -> None:
        """Do the handshake, then check the role."""
        super().do_handshake(block)
        flaw = role_flaw(self.getpeercert(binary_form=True), (SAS,))
        if flaw is not None:
            self.close()
            raise ssl.SSLCertVerificationError(f"the SAS's certificate: {flaw}")


class SasTransport:
    """A client of one SAS, given by its base address with version (https://host:port/v1.2)."""

    def __init__(self, url: str, files: TlsFiles, *, roles: bool = True, timeout_s: float = TIMEOUT_S) -> None:
        """Load the TLS files. Raises TlsFileError."""
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
        """Lend the HTTP client; it is replaced, while unused, when it is old or a file changed. Raises TlsFileError."""
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
        """Close the connections."""
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
