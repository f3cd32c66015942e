"""One simulated device as a pure state machine: settings, transmit queue, mute; times are arguments, events come back.

A burst plays once, from now or from the end of the burst before; then silence. What is queued plays on even when the
program that queued it has ended. After retuning, what plays goes on at the new setting; a new sample rate drops it.

Two more things can come out of the antenna while the oscillator is on, as on an AD936x: while samples are its source,
the last sample of a burst that nothing follows, held; while its tone generators are, their tone.

Long because one pure state machine holds every rule of the device, and no rule stands alone.
"""

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from radio.ports import RxSettings, TxSettings
from sim.stations import Hardware, SettingLimits, Station

NS = 1_000_000_000
QUEUE_NS_MAX = 4 * NS
BOOT_HZ = 2_450_000_000
BOOT_RATE_HZ = 30_720_000
BOOT_BANDWIDTH_HZ = 20_000_000
OPEN_END_NS = 2**62
"""The end of something that has none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstSegment:
    """A part of a burst under one setting: `samples` of it from number `first_sample`, on the antenna if `live`."""

    id: int
    station: str
    burst: int
    first_sample: int
    samples: int
    start_ns: int
    end_ns: int
    center_hz: int
    sample_rate_hz: int
    attenuation_mdb: int
    live: bool
    cut_short: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """A steady tone at one setting; `end_ns` is `OPEN_END_NS` while it is on.

    `level_db` is its level against full scale; None for the local oscillator's leakage, at the hardware's level.
    """

    id: int
    station: str
    start_ns: int
    end_ns: int
    center_hz: int
    attenuation_mdb: int
    level_db: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Everything that determines a transmitter's emission besides its queue.

    `streaming`: samples are the source and the last one is held; else the tone generators are, at `dds_db` against full
    scale (None is silent), `dds_hz` from the centre. `second_…`: the same of a second transmitter on the same
    oscillator, where the hardware has one; it has tone generators only.
    """

    settings: TxSettings
    lo_on: bool
    streaming: bool = False
    dds_db: float | None = None
    dds_hz: int = 0
    second_attenuation_mdb: int | None = None
    second_dds_db: float | None = None
    second_dds_hz: int = 0


@dataclass(frozen=True, slots=True)
class Begun:
    """Event: a segment is queued or plays."""

    segment: BurstSegment


@dataclass(frozen=True, slots=True)
class Ended:
    """Event: a segment is over; its `end_ns` is final, and not after its start if it never played."""

    segment: BurstSegment


@dataclass(frozen=True, slots=True)
class CarrierChanged:
    """Event: a steady tone began, or this one ended."""

    carrier: Carrier


Event: TypeAlias = Begun | Ended | CarrierChanged


@dataclass(frozen=True, slots=True)
class OutOfLimits:
    """A requested setting is outside the hardware's limits."""

    message: str


def _held(wanted: dict[str, tuple[int, SettingLimits]]) -> dict[str, int] | OutOfLimits:
    """The values rounded to the hardware's steps, or why it cannot hold one."""
    held = {}
    for name, (value, limits) in wanted.items():
        if not limits.low <= value <= limits.high:
            return OutOfLimits(f"{name} {value} is outside {limits.low} to {limits.high}; choose a value inside")
        on_step = limits.low + round((value - limits.low) / limits.step) * limits.step
        held[name] = min(on_step, limits.high)
    return held


