"""The air's worker process: computes looks, and measures what was emitted.

The control process tells it, in order, every segment and carrier that begins or ends; a look therefore knows all that
was stamped before it was asked for. Looks come first, measuring is done when none waits. Run as
`python -m sim.airworker ENDPOINT PARENT_PID` by `sim.airserver`.
"""

import os
import signal
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from radio.errors import RadioError
from radio.ports import Iq16, RxFlag, RxSettings
from radio.priority import like_others
from radio.process import OrphanedAtBirth, die_with_parent
from sim import oracle
from sim.air import NS, Air, Emission, Tone
from sim.backlog import Backlog, KnownContents
from sim.checked import checked
from sim.device import OPEN_END_NS, BurstSegment, Carrier
from sim.oraclelog import OracleLog
from sim.receiver import clipped
from sim.stations import AirConfig
from sim.wire import Header, pack, unpack

TIDY_NS = 50_000_000
FARTHEST_NS = 1_000_000
"""Longest propagation delay, ns: 300 km."""


class Worker:
    """State of one worker: the air, current and past emissions, and waiting work."""

    def __init__(
        self,
        air: Air,
        config: AirConfig,
        *,
        history_ns: int,
        floor_dbm: float,
        log: OracleLog | None,
        levels_mdbm: tuple[int, ...] = oracle.LEVELS_MDBM_PER_MHZ,
        backlog: Backlog | None = None,
    ) -> None:
        self._air = air
        self._stations = {station.name: station for station in config.stations}
        self._zero_ns = config.zero_ns
        self._history_ns = history_ns
        self._floor_dbm = floor_dbm
        self._levels_mdbm = levels_mdbm
        self._log = log
        self._iq: dict[int, Iq16] = {}
        self._segments: dict[int, BurstSegment] = {}
        self._unfinished: set[int] = set()
        self._unwanted: set[int] = set()
        self._carriers: dict[int, Carrier] = {}
        self._looks: deque[Header] = deque()
        self._backlog = Backlog(Path(tempfile.gettempdir())) if backlog is None else backlog
        self._contents = KnownContents()
        self._orders: deque[tuple[int, Header]] = deque()
        self._ended = self._measured = 0
        self._tidied_ns = 0
        self.running = True

    @property
    def idle(self) -> bool:
        """Whether no work waits."""
        return not (self._looks or self._backlog or self._orders)

    def take(self, header: Header, payload: memoryview | None) -> None:
        """Take a message of the control process."""
        match header["op"]:
            case "begin":
                self._begin(BurstSegment(**header["segment"]), payload)
            case "end":
                self._end(BurstSegment(**header["segment"]))
            case "carrier":
                self._carrier(Carrier(**header["carrier"]))
            case "look":
                self._looks.append(header)
            case "dump" | "stop":
                self._orders.append((self._ended, header))
            case other:
                raise ValueError(f"unknown message {other}")

    def _begin(self, segment: BurstSegment, payload: memoryview | None) -> None:
        if payload is not None:
            self._iq[segment.burst] = np.frombuffer(payload, dtype=np.int16).reshape(-1, 2)
        self._segments[segment.id] = segment
        self._unfinished.add(segment.id)

    def _end(self, segment: BurstSegment) -> None:
        self._unfinished.discard(segment.id)
        self._segments[segment.id] = segment
        if self._log is not None and segment.live and segment.end_ns > segment.start_ns:
            self._backlog.add(segment, self._iq[segment.burst])
            self._ended += 1

    def _carrier(self, carrier: Carrier) -> None:
        self._carriers[carrier.id] = carrier
        if self._log is not None and carrier.end_ns != OPEN_END_NS:
            found = oracle.leakage(carrier, self._stations[carrier.station], floor_dbm=self._floor_dbm)
            if found is not None:
                self._log.add(found)

    def step(self) -> tuple[Header, bytes | None] | None:
        """Do the next waiting work; returns a response for the control process, None where it has none."""
        if self._looks and not self._backlog.pressing:
            return self._look(self._looks.popleft())
        # A log to write contains all that ended before it was asked for.
        if self._orders and self._measured >= self._orders[0][0]:
            return self._obey(self._orders.popleft()[1])
        if self._backlog:
            self._measure(*self._backlog.take())
        return None

    def _obey(self, header: Header) -> tuple[Header, None] | None:
        if header["op"] == "stop":
            self.running = False
            return None
        return self._dump(header), None

    def _look(self, header: Header) -> tuple[Header, bytes]:
        station, start_ns, samples = header["station"], int(header["start_ns"]), int(header["samples"])
        settings = RxSettings(**header["settings"])
        rate = settings.sample_rate_hz
        end_ns = start_ns + samples * NS // rate + 1
        iq = self._air.receive(
            station=station,
            settings=settings,
            start_ns=start_ns,
            samples=samples,
            emissions=self._emissions(start_ns, end_ns),
            tones=self._tones(start_ns, end_ns),
        )
        first = self._air.grid_index(start_ns, rate)
        hardware = self._stations[station].hardware
        answer = {
            "op": "look",
            "look": header["look"],
            "earliest_ns": self._zero_ns + first * NS // rate,
            "latest_ns": self._zero_ns - (-first * NS // rate),
            "flags": (RxFlag.CLIPPED if clipped(iq, hardware) else RxFlag.NONE).value,
            "full_scale": hardware.rx_full_scale,
        }
        return answer, iq.tobytes()

    def _emissions(self, start_ns: int, end_ns: int) -> list[Emission]:
        """Every burst segment on an antenna that a receiver within 300 km can receive in the span."""
        return [
            Emission(
                station=one.station,
                iq=self._iq[one.burst][one.first_sample : one.first_sample + one.samples],
                start_ns=one.start_ns,
                end_ns=one.end_ns,
                center_hz=one.center_hz,
                sample_rate_hz=one.sample_rate_hz,
                attenuation_mdb=one.attenuation_mdb,
            )
            for one in self._segments.values()
            if one.live and one.start_ns < end_ns and one.end_ns > start_ns - FARTHEST_NS and one.end_ns > one.start_ns
        ]

    def _tones(self, start_ns: int, end_ns: int) -> list[Tone]:
        return [
            Tone(
                station=one.station,
                start_ns=one.start_ns,
                end_ns=one.end_ns,
                center_hz=one.center_hz,
                attenuation_mdb=one.attenuation_mdb,
                level_db=one.level_db,
            )
            for one in self._carriers.values()
            if one.start_ns < end_ns and one.end_ns > start_ns - FARTHEST_NS
        ]

    def _measure(self, segment: BurstSegment, iq: Iq16) -> None:
        self._measured += 1
        found = oracle.burst(
            segment,
            iq,
            self._stations[segment.station],
            floor_dbm=self._floor_dbm,
            levels_mdbm=self._levels_mdbm,
            measured=self._contents,
        )
        if found is not None and self._log is not None:
            self._log.add(found)

    def _dump(self, header: Header) -> Header:
        now_ns = int(header["now_ns"])
        still_on = []
        for carrier in self._carriers.values():
            if carrier.end_ns == OPEN_END_NS:
                ended = Carrier(**{**asdict(carrier), "end_ns": now_ns})
                found = oracle.leakage(ended, self._stations[carrier.station], floor_dbm=self._floor_dbm)
                still_on += [found] if found is not None else []
        for segment in self._segments.values():
            if segment.start_ns < now_ns < segment.end_ns and segment.burst in self._iq:
                station = self._stations[segment.station]
                playing = replace(segment, end_ns=now_ns)
                found = oracle.burst(
                    playing,
                    self._iq[segment.burst],
                    station,
                    floor_dbm=self._floor_dbm,
                    levels_mdbm=self._levels_mdbm,
                )
                still_on += [found] if found is not None else []
        answer: Header = {"op": "dumped", "dump": header["dump"]}
        try:
            if self._log is not None:
                self._log.write(still_on=still_on, until_ns=now_ns)
        except OSError as exc:
            answer["failure"] = str(exc)
        return answer

    def tidy(self, *, now_ns: int) -> None:
        """Drop emissions that no look, waiting ones included, can ask for; samples to be measured are kept elsewhere.

        What the control process has not ended yet stays, however long ago its end was due: that one may have paused.
        """
        if now_ns - self._tidied_ns < TIDY_NS:
            return
        self._tidied_ns = now_ns
        asked_ns = min((int(look["start_ns"]) for look in self._looks), default=now_ns) - FARTHEST_NS
        before_ns = min(now_ns - self._history_ns, asked_ns)
        gone = [key for key, one in self._segments.items() if one.end_ns < before_ns and key not in self._unfinished]
        for key in gone:
            del self._segments[key]
        for key in [key for key, one in self._carriers.items() if one.end_ns < before_ns]:
            del self._carriers[key]
        # A burst that continues at another setting ends and begins again one message later: its samples are kept.
        unwanted = set(self._iq) - {one.burst for one in self._segments.values()}
        for burst in unwanted & self._unwanted:
            del self._iq[burst]
        self._unwanted = unwanted

    def close(self) -> None:
        """Remove the spool files."""
        self._backlog.close()
        if self._log is not None:
            self._log.close()


def _configured(header: Header) -> Worker:
    """Build the worker from the control process's first message; raises RadioError, OSError."""
    config = checked(AirConfig, header["air"])
    air = Air(config)
    log = OracleLog(Path(header["log"]), zero_ns=config.zero_ns) if header["log"] is not None else None
    return Worker(
        air,
        config,
        history_ns=header["history_ns"],
        floor_dbm=header["leakage_floor_dbm"],
        log=log,
        levels_mdbm=tuple(header["levels_mdbm"]),
        backlog=Backlog(Path(header["log"]).parent) if log is not None else None,
    )


def _serve(socket: "zmq.Socket[bytes]", worker: Worker) -> None:
    while worker.running:
        if worker.idle:
            socket.poll(TIDY_NS // 1_000_000)
        while worker.running:
            try:
                frames = socket.recv_multipart(flags=zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            worker.take(unpack(frames[0].bytes), frames[1].buffer if len(frames) > 1 else None)
        answer = worker.step()
        if answer is not None:
            _send(socket, *answer)
        worker.tidy(now_ns=time.monotonic_ns())


def _send(socket: "zmq.Socket[bytes]", header: Header, payload: bytes | None = None) -> None:
    socket.send_multipart([pack(header)] if payload is None else [pack(header), payload], copy=payload is None)


def main(arguments: list[str]) -> int:
    """Serve one control process until it says stop or ends."""
    endpoint, parent = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        die_with_parent(int(parent))
    except OrphanedAtBirth:
        return 1
    like_others()
    os.nice(2)
    with zmq.Context() as context, context.socket(zmq.PAIR) as socket:
        socket.setsockopt(zmq.LINGER, 1000)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.connect(endpoint)
        first: dict[str, Any] = unpack(socket.recv())
        try:
            worker = _configured(first)
        except (RadioError, OSError) as exc:
            _send(socket, {"op": "failed", "message": str(exc)})
            return 1
        _send(socket, {"op": "ready"})
        try:
            _serve(socket, worker)
        finally:
            worker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
