"""Answers libzmq's requests whether a transport key may connect (ZAP, ZeroMQ RFC 27).

The handler runs in the caller's loop; pyzmq's asyncio authenticator is not used, as it ends with the first exception in
its callback. Without any handler libzmq admits every key, or with ZAP_ENFORCE_DOMAIN none. So before the mesh starts it
connects to its own socket with a fresh key, and starts only if this handler was asked about that key.
"""

from collections import Counter, deque
from collections.abc import Callable

import zmq

from settlement.core.reasons import Reason

ENDPOINT = "inproc://zeromq.zap.01"
DOMAIN = b"bandpact"
HANDLER_FAULT = "HANDLER_FAULT"
ANSWERS_MAX = 64
ENTERED_MAX = 1024


def readable(socket: "zmq.Socket[bytes]") -> bool:
    """Whether a message can be read without blocking; checked first, because trying costs an exception."""
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


class Door:
    """The ZAP handler of one ZeroMQ context; `admits` decides by the transport public key."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", admits: Callable[[bytes], bool]) -> None:
        self._admits = admits
        self.denied: Counter[str] = Counter()
        self.knocked = False
        self._knocker: bytes | None = None
        self._entered: deque[bytes] = deque(maxlen=ENTERED_MAX)
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ENDPOINT)

    def expect(self, knocker: bytes) -> None:
        """Refuse that key whatever admission says of it, and set `knocked` once libzmq has asked about it."""
        self._knocker, self.knocked = knocker, False

    def answer(self) -> None:
        """Answer the waiting requests, a bounded number at a time; never blocks."""
        for _ in range(ANSWERS_MAX):
            if not readable(self.socket):
                return
            try:
                request = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._answer(request)

    def _answer(self, request: list[bytes]) -> None:
        """Answer one request. On any error that peer is refused and the handler continues."""
        version, request_id = (*request, b"", b"")[:2]
        credential = request[-1]
        admitted = self._admitted(request, credential)
        status, text = (b"200", b"OK") if admitted else (b"400", b"no credentialed transport key")
        user = credential.hex().encode() if admitted else b""
        if admitted:
            self._entered.append(credential)
        else:
            self.denied[Reason.UNKNOWN_PEER] += 1
        self.socket.send_multipart([version, request_id, status, text, user, b""])

    def _admitted(self, request: list[bytes], credential: bytes) -> bool:
        if len(request) != 7 or request[2] != DOMAIN or request[5] != b"CURVE":
            return False
        if credential == self._knocker:
            self.knocked = True
            return False
        try:
            return self._admits(credential)
        except Exception:  # noqa: BLE001 - a fault in here must refuse one peer, not end admission for all
            self.denied[HANDLER_FAULT] += 1
            return False

    def entered(self) -> list[bytes]:
        """Return the keys admitted since the last call: neighbours that came up, or came back."""
        keys = list(dict.fromkeys(self._entered))
        self._entered.clear()
        return keys
