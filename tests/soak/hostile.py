"""Hostile requests to a page, HTTP and WebSocket: `python -m tests.soak.hostile HOST:PORT COUNT SEED`.

Prints one line of JSON at its end: requests sent, answers by status, WebSockets opened, frames sent, seconds taken.
A COUNT of 0 goes on until standard input is closed. What the page answers with 5xx other than 503 is kept whole.
"""

import base64
import contextlib
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import quote

PATHS = ("status", "live", "history", "spectra", "lanes", "events", "stop", "nodes", "clock", "silence", "reasons",
         "auctions", "handovers", "disputes", "jurisdictions", "cbsds", "openapi.json", "nowhere")  # fmt: skip
METHODS = (*["GET"] * 9, *["POST"] * 3, "PUT", "HEAD", "OPTIONS", "BREW", "GE\x00T", "GET" * 99)
KEY = base64.b64encode(bytes(range(16))).decode()
AT_ONCE, ANSWER_S = 16, 10.0


def junk(rng: random.Random, most: int = 40) -> str:
    return "".join(rng.choice("/%2e.&=?#\\\"'<>0123456789abcdef\xff ") for _ in range(rng.randrange(most)))


def request(rng: random.Random, host: str) -> bytes:
    """Bytes for an HTTP server: nearly valid, with one error, or no HTTP at all."""
    odd = junk(rng) if rng.random() < 0.4 else quote(junk(rng))
    now = time.time_ns()
    window = f"?from_ns={now - rng.randrange(10**12)}&to_ns={now}"
    wrong = f"?from_ns={rng.getrandbits(70)}&to_ns={rng.getrandbits(64)}"
    query = rng.choice(["", window, wrong, f"?node={odd}", f"?step={odd}"])
    path = rng.choice([f"/api/v1/{rng.choice(PATHS)}{query}"] * 3 + [f"/static/{odd}", f"/{odd}", "/" + "a" * 9000])
    headers = [f"Host: {rng.choice([host, host, host, 'evil', odd])}"]
    headers += [f"Origin: {rng.choice([f'http://{host}', 'null', odd])}"] * rng.randrange(3)
    headers += [f"Authorization: Bearer {odd}"] * rng.randrange(2)
    if rng.random() < 0.1:
        headers += [f"Content-Length: {rng.choice([0, 5, -1, 1 << 70, 'x'])}"]
    if rng.random() < 0.1:
        headers += ["Transfer-Encoding: chunked"]
    headers += [f"X-{n}: {odd}" for n in range(rng.choice([0, 0, 0, 200]))]
    text = f"{rng.choice(METHODS)} {path} HTTP/1.1\r\n" + "\r\n".join(headers) + "\r\n\r\n"
    data = text.encode("latin-1", "replace") + rng.randbytes(rng.choice([0, 0, 3, 300]))
    if rng.random() < 0.1:
        at = rng.randrange(len(data))
        data = data[:at] + rng.randbytes(4) + data[at + 1 :]
    return data


def opening(rng: random.Random, host: str) -> bytes:
    """The upgrade request to a WebSocket, mostly a valid one."""
    wrong = rng.random() < 0.2
    version, key = (rng.choice(["12", "", junk(rng)]), junk(rng)) if wrong else ("13", KEY)
    origin = f"Origin: http://{rng.choice([host, host, 'evil'])}\r\n" if rng.random() < 0.5 else ""
    more = rng.choice(["", "", "Sec-WebSocket-Extensions: permessage-deflate\r\n", "Sec-WebSocket-Protocol: a,b\r\n"])
    node = rng.choice(["", "", f"?node={junk(rng)}"])
    return (
        f"GET /api/v1/waterfall{node} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: {key}\r\n{origin}{more}\r\n"
    ).encode("latin-1", "replace")


