"""Interprets the noise floor at one gain setting: its shape over frequency, steady signals on it, and its anchor."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hw_profiles.calibration import Scale
from sensing.detectors.channel import ChannelCells
from sensing.layout import DC_BINS, BandLayout
from sensing.orderstats import quantile
from sensing.receiverbend import receiver_bend
from sensing.results import Anchor, SurveySettings
from sensing.shape import Plateau, Shape, floor_shape
from sensing.theory import hann_sum_shape
from sensing.tracker import GainState, decibels

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
T = TypeVar("T")

SKIRT: Final = 0.85
"""A group whose idle blocks vary as with less than this share of its independent averages: its spread counts."""
LINE_BINS: Final = 3
LINE_SHARE: Final = 0.85
LINE_STRONG: Final = 1.0
"""Ratio of a steady line to its whole channel's floor from which it is taken for another station's carrier."""
DC_DOUBT: Final = 2.0
DC_LEAST: Final = 4.0
"""Least rise, as a ratio, that counts in the bins of the DC offset and of a filter's skirts."""
STANDS_DB: Final = 1.2
REST_SHARE: Final = 0.8
"""A signal shows that the floor is noise if it is higher by the first, in dB, than that share of other groups."""
STEEP_SHARE: Final = 0.5
UNHEARD: Final = 1e9
"""Rise required, as a ratio, of a group in which a filter falls so steeply that less than STEEP_SHARE of its bins make
its power: its blocks vary far more than their number explains, so that the quietest of them do not show its level."""
CONVERTER_DB: Final = 75.0
"""Largest dynamic range of a receiver's converter, dB: noise this far below its total input cannot be measured."""
EVEN_RATIO, EVEN_SURE = 0.6, 5.0
"""A group is too even for noise below this share of its variance, where its blocks show it by so many deviations."""
QUIET_POWER: Final = 0.01
"""Total power of a floor, relative to full scale squared (-20 dB), above which it is not the receiver's noise alone."""
RIPPLE_DB: Final = 3.5
"""Highest steady rise in dB, wider than a line, that may be the ripple of a receiver's filter."""
KTO_DBM_HZ: Final = -173.975
NOISE_FIGURE_MOST_DB: Final = 45.0
"""Highest noise figure of a receiver whose own is unknown, dB: it does not explain a floor above that."""
RAISED_DB: Final = 3.0
FILTER_KNOWN: Final = 0.95
"""A filter narrower than this share of the sample rate is visible in the samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorView:
    """A gain setting's floor ready to decide by: floor, averages, references of each group, the offset's bins last.

    Of each channel: `steady`, whether it contains a steady signal; `carried`, whether that is too wide or too strong to
    be a spurious line of the receiver; `doubtful`, whether a steady signal may fill a part of it; `raised`, whether its
    floor is above what the calibrated receiver makes. `least` is the least ratio to its floor that a group must reach;
    `prepared` caches the groups of the channels asked for, and their cells with the thresholds found for them.
    """

    floor: Floats
    shapes: Floats
    reference: Floats
    anchor: Anchor
    steady: tuple[bool, ...]
    carried: tuple[bool, ...]
    doubtful: tuple[bool, ...]
    raised: tuple[bool, ...]
    plateau: str
    least: Floats
    prepared: dict[int, tuple[NDArray[np.intp], ChannelCells]] = field(default_factory=dict)


class OfFloor(Generic[T]):
    """A cache of what is computed from each gain setting's floor; computed again only when that floor has changed."""

    def __init__(self, make: Callable[[FloorView], T]) -> None:
        self._make = make
        self._known: dict[int, tuple[FloorView, T]] = {}

    def at(self, number: int, view: FloorView) -> T:
        """The cached result for the floor of that setting."""
        known = self._known.get(number)
        if known is None or known[0] is not view:
            known = self._known[number] = view, self._make(view)
        return known[1]


