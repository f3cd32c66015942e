"""Sources of samples as a stream of looks: a recording, or any radio that this installation can open."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hw_profiles.calibration import Scale
from radio.errors import EndOfRecording, SourceError
from radio.ports import Receiver, RxBlock, RxFlag, RxSettings, Streamer
from radio.receivers import Opened
from radio.recording.metadata import RecordedPlace
from radio.recording.reader import Recording
from radio.recording.segments import Segment
from sensing.flags import SampleFlag
from sensing.frontend import Iq

NS: Final = 10**9
LOOK_S: Final = 0.02
LOOK_SAMPLES_MIN: Final = 1024
PORT_FLAGS: Final = {
    RxFlag.CLIPPED: SampleFlag.CLIPPED,
    RxFlag.GAP: SampleFlag.GAP,
    RxFlag.SHORT: SampleFlag.GAP,
    RxFlag.OWN_TX: SampleFlag.OWN_TX,
    RxFlag.STALE: SampleFlag.STALE,
    RxFlag.GAIN_CHANGED: SampleFlag.GAIN_STEP,
    RxFlag.OVERFLOW_UNKNOWN: SampleFlag.OVERFLOW_UNKNOWN,
    RxFlag.UNCALIBRATED: SampleFlag.UNCALIBRATED,
    RxFlag.MOVED: SampleFlag.MOVED,
    RxFlag.DEAF: SampleFlag.DEAF,
}
DERIVED: Final = SampleFlag.UNCALIBRATED
"""Flags about this installation and not about the samples: they are not stored with a recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A receiver's settings during a look; unknown ones are None."""

    center_hz: float
    sample_rate_hz: float
    bandwidth_hz: float | None = None
    gain_db: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Consecutive samples at one tuning, and the time of the first one, in ns from the start of the source.

    `late_ns`: the first sample may have been taken up to so much later.
    """

    iq: Iq
    start_ns: int
    flags: SampleFlag
    tuning: Tuning
    late_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Origin of a source's samples: unit, place, UTC of the source's start, and its bound.

    `bound_ns` is None where the time is not known well enough to bound; `utc_ns` None where it is not known.
    """

    device: str = ""
    utc_ns: int | None = None
    bound_ns: int | None = None
    place: RecordedPlace | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UtcNow:
    """The host's clocks read together: UTC, the monotonic clock, and the bound of UTC, None where it has none."""

    utc_ns: int
    mono_ns: int
    bound_ns: int | None


class Source(Protocol):
    """A source of samples."""

    @property
    def name(self) -> str:
        """The source's name as the user wrote it."""
        ...

    @property
    def tunings(self) -> tuple[Tuning, ...]:
        """All tunings of the source, in the order of their first look."""
        ...

    @property
    def full_scale(self) -> float:
        """Amplitude of a full-scale sine in the samples' units."""
        ...

    @property
    def samples(self) -> int | None:
        """Number of samples, or None for a source without an end."""
        ...

    @property
    def scale(self) -> Scale | None:
        """Calibration of full scale in dBm, where the source itself knows it."""
        ...

    @property
    def origin(self) -> Origin:
        """Origin of its samples; complete once a look was taken."""
        ...

    def looks(self, look_s: float = LOOK_S) -> Iterator[Look]:
        """Yield the samples from now on, in looks of `look_s` seconds. Raises SourceError, RadioError."""
        ...

    def close(self) -> None:
        """Close the file or the device."""
        ...


def sample_flags(flags: RxFlag) -> SampleFlag:
    """Convert a driver's flags to sensing's own."""
    out = SampleFlag.NONE
    for theirs, ours in PORT_FLAGS.items():
        if theirs in flags:
            out |= ours
    return out


