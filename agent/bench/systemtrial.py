"""One trial of a real system in noise through the survey: the verdict on its channel against the truth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.bench.detectionrow import DetectionRow, row
from agent.bench.impostors import CENTER_HZ, FULL_SCALE, codes, unit_noise
from agent.bench.systems import SYSTEMS, Cplx, System
from agent.sense.session import BLOCK_US, BLOCKS_PER_LOOK_MIN, FRAMES_PER_BLOCK, fft_size
from sensing.layout import SHORT_LOOK_BINS, short_look_bins
from sensing.results import ChannelReport, ChannelState, SurveySettings
from sensing.survey import Survey
from sensing.values import Channel
from sensing.verdict import NOTHING_KNOWN

RATES_HZ: Final = (2_000_000, 10_000_000, 30_720_000)
SNR_DB: Final = (0.0, 6.0, 12.0, 20.0)
"""Power in dB of a system while it is on, over the noise in its own bandwidth."""
FILE_S: Final = 0.1
NODE_S: Final = 0.2
LOOK_S: Final = 0.02
NODE_LOOK_S: Final = 0.00225
FULL_SHARE, TOUCHED_SHARE = 0.1, 1e-3
"""Shares of the fullest block's energy from which a block is surely in use, and from which it may count."""
NODE_BINS: Final = 3
"""Fewest bins that a channel needs in a node's longest transform to be resolved."""
TRIALS_EACH: Final = 10
"""Number of requested trials for which a system is drawn once at each rate."""


class HeardAs(Enum):
    """How the samples are taken."""

    FILE = "file"
    NODE = "node"


SPAN_S: Final[Mapping[HeardAs, float]] = MappingProxyType({HeardAs.FILE: FILE_S, HeardAs.NODE: NODE_S})
SYSTEM_GROUPS: Final = "Systems: "
"""Beginning of the names of all groups of these rows."""
STATE_GROUPS: Final[Mapping[ChannelState, str]] = MappingProxyType(
    {
        state: f"{SYSTEM_GROUPS}channel called {state.value}"
        for state in (ChannelState.FREE, ChannelState.UNKNOWN, ChannelState.BUSY)
    }
)
HELD: Final = f"{SYSTEM_GROUPS}the occupancy's interval holds the true share"
RADARS: Final = f"{SYSTEM_GROUPS}a radar reported"