class FloorReader:
    """Makes floor views of gain settings for one channel layout."""

    def __init__(self, settings: SurveySettings, layout: BandLayout, *, frames: int) -> None:
        self._settings, self._layout, self._frames = settings, layout, frames
        self.shapes = np.append(layout.shapes, hann_sum_shape(DC_BINS)) * frames
        bandwidth = settings.bandwidth_hz
        self._passband = bandwidth / settings.sample_rate_hz if bandwidth else None
        self.own_noise = 0.0
        self._bin_at = np.arange(settings.fft_size) / settings.fft_size - 0.5

    def view(self, state: GainState, psd: Floats, *, frames: int) -> FloorView:
        """The view of a gain setting; psd: each bin's mean power over `frames` frames, to tell a line from a band."""
        layout, groups = self._layout, self._layout.groups
        counted = np.where(1 / state.spread < SKIRT * self.shapes, 1 / state.spread, self.shapes)
        level_db = decibels(state.level)
        sd_db = 4.343 / np.sqrt(np.maximum(counted * state.cells, 1.0))
        at = layout.centers_hz / self._settings.sample_rate_hz
        shape = floor_shape(
            level_db[:groups], sd_db[:groups], at, passband=self._passband, even=self._even(state),
            hidden_db=10 * float(np.log10(max(self.own_noise, 1e-30))),
        )  # fmt: skip
        bend = receiver_bend(psd, frames=frames, deep=shape.filtered or shape.plateau is Plateau.FILTER)
        shaped = shape.shaped and (bend or self._known_filter(shape.plateau))
        tall = level_db[:groups] - shape.floor_db > RIPPLE_DB
        wide = self._modulated(shape.steady, at, psd, shape.floor_db, tall)
        floor = np.append(np.where(shape.steady, level_db[:groups], shape.floor_db), level_db[groups])
        floor = np.minimum(10 ** (floor / 10), state.level)
        base = 10 ** (shape.floor_db / 10)
        starts, members = layout.starts, layout.held
        bins = layout.bins[members]
        idle = np.add.reduceat(base[members] * bins, starts)
        extra = np.add.reduceat(((floor[:groups] - base) * shape.steady)[members] * bins, starts)
        steady, widely, doubtful = (
            np.logical_or.reduceat(one[members], starts) for one in (shape.steady, wide, shape.doubtful)
        )
        if self._offset_doubt(state.level[groups], base, at):
            doubtful = doubtful | np.array(layout.over_dc)
        raised = np.zeros(len(starts), np.bool_)
        own = self._own_noise()
        if own is not None:
            raised = idle > own * np.add.reduceat(bins, starts) * 10 ** (self._raised_db() / 10)
            lowered = members[np.repeat(raised, np.diff(starts, append=len(members)))]
            floor[lowered] = np.minimum(floor[lowered], own)
        total = float(base @ layout.bins) / self._settings.fft_size
        standing = bool(((shape.steady & tall | shape.filled) & self._above_the_rest(level_db[:groups], shape)).any())
        return FloorView(
            floor=floor,
            shapes=counted,
            reference=np.maximum(counted * state.cells, 1.0),
            anchor=self._anchor(base, standing=standing, shaped=shaped and total < QUIET_POWER),
            steady=tuple(steady.tolist()),
            carried=tuple(((extra > LINE_STRONG * idle) | widely).tolist()),
            doubtful=tuple(doubtful.tolist()),
            raised=tuple(raised.tolist()),
            plateau=shape.plateau.value,
            least=np.append(self._least(shape.skirts, psd, level_db[:groups]), DC_LEAST),
        )

    @staticmethod
    def _above_the_rest(level_db: Floats, shape: Shape) -> Bools:
        """Which groups lie above four fifths of the groups without steady signals.

        What varies too little for noise is a signal, and so is a line at the band's edge; where they are no stronger
        than the rest of the band, signals may fill the rest as well.
        """
        rest = level_db[~(shape.filled | shape.steady)]
        if len(rest) == 0:
            return np.zeros(len(level_db), np.bool_)
        return np.asarray(level_db > quantile(rest, REST_SHARE) + STANDS_DB, np.bool_)

    def _least(self, skirts: Bools, psd: Floats, level_db: Floats) -> Floats:
        """The least rise of each group: a small one, larger in a filter's skirts, unbounded where those begin.

        Where a filter falls by tens of decibels within a group, the bin next to the passband makes all of its power;
        more than CONVERTER_DB below the passband the levels are below the converter's resolution.
        """
        least = np.where(skirts, DC_LEAST, 1.0)
        if skirts.any() and not skirts.all():
            least[skirts & (level_db < float(level_db[~skirts].max()) - CONVERTER_DB)] = UNHEARD
        for group in np.flatnonzero(skirts):
            power = psd[self._layout.weights[:, group] > 0]
            nearest = power[-1] if self._layout.centers_hz[group] < 0 else power[0]
            total = float(power.sum())
            if nearest == power.max() and total**2 < STEEP_SHARE * len(power) * float((power**2).sum()):
                least[group] = UNHEARD
        return least

    def _known_filter(self, plateau: Plateau) -> bool:
        """Whether the signal in the middle of the band is as wide as the receiver's known filter."""
        return plateau is Plateau.FILTER and self._passband is not None and self._passband < FILTER_KNOWN

    def _even(self, state: GainState) -> Bools:
        """Groups whose idle blocks vary surely less than noise: a signal of constant envelope, not a floor."""
        groups = self._layout.groups
        ratio = state.spread[:groups] * self.shapes[:groups]
        least = 1 - EVEN_SURE * np.sqrt(2 / np.maximum(state.cells[:groups], 1.0))
        return np.asarray(ratio < np.minimum(EVEN_RATIO, least), np.bool_)

    def cells(self, view: FloorView, index: int, power: Floats) -> ChannelCells:
        """The blocks of one channel, with the DC offset's bins where the channel contains them."""
        members, cells = self.prepared(view, index)
        return replace(cells, power=power[:, members])

    def prepared(self, view: FloorView, index: int) -> tuple[NDArray[np.intp], ChannelCells]:
        """The groups of one channel, and its cells without powers."""
        if index not in view.prepared:
            view.prepared[index] = self._prepared(view, index)
        return view.prepared[index]

    def _prepared(self, view: FloorView, index: int) -> tuple[NDArray[np.intp], ChannelCells]:
        """A channel's groups, and its cells without powers."""
        members = self._layout.members[index]
        bins = self._layout.bins[members]
        correlation = self._layout.channel_shapes[index] / float(self._layout.shapes[members].sum())
        if self._layout.over_dc[index]:
            members = np.append(members, self._layout.groups)
            bins = np.append(bins, 0.0)
        return members, ChannelCells(
            power=np.zeros((0, len(members))),
            floor=view.floor[members],
            bins=bins,
            shapes=view.shapes[members],
            reference=view.reference[members],
            least=view.least[members],
            correlation=correlation,
        )

    def _modulated(self, steady: Bools, at: Floats, psd: Floats, floor_db: Floats, tall: Bools) -> Bools:
        """Which groups of a steady signal are wider than a line, and higher than filter ripple."""
        found = np.zeros(len(at), np.bool_)
        order = np.argsort(at, kind="stable")
        edges = np.flatnonzero(np.diff(np.concatenate(([False], steady[order], [False])).astype(np.int8)))
        half = self._layout.bins / self._settings.fft_size / 2
        for first, last in edges.reshape(-1, 2):
            run = order[first:last]
            if not tall[run].any():
                continue
            low, high = float((at[run] - half[run]).min()), float((at[run] + half[run]).max())
            inside = (self._bin_at >= low) & (self._bin_at <= high)
            excess = np.maximum(psd[inside] - 10 ** (float(floor_db[run].mean()) / 10), 0)
            if len(excess):
                top = np.convolve(excess, np.ones(min(LINE_BINS, len(excess))), "valid").max()
                found[run] = top < LINE_SHARE * float(excess.sum())
        return found

    @staticmethod
    def _offset_doubt(level: float, base: Floats, at: Floats) -> bool:
        """Whether the DC offset's bins, with the offset removed, are above the floor beside them."""
        beside = float(base[np.argsort(np.abs(at))[:2]].mean())
        return level > DC_DOUBT * beside

    def _own_noise(self) -> float | None:
        scale = self._settings.calibration
        if scale is None or scale.noise_dbm_hz is None:
            return None
        return float(10 ** ((scale.noise_dbm_hz - scale.offset_db) / 10) * self._settings.sample_rate_hz)

    def _raised_db(self) -> float:
        scale = self._settings.calibration
        return RAISED_DB + (2 * scale.sd_db if scale else 0.0)

    def _anchor(self, base: Floats, *, standing: bool, shaped: bool) -> Anchor:
        scale = self._settings.calibration
        if scale is not None and self._plausible(scale, base):
            return Anchor.CALIBRATION
        if standing:
            return Anchor.FREQUENCY
        return Anchor.RECEIVER if shaped and scale is None else Anchor.NONE

    def _plausible(self, scale: Scale, base: Floats) -> bool:
        if scale.noise_dbm_hz is not None:
            return True
        density = 10 * np.log10(max(float(np.median(base)) / self._settings.sample_rate_hz, 1e-30)) + scale.offset_db
        return bool(density < KTO_DBM_HZ + NOISE_FIGURE_MOST_DB + 2 * scale.sd_db)
