"""What the compiled loops say is what the plain formulas say, written out here."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from sensing.detectors.band import BandDetector
from sensing.detectors.channel import BURST, STRETCH_PFA, STRETCH_UNEVEN, ChannelCells, ChannelDetector
from sensing.detectors.pulsekernels import BLOCK, STEEP_SHARE, best_path, squared_blocks, surroundings
from sensing.detectors.weakkernels import SCALE
from sensing.detectors.weaktrains import SEED_LEVEL, WeakTrains
from sensing.productkernels import count_levels, frame_parts, picked_bins, spread_powers
from sensing.products import (
    APD_HIGH_DB,
    APD_LOW_DB,
    CELL_SHIFT,
    ProductMaker,
    ProductSettings,
    _apd_cells,
    _Spectrum,
)
from sensing.tracker import Piece, powers_of
from sensing.values import Channel
from sensing.zoom import RESPONSE_LENGTHS, SLOPE_SHARE, Zoom

pytestmark = pytest.mark.feature("E1")
RATE = 20e6
CHANNELS = tuple(Channel(low_hz=low, high_hz=low + 2e6) for low in (-6e6, -2e6, 3e6))


def spread(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers over eighteen decades of power, zeros among them."""
    z = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * 10 ** rng.uniform(-9, 0, shape)
    z[rng.random(shape) < 0.01] = 0
    return z.astype(np.complex64)


def test_levels_of_the_apd_are_floors_of_decibels() -> None:
    rng = np.random.default_rng(1)
    power = (np.abs(spread(rng, 3, 40_000)) ** 2).astype(np.float32)
    # 10 dB steps to the bit, and their neighbours; what lies beyond both ends.
    edges = (10.0 ** np.arange(-19, 4)).astype(np.float32)
    power[0, : 3 * len(edges)] = np.concatenate((edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf)))
    levels = APD_HIGH_DB - APD_LOW_DB + 1
    counts = np.zeros((3, levels), np.int64)
    count_levels(power, CELL_SHIFT, *_apd_cells(), counts)
    plain = np.floor(10 * np.log10(np.maximum(power, np.float32(2.0**-100)))).astype(np.int64) - APD_LOW_DB
    for row, level in zip(counts, np.clip(plain, 0, levels - 1), strict=True):
        np.testing.assert_array_equal(row, np.bincount(level, minlength=levels))