class Device:
    """The state of one radio; every method that changes it takes the monotonic time and returns events."""

    def __init__(self, station: Station, *, ids: Iterator[int] | None = None, now_ns: int) -> None:
        hardware = station.hardware
        self.station = station
        self.rx = RxSettings(
            center_hz=BOOT_HZ,
            sample_rate_hz=BOOT_RATE_HZ,
            bandwidth_hz=BOOT_BANDWIDTH_HZ,
            gain_mdb=hardware.rx_gain_mdb.low,
        )
        self.tx = TxSettings(
            center_hz=BOOT_HZ,
            sample_rate_hz=BOOT_RATE_HZ,
            bandwidth_hz=BOOT_BANDWIDTH_HZ,
            attenuation_mdb=hardware.attenuation_mdb.high,
        )
        self.lo_on = False
        self.rx_changed_ns = now_ns
        self._ids = itertools.count() if ids is None else ids
        self._queue: deque[BurstSegment] = deque()
        self._recent: deque[tuple[int, int]] = deque()
        self._carriers: list[Carrier] = []
        self._streaming = False
        self._dds: tuple[float, int] | None = None
        self._second: tuple[int, float | None, int] | None = None
        self._last_db: float | None = None

    @property
    def hardware(self) -> Hardware:
        """The radio's limits and imperfections."""
        return self.station.hardware

    def tune_rx(self, settings: RxSettings, *, now_ns: int) -> RxSettings | OutOfLimits:
        """Set the receiver; returns what it then holds, or why it refuses, having changed nothing."""
        limits = self.hardware
        held = _held(
            {
                "center_hz": (settings.center_hz, limits.lo_hz),
                "sample_rate_hz": (settings.sample_rate_hz, limits.rate_hz),
                "bandwidth_hz": (settings.bandwidth_hz, limits.bandwidth_hz),
                "gain_mdb": (settings.gain_mdb, limits.rx_gain_mdb),
            }
        )
        if isinstance(held, OutOfLimits):
            return held
        self.rx = RxSettings(**held)
        self.rx_changed_ns = now_ns
        return self.rx

    def tune_tx(self, settings: TxSettings, *, now_ns: int) -> tuple[TxSettings | OutOfLimits, list[Event]]:
        """Set the transmitter and switch its oscillator on; what plays goes on under the new setting."""
        limits = self.hardware
        held = _held(
            {
                "center_hz": (settings.center_hz, limits.lo_hz),
                "sample_rate_hz": (settings.sample_rate_hz, limits.rate_hz),
                "bandwidth_hz": (settings.bandwidth_hz, limits.bandwidth_hz),
                "attenuation_mdb": (settings.attenuation_mdb, limits.attenuation_mdb),
            }
        )
        if isinstance(held, OutOfLimits):
            return held, []
        events = self.advance(now_ns=now_ns)
        tx = TxSettings(**held)
        if self.lo_on and tx == self.tx:
            return tx, events
        if tx.sample_rate_hz != self.tx.sample_rate_hz:
            events += self._drop(now_ns)
        self.tx = tx
        self.lo_on = True
        return self.tx, events + self._resegment(now_ns) + self._carrier_events(now_ns)

    def output(self, wanted: Output, *, now_ns: int) -> tuple[TxSettings | OutOfLimits, list[Event]]:
        """Bring the transmitter to a state, each part by itself as hardware takes it; what plays goes on under it."""
        limits, settings = self.hardware, wanted.settings
        held = _held(
            {
                "center_hz": (settings.center_hz, limits.lo_hz),
                "sample_rate_hz": (settings.sample_rate_hz, limits.rate_hz),
                "bandwidth_hz": (settings.bandwidth_hz, limits.bandwidth_hz),
                "attenuation_mdb": (settings.attenuation_mdb, limits.attenuation_mdb),
            }
        )
        if isinstance(held, OutOfLimits):
            return held, []
        events = self.advance(now_ns=now_ns)
        tx = TxSettings(**held)
        if tx.sample_rate_hz != self.tx.sample_rate_hz or (self._streaming and not wanted.streaming):
            events += self._drop(now_ns)
        if wanted.streaming and not self._streaming:
            self._last_db = None
        self._streaming = wanted.streaming
        self._dds = None if wanted.dds_db is None else (wanted.dds_db, wanted.dds_hz)
        second = wanted.second_attenuation_mdb
        self._second = None if second is None else (second, wanted.second_dds_db, wanted.second_dds_hz)
        if (tx, wanted.lo_on) != (self.tx, self.lo_on):
            self.tx, self.lo_on = tx, wanted.lo_on
            events += self._resegment(now_ns)
        return self.tx, events + self._carrier_events(now_ns)

    def send(
        self, samples: int, *, now_ns: int, last_db: float | None = None
    ) -> tuple[BurstSegment | OutOfLimits, list[Event]]:
        """Queue a burst of that many samples; returns it with its start and end.

        `last_db` is its last sample against full scale, None for zero: what is held if nothing follows.
        """
        events = self.advance(now_ns=now_ns)
        held = _held({"samples": (samples, self.hardware.block_samples)})
        if isinstance(held, OutOfLimits):
            return held, events
        start = max(now_ns, self._queue[-1].end_ns if self._queue else now_ns)
        if start - now_ns > QUEUE_NS_MAX:
            return OutOfLimits(f"queue holds {(start - now_ns) / NS:.1f} s already; send later"), events
        burst = next(self._ids)
        segment = self._segment(burst=burst, first=0, samples=samples, start_ns=start)
        self._queue.append(segment)
        self._last_db = last_db
        return segment, [*events, Begun(segment), *self._carrier_events(now_ns)]

    def mute(self, *, now_ns: int) -> list[Event]:
        """Cut what plays, drop what is queued, raise the attenuation to its maximum, switch the oscillator off."""
        events = self.advance(now_ns=now_ns) + self._drop(now_ns)
        self.tx = replace(self.tx, attenuation_mdb=self.hardware.attenuation_mdb.high)
        self.lo_on, self._streaming, self._dds, self._second = False, False, None, None
        return events + self._carrier_events(now_ns)

    def advance(self, *, now_ns: int) -> list[Event]:
        """Remove from the queue what has ended by now."""
        events: list[Event] = []
        while self._queue and self._queue[0].end_ns <= now_ns:
            ended = self._queue.popleft()
            events.append(self._over(ended))
            if not self._queue and self._streaming:
                events += self._carrier_events(ended.end_ns)
        return events

    def forget(self, *, before_ns: int) -> None:
        """Drop the memory of own transmissions that ended before a time."""
        while self._recent and self._recent[0][1] < before_ns:
            self._recent.popleft()

    def transmitted(self, start_ns: int, end_ns: int) -> bool:
        """Whether this device radiated a burst in any part of the span, as far back as it remembers."""
        playing = ((one.start_ns, one.end_ns) for one in self._queue if one.live)
        return any(begin < end_ns and end > start_ns for begin, end in itertools.chain(self._recent, playing))

    @property
    def busy_until_ns(self) -> int | None:
        """When the queue runs out (monotonic ns); None if it is empty."""
        return self._queue[-1].end_ns if self._queue else None

    def _segment(self, *, burst: int, first: int, samples: int, start_ns: int) -> BurstSegment:
        tx = self.tx
        return BurstSegment(
            id=next(self._ids),
            station=self.station.name,
            burst=burst,
            first_sample=first,
            samples=samples,
            start_ns=start_ns,
            end_ns=start_ns + samples * NS // tx.sample_rate_hz,
            center_hz=tx.center_hz,
            sample_rate_hz=tx.sample_rate_hz,
            attenuation_mdb=tx.attenuation_mdb,
            live=self.lo_on,
        )

    def _over(self, segment: BurstSegment) -> Ended:
        if segment.live and segment.end_ns > segment.start_ns:
            self._recent.append((segment.start_ns, segment.end_ns))
        return Ended(segment)

    def _drop(self, now_ns: int) -> list[Event]:
        """End everything now; a segment that has not begun ends where it would have begun."""
        dropped, self._queue = self._queue, deque()
        return [
            self._over(replace(one, end_ns=min(one.end_ns, max(now_ns, one.start_ns)), cut_short=True))
            for one in dropped
        ]

    def _resegment(self, now_ns: int) -> list[Event]:
        """Continue everything queued under the present setting, from the beginning of the sample that plays."""
        queued, self._queue = self._queue, deque()
        events: list[Event] = []
        for old in queued:
            played = max(0, (now_ns - old.start_ns) * old.sample_rate_hz // NS)
            at_ns = old.start_ns + played * NS // old.sample_rate_hz
            new = self._segment(
                burst=old.burst, first=old.first_sample + played, samples=old.samples - played, start_ns=at_ns
            )
            self._queue.append(new)
            events += [self._over(replace(old, end_ns=at_ns)), Begun(new)]
        return events

    def _tones(self) -> list[tuple[int, int, float | None]]:
        """Centre, attenuation and level of every steady tone that is on now."""
        if not self.lo_on:
            return []
        center_hz, attenuation_mdb = self.tx.center_hz, self.tx.attenuation_mdb
        tones: list[tuple[int, int, float | None]] = [(center_hz, attenuation_mdb, None)]
        if self._streaming:
            if not self._queue and self._last_db is not None:
                tones.append((center_hz, attenuation_mdb, self._last_db))
        elif self._dds is not None:
            level_db, offset_hz = self._dds
            tones.append((center_hz + offset_hz, attenuation_mdb, level_db))
        if self._second is not None:
            attenuation_mdb, second_db, offset_hz = self._second
            tones.append((center_hz, attenuation_mdb, None))
            if second_db is not None:
                tones.append((center_hz + offset_hz, attenuation_mdb, second_db))
        return tones

    def _carrier_events(self, at_ns: int) -> list[Event]:
        """Events that end the tones that are over and begin the new ones; unchanged tones have none."""
        wanted = self._tones()
        events: list[Event] = []
        kept: list[Carrier] = []
        for old in self._carriers:
            setting = (old.center_hz, old.attenuation_mdb, old.level_db)
            if setting in wanted:
                wanted.remove(setting)
                kept.append(old)
            else:
                events.append(CarrierChanged(replace(old, end_ns=at_ns)))
        for center_hz, attenuation_mdb, level_db in wanted:
            fresh = Carrier(
                id=next(self._ids),
                station=self.station.name,
                start_ns=at_ns,
                end_ns=OPEN_END_NS,
                center_hz=center_hz,
                attenuation_mdb=attenuation_mdb,
                level_db=level_db,
            )
            kept.append(fresh)
            events.append(CarrierChanged(fresh))
        self._carriers = kept
        return events
