"""Where samples come from: `file:PATH.sigmf-meta`, `sim:`, `pluto:URI`, all as a stream of looks."""

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from radio.drivers.replay import Recording, open_recording
from radio.errors import EndOfRecording, SourceError
from radio.ports import Receiver, RxFlag, RxSettings
from sensing.flags import SampleFlag
from sensing.frontend import Iq

LOOK_S: Final = 0.02
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Consecutive samples and the time of the first one, in ns from the start of the source."""

    iq: Iq
    start_ns: int
    flags: SampleFlag


class Source(Protocol):
    """Anything that can be listened to for a while."""

    @property
    def name(self) -> str:
        """As the user wrote it."""
        ...

    @property
    def center_hz(self) -> float:
        """Middle of the band."""
        ...

    @property
    def sample_rate_hz(self) -> float:
        """Complex samples a second."""
        ...

    @property
    def bandwidth_hz(self) -> float | None:
        """Analogue bandwidth if it is known to be less than the sample rate."""
        ...

    @property
    def full_scale(self) -> float:
        """Amplitude of a full-scale sine in the samples' units."""
        ...

    @property
    def samples(self) -> int | None:
        """How many there are, or None for a source that goes on."""
        ...

    def looks(self) -> Iterator[Look]:
        """The samples from now on."""
        ...


def sample_flags(flags: RxFlag) -> SampleFlag:
    """A driver's flags as sensing's own."""
    out = SampleFlag.NONE
    for theirs, ours in PORT_FLAGS.items():
        if theirs in flags:
            out |= ours
    return out


class FileSource:
    """A recording in its own number format, so that nothing in it is lost before it is judged."""

    def __init__(self, name: str, recording: Recording) -> None:
        self.name, self.recording = name, recording
        self.center_hz = recording.center_hz
        self.sample_rate_hz = recording.sample_rate_hz
        self.bandwidth_hz: float | None = None
        self.full_scale = recording.full_scale
        self.samples: int | None = recording.samples

    def looks(self) -> Iterator[Look]:
        """The recording in looks of `LOOK_S`, the last one short."""
        step = max(1024, round(LOOK_S * self.sample_rate_hz))
        for start in range(0, self.recording.samples, step):
            at = round(start / self.sample_rate_hz * 1e9)
            yield Look(iq=self.recording.read(start, step), start_ns=at, flags=SampleFlag.NONE)


class PortSource:
    """A receiver behind the radio port, already tuned."""

    def __init__(self, name: str, receiver: Receiver, settings: RxSettings, full_scale: int) -> None:
        self.name, self._receiver = name, receiver
        self.center_hz = float(settings.center_hz)
        self.sample_rate_hz = float(settings.sample_rate_hz)
        self.bandwidth_hz: float | None = float(settings.bandwidth_hz)
        self.full_scale = float(full_scale)
        self.samples: int | None = None

    def looks(self) -> Iterator[Look]:
        """Looks for as long as the receiver gives them."""
        step = max(1024, round(LOOK_S * self.sample_rate_hz))
        first: int | None = None
        while True:
            try:
                block = self._receiver.receive(step)
            except EndOfRecording:
                return
            first = block.start.earliest_ns if first is None else first
            yield Look(iq=block.iq, start_ns=block.start.earliest_ns - first, flags=sample_flags(block.flags))


def open_source(name: str) -> Source:
    """Open a source by its name.

    Raises: SourceError, whose message names the thing and the mend; RadioError from a device.
    """
    kind, _, rest = name.partition(":")
    if kind == "file" and rest:
        return FileSource(name, open_recording(Path(rest)))
    if kind in LIVE_SOURCES:
        return _live(kind, name)
    raise SourceError(f"source {name!r} is not understood; use file:PATH.sigmf-meta, sim: or pluto:URI")


LIVE_SOURCES: Final = {"sim": "sim.source", "pluto": "radio.drivers.pluto_source"}
"""Modules that offer `open_receiver(name) -> (receiver, settings, full_scale)`; loaded only when they are asked for."""


def _live(kind: str, name: str) -> Source:
    module = LIVE_SOURCES[kind]
    if importlib.util.find_spec(module) is None:
        raise SourceError(f"source {name!r} is not available in this installation; use file:PATH.sigmf-meta")
    receiver, settings, full_scale = importlib.import_module(module).open_receiver(name)
    return PortSource(name, receiver, settings, full_scale)
