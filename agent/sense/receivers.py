"""Opens a receiver by its name, DRIVER:URI, and chooses its tuning for a band.

Drivers are those of `radio.drivers.registry`; beside them a recording and a station of a running air can be named.
"""

import contextlib
import importlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Final

from agent.sense.sources import FileSource, PortSource, Source, UtcNow, Visits
from agent.timekeeping.kernel import read_state
from radio.drivers.registry import DRIVERS
from radio.drivers.replay import REPLAY_FULL_SCALE, ReplayReceiver
from radio.errors import SourceError
from radio.ports import RxSettings
from radio.receivers import Opened
from radio.recording.reader import open_recording
from sensing.values import Channel

FILE: Final = "file"
AIR: Final = "air"
"""Driver name of a station of a running simulated air; receives only, and is loaded only when used."""
_WRITTEN: Final = ("PATH.sigmf-meta", *(one.written for one in DRIVERS.values()), "air:ENDPOINT#STATION")
SOURCES: Final = f"{_WRITTEN[0]}, {' or '.join(_WRITTEN[1:])}"
_RECORDED: Final = re.compile(r"\.sigmf(-meta|-data)?(#\d+)?$")
"""Endings of a recording's path, whether or not it exists; any existing file counts as a recording too."""
GAIN_DB: Final = 40.0
RATE_HZ: Final = 10_000_000
RATE_LEAST_HZ: Final = 2_500_000
FILTER_SHARE: Final = 0.8
"""Share of the sample rate that an anti-aliasing filter passes."""
FILTER_MOST_HZ: Final = 20_000_000
CLOCK_LEAST_NS: Final = 5_000_000
"""Smallest bound in ns accepted from the kernel (see `agent.timekeeping.kernel`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The wanted receiver settings; None is chosen automatically."""

    band: Channel | None = None
    center_hz: float | None = None
    rate_hz: float | None = None
    bandwidth_hz: float | None = None
    gain_db: float | None = None

    @property
    def tuned(self) -> bool:
        """Whether any setting was given."""
        return any(v is not None for v in (self.center_hz, self.rate_hz, self.bandwidth_hz, self.gain_db))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A span to step through, the dwell at each tuning, the number of rounds, and their interval."""

    span: Channel | None = None
    dwell_s: float = 0.1
    rounds: int = 1
    every_s: float = 0.0


def host_clock() -> UtcNow:
    """Read the host's clocks; the bound is the kernel's, None where nothing disciplines the clock."""
    bound_ns: int | None = None
    try:
        state = read_state()
        bound_ns = max(state.max_error_ns, CLOCK_LEAST_NS) if state.synchronised else None
    except OSError:
        bound_ns = None
    before_ns = time.monotonic_ns()
    utc_ns = time.time_ns()
    return UtcNow(utc_ns=utc_ns, mono_ns=(before_ns + time.monotonic_ns()) // 2, bound_ns=bound_ns)


def _is_there(name: str) -> bool:
    with contextlib.suppress(OSError):  # the name is too long for any file
        return bool(name) and Path(name).exists()
    return False


def driver_of(name: str) -> tuple[str, str]:
    """Return the driver and the rest of a source's name, a path being a recording's; raises SourceError."""
    kind, mark, rest = name.partition(":")
    known = bool(mark) and kind in {FILE, AIR, *DRIVERS}
    if not known and (_RECORDED.search(name) or _is_there(name)):
        return FILE, name
    if not known or (kind == FILE and not rest):
        raise SourceError(f"source {name!r} is not understood; use {SOURCES}")
    return kind, rest


def open_receiver(name: str) -> Opened:
    """Open any driver's receiver, a recording as one that plays it, without tuning it.

    Raises: SourceError, whose message names the source and the remedy; RadioError from a device.
    """
    kind, rest = driver_of(name)
    if kind == FILE:
        recording = open_recording(Path(rest))
        player = ReplayReceiver(recording)
        whole = recording.meta.kind.whole
        return Opened(
            receiver=player,
            full_scale=round(recording.full_scale) if whole else REPLAY_FULL_SCALE,
            settings=player.settings,
            device_id=recording.meta.hardware,
            place=recording.place,
            simulated_time=True,
        )
    if kind == AIR:
        opened: Opened = importlib.import_module("sim.airsource").open_receiver(rest)
        return opened
    return DRIVERS[kind].open_receiver(rest)


def open_source(
    name: str,
    wanted: Wanted = Wanted(),
    sweep: Sweep | None = None,
    *,
    clock: Callable[[], UtcNow] = host_clock,
) -> Source:
    """Open a source by its name, tuned as wanted.

    Raises: SourceError, whose message names the source and the remedy; RadioError from a device.
    """
    kind, rest = driver_of(name)
    if kind == FILE:
        if wanted.tuned or sweep is not None:
            raise SourceError(f"source {name!r} is a recording, which cannot be tuned; leave those options out")
        return FileSource(name, open_recording(Path(rest)))
    opened = open_receiver(name)
    try:
        visits = visits_of(name, opened.settings, wanted, sweep)
    except SourceError:
        opened.close()
        raise
    return PortSource(name, opened, visits, clock=clock)


def visits_of(name: str, held: RxSettings | None, wanted: Wanted, sweep: Sweep | None) -> Visits:
    """Return the settings to visit, in order. Raises SourceError where no frequency is known."""
    if sweep is None:
        return Visits(settings=(settings_of(name, held, wanted),))
    if sweep.span is None:
        return Visits(
            settings=(settings_of(name, held, wanted),),
            dwell_s=sweep.dwell_s,
            rounds=sweep.rounds,
            every_s=sweep.every_s,
        )
    span = sweep.span
    whole = replace(wanted, band=None, center_hz=(span.low_hz + span.high_hz) / 2)
    one = settings_of(name, held, whole)
    centers = sweep_centers(span, one.bandwidth_hz)
    return Visits(
        settings=tuple(replace(one, center_hz=center) for center in centers),
        dwell_s=sweep.dwell_s,
        rounds=sweep.rounds,
        every_s=sweep.every_s,
    )


def sweep_centers(span: Channel, bandwidth_hz: float) -> tuple[int, ...]:
    """Return evenly spaced centres at which receiver filters of that width cover a span, no further out than needed."""
    count = max(1, ceil(span.width_hz / bandwidth_hz - 1e-9))
    if count == 1:
        return (round((span.low_hz + span.high_hz) / 2),)
    step = (span.width_hz - bandwidth_hz) / (count - 1)
    return tuple(round(span.low_hz + bandwidth_hz / 2 + i * step) for i in range(count))


def settings_of(name: str, held: RxSettings | None, wanted: Wanted) -> RxSettings:
    """Return the settings for what is wanted: the receiver's present ones where they serve, else centred on the band.

    Raises: SourceError where no frequency is known.
    """
    band = wanted.band
    if held is not None and (band is None or _serves(held, band)) and wanted.center_hz is None:
        center, rate, width = float(held.center_hz), float(held.sample_rate_hz), float(held.bandwidth_hz)
    elif wanted.center_hz is not None or band is not None:
        center = (band.low_hz + band.high_hz) / 2 if band is not None else 0.0
        if held is not None and (band is None or band.width_hz <= held.bandwidth_hz):
            rate, width = float(held.sample_rate_hz), float(held.bandwidth_hz)
        else:
            rate = RATE_HZ if band is None else max(RATE_LEAST_HZ, band.width_hz / FILTER_SHARE)
            width = 0.0
    else:
        raise SourceError(f"source {name!r} is tuned to nothing; give --frequency, or a BAND where one is taken")
    if wanted.rate_hz is not None and wanted.rate_hz != rate:
        rate, width = wanted.rate_hz, 0.0
    if wanted.bandwidth_hz is not None:
        width = wanted.bandwidth_hz
    gain_mdb = held.gain_mdb if held is not None else round(1000 * GAIN_DB)
    return RxSettings(
        center_hz=round(center if wanted.center_hz is None else wanted.center_hz),
        sample_rate_hz=round(rate),
        bandwidth_hz=round(width or min(FILTER_MOST_HZ, rate * FILTER_SHARE)),
        gain_mdb=gain_mdb if wanted.gain_db is None else round(1000 * wanted.gain_db),
    )


def _serves(held: RxSettings, band: Channel) -> bool:
    """Return whether a receiver, as tuned, receives any part of a band."""
    half = held.sample_rate_hz / 2
    return band.low_hz >= held.center_hz - half and band.high_hz <= held.center_hz + half