def test_bins_are_summed_held_and_counted_as_numpy_does() -> None:
    rng = np.random.default_rng(2)
    bins, levels = 64, _Spectrum.EXPONENTS << _Spectrum.STEPS
    counts, total = np.zeros((levels, bins), np.uint32), np.zeros(bins)
    peak = np.zeros(bins, np.float32)
    shift, lowest = 23 - _Spectrum.STEPS, _Spectrum.LOWEST << _Spectrum.STEPS
    parts = [spread(rng, frames, bins) for frames in (7, 1, 300)]
    for part in parts:
        spread_powers(part, shift, lowest, counts, total, peak)
    power = np.concatenate(parts).real ** 2 + np.concatenate(parts).imag ** 2
    np.testing.assert_allclose(total, power.sum(axis=0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(peak, power.max(axis=0), rtol=1e-6)
    level = np.clip((power.view(np.int32) >> shift) - lowest, 0, levels - 1)
    expected = np.stack([np.bincount(column, minlength=levels) for column in level.T], axis=1)
    # A multiplication and an addition in one rounding may move a power over an edge.
    assert np.abs(counts.astype(np.int64) - expected).sum() <= 2 * 1e-4 * power.size
    assert counts.sum() == power.size


@pytest.mark.parametrize("center_hz", [0.0, 0.3e6])
def test_a_channels_bins_are_taken_run_by_run_as_one_by_one(center_hz: float) -> None:
    """Those over the tuned frequency, over the end of the transform, and what weighs nothing."""
    channels = (*CHANNELS, Channel(low_hz=-1e6, high_hz=1e6), Channel(low_hz=7.5e6, high_hz=9.9e6))
    zoom = Zoom(center_hz=center_hz, sample_rate_hz=RATE, channels=channels)
    spectra = spread(np.random.default_rng(12), 3, zoom.length)
    taken = np.full((3, *zoom._at.shape), np.nan, np.complex64)
    picked_bins(spectra, zoom._runs, zoom._weights, taken)
    np.testing.assert_array_equal(taken, spectra[:, zoom._at] * zoom._weights)
    assert (zoom._weights[3] == 0).sum() > 0


def test_what_lies_around_a_block_is_what_the_blocks_on_both_sides_of_it_say() -> None:
    rng = np.random.default_rng(13)
    blocks, bins, guards = 60, 16, (2, 8)
    cells = (rng.normal(size=(blocks * 8 + 5, bins)) + 1j * rng.normal(size=(blocks * 8 + 5, bins))).astype(
        np.complex64
    )
    cells[200:230, 3] *= 6
    cells[330:, 5:9] *= 4
    power = np.empty(cells.shape, np.float32)
    level, top = np.empty((blocks, bins), np.float32), np.empty((blocks, bins), np.float32)
    squared_blocks(cells, power, level, top)
    np.testing.assert_allclose(power, np.abs(cells) ** 2, rtol=1e-6)
    whole = power[: blocks * 8].reshape(blocks, 8, bins)
    np.testing.assert_allclose(level, whole.mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(top, whole.max(axis=1))
    quiet, margin = np.full(bins, 1.5, np.float32), np.where(np.arange(bins) == 2, 8, 1).astype(np.float32)
    near, far = np.empty((blocks, bins), np.float32), np.empty((blocks, bins), np.float32)
    loud, steps = np.empty(blocks, np.float32), np.empty(blocks, np.int64)
    single, mean, step = np.float32(12.0), np.float32(4.0), np.float32(4.0)
    surroundings(level, top, quiet, margin, np.array(guards), step, single, mean, near, far, loud, steps)
    plainly, stepped = [], np.zeros(blocks, np.float32)
    for guard in guards:
        around = np.full((blocks, bins), np.inf, np.float32)
        counted = np.zeros(blocks, np.int64)
        for at in range(guard + 3, blocks - guard - 3):
            before = np.sort(level[at - guard - 3 : at - guard + 1], axis=0)[1]
            after = np.sort(level[at + guard : at + guard + 4], axis=0)[1]
            upper, lower = np.maximum(before, after), np.minimum(before, after)
            around[at] = np.maximum(upper, quiet) * margin
            up = upper > step * lower
            counted[at] = up.sum()
            stepped[at] = max(stepped[at], upper[up].max(initial=0))
        plainly.append((around, counted))
    np.testing.assert_array_equal(near, plainly[0][0])
    np.testing.assert_array_equal(far, plainly[1][0])
    np.testing.assert_array_equal(steps, plainly[0][1])
    alone = (top > single * near) | (level > mean * far)
    np.testing.assert_array_equal(loud, np.maximum(stepped, np.where(alone, top, 0).max(axis=1)))
    assert steps.any()
    assert alone.any()
    assert np.isfinite(far).any()


def test_the_best_path_is_the_one_whose_best_stretch_sums_highest() -> None:
    """Path by path, stretch by stretch, as the words say it: among paths that are alike the first is told."""
    rng = np.random.default_rng(14)
    shallow, steep = np.array([0.0, 0.3, -0.3]), np.array([0.0, 0.5, -0.5])
    for turn in range(6):
        w = rng.exponential(1.0, (40, 24)).astype(np.float32)
        if turn % 2:
            w[20 + np.arange(8) // 2, 8 + np.arange(8)] += 6
        else:
            w[15 + np.arange(12), 10] += 5
        line, where = np.zeros(4), np.zeros(3, np.int64)
        told = best_path(w, 21, 11, shallow, steep, 2.2, 40.0, line, where)
        best, found = 0.0, None
        for slopes, tilted, share in ((shallow, False, 1.0), (steep, True, STEEP_SHARE)):
            cells = w.T if tilted else w
            frame, bin_ = (11, 21) if tilted else (21, 11)
            for slope, off in itertools.product(slopes, (-1, 0, 1)):
                at = np.floor(bin_ + off + slope * (np.arange(len(cells)) - frame) + 0.5).astype(int)
                inside = (at >= 0) & (at < cells.shape[1])
                values = np.where(inside, cells[np.arange(len(cells)), np.clip(at, 0, cells.shape[1] - 1)], 0) - 2.2
                sums = np.concatenate(([0.0], np.cumsum(values)))
                stretches = [(sums[b] - sums[a], a, b) for a in range(len(sums)) for b in range(a + 1, len(sums))]
                score, first, last = max(stretches)
                if score * share > best * 1.02:
                    best, found = score * share, (first, last, int(tilted), slope, off)
        assert told == pytest.approx(best, rel=1e-5)
        assert found is not None
        assert tuple(where) == found[:3]
        assert (line[3] if found[2] else line[2]) == found[3]


def test_powers_of_the_zoom_are_those_of_its_samples_however_they_come() -> None:
    rng = np.random.default_rng(3)
    z = (rng.normal(size=60_000) + 1j * rng.normal(size=60_000)).astype(np.complex64)
    whole = Zoom(center_hz=0, sample_rate_hz=RATE, channels=CHANNELS)
    parts = Zoom(center_hz=0, sample_rate_hz=RATE, channels=CHANNELS)
    samples = whole.feed(z)
    cuts = (0, 5, 700, 9000, 9001, 40_000, len(z))
    powers = np.concatenate([parts.powers(z[a:b]) for a, b in itertools.pairwise(cuts)], axis=1)
    assert samples.shape == powers.shape
    assert samples.shape[1] > 0
    np.testing.assert_allclose(powers, np.abs(samples) ** 2, rtol=1e-4, atol=1e-7)
    # One block by hand: forth, the channel's bins, back, what is not within the guard of an end.
    hop, down = whole.length - 2 * whole.guard, round(RATE / whole.rate_hz)
    keep, first = hop // down, whole.guard // down
    spectrum = np.fft.fft(z[hop : hop + whole.length].astype(np.complex128))
    block = np.fft.ifft(spectrum[whole._at] * whole._weights, axis=1)[:, first : first + keep]
    np.testing.assert_allclose(samples[:, keep : 2 * keep], block / down, rtol=1e-3, atol=1e-5)


def test_products_are_the_same_for_integers_and_floats() -> None:
    rng = np.random.default_rng(4)
    iq = (rng.normal(size=(50_000, 2)) * 300).round().astype(np.int16)
    floats = iq.astype(np.float32).view(np.complex64)[:, 0]
    made = []
    for samples in (iq, floats):
        maker = ProductMaker(ProductSettings(center_hz=0, sample_rate_hz=RATE, full_scale=2048, channels=CHANNELS))
        maker.feed(samples[:20_001], start_ns=0)
        maker.feed(samples[20_001:], start_ns=round(20_001 / RATE * 1e9))
        made.append(maker.products())
    np.testing.assert_allclose(made[0].spectrum.mean, made[1].spectrum.mean, rtol=1e-5)
    np.testing.assert_allclose(made[0].spectrum.median, made[1].spectrum.median, rtol=1e-5)
    for one, two in zip(made[0].channels, made[1].channels, strict=True):
        np.testing.assert_allclose(one.apd_percent, two.apd_percent, atol=0.05)


def test_samples_are_made_ready_where_the_zoom_takes_them_and_left_as_they_are() -> None:
    """Read only, of any length, over several looks: what is held back of one stands before the next."""
    rng = np.random.default_rng(15)
    maker = ProductMaker(ProductSettings(center_hz=0, sample_rate_hz=RATE, full_scale=1000, channels=CHANNELS))
    zoom, powers, at_ns = Zoom(center_hz=0, sample_rate_hz=RATE, channels=CHANNELS), [], 0
    taken = maker._frames.feed
    given: list[np.ndarray] = []
    maker._frames.feed = lambda power: (given.append(power.copy()), taken(power))[1]  # type: ignore[method-assign]
    for length in (7_000, 1, 40_001, 12_345):
        iq = (rng.normal(size=(length, 2)) * 300).astype(np.int16)
        iq.setflags(write=False)
        before = iq.copy()
        maker.feed(iq, start_ns=at_ns)
        at_ns += round(length / RATE * 1e9)
        np.testing.assert_array_equal(iq, before)
        floats = iq.astype(np.float32) / np.float32(1000)
        powers.append(zoom.powers(floats.view(np.complex64)[:, 0]))
    np.testing.assert_array_equal(np.concatenate(given, axis=1), np.concatenate(powers, axis=1))
    assert sum(one.shape[1] for one in powers) > 1000


def test_what_a_zoom_leaves_out_at_the_ends_of_a_block_is_a_quarter_of_the_response_it_asks_room_for() -> None:
    zoom = Zoom(center_hz=0, sample_rate_hz=RATE, channels=CHANNELS)
    response = RESPONSE_LENGTHS * RATE / (SLOPE_SHARE * min(c.width_hz for c in CHANNELS))
    assert zoom.guard >= response / 4
    assert zoom.length - 2 * zoom.guard >= zoom.length / 2


def test_a_frame_is_cut_into_parts_whose_means_and_peaks_are_those_of_its_powers() -> None:
    power = np.random.default_rng(8).gamma(1.0, 1.0, (3, 500)).astype(np.float32)
    edges = np.array([20, 130, 131, 300, 480], np.int64)
    mean, peak = np.empty(3, np.float32), np.empty(3, np.float32)
    means, peaks = np.empty((3, 4)), np.empty((3, 4))
    frame_parts(power, edges, mean, peak, means, peaks)
    np.testing.assert_allclose(mean, power[:, 20:480].mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(peak, power[:, 20:480].max(axis=1))
    expected = np.add.reduceat(power[:, :480].astype(np.float64), edges[:-1], axis=1) / np.diff(edges)
    np.testing.assert_allclose(means, expected, rtol=1e-5)
    np.testing.assert_array_equal(peaks, np.maximum.reduceat(power[:, :480], edges[:-1], axis=1))


def cells(rng: np.random.Generator, blocks: int) -> ChannelCells:
    groups = 4
    floor = rng.uniform(0.5, 2.0, groups)
    power = floor * rng.gamma(200.0, 1 / 200.0, (blocks, groups))
    power[rng.random((blocks, groups)) < 0.02] *= 3
    power[8:24] *= 1.3
    power[64:144, 1] *= 1.2
    return ChannelCells(
        power=power,
        floor=floor,
        bins=np.array([16.0, 16.0, 8.0, 16.0]),
        shapes=np.full(groups, 200.0),
        reference=np.full(groups, 5e4),
        least=np.ones(groups),
    )


@pytest.mark.parametrize("blocks", [0, 5, 64, 200])
def test_a_channels_decisions_are_those_of_the_formulas(blocks: int) -> None:
    seen, detector = cells(np.random.default_rng(5), 200), ChannelDetector(pfa=1e-3, uneven_db=0.1)
    power = seen.power[:blocks]
    seen = ChannelCells(
        power=power, floor=seen.floor, bins=seen.bins, shapes=seen.shapes, reference=seen.reference, least=seen.least
    )
    found = detector.decide(seen)
    whole, parts = detector._thresholds(seen, detector.block_pfa, blocks=1, uneven=1.0)
    over_whole = power @ seen.bins / (float(seen.floor @ seen.bins) * whole)
    expected = np.maximum(over_whole, (power / (seen.floor * parts)).max(axis=-1, initial=0.0))
    np.testing.assert_allclose(found.statistic, expected, rtol=1e-12)
    np.testing.assert_allclose(found.whole_db, 10 * np.log10(over_whole), rtol=1e-9)
    lasting = np.zeros(blocks, np.bool_)
    for length, parts_of in ((8, 2), (64, 4)):
        for first in range(0, blocks - length + 1, length):
            some = power[first : first + length]
            pieces = some.reshape(parts_of, -1, power.shape[1]).mean(axis=1)
            over = []
            for mean, count, pfa in (
                (some.mean(axis=0)[None], length, STRETCH_PFA),
                (pieces, length // parts_of, 0.05),
            ):
                strict, each = detector._thresholds(seen, pfa, blocks=count, uneven=STRETCH_UNEVEN)
                marks = np.column_stack(
                    (mean @ seen.bins > strict * (seen.floor @ seen.bins), mean > each * seen.floor)
                )
                over.append(marks.all(axis=0))
            if (over[0] & over[1]).any() and (expected[first : first + length] < BURST).all():
                lasting[first : first + length] = True
    np.testing.assert_array_equal(found.lasting, lasting)
    assert lasting.any() == (blocks >= 64)


def test_a_cell_that_is_no_number_is_unknown_and_nothing_else() -> None:
    seen = cells(np.random.default_rng(6), 64)
    power = seen.power.copy()
    power[3, 2] = np.nan
    power.setflags(write=False)
    plain, torn = (
        ChannelDetector(pfa=1e-3).decide(
            ChannelCells(
                power=one,
                floor=seen.floor,
                bins=seen.bins,
                shapes=seen.shapes,
                reference=seen.reference,
                least=seen.least,
            )
        )
        for one in (seen.power, power)
    )
    assert np.flatnonzero(~torn.known).tolist() == [3]
    others = np.arange(64) != 3
    np.testing.assert_array_equal(plain.statistic[others], torn.statistic[others])
    assert not torn.lasting[:8].any()


def test_bright_cells_are_remembered_as_a_look_through_the_whole_memory_finds_them() -> None:
    """Pieces of any length, with drops in between, and a reset: what is kept is what a full search would see."""
    rng = np.random.default_rng(7)
    trains = WeakTrains(bins=16, frame_us=20.0, pri_us=(909.0, 1112.0), nepers=12.0, turns=42)
    kept = np.zeros((0, 16), np.uint8)
    for turn in range(60):
        if turn == 31:
            trains.reset()
            kept = kept[:0]
        length = int(rng.integers(1, 900))
        first, blocks = int(rng.integers(0, 20)), -(-(length + 20) // BLOCK)
        power = rng.exponential(1, (blocks * BLOCK, 16)).astype(np.float32)
        if turn % 13 == 0:
            power[:] = 1e9
        usable = rng.random(blocks) < 0.9
        under = rng.uniform(0.5, 2, (blocks, 16)).astype(np.float32)
        trains.find(power, under, usable, (first, first + length), np.zeros((blocks * BLOCK * 8, 2), np.int16))
        over = np.float32(SCALE) * power / np.repeat(under, BLOCK, axis=0)
        piece = np.where(np.repeat(usable, BLOCK)[:, None], np.minimum(over, 255), 0).astype(np.uint8)
        kept = np.concatenate((kept, piece[first : first + length]))[-trains._memory :]
        np.testing.assert_array_equal(trains._cells, kept)
        np.testing.assert_array_equal(trains._bright, np.argwhere(kept >= SEED_LEVEL))


@pytest.mark.parametrize("blocks", [0, 5, 64, 200])
def test_a_bands_decisions_are_those_of_its_channels_one_by_one(blocks: int) -> None:
    rng, detector = np.random.default_rng(9), ChannelDetector(pfa=1e-3, uneven_db=0.1)
    channels = [cells(rng, 200) for _ in range(3)]
    groups = [np.array([5, 1, 2, 3]), np.array([0, 4, 6, 7]), np.array([8, 9, 10, 11])]
    power = np.ones((blocks, 13))
    for at, one in zip(groups, channels, strict=True):
        power[:, at] = one.power[:blocks]
    power[blocks // 2 : blocks // 2 + 1, 6] = np.nan
    found = BandDetector(detector, list(zip(groups, channels, strict=True))).decide(power)
    for index, (at, one) in enumerate(zip(groups, channels, strict=True)):
        alone = detector.decide(replace(one, power=power[:, at]))
        np.testing.assert_allclose(found.statistic[index], alone.statistic, rtol=1e-12)
        np.testing.assert_allclose(found.whole_db[index], alone.whole_db, rtol=1e-9)
        np.testing.assert_array_equal(found.lasting[index], alone.lasting)
    assert blocks < 200 or 0 < found.lasting.sum() < found.lasting.size


def test_pieces_that_are_decided_on_together_are_decided_on_as_each_alone() -> None:
    """No stretch of blocks goes over the end of a piece, and each piece loses the drift of its own."""
    rng, detector = np.random.default_rng(4), ChannelDetector(pfa=1e-3, uneven_db=0.1)
    channel = cells(rng, 200)
    band = BandDetector(detector, [(np.arange(4), channel)])
    levels = np.rint(1000 * np.log10(channel.power)).astype(np.int16)
    pieces = [
        Piece(start_ns=0, levels=levels[first:last], clipped=np.zeros(last - first, np.bool_), drift_db=drift_db)
        for first, last, drift_db in ((0, 68, 0.0), (68, 140, -0.3), (140, 140, 0.0), (140, 200, 0.4))
    ]
    firsts = np.cumsum([0, *(len(one.levels) for one in pieces)])
    power = powers_of(pieces, firsts)
    together = band.decide(power, firsts)
    assert together.lasting.any()
    for piece, first, last in zip(pieces, firsts[:-1], firsts[1:], strict=True):
        plain = 10 ** ((piece.levels / 100 - piece.drift_db) / 10)
        np.testing.assert_allclose(power[first:last], plain, rtol=1e-12)
        alone = band.decide(plain)
        np.testing.assert_allclose(together.statistic[:, first:last], alone.statistic, rtol=1e-12)
        np.testing.assert_array_equal(together.lasting[:, first:last], alone.lasting)
    assert (together.lasting != band.decide(power).lasting).any(), "as one piece its stretches begin elsewhere"
