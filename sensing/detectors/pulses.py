"""Single pulses in short-time spectra: what rises for a moment over the background on both sides of it.

Three searches run side by side over cells divided by their background. Single cells find pulses of a few microseconds.
Means over a block of 8 frames find pulses that stay in a bin for up to 60 microseconds. Sums along straight paths find
sweeps, slow ones across frames and fast ones across bins, none of whose cells stands out alone. The background is the
larger of before, after and the bin's quiet level, so that neither the start nor the end of a long emission looks like a
pulse; while the band steps up or down by 6 dB no single cell is called a pulse.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.intrapulse import Wave
from sensing.detectors.likesweeps import with_like_sweeps
from sensing.detectors.pathkernels import SHALLOW, STEEP_DELAYS, path_hits, steep_places
from sensing.detectors.pulse import Pulse, same_pulse, wave_of
from sensing.detectors.pulsekernels import (
    BLOCK,
    SIDE,
    count_candidates,
    surroundings,
)
from sensing.detectors.pulseshape import PulseShape, Region, describe
from sensing.detectors.shorttime import ShortTime
from sensing.detectors.weakkernels import SLOTS_MIN
from sensing.detectors.weaktrains import WeakTrain, WeakTrains
from sensing.detectors.weaktrains import warm as warm_search
from sensing.frontend import Float32s, Iq
from sensing.theory import gamma_quantile

SHORT_GUARD: Final = 2
LONG_GUARD: Final = 8
GUARDS: Final = np.array([SHORT_GUARD, LONG_GUARD], np.int64)
SHORT_THRESHOLD: Final = 10 ** (11 / 10)
LONG_THRESHOLD: Final = 10 ** (6 / 10)
PATH_THRESHOLD: Final = 3.7
"""Mean of the eight cells of a path, in backgrounds."""
STEEP: Final = steep_places(STEEP_DELAYS)
STEP: Final = 4.0
STEP_BINS: Final = 2
LEAKAGE: Final = 10 ** (-22 / 10)
"""A cell this far below what comes, goes or pulses elsewhere in the band at the time may be that signal's own edge."""
SPILLED: Final = 0.6
"""A bin of which more than this comes from others has no noise of its own: beside a strong neighbour or a filter's edge
all bins of a skirt rise and fall together, and a sum over eight of them is no surer than one."""
SKIRT_MARGIN: Final = np.float32(8.0)
EVENTS_LEAST: Final = 12
EVENTS_PER_US: Final = 0.004
MARGIN_FRAMES: Final = (LONG_GUARD + SIDE + 1) * BLOCK
PIECE_US: Final = 25_000.0
"""Longer stretches are searched in pieces, so that memory stays flat."""
HITS_MAX: Final = 4096
WEAK_PRI_US: Final = (909.0, 1112.0)
WEAK_NEPERS: Final = 12.0
WEAK_TURNS: Final = 42
"""Pulses of the longest burst of P0N#1, and two more."""


@dataclass(frozen=True, slots=True)
class _Cells:
    """A piece of samples as cells with their backgrounds.

    `power` (frames, bins), `quiet` (bins,), `loud` and `steps` (blocks,), the rest (blocks, bins).
    """

    power: Float32s
    level: Float32s
    top: Float32s
    near: Float32s
    far: Float32s
    loud: Float32s
    steps: NDArray[np.int64]
    quiet: Float32s