@dataclass(slots=True)
class SystemCell:
    """Counts of one system at one rate, level and way of sensing; `drawn` includes draws in which it was never on.

    `intervals`: occupancy intervals narrower than 0 to 1; `held`: those that hold the true share; `radars`: draws in
    which a radar was reported.
    """

    name: str
    rate_hz: int
    heard_as: HeardAs
    snr_db: float
    drawn: int = 0
    states: dict[ChannelState, int] = field(default_factory=lambda: dict.fromkeys(ChannelState, 0))
    intervals: int = 0
    held: int = 0
    radars: int = 0

    @property
    def condition(self) -> str:
        """The condition in words, without the level."""
        return f"{self.name}, {self.rate_hz / 1e6:g} MS/s, {self.heard_as.value}"

    def rows(self) -> Iterator[DetectionRow]:
        """Yield the shares of trials in which the system was on at some time."""
        heard = sum(self.states.values())
        for state, group in STATE_GROUPS.items():
            if heard:
                yield row(group, self.condition, self.states[state], heard, x=self.snr_db)
        if self.intervals:
            yield row(HELD, self.condition, self.held, self.intervals, x=self.snr_db)
        yield row(RADARS, self.condition, self.radars, self.drawn, x=self.snr_db)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Bounds on the share of blocks in which a system was on, by its own samples without noise."""

    low: float
    high: float


def system_rows(seed: int, trials: int) -> Iterator[DetectionRow]:
    """Yield rows of every system at every rate that it fits into."""
    for name, system in SYSTEMS.items():
        for rate_hz in RATES_HZ:
            if system.fits(rate_hz):
                for cell in cells(seed, name, rate_hz=rate_hz, draws=max(1, trials // TRIALS_EACH)):
                    yield from cell.rows()


def cells(seed: int, name: str, *, rate_hz: int, draws: int) -> list[SystemCell]:
    """Draw a system `draws` times; each draw is sensed at every level, in its own noise, as a file and by a node."""
    seen_by_a_node = SYSTEMS[name].width_at(rate_hz) >= NODE_BINS * rate_hz / max(SHORT_LOOK_BINS)
    ways = [one for one in HeardAs if one is HeardAs.FILE or seen_by_a_node]
    found = {
        (heard_as, snr_db): SystemCell(name=name, rate_hz=rate_hz, heard_as=heard_as, snr_db=snr_db)
        for heard_as in ways
        for snr_db in SNR_DB
    }
    for number in range(draws):
        rng = np.random.default_rng([seed, *name.encode(), rate_hz, number])
        signal = SYSTEMS[name].draw(rng, rate_hz=rate_hz, samples=round(NODE_S * rate_hz))
        for (heard_as, snr_db), cell in found.items():
            _trial(rng, cell, SYSTEMS[name], signal, snr_db=snr_db, heard_as=heard_as)
    return list(found.values())


def _trial(
    rng: np.random.Generator, cell: SystemCell, system: System, signal: Cplx, *, snr_db: float, heard_as: HeardAs
) -> None:
    survey = survey_of(system, cell.rate_hz, heard_as)
    block = block_of(survey.settings)
    looks = looks_of(signal, cell.rate_hz, heard_as, block=block)
    amplitude = np.float32(np.sqrt(10 ** (snr_db / 10) * system.width_at(cell.rate_hz) / cell.rate_hz))
    for start, clean in looks:
        iq = codes(clean * amplitude + unit_noise(rng, len(clean)))
        survey.feed(iq, start_ns=round(start / cell.rate_hz * 1e9))
    report = survey.report(round(SPAN_S[heard_as] * 1e9))
    most = float(block_powers([signal], block=block).max())
    heard = [clean for _, clean in looks]
    true = truth([np.concatenate(heard)] if heard_as is HeardAs.FILE else heard, block=block, most=most)
    cell.drawn += 1
    cell.radars += bool(report.incumbents)
    if true.low > 0:
        count(cell, report.channels[0], true)


def count(cell: SystemCell, said: ChannelReport, true: Truth) -> None:
    """Add one trial: the report on the channel against the truth."""
    cell.states[said.state] += 1
    if said.occupancy.high - said.occupancy.low < NOTHING_KNOWN:
        cell.intervals += 1
        cell.held += said.occupancy.low <= true.high and said.occupancy.high >= true.low


def survey_of(system: System, rate_hz: int, heard_as: HeardAs) -> Survey:
    """Return a survey of the system's bandwidth as one channel, set up as by `bandpact sense` or a node."""
    middle, width = CENTER_HZ + system.place_hz(rate_hz), system.width_at(rate_hz)
    settings = SurveySettings(
        center_hz=CENTER_HZ, sample_rate_hz=rate_hz, full_scale=FULL_SCALE,
        channels=(Channel(low_hz=middle - width / 2, high_hz=middle + width / 2),),
    )  # fmt: skip
    if heard_as is HeardAs.NODE:
        return Survey(replace(settings, fft_size=short_look_bins(rate_hz, settings.channels)))
    size = fft_size(rate_hz, width)
    frames = FRAMES_PER_BLOCK if size > fft_size(rate_hz) else 1
    return Survey(replace(settings, fft_size=size, block_us=max(BLOCK_US, frames * size / rate_hz * 1e6)))


def block_of(settings: SurveySettings) -> int:
    """Return the samples of a block."""
    frames = max(1, round(settings.block_us * 1e-6 * settings.sample_rate_hz / settings.fft_size))
    return frames * settings.fft_size


def looks_of(signal: Cplx, rate_hz: int, heard_as: HeardAs, *, block: int) -> list[tuple[int, Cplx]]:
    """Return looks with their first samples: gapless and as long as in `bandpact sense`, or a node's."""
    last = round(SPAN_S[heard_as] * rate_hz)
    if heard_as is HeardAs.NODE:
        step, length = round(LOOK_S * rate_hz), round(NODE_LOOK_S * rate_hz)
    else:
        step = length = round(max(LOOK_S * rate_hz, BLOCKS_PER_LOOK_MIN * block))
    return [(start, signal[start : min(last, start + length)]) for start in range(0, last, step)]


def block_powers(stretches: list[Cplx], *, block: int) -> NDArray[np.float64]:
    """Return the mean power of every block of some stretches, each of which begins with a block."""
    each = [part[: len(part) // block * block].reshape(-1, block) for part in stretches]
    return np.concatenate([(np.abs(one) ** 2).mean(axis=1, dtype=np.float64) for one in each])


def truth(stretches: list[Cplx], *, block: int, most: float) -> Truth:
    """Return the share of blocks in use. Args: most: the power of the system's fullest block."""
    power = block_powers(stretches, block=block) / most
    return Truth(low=float((power >= FULL_SHARE).mean()), high=float((power >= TOUCHED_SHARE).mean()))
