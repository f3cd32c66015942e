"""A survey: computes the occupancy of a band's channels, and detects radar, from successive looks.

A look is a stretch of samples taken at one setting. It is cut into blocks of about 0.1 ms; a block in which a channel
carries more power than noise explains counts as busy. What idle means is the business of `sensing.tracker`, which
learns the floor from pieces of looks, and of `sensing.floors`, which interprets it; `sensing.verdict` derives states.

Long because floor, decisions, pulses and history of one look go through one order of steps.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensing.decisions import BlockDecisions, DecidedBlocks, DecisionShelf, JudgedBlocks
from sensing.detectors.band import BandDetector
from sensing.detectors.channel import ChannelDetector, group_limits
from sensing.detectors.pulses import PulseFinder, warm
from sensing.detectors.radar import Incumbent, RadarDetector, Stretch
from sensing.detectors.registry import DECIDERS
from sensing.flags import UNUSABLE, VOIDING, WIDENING, SampleFlag
from sensing.floors import FloorReader, FloorView, OfFloor
from sensing.frontend import FrontEnd, Iq, Spectra
from sensing.history import FloorHistory, LevelShelf
from sensing.incumbents import IncumbentLog
from sensing.layout import BandLayout, lay_out
from sensing.occupancy import spectrum_resource_occupancy
from sensing.onset import ONSET_S, rising_blocks
from sensing.orderstats import middle
from sensing.results import (
    Anchor,
    ChannelLook,
    ChannelReport,
    ChannelState,
    LookResult,
    SurveyReport,
    SurveySettings,
)
from sensing.samples import CONSTANT_ENVELOPE, LOUD_FLOOR, Quality, clipped_spans, converter_noise, finite, inspect
from sensing.shortlooks import ShortLooks
from sensing.silence import Spans, bad_spans, silent_blocks, silent_spans
from sensing.theory import energy_threshold, snr_wall_db
from sensing.tracker import (
    BLOCKS_LEAST,
    TAUGHT_BLOCKS,
    UNCERTAIN,
    FloorTracker,
    GainState,
    Piece,
    decibels,
    powers_of,
)
from sensing.values import Channel, LevelDb
from sensing.verdict import BlocksSeen, ChannelVerdict, judge

__all__ = [
    "Anchor",
    "ChannelLook",
    "ChannelReport",
    "ChannelState",
    "LookResult",
    "Survey",
    "SurveyReport",
    "SurveySettings",
]

Span = tuple[int, int]
"""A time span in ns of the looks' clock, end not included."""
NOTHING_APART: Final[Mapping[Channel, Sequence[Span]]] = MappingProxyType({})
PIECE_BLOCKS: Final = 64
NONE_CLIPPED: Final = np.zeros(2 * PIECE_BLOCKS, np.bool_)
"""Shared by all pieces without a clipped block; the longest piece is shorter."""
NONE_CLIPPED.setflags(write=False)
PIECES_AT_ONCE: Final = 64
"""Number of pieces decided on together: few calls and a few hundred kilobytes; four times as many were no faster."""
FLAG_LOOKS: Final = 4096
CONTIGUOUS_NS: Final = 2_000
UNEVEN: Final = 0.15
"""Share of `flatness_db` that a block's threshold allows for."""
CONTRAST: Final = 4.0
CONTRAST_PFA: Final = 1e-10
"""A block over the floor by the ratio CONTRAST, and by the threshold of this false-alarm probability, shows that the
floor is not a signal that fills the band."""
CONTRAST_BLOCKS: Final = 2
"""Number of such blocks in a piece: a single one may hold a gain step, or leakage of a strong steady signal."""
DOUBT_PFA: Final = 2e-5
FLAT: Final = 3.0
MOST: Final = 0.7
UNTAUGHT: Final = UNUSABLE | SampleFlag.CLIPPED
BREAKING: Final = UNUSABLE | SampleFlag.GAIN_STEP

Floats = NDArray[np.float64]


