"""Connects the tests' Soapy module (airmodule.cpp) to a station of a running simulated air, by a local socket.

Each connection has a radio of its own on the air, so that one that hangs holds up no other.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from radio.errors import RadioError
from radio.ports import RxBlock, RxFlag, RxSettings, TxSettings
from sim.airclient import AirClient
from sim.radio import SimRadio

CHUNK = 4096


class Bridge:
    """The server; serves until closed."""

    def __init__(self, endpoint: str, path: Path) -> None:
        self.endpoint, self.path = endpoint, path
        self.lose = 0
        """Number of next reads that are answered as lost samples."""
        self.closed = False
        """Whether new connections are refused, as by a device that one process has claimed."""
        self.deaf = False
        """Whether reads return converter noise whatever the gain, as with the receive oscillator off."""
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(8)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                if self.closed:
                    connection.close()
                    continue
                self._open.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        talk = Talk(self)
        with contextlib.suppress(OSError, ValueError, struct.error), connection, connection.makefile("rb") as lines:
            while line := lines.readline().decode():
                word, *rest = line.split()
                data = lines.read(4 * int(rest[0])) if word == "send" else b""
                try:
                    said, out = talk.answer(word, rest, data)
                    connection.sendall(f"ok {said}\n".encode() + out)
                except RadioError as exc:
                    connection.sendall(f"no {exc}\n".encode())
        talk.close()

    def close(self) -> None:
        self._listening.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class Talk:
    """One connection, with a radio opened at its first message."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._radio: SimRadio | None = None
        self._station = ""
        self._stream: Iterator[RxBlock] | None = None
        self._kept: RxBlock | None = None

    def answer(self, word: str, rest: list[str], data: bytes) -> tuple[str, bytes]:
        if word == "hello":
            self._station = rest[0]
            self._radio = SimRadio(self._bridge.endpoint, self._station)
            return self._radio.device_id.split()[-1], b""
        assert self._radio is not None
        match word:
            case "rx":
                center, rate, width, gain = map(float, rest)
                self._radio.tune_rx(
                    RxSettings(
                        center_hz=round(center), sample_rate_hz=round(rate), bandwidth_hz=round(width),
                        gain_mdb=round(1000 * gain),
                    )
                )  # fmt: skip
                self._stream = self._kept = None
            case "start":
                self._stream = self._kept = None
            case "read":
                return self._read()
            case "tx":
                center, rate, width, attenuation = map(float, rest)
                self._radio.tune_tx(
                    TxSettings(
                        center_hz=round(center), sample_rate_hz=round(rate), bandwidth_hz=round(width),
                        attenuation_mdb=round(1000 * attenuation),
                    )
                )  # fmt: skip
            case "send":
                self._radio.send(np.frombuffer(data, np.int16).reshape(-1, 2))
            case "mute":
                self._radio.mute()
            case "txgain":
                return f"{self._gain():.6f}", b""
            case "rxstate" | "txstate":
                held = self._state()[word[:2]]
                level = held.get("gain_mdb", held.get("attenuation_mdb"))
                fields = [str(held[one]) for one in ("center_hz", "sample_rate_hz", "bandwidth_hz")]
                return " ".join([*fields, f"{level / 1000:.3f}"]), b""
        return "", b""

    def _read(self) -> tuple[str, bytes]:
        """The next samples; none where some were lost, and then those after the loss."""
        assert self._radio is not None
        if self._bridge.lose:
            self._bridge.lose -= 1
            return "0", b""
        if self._stream is None:
            self._stream = self._radio.stream(CHUNK)
        block = self._kept or next(self._stream)
        lost = RxFlag.GAP in block.flags and self._kept is None
        self._kept = block if lost else None
        if self._bridge.deaf:
            noise = np.random.default_rng(block.sequence).normal(0, 0.3, block.iq.shape)
            return str(len(noise)), np.rint(noise).astype(np.int16).tobytes()
        return ("0", b"") if lost else (str(len(block.iq)), block.iq.tobytes())

    def _state(self) -> dict[str, Any]:
        client = AirClient(self._bridge.endpoint)
        try:
            found: dict[str, Any] = client.state()["radios"][self._station]
        finally:
            client.close()
        return found

    def _gain(self) -> float:
        """The unit's transmit gain: the lowest while it is muted."""
        state = self._state()
        return 89.75 - state["tx"]["attenuation_mdb"] / 1000 if state["rf"] == "on" else 0.0

    def close(self) -> None:
        if self._radio is not None:
            with contextlib.suppress(RadioError):
                self._radio._release()
