"""One POST request to an untrusted server: bounded bytes and total time, no redirect, no decompression."""

import contextlib
import socket
import threading
from typing import Any


def posted(url: str, content: bytes, *, limit: int, within_s: float) -> tuple[int, bytes] | str:
    """Return status and body of the answer, or why there is none; never raises.

    Args: limit: most bytes read. within_s: seconds for connecting and for the whole answer, however slowly its
    header or its body comes. A compressed answer (gzip) is refused: a few bytes of it may unpack to any number.
    """
    try:
        import httpx
    except (ImportError, OSError) as exc:  # no file is to be had to load it from: a later question loads it
        return f"{url}: {exc}"
    deadline, found = _Deadline(within_s), bytearray()
    headers = {"accept-encoding": "identity"}
    try:
        with (
            deadline,
            httpx.Client(timeout=within_s, follow_redirects=False) as client,
            client.stream(
                "POST", url, content=content, headers=headers, extensions={"trace": deadline.trace}
            ) as answer,
        ):
            if answer.headers.get("content-encoding", "identity") != "identity":
                return f"{url}: answers packed"
            for chunk in answer.iter_raw():
                found += chunk
                if len(found) > limit:
                    return f"{url}: answers more than {limit} bytes"
    # No thread is to be had, or the environment names a proxy of a kind that is not installed (ImportError).
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError, ImportError) as exc:
        if not deadline.passed.is_set():
            return f"{url}: {exc or type(exc).__name__}"
    if deadline.passed.is_set():
        return f"{url}: did not answer whole within {within_s:g} s"
    return answer.status_code, bytes(found)


class _Deadline:
    """Closes an exchange's connections at its deadline: httpx bounds each wait, not their sum."""

    def __init__(self, within_s: float) -> None:
        self.passed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(within_s, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Handle a trace event of httpx: keep each connection that is made."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self.passed.is_set():
                self._cut()

    def _cut(self) -> None:
        self.passed.set()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