class Survey:
    """Takes successive looks and reports on the channels at any time; raises ChannelOutside when made."""

    def __init__(self, settings: SurveySettings) -> None:
        self.settings = settings
        self._layout: BandLayout = lay_out(settings)
        self._frames = max(1, round(settings.block_us * 1e-6 * settings.sample_rate_hz / settings.fft_size))
        self._front = FrontEnd(
            n_fft=settings.fft_size,
            full_scale=settings.full_scale,
            frames=self._frames,
            groups=self._layout.weights,
        )
        self._finder = PulseFinder(sample_rate_hz=settings.sample_rate_hz, full_scale=settings.full_scale)
        if settings.radar:
            warm()
        self._radar = RadarDetector(band_hz=settings.sample_rate_hz)
        self._reader = FloorReader(settings, self._layout, frames=self._frames)
        compared = np.append(np.ones(self._layout.groups, np.bool_), False)
        order = np.argsort(self._layout.centers_hz, kind="stable")
        self._floor = FloorTracker(self._reader.shapes, channels=self._layout.members, compared=compared, order=order)
        self._short = ShortLooks()
        self._shares = [self._layout.bins[some] / self._layout.bins[some].sum() for some in self._layout.members]
        self._weights = np.concatenate(self._shares)
        self._widths = np.array([channel.width_hz for channel in settings.channels]) / settings.sample_rate_hz
        detector = self._detector = DECIDERS[settings.detector](
            pfa=settings.pfa, uneven_db=UNEVEN * settings.flatness_db
        )
        self._views: dict[int, tuple[int, FloorView]] = {}
        self._bands: OfFloor[BandDetector] | None = None
        if type(detector) is ChannelDetector:  # a subclass may decide otherwise: it is called channel by channel
            self._bands = OfFloor(partial(self._band_of, detector))
        self._contrasts = OfFloor(_contrast)
        self._idle = OfFloor(lambda view: self._of_channels(view.floor))
        self._means = OfFloor(self._mean_of)
        self._contrasted: set[int] = set()
        self._none_rose = np.zeros(len(settings.channels), np.bool_)
        self._rises: deque[Piece] = deque()
        keep_ns, again_ns = (None if s is None else round(s * 1e9) for s in (settings.keep_s, settings.again_s))
        self._history = FloorHistory(keep_ns=keep_ns, again_ns=again_ns)
        self._shelf, self._decisions = LevelShelf(), DecisionShelf()
        self._own_noise: float | None = None
        self._gaps = False
        self._began_ns: int | None = None
        self._ended_ns: int | None = None
        self._spans: Spans = []
        self._look_flags: deque[int] = deque(maxlen=FLAG_LOOKS)
        self._widening: deque[bool] = deque(maxlen=FLAG_LOOKS)
        self._incumbents = IncumbentLog(settings.incumbent_bands)
        self._looks = 0
        self._psd_sum = np.zeros(settings.fft_size)
        self._psd_frames = 0
        self._peak = np.zeros(settings.fft_size, np.float32)

    def feed(self, iq: Iq, *, start_ns: int, flags: SampleFlag = SampleFlag.NONE) -> LookResult:
        """Take one look.

        Args: iq int16 (n, 2) or complex64 (n,), left as it is; start_ns of its first sample on any steady clock; flags:
            faults that the receiver's driver knows of.
        """
        spans = bad_spans(iq)
        clean, bad = finite(iq)
        spans += silent_spans(clean, full_scale=self.settings.full_scale)
        quality = inspect(clean, full_scale=self.settings.full_scale)
        told = flags
        flags |= bad | quality.flags
        if spans:
            flags |= SampleFlag.GAP
        if self.settings.calibration is None:
            flags |= SampleFlag.UNCALIBRATED
        end_ns = start_ns + round(len(iq) / self.settings.sample_rate_hz * 1e9)
        contiguous = self._ended_ns is not None and abs(start_ns - self._ended_ns) <= CONTIGUOUS_NS
        contiguous = contiguous and not (flags & BREAKING or told & SampleFlag.GAP)
        self._gaps |= self._looks > 0 and not contiguous
        self._ended_ns = end_ns
        if flags & SampleFlag.GAIN_STEP:
            self._floor.forget_gain()
            self._short.forget()
        if not contiguous:
            self._front.reset()
            self._spans = []
        held = self._front.held
        self._front.feed(clean)
        silent = silent_blocks(self._spans + spans, blocks=self._front.blocks, block=self._block, held=held)
        spectra = self._front.take(~silent if self._spans or spans else None)
        usable = not flags & UNUSABLE and len(spectra.groups) > 0
        if usable and self._own_noise is None:
            self._own_noise = converter_noise(clean, full_scale=self.settings.full_scale)
            self._floor.own_noise = self._reader.own_noise = self._own_noise
        sound = ~silent
        sound[: self._rising(spectra.groups, start_ns) if usable else 0] = False
        self._spans = [(first - len(iq), last - len(iq)) for first, last in spans if last > len(iq) - self._block]
        pieces: list[Piece] = []
        self._keep_contrasts()
        if usable:
            full_band = self._full_band(quality, spectra.groups[sound])
            flags |= full_band
            somebodys = bool(full_band) and quality.envelope_kurtosis < CONSTANT_ENVELOPE
            clipped = SampleFlag.CLIPPED in quality.flags
            over = silent_blocks(
                clipped_spans(clean, full_scale=self.settings.full_scale) if clipped else [],
                blocks=len(spectra.groups), block=self._block, held=held,
            )  # fmt: skip
            over |= SampleFlag.CLIPPED in told
            pieces = self._learn(spectra, sound, over, start_ns, teaches=not flags & UNTAUGHT, bound=somebodys)
        self._judge(pieces)
        judged = [piece.decided for piece in pieces if isinstance(piece.decided, BlockDecisions)]
        heard = usable and bool(judged)
        incumbents = self._pulses(clean, start_ns, contiguous=contiguous) if usable and self.settings.radar else ()
        self._look_flags.append(flags.value)
        self._widening.append(bool((told | flags & UNUSABLE) & WIDENING))
        self._looks += 1
        return LookResult(
            start_ns=start_ns,
            end_ns=end_ns,
            channels=tuple(self._look_channels(judged if heard else [], spectra, flags)),
            psd=spectra.mean / np.float32(self.settings.sample_rate_hz),
            noise_floor=self._density(self._floor_mean()),
            incumbents=incumbents,
            flags=flags,
            silent=tuple(spans),
        )

    def report(self, now_ns: int, *, apart: Mapping[Channel, Sequence[Span]] = NOTHING_APART) -> SurveyReport:
        """The results so far. Looks that began in a span of `apart` (ns) of a channel do not count for that channel."""
        self._judge_all()
        flags = self.flags
        pieces = [one for one in self._history.judged() if one.blocks]
        anchors = {number: self._anchor_of(number) for number in {one.key[0] for one in pieces}}
        sound = {number: anchor is not Anchor.NONE for number, anchor in anchors.items()}
        seen = JudgedBlocks(pieces, step_s=self._block_s, sound=sound, uncertain=self._history.uncertain)
        channels = tuple(
            self._report_channel(i, seen, tuple(apart.get(channel, ())), flags)
            for i, channel in enumerate(self.settings.channels)
        )
        density = self._psd_sum / max(1, self._psd_frames) / self.settings.sample_rate_hz
        return SurveyReport(
            now_ns=now_ns,
            looks=self._looks,
            blocks=seen.blocks + seen.uncertain,
            channels=channels,
            sro=spectrum_resource_occupancy([c.occupancy for c in channels]),
            incumbents=self._incumbents.incumbents,
            pulse_trains=self._incumbents.pulse_trains,
            overload=bool(flags & SampleFlag.CLIPPED),
            flags=flags,
            psd=density.astype(np.float32),
            peak_psd=self._peak / np.float32(self.settings.sample_rate_hz),
            whole=not self._history.forgotten,
        )

    @property
    def looks(self) -> int:
        """Number of looks taken."""
        return self._looks

    def over_threshold(self) -> tuple[int, int]:
        """Number of channel blocks over their threshold, and of all channel blocks."""
        self._judge_all()
        judged = list(self._history.judged())
        over = sum(int(((one.over_db > 0) | one.lasting).sum()) for one in judged)
        return over, sum(one.over_db.size for one in judged)

    @property
    def flags(self) -> SampleFlag:
        """Every flag of the recent looks."""
        flags = SampleFlag.NONE if self.settings.calibration else SampleFlag.UNCALIBRATED
        for one in set(self._look_flags):
            flags |= SampleFlag(one)
        return flags | (SampleFlag.GAIN_STEP if self._floor.steps else SampleFlag.NONE)

    # -- learning ------------------------------------------------------------------------------------------------

    def _learn(
        self,
        spectra: Spectra,
        sound: NDArray[np.bool_],
        clipped: NDArray[np.bool_],
        start_ns: int,
        *,
        teaches: bool,
        bound: bool,
    ) -> list[Piece]:
        power = np.column_stack((spectra.groups, spectra.offset_bins)).astype(np.float64)
        pieces, overdriven = [], bool(clipped.any())
        for first in range(0, max(1, len(power) - PIECE_BLOCKS // 2), PIECE_BLOCKS):
            last = first + PIECE_BLOCKS if len(power) - first >= PIECE_BLOCKS * 3 // 2 else len(power)
            some = power[first:last][sound[first:last]]
            self._history.leave_out(start_ns, last - first - len(some))
            if len(some) == 0:
                continue
            levels = self._shelf.put(np.maximum(np.rint(100 * decibels(some)), -30000).astype(np.int16))
            at_ns = start_ns + round(first * self._block_s * 1e9)
            over = clipped[first:last][sound[first:last]] if overdriven else NONE_CLIPPED[: len(some)]
            piece = Piece(start_ns=at_ns, levels=levels, clipped=over, bound=bound)
            self._place(piece, some, teaches=teaches)
            self._history.add(piece)
            pieces.append(piece)
        if sound.all():
            self._psd_sum += spectra.mean.astype(np.float64) * spectra.frames
            self._psd_frames += spectra.frames
        np.maximum(self._peak, spectra.peak, out=self._peak)
        if self._history.overfull:
            self._judge_all()
            self._history.settle()
        return pieces

    def _rising(self, groups: NDArray[np.float32], start_ns: int) -> int:
        """Number of blocks at the very start of reception in which the receiver's gain was still rising."""
        if self._floor.states:
            return 0
        if self._began_ns is None:
            self._began_ns = start_ns
        room = round((ONSET_S - (start_ns - self._began_ns) / 1e9) / self._block_s)
        at = (self._layout.centers_hz / self.settings.sample_rate_hz)[: groups.shape[1]]
        return rising_blocks(groups, self._layout.shapes * self._frames, at, most=room)

    def _place(self, piece: Piece, power: Floats, *, teaches: bool) -> None:
        """Find the gain setting of a piece and learn its floor; a short piece is joined with others."""
        if not teaches or not BLOCKS_LEAST <= len(power) < TAUGHT_BLOCKS:
            self._floor.learn(piece, power, teaches=teaches)
            return
        piece.state = UNCERTAIN if self._floor.current is None else self._floor.current
        if (together := self._short.add(piece, power)) is not None:
            self._floor.learn(*together, teaches=True)

    def _full_band(self, quality: Quality, groups: NDArray[np.float32]) -> SampleFlag:
        """FULL_BAND for a band that is busy everywhere, all the time: it has no idle cell to measure the floor in.

        BELOW_QUANTISATION where all groups have no power at all, else NONE.
        """
        if len(groups) == 0:
            return SampleFlag.NONE
        trusted = self._layout.trusted
        if not (groups[0, trusted] > 0).any() and not (groups[:, trusted] > 0).any():
            return SampleFlag.BELOW_QUANTISATION
        constant = quality.envelope_kurtosis < CONSTANT_ENVELOPE
        loud = self.settings.calibration is None and self._floor_mean() > LOUD_FLOOR
        if not (constant or loud):
            return SampleFlag.NONE
        level = groups[:, trusted].mean(axis=0)
        inside = float(groups.mean(axis=0) @ self._layout.bins) / self.settings.fft_size
        flat = float(level.max()) < FLAT * middle(level) and inside > MOST * quality.power
        steady = float(groups.mean()) < 2 * middle(groups.mean(axis=1))
        return SampleFlag.FULL_BAND if flat and steady else SampleFlag.NONE

    # -- deciding ------------------------------------------------------------------------------------------------

    def _state(self) -> GainState | None:
        return None if self._floor.current is None else self._floor.states[self._floor.current]

    def _view(self, number: int) -> FloorView:
        state = self._floor.states[number]
        known = self._views.get(number)
        if known is None or known[0] != state.version:
            frames = max(1, self._psd_frames)
            known = state.version, self._reader.view(state, self._psd_sum / frames, frames=frames)
            self._views[number] = known
        return known[1]

    def _judge(self, pieces: Iterable[Piece]) -> None:
        """Decide on pieces by the present floor; decisions made by the same floor are kept."""
        stale: dict[int, list[Piece]] = {}
        for piece in pieces:
            number = piece.setting
            if number == UNCERTAIN or not self._floor.states[number].taught:
                piece.decided = None
                continue
            key = (number, self._floor.states[number].version)
            if not (isinstance(piece.decided, BlockDecisions) and piece.decided.key == key):
                stale.setdefault(number, []).append(piece)
        rose: list[Piece] = []
        most = PIECES_AT_ONCE if type(self._detector) is ChannelDetector else 1
        for number, some in stale.items():
            for first in range(0, len(some), most):
                rose += self._decide_on(number, some[first : first + most])
        self._rises.extend(sorted(rose, key=lambda piece: piece.start_ns))

    def _decide_on(self, number: int, pieces: Sequence[Piece]) -> list[Piece]:
        """Decide on pieces of one gain setting; returns those with a rise that shows what the floor is."""
        state, view = self._floor.states[number], self._view(number)
        key = (number, state.version)
        firsts = np.cumsum([0, *(len(piece.levels) for piece in pieces)])
        power = powers_of(pieces, firsts)
        statistic, whole_db, lasting = self._decided(number, view, power, firsts)
        rose = [False] * len(pieces)
        if number not in self._contrasted:
            over = (power > self._contrasts.at(number, view) * np.maximum(view.floor, state.level)).any(axis=1)
            risen = np.concatenate(([0], np.cumsum(over)))
            rose = (risen[firsts[1:]] - risen[firsts[:-1]] >= CONTRAST_BLOCKS).tolist()
        decided = DecidedBlocks(
            over_db=decibels(statistic).astype(np.float16), whole_db=whole_db.astype(np.float16), lasting=lasting,
            bound=np.repeat([piece.bound for piece in pieces], np.diff(firsts)),
            clipped=np.concatenate([piece.clipped for piece in pieces]),
            risen=np.stack([self._risen(piece) for piece in pieces], axis=1),
        )  # fmt: skip
        starts_ns = [piece.start_ns for piece in pieces]
        for piece, one in zip(
            pieces, self._decisions.put(decided, firsts.tolist(), key=key, starts_ns=starts_ns), strict=True
        ):
            piece.decided = one
        return [piece for piece, one in zip(pieces, rose, strict=True) if one]

    def _risen(self, piece: Piece) -> NDArray[np.bool_]:
        """For each channel, whether a part of it rose over the whole of a piece."""
        leader = piece if piece.leader is None else piece.leader
        if leader.risen is None:
            return self._none_rose
        risen: NDArray[np.bool_] = np.logical_or.reduceat(leader.risen[self._layout.held], self._layout.starts)
        return risen

    def _band_of(self, detector: ChannelDetector, view: FloorView) -> BandDetector:
        channels = range(len(self.settings.channels))
        return BandDetector(detector, [self._reader.prepared(view, index) for index in channels])

    def _decided(
        self, number: int, view: FloorView, power: Floats, firsts: NDArray[np.int64]
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Statistics and energies in dB over their thresholds, and lasting blocks, each (channels, blocks)."""
        if self._bands is not None:
            band = self._bands.at(number, view).decide(power, firsts)
            return band.statistic, band.whole_db, band.lasting
        channels = range(len(self.settings.channels))
        each = [self._detector.decide(self._reader.cells(view, index, power)) for index in channels]
        return (
            np.stack([one.statistic for one in each]),
            np.stack([one.whole_db for one in each]),
            np.stack([one.lasting for one in each]),
        )

    def _judge_all(self) -> None:
        self._judge(self._history.full)

    def _anchor_of(self, number: int) -> Anchor:
        view = self._view(number)
        if view.anchor is Anchor.CALIBRATION:
            return view.anchor
        if number in self._contrasted or any(piece.setting == number for piece in self._rises):
            return Anchor.TIME
        return view.anchor

    def _keep_contrasts(self) -> None:
        """Accept rises in pieces that have a successor: the last piece may hold a gain step."""
        while self._rises and self._floor.settled(self._rises[0]):
            if (number := self._rises.popleft().setting) != UNCERTAIN:
                self._contrasted.add(number)

    def _sure_db(self, index: int, blocks: int) -> float:
        """How far one of `blocks` blocks must be over its threshold to leave no doubt, dB."""
        if self._floor.current is None:
            return float("inf")
        cells = self._reader.cells(self._view(self._floor.current), index, np.zeros((0, self._layout.groups + 1)))
        return float(10 * np.log10(self._detector.sure(cells, pfa=DOUBT_PFA / max(1, blocks))))

    def _look_channels(self, judged: list[BlockDecisions], spectra: Spectra, flags: SampleFlag) -> list[ChannelLook]:
        """The channels' state in a look. Args: judged is empty if the look has no information."""
        channels = self.settings.channels
        if not judged or self._floor.current is None:
            nothing = LevelDb(value=float("nan"), sd=float("inf"), unit="dBFS")
            return [
                ChannelLook(channel=one, busy=None, busy_fraction=0.0, power=nothing, snr_db=float("nan"))
                for one in channels
            ]
        busy = [(one.over_db > 0) | one.lasting | one.bound for one in judged]
        together = busy[0] if len(busy) == 1 else np.concatenate(busy, axis=1)
        counts, blocks = np.count_nonzero(together, axis=1).tolist(), together.shape[1]
        power = self._of_channels(np.add.reduce(spectra.groups, axis=0) / np.float32(len(spectra.groups)))
        view = self._view(self._floor.current)
        idle = self._idle.at(self._floor.current, view)
        power_db = 10 * np.log10(np.maximum(power, 1e-40))
        snr_db = 10 * np.log10(np.maximum(np.maximum(power - idle, 0.0) / np.maximum(idle, 1e-30), 1e-40))
        untold = bool(flags & VOIDING) or self._anchor_of(self._floor.current) is Anchor.NONE
        unsure = [untold or steady or doubtful for steady, doubtful in zip(view.steady, view.doubtful, strict=True)]
        looks = []
        levels_db = zip(power_db.tolist(), snr_db.tolist(), strict=True)
        for one, count, hidden, (level, snr) in zip(channels, counts, unsure, levels_db, strict=True):
            some = count > max(1, 0.01 * blocks)
            looks.append(
                ChannelLook(
                    channel=one,
                    busy=some if some or not hidden else None,
                    busy_fraction=count / blocks,
                    power=self._absolute(level, 0.1, ""),
                    snr_db=snr,
                )
            )
        return looks

    def _of_channels(self, groups: NDArray[Any]) -> Floats:
        """The power of each channel, in squared full scales, from each group's power per bin."""
        each: Floats = np.add.reduceat(groups[self._layout.held] * self._weights, self._layout.starts)
        return each * self._widths

    # -- reporting -----------------------------------------------------------------------------------------------

    def _report_channel(
        self, index: int, judged: JudgedBlocks, apart: tuple[Span, ...], flags: SampleFlag
    ) -> ChannelReport:
        channel = self.settings.channels[index]
        verdict = judge(self._seen(index, judged, judged.outside(apart), flags=flags))
        members = self._layout.members[index]
        number = self._floor.current
        share = self._shares[index]
        idle = float(self._view(number).floor[members] @ share) if number is not None else float("nan")
        width = channel.width_hz / self.settings.sample_rate_hz
        mean = float(self._mean_power(members, share))
        return ChannelReport(
            channel=channel,
            state=verdict.state,
            occupancy=verdict.occupancy,
            noise_floor=self._density(idle),
            sensitivity_limit=self._sensitivity(index, idle * width, verdict),
            headroom_db=-_db(mean * width),
            period=verdict.period,
            bursty=verdict.bursty,
            flags=flags,
            long_run=verdict.long_run,
            anchor=verdict.anchor,
            threshold=self._threshold(index, idle, verdict),
        )

    def _seen(self, index: int, judged: JudgedBlocks, kept: NDArray[np.bool_], *, flags: SampleFlag) -> BlocksSeen:
        states = np.unique(judged.states[kept]).tolist()
        anchors = {number: self._anchor_of(number) for number in states}
        views = [self._view(number) for number in states]
        channel = judged.channel(index, kept)
        blocks = len(channel.over_db)
        widening = sum(self._widening) / max(1, len(self._widening))
        uncertain = judged.uncertain + self._history.left_out
        gaps = self._gaps or not kept.all() or uncertain > 0
        return BlocksSeen(
            over_db=channel.over_db,
            whole_db=channel.whole_db,
            lasting=channel.lasting,
            anchored=channel.anchored,
            clipped=channel.clipped,
            risen=channel.risen,
            times_s=channel.times_s,
            gaps=gaps,
            spacing=judged.spacing(kept) if gaps else None,
            step_s=self._block_s,
            pfa=self.settings.pfa,
            sure_db=self._sure_db(index, blocks),
            unseen=min(1.0, 1 - (1 - widening) * (1 - uncertain / max(1, uncertain + blocks))),
            steady=any(view.steady[index] for view in views),
            carried=judged.at_settings({n for n in states if self._view(n).carried[index]}, kept),
            doubtful=any(view.doubtful[index] for view in views),
            anchor=_weakest(list(anchors.values())),
            flags=flags,
        )

    def _mean_power(self, members: NDArray[np.intp], share: Floats) -> float:
        if not self._psd_frames:
            return float("nan")
        psd = self._psd_sum / self._psd_frames
        return float((psd @ self._layout.weights[:, members]) @ share)

    def _floor_mean(self) -> float:
        """Mean idle power density over the trusted groups, by the present floor."""
        number = self._floor.current
        if number is None:
            return float("nan")
        return self._means.at(number, self._view(number))

    def _mean_of(self, view: FloorView) -> float:
        bins = self._layout.bins[self._layout.trusted]
        return float(view.floor[:-1][self._layout.trusted] @ bins / bins.sum())

    def _density(self, power: float) -> LevelDb:
        state = self._state()
        statistical = 4.343 / np.sqrt(middle(state.cells * self._reader.shapes)) if state else float("inf")
        sd_db = float(np.hypot(statistical, self.settings.flatness_db / 3))
        return self._absolute(_db(power / self.settings.sample_rate_hz), sd_db, "/Hz")

    def _absolute(self, dbfs: float, sd_db: float, per: str) -> LevelDb:
        scale = self.settings.calibration
        if scale is None:
            return LevelDb(value=dbfs, sd=sd_db, unit=f"dBFS{per}")
        return LevelDb(value=dbfs + scale.offset_db, sd=float(np.hypot(sd_db, scale.sd_db)), unit=f"dBm{per}")

    def _threshold(self, index: int, idle: float, verdict: ChannelVerdict) -> LevelDb:
        """Power density over the whole channel from which one of its blocks counts as busy."""
        if self._floor.current is None:
            return LevelDb(value=float("nan"), sd=float("inf"), unit="dBFS/Hz")
        cells = self._reader.cells(self._view(self._floor.current), index, np.zeros((0, self._layout.groups + 1)))
        return self._density(idle * self._detector.whole_threshold(cells) * 10 ** (verdict.cut_db / 10))

    def _sensitivity(self, index: int, idle_power: float, verdict: ChannelVerdict) -> LevelDb:
        if self._floor.current is None:
            return LevelDb(value=float("nan"), sd=float("inf"), unit="dBFS")
        cells = self._reader.cells(self._view(self._floor.current), index, np.zeros((0, self._layout.groups + 1)))
        samples = self._detector.whole_shape(cells)
        rise = self._detector.whole_threshold(cells) * 10 ** (verdict.cut_db / 10)
        needed = max(_db(rise / energy_threshold(samples=samples, pfa=0.9) - 1), snr_wall_db(self.settings.flatness_db))
        return self._absolute(_db(idle_power) + needed, self.settings.flatness_db / 3, "")

    @property
    def _block(self) -> int:
        return self._frames * self.settings.fft_size

    @property
    def _block_s(self) -> float:
        return self._block / self.settings.sample_rate_hz

    # -- radar ---------------------------------------------------------------------------------------------------

    def _pulses(self, iq: Iq, start_ns: int, *, contiguous: bool) -> tuple[Incumbent, ...]:
        pulses = self._finder.find(iq, contiguous=contiguous)
        length_ns = round(len(iq) / self.settings.sample_rate_hz * 1e9)
        seen = Stretch(pulses=pulses, start_ns=start_ns, length_ns=length_ns, contiguous=contiguous)
        told = self._radar.decide(seen)
        at = self.settings.center_hz
        found, withdrawn = (
            [replace(one, low_hz=one.low_hz + at, high_hz=one.high_hz + at) for one in some]
            for some in (told.incumbents, told.withdrawn)
        )
        return self._incumbents.take(found, withdrawn)


def _contrast(view: FloorView) -> Floats:
    """How far a block must be over each group's floor to show what that floor is: more where few blocks made it."""
    limits = group_limits(view.shapes, view.reference, pfa=CONTRAST_PFA)
    return np.maximum(np.maximum(limits, CONTRAST), view.least)


def _weakest(anchors: list[Anchor]) -> Anchor:
    order = list(Anchor)
    return max(anchors, key=order.index) if anchors else Anchor.NONE


def _db(power: float) -> float:
    return 10 * float(np.log10(max(power, 1e-40))) if power == power else float("nan")  # noqa: PLR0124 - not a number