class PulseFinder:
    """Finds pulses in stretches of samples taken at one setting, with no seam where one stretch follows another."""

    def __init__(self, *, sample_rate_hz: float, full_scale: float) -> None:
        """Args: full_scale in the units of the samples."""
        self._rate_hz = sample_rate_hz
        self._short_time = ShortTime(sample_rate_hz=sample_rate_hz, full_scale=full_scale)
        self._frame_us = self._short_time.frame_us
        self._quiet = gamma_quantile(shape=BLOCK, q=0.25)
        self._tail: Iq | None = None
        self._seen: tuple[Pulse, ...] = ()
        self._weak = WeakTrains(
            bins=self._short_time.n_fft, frame_us=self._frame_us, pri_us=WEAK_PRI_US, nepers=WEAK_NEPERS,
            turns=WEAK_TURNS,
        )  # fmt: skip
        self._uncovered = 0
        self._hits = np.empty((HITS_MAX, 2), np.int64)
        self._heights = np.empty(HITS_MAX)

    def find(self, iq: Iq, *, contiguous: bool = False) -> tuple[Pulse, ...]:
        """Pulses in the order of time; those of the stretch before that are only found now have times below zero.

        Args: iq int16 (n, 2) or complex64 (n,); contiguous if its first sample follows the last one of the call before.
        """
        step = max(1, round(PIECE_US * 1e-6 * self._rate_hz))
        found: list[Pulse] = []
        for first in range(0, max(len(iq), 1), step):
            at_us = first / self._rate_hz * 1e6
            pulses = self._piece(iq[first : first + step], contiguous=contiguous or first > 0)
            found += [replace(p, time_us=p.time_us + at_us) for p in pulses]
        return tuple(sorted(found, key=lambda p: p.time_us))

    @property
    def band_hz(self) -> float:
        """Width of the band that is searched."""
        return self._short_time.bin_hz * self._short_time.n_fft

    def _piece(self, iq: Iq, *, contiguous: bool) -> tuple[Pulse, ...]:
        joined: Iq = iq
        tail = 0
        if contiguous and self._tail is not None and self._tail.dtype == iq.dtype:
            joined = _join(self._tail, iq)
            tail = len(self._tail)
        else:
            self._weak.reset()
        known = self._seen if tail else ()
        shift_us = tail / self._rate_hz * 1e6
        pulses = [replace(p, time_us=p.time_us - shift_us) for p in self._search(joined, tail)]
        fresh = tuple(p for p in pulses if not any(same_pulse(p, k) for k in known))
        self._remember(joined, fresh, len(iq))
        return fresh

    def _remember(self, joined: Iq, pulses: tuple[Pulse, ...], samples: int) -> None:
        length_us = samples / self._rate_hz * 1e6
        keep = min(2 * MARGIN_FRAMES, len(joined) // self._short_time.hop) * self._short_time.hop
        self._tail = joined[len(joined) - keep :].copy()
        late = length_us - 2 * MARGIN_FRAMES * self._frame_us
        self._seen = tuple(replace(p, time_us=p.time_us - length_us) for p in pulses if p.time_us > late)

    def _search(self, iq: Iq, tail: int) -> list[Pulse]:
        """Args: tail is how many of the samples were searched before."""
        cells = self._cells(iq)
        if cells is None:
            self._weak.reset()
            return []
        pulses = with_like_sweeps(list(self._events(cells, iq)), iq, rate_hz=self._rate_hz)
        weak = [p for p in self._weakly(cells, iq, tail) if not any(same_pulse(p, q) for q in pulses)]
        return pulses + weak

    def _cells(self, iq: Iq) -> _Cells | None:
        power, level, top = self._short_time.power(iq)
        blocks, bins = level.shape
        if blocks < 2 * (SHORT_GUARD + SIDE):
            return None
        some = np.ascontiguousarray(level[:: max(1, blocks // 512)].T)
        quarter = some.shape[1] // 4
        quiet = np.ascontiguousarray(np.partition(some, quarter, axis=1)[:, quarter]) / np.float32(self._quiet)
        if not quiet.any():
            return None
        skirts = self._short_time.spilled(quiet) > SPILLED
        margin = np.where(skirts, SKIRT_MARGIN, np.float32(1))
        near, far = np.empty((blocks, bins), np.float32), np.empty((blocks, bins), np.float32)
        loud, steps = np.empty(blocks, np.float32), np.empty(blocks, np.int64)
        surroundings(
            level, top, quiet, margin, GUARDS, np.float32(STEP), np.float32(SHORT_THRESHOLD),
            np.float32(LONG_THRESHOLD), near, far, loud, steps,
        )  # fmt: skip
        return _Cells(power, level, top, near, far, loud, steps, quiet)

    def _events(self, cells: _Cells, iq: Iq) -> Iterator[Pulse]:
        """Pulses, the strongest first; a candidate in the time and band of an earlier one is a part of that pulse."""
        blocks, bins, heights = self._candidates(cells)
        order = np.argsort(-heights, kind="stable")
        blocks, bins = blocks[order], bins[order]
        open_ = np.ones(len(blocks), np.bool_)
        most = EVENTS_LEAST + round(len(cells.power) * self._frame_us * EVENTS_PER_US)
        taken: list[PulseShape] = []
        for _ in range(most):
            left = np.flatnonzero(open_)
            if len(left) == 0:
                return
            at = left[0]
            block, bin_ = int(blocks[at]), int(bins[at])
            open_[at] = False
            shape = describe(self._region(cells, block), block * BLOCK, bin_)
            if shape is None or any(_part(shape, one) for one in taken):
                continue
            taken.append(shape)
            part = (blocks >= shape.first // BLOCK - 1) & (blocks <= shape.last // BLOCK + 1)
            open_[part & (bins >= shape.low_bin - 3) & (bins <= shape.high_bin + 3)] = False
            yield self._pulse(shape, iq)

    def _candidates(self, cells: _Cells) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Blocks, bins and heights (ratios to the threshold) of all that is over one of the three thresholds."""
        height = np.empty_like(cells.level)
        over = count_candidates(
            cells.level, cells.top, cells.near, cells.far, cells.loud, cells.steps, np.float32(SHORT_THRESHOLD),
            np.float32(LONG_THRESHOLD), np.float32(LEAKAGE), STEP_BINS, height,
        )  # fmt: skip
        block, bin_ = np.nonzero(height > 1) if over else (np.zeros(0, np.int64), np.zeros(0, np.int64))
        limit = np.float32(PATH_THRESHOLD * BLOCK)
        count = path_hits(
            cells.power, cells.far, cells.loud, np.float32(LEAKAGE), limit, SHALLOW, STEEP, self._hits, self._heights
        )
        return (
            np.concatenate((block, self._hits[:count, 0])),
            np.concatenate((bin_, self._hits[:count, 1])),
            np.concatenate((height[block, bin_].astype(np.float64), self._heights[:count] / PATH_THRESHOLD)),
        )

    def _region(self, cells: _Cells, block: int) -> Region:
        """Cells around a block, over its background."""
        low, high = max(0, block - LONG_GUARD), min(len(cells.far), block + 2 + LONG_GUARD)
        under = cells.far[block] if np.isfinite(cells.far[block, 0]) else cells.near[block]
        if not np.isfinite(under[0]):
            under = cells.level[low:high].min(axis=0)
        under = np.maximum(under, np.float32(1e-30))
        return Region(
            cells=cells.power[low * BLOCK : high * BLOCK] / under, first=low * BLOCK, under=under,
            quiet=np.minimum(cells.quiet, under),
        )  # fmt: skip

    def _pulse(self, shape: PulseShape, iq: Iq) -> Pulse:
        bin_hz, frame_us = self._short_time.bin_hz, self._frame_us
        low = min(shape.low_bin, shape.high_bin)
        steady = float(
            shape.under[low : shape.high_bin + 1].max() / max(shape.peak * shape.under[shape.peak_bin], 1e-30)
        )
        return Pulse(
            time_us=(shape.middle + 1) * frame_us,
            duration_us=max(0.5, shape.frames * frame_us),
            low_hz=self._hz(low) - bin_hz / 2,
            high_hz=self._hz(shape.high_bin) + bin_hz / 2,
            peak_hz=self._hz(shape.peak_bin),
            instant_hz=shape.instant_bins * bin_hz,
            snr_db=float(10 * np.log10(max(shape.peak - 1, 1e-3))),
            slope_mhz_per_us=shape.slope * bin_hz / 1e6 / frame_us,
            nepers=shape.nepers,
            steady_db=float(10 * np.log10(max(steady, 1e-30))),
            level_db=float(10 * np.log10(max((shape.peak - 1) * shape.under[shape.peak_bin], 1e-30))),
            span=shape.span,
            beside=shape.beside,
            wave=self._wave(iq, shape),
            surroundings=shape.surroundings,
        )

    def _wave(self, iq: Iq, shape: PulseShape) -> Wave:
        hop = self._short_time.hop
        first = round((shape.first + 0.5) * hop)
        last = max(first + hop, round((shape.last + 0.5) * hop))
        return wave_of(iq, (first, last), rate_hz=self._rate_hz, under=shape.under)

    def _hz(self, index: int) -> float:
        return (index - self._short_time.n_fft // 2) * self._short_time.bin_hz

    def _weakly(self, cells: _Cells, iq: Iq, tail: int) -> Iterator[Pulse]:
        """The pulses of trains that are detected only by their sum."""
        usable = np.isfinite(cells.near[:, 0]) & (cells.steps < STEP_BINS)
        # The end of the piece before could not be whitened until this piece gave it a background after it.
        again = max(0, round((tail - self._uncovered) / self._short_time.hop)) if tail else 0
        end = max(again, (len(cells.level) - SHORT_GUARD - SIDE) * BLOCK)
        self._uncovered = len(iq) - end * self._short_time.hop
        # Samples that were joined to a tail are in an array of their own; the caller may write to others again.
        samples = iq if tail else self._own(iq)
        for train in self._weak.find(cells.power, cells.near, usable, (again, end), samples):
            yield from self._members(train, again)

    def _own(self, iq: Iq) -> Iq | None:
        """A copy of samples where they have room for a train; None of a node's short look, which copying would slow."""
        return iq.copy() if len(iq) / self._rate_hz * 1e6 > WEAK_PRI_US[1] * (SLOTS_MIN - 1) else None

    def _members(self, train: WeakTrain, again: int) -> Iterator[Pulse]:
        bin_hz, frame_us = self._short_time.bin_hz, self._frame_us
        for frame in train.frames:
            yield Pulse(
                time_us=(frame + again + 1) * frame_us,
                duration_us=2 * frame_us,
                low_hz=self._hz(train.low_bin) - bin_hz / 2,
                high_hz=self._hz(train.high_bin) + bin_hz / 2,
                peak_hz=self._hz(train.peak_bin),
                instant_hz=(train.high_bin - train.low_bin + 1) * bin_hz,
                snr_db=float(10 * np.log10(max(train.mean - 1, 1e-3))),
                level_db=train.level_db,
                slope_mhz_per_us=0.0,
                train_nepers=train.nepers,
                train_turns=train.turns,
            )


def _part(one: PulseShape, taken: PulseShape) -> bool:
    """Whether a shape lies in the time and band of one that was taken before."""
    apart = abs(one.middle - taken.middle) - (one.frames + taken.frames) / 2
    return apart <= BLOCK and one.low_bin <= taken.high_bin + 2 and taken.low_bin <= one.high_bin + 2


@cache
def warm() -> int:
    """Run every compiled loop of the search once in a process, so that a node's first look does not wait for it.

    Returns how many pulses the made-up samples hold.
    """
    warm_search()
    rails = _scattered(8 * 80_000).reshape(8, -1).sum(axis=0).reshape(-1, 2) * 24
    rails[20_000:20_020] += 400
    return len(PulseFinder(sample_rate_hz=10e6, full_scale=2048).find(rails.astype(np.int16)))


def _scattered(count: int) -> NDArray[np.float64]:
    """Values from -0.5 to 0.5 as if at random, the same each time; without numpy's generators, which take 2 MB.

    Source: the mixing steps of MurmurHash3's 32-bit finish, over 0, 1, 2, ….
    """
    mixed = np.arange(count, dtype=np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    return mixed / 2.0**32 - 0.5


def _join(first: Iq, second: Iq) -> Iq:
    if first.dtype == np.complex64:
        return np.concatenate((first, second)).astype(np.complex64, copy=False)
    return np.concatenate((first, second)).astype(np.int16, copy=False)