class FileSource:
    """A recording, read in its own number format, so that nothing is lost before it is judged."""

    def __init__(self, name: str, recording: Recording) -> None:
        self.name, self.recording = name, recording
        self.tunings = tuple(dict.fromkeys(self._tuning(one) for one in recording.runs))
        self.full_scale = recording.full_scale
        self.samples: int | None = recording.samples
        scale = recording.scale
        self.scale = None if scale is None else Scale(offset_db=scale.full_scale_dbm, sd_db=scale.sd_db)
        first = recording.segments[0]
        self.origin = Origin(
            device=recording.meta.hardware, utc_ns=first.utc_ns, bound_ns=first.bound_ns, place=first.place
        )

    def _tuning(self, one: Segment) -> Tuning:
        return Tuning(
            center_hz=one.center_hz,
            sample_rate_hz=self.recording.sample_rate_hz,
            bandwidth_hz=one.bandwidth_hz,
            gain_db=one.gain_db,
        )

    def looks(self, look_s: float = LOOK_S) -> Iterator[Look]:
        """Yield the recording in looks, none across a gap; the last one of each run is short."""
        rate_hz = self.recording.sample_rate_hz
        step = max(LOOK_SAMPLES_MIN, round(look_s * rate_hz))
        before: Segment | None = None
        for run in self.recording.runs:
            tuning = self._tuning(run)
            for first in range(0, run.samples, step):
                iq = self.recording.read(run.first + first, min(step, run.samples - first))
                flags = self._noted(run, first, len(iq))
                if not first and before is not None:
                    flags |= SampleFlag.GAP if run.lost else SampleFlag.NONE
                    flags |= SampleFlag.GAIN_STEP if run.gain_db != before.gain_db else SampleFlag.NONE
                at_ns = run.start_ns + round(first / rate_hz * NS)
                yield Look(iq=iq, start_ns=at_ns, flags=flags, tuning=tuning)
            before = run

    def _noted(self, run: Segment, first: int, count: int) -> SampleFlag:
        flags = SampleFlag.NONE
        for name in self.recording.doubts(run.first + first, count):
            flags |= SampleFlag.__members__.get(name, SampleFlag.NONE) & ~DERIVED
        return flags

    def close(self) -> None:
        """Close the recording's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Order of a receiver's tunings: every setting for `dwell_s`, and all of that `rounds` times.

    A round begins `every_s` after the start of the one before, or at once where that is past. Without a dwell there is
    one setting and no end.
    """

    settings: Sequence[RxSettings]
    dwell_s: float | None = None
    rounds: int = 1
    every_s: float = 0.0