def frame(rng: random.Random) -> bytes:
    """One client frame: valid, or with a wrong length, opcode, mask, reserved bit, fragment or close code."""
    first = rng.choice([0x81, 0x82, 0x89, 0x8A, 0x88, 0x01, 0x00, 0x80, rng.randrange(256)])
    body = rng.randbytes(rng.choice([0, 1, 2, 5, 125, 126, 1024, 2000]))
    if first == 0x88 and rng.random() < 0.7:
        body = struct.pack(">H", rng.choice([1000, 1001, 1005, 999, 5000, 65535])) + rng.randbytes(rng.randrange(9))
    masked = 0x80 if rng.random() < 0.9 else 0
    said = rng.choice([len(body)] * 8 + [1 << 63, (1 << 64) - 1, 1 << 31, len(body) + 1])
    if said < 126:
        head = bytes([first, masked | said])
    elif said < 1 << 16:
        head = bytes([first, masked | 126]) + struct.pack(">H", said)
    else:
        head = bytes([first, masked | 127]) + struct.pack(">Q", said)
    mask = rng.randbytes(4) if masked else b""
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(body)) if masked else head + body


class Siege:
    """AT_ONCE connections at a time, each with one request or one WebSocket and its frames."""

    def __init__(self, place: str, seed: int) -> None:
        self.place, self.rng = place, random.Random(seed)
        name, _, port = place.rpartition(":")
        self.address = (name, int(port))
        self.sent = self.sockets = self.frames = self.unanswered = 0
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []

    def _one(self, door: socket.socket) -> bool:
        """Send one request or frame; returns whether an answer is to be waited for."""
        rng = self.rng
        self.sent += 1
        if rng.random() < 0.8:
            door.sendall(request(rng, self.place))
            if rng.random() < 0.8:
                door.shutdown(socket.SHUT_WR)
            return rng.random() < 0.9  # one in ten disconnects before the answer
        self.sockets += 1
        frames = [frame(rng) for _ in range(rng.randrange(6))]
        self.frames += len(frames)
        door.sendall(opening(rng, self.place) + b"".join(frames))
        if rng.random() < 0.5:
            door.shutdown(socket.SHUT_WR)
        return True

    def _heard(self, data: bytes) -> None:
        status = data[9:12].decode("latin-1") if data.startswith(b"HTTP/1.1") else "none"
        self.answers[status] += 1
        if status.startswith("5") and status != "503":
            self.faults.append(repr(data[:400]))

    def volley(self) -> None:
        """AT_ONCE connections, opened together and then answered."""
        doors, began = [], time.monotonic()
        for _ in range(AT_ONCE):
            door = socket.create_connection(self.address, timeout=20)
            waits = False
            with contextlib.suppress(OSError):
                waits = self._one(door)
            if waits:
                door.setblocking(False)
                doors.append(door)
            else:
                door.close()
        while doors and time.monotonic() - began < ANSWER_S:
            for door in select.select(doors, [], [], 0.2)[0]:
                with contextlib.suppress(OSError):
                    self._heard(door.recv(4096))
                door.close()
                doors.remove(door)
            if time.monotonic() - began > 0.5:
                break  # some requests have no answer; their clients disconnect
        self.unanswered += len(doors)
        for door in doors:
            door.close()

    def said(self, took_s: float) -> dict[str, Any]:
        return {"sent": self.sent, "websockets": self.sockets, "frames": self.frames, "answers": dict(self.answers),
                "unanswered": self.unanswered, "seconds": round(took_s, 1), "faults": self.faults[:5]}  # fmt: skip


def main(arguments: list[str]) -> int:
    place, count, seed = arguments[0], int(arguments[1]), int(arguments[2])
    siege, began = Siege(place, seed), time.monotonic()
    while siege.sent < count or count == 0:
        siege.volley()
        if count == 0 and select.select([sys.stdin], [], [], 0)[0] and not os.read(0, 1):
            break
    print(json.dumps(siege.said(time.monotonic() - began)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
