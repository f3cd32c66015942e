"""The simulated Pluto's RF hardware: a station of the simulated air, in any process, or a loop of samples."""

import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import zmq

from radio.errors import HardwareError
from radio.ports import RxSettings
from sim.air import Air
from sim.airworker import Worker
from sim.control import AirControl, ServerConfig
from sim.device import NS, Output
from sim.oracle import RadiatedBurst
from sim.oraclelog import OracleLog, read_log
from sim.stations import AirConfig
from sim.wire import AirRefused, AirRequests, Header, mute_endpoint


class AntennaRefused(Exception):
    """The simulated hardware cannot do this."""


class Antenna(Protocol):
    """One radio's hardware: settings and samples in, samples out; every call returns at once except `look`."""

    def receiver(self, settings: RxSettings) -> None:
        """Set the receiver; raises AntennaRefused."""
        ...

    def output(self, output: Output) -> None:
        """Set the transmitter's output; raises AntennaRefused."""
        ...

    def play(self, iq: bytes) -> int:
        """Queue samples; returns when they end (monotonic ns). Raises AntennaRefused."""
        ...

    def look(self, start_ns: int, samples: int) -> "bytes | memoryview":
        """Samples taken from `start_ns` on; may take long. Raises AntennaRefused."""
        ...


def _output(output: Output) -> Header:
    return {"op": "output", "output": asdict(output)}


class AirAntenna:
    """A station of an air in another process. State changes use the mute connection, which samples never block."""

    def __init__(self, endpoint: str, station: str) -> None:
        self._station = station
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._prompt = AirRequests(mute_endpoint(endpoint), context=self._context)
        self._looks = AirRequests(endpoint, context=self._context)

    def receiver(self, settings: RxSettings) -> None:
        """Set the receiver."""
        self._ask(self._prompt, {"op": "tune_rx", "settings": asdict(settings)})

    def output(self, output: Output) -> None:
        """Set the transmitter's output."""
        self._ask(self._prompt, _output(output))

    def play(self, iq: bytes) -> int:
        """Queue samples; returns when they end."""
        return int(self._ask(self._prompt, {"op": "send"}, iq)[0]["end_ns"])

    def look(self, start_ns: int, samples: int) -> memoryview:
        """Samples taken from `start_ns` on."""
        data = self._ask(self._looks, {"op": "look", "start_ns": start_ns, "samples": samples})[1]
        if data is None:
            raise AntennaRefused("the air answered without samples")
        return data

    def _ask(
        self, channel: AirRequests, request: Header, payload: bytes | None = None
    ) -> tuple[Header, memoryview | None]:
        try:
            return channel.request({**request, "station": self._station}, payload)
        except (AirRefused, HardwareError) as exc:
            raise AntennaRefused(str(exc)) from exc

    def close(self) -> None:
        """Close the connections to the air."""
        self._context.destroy(linger=0)


class LocalAir:
    """A whole air with its oracle inside this process, for one or a few simulated Plutos."""

    def __init__(self, config: AirConfig, log: Path, *, floor_dbm: float = -40.0) -> None:
        served = ServerConfig(endpoint="ipc:///none", air=config, log=str(log), leakage_floor_dbm=floor_dbm)
        self._log = log
        self._lock = threading.RLock()
        self._control = AirControl(served, now_ns=time.monotonic_ns())
        history_ns = round(served.history_s * NS)
        spool = OracleLog(log, zero_ns=config.zero_ns)
        self._worker = Worker(Air(config), config, history_ns=history_ns, floor_dbm=floor_dbm, log=spool)

    def antenna(self, station: str) -> "LocalAntenna":
        """The antenna of one of its stations."""
        return LocalAntenna(self, station)

    def ask(self, header: Header, payload: bytes | None = None) -> tuple[Header, bytes | None]:
        """Handle a request as the air's process would; raises AntennaRefused."""
        with self._lock:
            now_ns = time.monotonic_ns()
            self._control.advance(now_ns=now_ns)
            answer = self._control.handle(b"", {**header, "id": 0}, payload, now_ns=now_ns)
            found = self._pump()
        if answer is None and found is not None:
            answer, data = found
        else:
            data = None
        if answer is None or "error" in answer:
            raise AntennaRefused(str(answer and answer.get("message")))
        return answer, data

    def _pump(self) -> tuple[Header, bytes | None] | None:
        """Let the worker do all waiting work; returns the last response to a request."""
        last: tuple[Header, bytes | None] | None = None
        outbox, self._control.outbox = self._control.outbox, []
        for _, header, payload in outbox:
            self._worker.take(header, None if payload is None else memoryview(payload))
        while not self._worker.idle:
            done = self._worker.step()
            answered = self._control.answered(0, done[0]) if done is not None else None
            if done is not None and answered is not None:
                last = (answered[1], done[1])
        self._worker.tidy(now_ns=time.monotonic_ns())
        return last

    def emissions(self) -> list[RadiatedBurst]:
        """The oracle's record of what left the antennas so far, by start."""
        self.ask({"op": "dump"})
        return read_log(self._log)

    def state(self) -> dict[str, Any]:
        """The settings of every radio."""
        state: dict[str, Any] = self.ask({"op": "state"})[0]["radios"]
        return state

    def close(self) -> None:
        """Write the log a last time."""
        with self._lock:
            self._control.silence(now_ns=time.monotonic_ns())
            self.ask({"op": "dump"})
            self._worker.close()


class LocalAntenna:
    """A station of an air in this process."""

    def __init__(self, air: LocalAir, station: str) -> None:
        self._air, self._station = air, station

    def receiver(self, settings: RxSettings) -> None:
        """Set the receiver."""
        self._air.ask({"op": "tune_rx", "settings": asdict(settings), "station": self._station})

    def output(self, output: Output) -> None:
        """Set the transmitter's output."""
        self._air.ask({**_output(output), "station": self._station})

    def play(self, iq: bytes) -> int:
        """Queue samples; returns when they end."""
        return int(self._air.ask({"op": "send", "station": self._station}, iq)[0]["end_ns"])

    def look(self, start_ns: int, samples: int) -> bytes:
        """Samples taken from `start_ns` on."""
        request = {"op": "look", "start_ns": start_ns, "samples": samples, "station": self._station}
        data = self._air.ask(request)[1]
        if data is None:
            raise AntennaRefused("no samples")
        return data


class LoopAntenna:
    """An endless loop of samples, without a transmitter: for measuring streams without an air.

    Sample number n of the monotonic time line is `loop[n % len(loop)]`, so that a gap shows.
    """

    def __init__(self, loop: bytes) -> None:
        self._loop = memoryview(loop + loop)
        self._samples = len(loop) // 4
        self._rate_hz = 1
        self._busy_ns = 0

    def receiver(self, settings: RxSettings) -> None:
        """Set the sample rate."""
        self._rate_hz = settings.sample_rate_hz

    def output(self, output: Output) -> None:
        """Ignore the setting: nothing radiates."""

    def play(self, iq: bytes) -> int:
        """When the samples would end, monotonic ns."""
        length_ns = len(iq) // 4 * NS // self._rate_hz
        self._busy_ns = max(self._busy_ns, time.monotonic_ns()) + length_ns
        return self._busy_ns

    def look(self, start_ns: int, samples: int) -> memoryview:
        """Samples of that span of the time line; at most one loop at a time."""
        first = round(start_ns * self._rate_hz / NS) % self._samples
        return self._loop[4 * first : 4 * (first + min(samples, self._samples))]