class PortSource:
    """A receiver behind the radio port, tuned to one setting or several in turn."""

    def __init__(
        self,
        name: str,
        opened: Opened,
        visits: Visits,
        *,
        clock: Callable[[], UtcNow],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args: clock reads UTC and the monotonic clock together; pause waits until the next round is due."""
        self.name, self._opened, self._visits, self._clock = name, opened, visits, clock
        self._pause = opened.pause or pause
        self.tunings = tuple(dict.fromkeys(_tuning(one) for one in visits.settings))
        self.full_scale = float(opened.full_scale)
        self.samples: int | None = None
        self.scale: Scale | None = None
        self.origin = Origin(device=opened.device_id, place=opened.place, simulated=opened.simulated)
        self._first_ns: int | None = None
        self._due_ns = 0
        self._held: RxSettings | None = None

    @property
    def seconds(self) -> float | None:
        """Seconds that its own plan lasts, None without an end."""
        visits = self._visits
        return None if visits.dwell_s is None else visits.dwell_s * len(visits.settings) * visits.rounds

    def looks(self, look_s: float = LOOK_S) -> Iterator[Look]:
        """Yield looks as long as the plan and the receiver last."""
        visits = self._visits
        due_ns: int | None = None
        last_ns = 0
        for _ in range(visits.rounds):
            if due_ns is not None and last_ns < due_ns:
                self._pause((due_ns - last_ns) / NS)
            due_ns = None
            for settings in visits.settings:
                for look in self._visit(settings, look_s):
                    due_ns = look.start_ns + round(visits.every_s * NS) if due_ns is None else due_ns
                    last_ns = look.start_ns + round(len(look.iq) / look.tuning.sample_rate_hz * NS)
                    yield look

    def _visit(self, settings: RxSettings, look_s: float) -> Iterator[Look]:
        if self._held != settings:
            held = self._opened.receiver.tune_rx(settings)
            if held != settings:
                raise SourceError(f"source {self.name!r} holds {held}, not {settings}; ask for what it can hold")
            self._held = held
        tuning, step = _tuning(settings), max(LOOK_SAMPLES_MIN, round(look_s * settings.sample_rate_hz))
        dwell_s = self._visits.dwell_s
        left = None if dwell_s is None else max(LOOK_SAMPLES_MIN, round(dwell_s * settings.sample_rate_hz))
        streamed, first = isinstance(self._opened.receiver, Streamer), True
        for block in _blocks(self._opened.receiver, step):
            look = self._look(block, tuning, joined=streamed and not first)
            first = False
            if left is None:
                yield look
                continue
            yield replace(look, iq=look.iq[:left])
            left -= len(look.iq)
            if left <= 0:
                return

    def _look(self, block: RxBlock, tuning: Tuning, *, joined: bool) -> Look:
        """Return a block as a look with its time: in an unbroken stream right after the one before, never before it."""
        if self._first_ns is None:
            self._first_ns = block.start.earliest_ns
            self._begin(block)
        start_ns = max(self._due_ns, block.start.earliest_ns - self._first_ns)
        if joined and not block.flags & (RxFlag.GAP | RxFlag.STALE):
            start_ns = self._due_ns
        self._due_ns = start_ns + round(len(block.iq) / tuning.sample_rate_hz * NS)
        return Look(
            iq=block.iq,
            start_ns=start_ns,
            flags=sample_flags(block.flags) & ~DERIVED,
            tuning=tuning,
            late_ns=block.start.latest_ns - block.start.earliest_ns,
        )

    def _begin(self, block: RxBlock) -> None:
        """Set UTC of the first sample: by the host's clocks, for simulated time the moment of the call."""
        now = self._clock()
        if self._opened.simulated_time:
            self.origin = replace(self.origin, utc_ns=now.utc_ns, bound_ns=now.bound_ns)
            return
        width_ns = block.start.latest_ns - block.start.earliest_ns
        bound_ns = None if now.bound_ns is None else now.bound_ns + width_ns
        self.origin = replace(
            self.origin, utc_ns=now.utc_ns - (now.mono_ns - block.start.earliest_ns), bound_ns=bound_ns
        )

    def close(self) -> None:
        """Close the device."""
        self._opened.close()


def _tuning(settings: RxSettings) -> Tuning:
    return Tuning(
        center_hz=float(settings.center_hz),
        sample_rate_hz=float(settings.sample_rate_hz),
        bandwidth_hz=float(settings.bandwidth_hz),
        gain_db=settings.gain_mdb / 1000,
    )


def _blocks(receiver: Receiver, samples: int) -> Iterator[RxBlock]:
    """Yield blocks without a break where the receiver streams, else one by one."""
    if isinstance(receiver, Streamer):
        yield from receiver.stream(samples)
        return
    while True:
        try:
            yield receiver.receive(samples)
        except EndOfRecording:
            return


def limited(source: Source, duration_s: float | None, look_s: float = LOOK_S) -> Iterator[Look]:
    """Yield looks of `look_s` seconds, the last one cut at `duration_s`; None is all."""
    left_s = duration_s
    for look in source.looks(look_s):
        if left_s is None:
            yield look
            continue
        rate = look.tuning.sample_rate_hz
        room = round(left_s * rate)
        if room <= 0:
            return
        yield replace(look, iq=look.iq[:room])
        left_s -= len(look.iq) / rate
