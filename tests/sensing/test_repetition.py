"""A look that is one of the last ones again, sample by sample, says nothing about the band."""

import numpy as np
import pytest

from sensing.repetition import KEPT, Repetition

pytestmark = [pytest.mark.feature("E3"), pytest.mark.feature("R6")]


def look(seed: int, *, rms: float = 10.0) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).standard_normal((22_500, 2)) * rms).astype(np.int16)


@pytest.mark.parametrize("ring", [1, 2, 4, KEPT])
def test_a_ring_of_buffers_handed_out_again_is_stale_from_its_second_round(ring: int) -> None:
    watch = Repetition()
    told = [watch.again(look(i % ring)) for i in range(3 * ring)]
    assert told == [False] * ring + [True] * (2 * ring)


def test_noise_of_half_a_step_is_never_a_repetition() -> None:
    watch = Repetition()
    assert not any(watch.again(look(seed, rms=0.5)) for seed in range(50))


def test_a_tone_without_noise_is_a_signal() -> None:
    tone = np.tile(np.exp(2j * np.pi * np.arange(100) / 100).astype(np.complex64), 225)
    watch = Repetition()
    assert not watch.again(tone)
    assert not watch.again(tone)


def test_floats_are_compared_and_zeros_are_left_to_the_search_for_silence() -> None:
    watch = Repetition()
    z = look(1).astype(np.float32).view(np.complex64)[:, 0]
    assert not watch.again(z)
    assert watch.again(z.copy())
    zeros = np.zeros((22_500, 2), np.int16)
    assert not watch.again(zeros)
    assert not watch.again(zeros)
