"""Tests that each front-end fault changes a copy of the samples as described."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from radio.ports import Iq16, RxFlag
from sim.frontend import (
    FaultyReceiver,
    overdriven,
    spoiled,
    stale,
    with_dc,
    with_gain_step,
    with_gap,
    with_image,
    with_zeros,
)
from sim.source import open_source

pytestmark = pytest.mark.feature("E4")

FULL = 2048


@pytest.fixture
def iq() -> Iq16:
    turns = np.exp(2j * np.pi * 0.1 * np.arange(1000)) * 200
    codes = np.rint(np.stack((turns.real, turns.imag), axis=1)).astype(np.int16)
    codes.flags.writeable = False
    return codes


def bin_level(iq: Iq16, turn: float) -> float:
    x: NDArray[np.complex128] = iq[:, 0] + 1j * iq[:, 1].astype(np.float64)
    return float(np.abs(np.mean(x * np.exp(-2j * np.pi * turn * np.arange(len(x))))))


def test_overdriven_samples_clip(iq: Iq16) -> None:
    hot = overdriven(iq, gain_db=26, full_scale=FULL)
    assert hot.max() == FULL - 1
    assert hot.min() == -FULL
    assert np.array_equal(overdriven(iq, gain_db=0, full_scale=FULL), iq)


def test_a_gap_loses_samples_and_zeros_replace_them(iq: Iq16) -> None:
    gap = with_gap(iq, at=100, samples=50)
    assert len(gap) == 950
    assert np.array_equal(gap[100:], iq[150:])
    zeros = with_zeros(iq, at=100, samples=50)
    assert not zeros[100:150].any()
    assert np.array_equal(zeros[150:], iq[150:])


def test_dc_and_image_have_the_stated_level(iq: Iq16) -> None:
    spike = with_dc(iq, level_dbfs=-20, full_scale=FULL)
    assert bin_level(spike, 0) == pytest.approx(FULL / 10, rel=0.02)
    mirrored = with_image(iq, image_db=-20, full_scale=FULL)
    assert bin_level(mirrored, -0.1) == pytest.approx(20, rel=0.05)
    assert bin_level(mirrored, 0.1) == pytest.approx(200, rel=0.01)


def test_the_gain_steps_and_the_setting_before_lingers(iq: Iq16) -> None:
    stepped = with_gain_step(iq, at=500, step_db=-6.0206, full_scale=FULL)
    assert np.array_equal(stepped[:500], iq[:500])
    assert np.abs(stepped[500:] * 2 - iq[500:]).max() <= 1
    old = stale(iq, stepped, samples=300)
    assert np.array_equal(old[:300], iq[700:])
    assert np.array_equal(old[300:], stepped[300:])


def test_a_faulty_receiver_spoils_only_the_blocks_of_its_script() -> None:
    fault = spoiled(lambda iq: with_gap(iq, at=10, samples=5), flags=RxFlag.GAP)
    good, bad = open_source(), FaultyReceiver(open_source(), {2: fault})
    bad.tune_rx(good.settings)
    for number in (1, 2, 3):
        expected, block = good.receive(1000), bad.receive(1000)
        if number == 2:
            assert (len(block.iq), block.flags) == (995, RxFlag.GAP)
            assert not block.iq.flags.writeable
            assert replace(block, iq=expected.iq, flags=expected.flags) is not block
        else:
            assert np.array_equal(block.iq, expected.iq)
            assert block.flags is expected.flags
