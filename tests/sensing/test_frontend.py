"""The streaming front end against a transform written out, at any block size."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensing.frontend import FrontEnd, hann

N = 64


def noise16(samples: int, seed: int = 1) -> NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    iq = np.rint(rng.standard_normal((samples, 2)) * 100).astype(np.int16)
    iq.flags.writeable = False
    return iq


def direct(iq: NDArray[np.int16]) -> NDArray[np.float64]:
    z = (iq[:, 0] + 1j * iq[:, 1]) / 2048
    frames = z[: len(z) // N * N].reshape(-1, N) * hann(N)
    spectrum = np.fft.fftshift(np.fft.fft(frames, axis=1), axes=1)
    return np.abs(spectrum) ** 2 / np.sum(hann(N) ** 2)


@pytest.mark.feature("E1")
def test_mean_peak_and_kurtosis_are_those_of_the_frames() -> None:
    iq = noise16(N * 200)
    front = FrontEnd(n_fft=N, full_scale=2048)
    front.feed(iq)
    found = front.take()
    power = direct(iq)
    frames = len(power)
    kurtosis = (frames + 1) / (frames - 1) * (frames * (power**2).sum(0) / power.sum(0) ** 2 - 1)
    assert found.frames == frames
    np.testing.assert_allclose(found.mean, power.mean(axis=0), rtol=2e-5)
    np.testing.assert_allclose(found.peak, power.max(axis=0), rtol=2e-5)
    np.testing.assert_allclose(found.kurtosis, kurtosis, rtol=1e-3)


@pytest.mark.feature("E1")
@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, N * 40), max_size=12), frames=st.sampled_from([1, 2, 3]))
def test_any_cutting_gives_the_same_spectra(cuts: list[int], frames: int) -> None:
    iq = noise16(N * 40 + 17)
    whole = FrontEnd(n_fft=N, full_scale=2048, frames=frames)
    whole.feed(iq)
    expected = whole.take()
    parts = FrontEnd(n_fft=N, full_scale=2048, frames=frames)
    edges = [0, *sorted(cuts), len(iq)]
    for a, b in pairwise(edges):
        parts.feed(iq[a:b])
    found = parts.take()
    assert found.frames == expected.frames
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5)
    np.testing.assert_array_equal(found.peak, expected.peak)


def test_complex_and_integer_samples_agree_and_stay_unchanged() -> None:
    iq = noise16(N * 32)
    z = np.ascontiguousarray(iq.astype(np.float32)).view(np.complex64)[:, 0].copy()
    z.flags.writeable = False
    before = z.copy()
    ints, floats = FrontEnd(n_fft=N, full_scale=2048), FrontEnd(n_fft=N, full_scale=2048)
    ints.feed(iq)
    floats.feed(z)
    np.testing.assert_array_equal(ints.take().mean, floats.take().mean)
    np.testing.assert_array_equal(z, before)


def test_groups_hold_the_mean_of_their_bins_in_each_block() -> None:
    iq = noise16(N * 30)
    weights = np.zeros((N, 2), np.float32)
    weights[:16, 0] = 1 / 16
    weights[40:, 1] = 1 / 24
    front = FrontEnd(n_fft=N, full_scale=2048, frames=3, groups=weights)
    front.feed(iq)
    power = direct(iq).reshape(10, 3, N).mean(axis=1)
    expected = np.stack([power[:, :16].mean(axis=1), power[:, 40:].mean(axis=1)], axis=1)
    np.testing.assert_allclose(front.take().groups, expected, rtol=2e-5)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6, 7])
def test_means_alone_are_the_same_as_with_moments(frames: int) -> None:
    iq = noise16(N * 84)
    full, plain = (FrontEnd(n_fft=N, full_scale=2048, frames=frames, moments=moments) for moments in (True, False))
    full.feed(iq)
    plain.feed(iq)
    found, mean = full.take(), plain.take()
    np.testing.assert_allclose(mean.mean, found.mean, rtol=1e-5)
    np.testing.assert_allclose(found.peak, direct(iq).max(axis=0), rtol=2e-5)
    assert not mean.peak.any()
    np.testing.assert_array_equal(mean.kurtosis, 1)


def test_unaligned_samples_are_taken() -> None:
    raw = np.zeros(4 * N * 4 + 1, np.uint8)
    raw[1:] = np.frombuffer(noise16(N * 4).tobytes(), np.uint8)
    shifted = raw[1:].view(np.int16).reshape(-1, 2)
    odd, even = FrontEnd(n_fft=N, full_scale=2048), FrontEnd(n_fft=N, full_scale=2048)
    odd.feed(shifted)
    even.feed(noise16(N * 4))
    np.testing.assert_array_equal(odd.take().mean, even.take().mean)


def test_what_was_held_back_is_dropped_at_a_gap() -> None:
    front = FrontEnd(n_fft=N, full_scale=2048)
    front.feed(noise16(N - 1))
    front.reset()
    front.feed(noise16(1))
    assert front.take().frames == 0


def test_other_sample_types_are_refused() -> None:
    front = FrontEnd(n_fft=N, full_scale=2048)
    with pytest.raises(TypeError, match="samples must be int16"):
        front.feed(np.zeros((4, 2), np.float32))  # type: ignore[arg-type]


def test_the_power_of_a_group_is_the_weighed_sum_of_its_bins_wherever_they_lie() -> None:
    """Groups side by side, one that holds another, one with a hole in it, and one of no bins at all."""
    rng = np.random.default_rng(21)
    weights = np.zeros((64, 5), np.float32)
    weights[:7, 0], weights[7:30, 1], weights[3:50, 2] = 1 / 7, 1 / 23, rng.random(47)
    weights[[40, 41, 60, 63], 3] = 0.25
    iq = (rng.normal(size=(64 * 6 * 5, 2)) * 300).astype(np.int16)
    grouped = FrontEnd(n_fft=64, full_scale=2048, frames=6, groups=weights)
    plain = FrontEnd(n_fft=64, full_scale=2048, frames=6, groups=np.eye(64, dtype=np.float32))
    grouped.feed(iq)
    plain.feed(iq)
    np.testing.assert_allclose(grouped.take().groups, plain.take().groups @ weights, rtol=1e-5)
