"""POST to a SAS over mutual TLS, and what comes back as a value: an answer, or why there is none.

A redirect is not followed, a proxy of the environment not used, an answer of more than `ANSWER_MAX` bytes, of another
type, late or cut short is none. The SAS's role is looked at in the handshake, before a request leaves.
"""

import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from agent.cbrs.tls import SAS, TlsFiles, client_context, role_flaw
from radio.cbrs.messages import BadBody, read_json

ANSWER_MAX = 1024 * 1024
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """Nothing that counts came back."""

    why: str


class _SasSocket(ssl.SSLSocket):
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
        context = client_context(files)
        if roles:
            context.sslsocket_class = _SasSocket
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            verify=context,
            trust_env=False,
            follow_redirects=False,
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=4, keepalive_expiry=120),
        )

    def post(self, method: str, body: dict[str, Any]) -> Any | NoAnswer:
        """Send one batch and read its answer."""
        try:
            with self._client.stream("POST", f"{self._url}/{method}", json=body) as answer:
                return _read(answer)
        except (httpx.HTTPError, ssl.SSLError, OSError) as exc:
            return NoAnswer(why=f"{type(exc).__name__}: {exc}"[:200])

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
