"""Channels that somebody fills all the time, or once in a long while, and of which "free" would be false."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from agent.bench.impostors import codes, unit_noise
from agent.bench.systems import SYSTEMS
from agent.bench.systemtrial import HeardAs, cells, survey_of
from sensing.results import ChannelState
from sensing.shape import floor_shape
from sensing.survey import Anchor
from tests.sensing.real import NOISE, band_noise, noise, states, surveyed
from tests.sensing.test_sense_command import run, written

RATE = 2e6


def pulse_shaped(
    rng: np.random.Generator, samples: int, *, width: float, roll_off: float, level_db: float
) -> np.ndarray:
    """QPSK with root-raised-cosine pulses, so many dB over the receiver's noise in its own band."""
    fast = 1 << 18
    at = np.abs(np.fft.fftfreq(fast))
    edge = np.clip((at / (width / 2) - (1 - roll_off)) / (2 * roll_off), 0, 1)
    symbols = np.zeros(samples, np.complex64)
    times = np.unique(np.floor(np.arange(0, samples, 1 / width)).astype(int))
    symbols[times[times < samples]] = np.exp(0.5j * np.pi * rng.integers(0, 4, int((times < samples).sum())))
    pulse = np.fft.fftshift(np.fft.ifft(np.cos(np.pi / 2 * edge)))[fast // 2 - 400 : fast // 2 + 400]
    shaped = signal.fftconvolve(symbols, pulse, "same")
    shaped *= NOISE / 100 * np.sqrt(width) * 10 ** (level_db / 20) / np.sqrt(np.mean(np.abs(shaped) ** 2))
    return (shaped + noise(rng, samples, NOISE / 100)).astype(np.complex64)


@pytest.mark.feature("E2")
@pytest.mark.parametrize(("width", "roll_off"), [(0.5, 0.22), (0.5, 0.35), (0.7, 0.22), (0.6, 0.3)])
@pytest.mark.parametrize("level_db", [12, 25, 40])
def test_a_pulse_shaped_signal_that_never_stops_is_never_free(width: float, roll_off: float, level_db: float) -> None:
    z = pulse_shaped(np.random.default_rng(3), 400_000, width=width, roll_off=roll_off, level_db=level_db)
    _, report = surveyed(z, RATE, channels=4)
    assert "free" not in states(report), "a filter's passband, or somebody: nobody can tell"


@pytest.mark.feature("E2")
@pytest.mark.parametrize("level_db", [38, 45])
def test_a_brickwall_signal_over_an_even_floor_is_never_free(level_db: float) -> None:
    rng = np.random.default_rng(5)
    z = noise(rng, 400_000, NOISE / 100) + band_noise(rng, 400_000, width=0.72, level_db=level_db - 40)
    assert "free" not in states(surveyed(z, RATE, channels=4)[1])


@pytest.mark.feature("E2")
@pytest.mark.feature("E4")
def test_a_step_in_what_fills_the_band_is_no_contrast_with_an_idle_band() -> None:
    rng = np.random.default_rng(7)
    z = noise(rng, 1_600_000) + band_noise(rng, 1_600_000, width=0.98, level_db=10)
    t = np.arange(len(z)) / RATE
    z[(t % 0.2) >= 0.1] *= np.float32(10**0.5)
    _, report = surveyed(z, RATE, channels=4)
    assert "free" not in states(report)
    assert {c.anchor for c in report.channels} == {Anchor.NONE}
    assert all(c.occupancy.high == 1.0 for c in report.channels)


@pytest.mark.feature("E2")
def test_a_channel_used_for_less_of_the_time_than_false_alarms_are_is_busy() -> None:
    rate, rng = 250e3, np.random.default_rng(9)
    z = noise(rng, 2_500_000)
    z[1_900_000:1_900_300] += band_noise(rng, 300, width=0.2, level_db=12, at=0.11)
    _, report = surveyed(z, rate, channels=4)
    assert states(report)[2] == "busy"
    assert report.channels[2].occupancy.high >= 300 / len(z)
    assert report.channels[2].occupancy.value > 0


@pytest.mark.feature("E1")
def test_where_nothing_is_known_no_number_is_shown(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    look = np.rint(rng.standard_normal((20_000, 2)) * 40).astype("<i2")
    for name, data in (("stale", np.tile(look, (10, 1))), ("full", np.rint(rng.standard_normal((200_000, 2)) * 40))):
        folder = tmp_path / name
        folder.mkdir()
        meta = written(folder, data.astype("<i2"), rate=1_000_000)
        (channel,) = json.loads(run("sense", f"file:{meta}", "--json").stdout)["channels"]
        assert channel["state"] == "unknown"
        assert channel["occupancy"] == channel["long_run"] == {"value": None, "low": 0.0, "high": 1.0}
        table = run("sense", f"file:{meta}").stdout
        assert "0.0%" not in table
        assert "unknown" in table


@pytest.mark.feature("E2")
def test_what_fills_a_narrow_channel_stands_on_the_floor_though_the_channel_is_cut_finer_than_the_band() -> None:
    """A channel has groups of its own, thirty times finer than those beside it: widths are hertz, not groups."""
    inside = 0.2 + 0.002 * (np.arange(16) - 7.5)
    at = np.concatenate((np.arange(-0.47, 0.17, 0.06), inside, np.arange(0.24, 0.48, 0.06)))
    level = 3.6 * np.exp(-(((at - 0.2) / 0.009) ** 2))
    shape = floor_shape(level, np.full(len(at), 0.05), at, passband=None)
    assert shape.steady[np.abs(at - 0.2) < 0.008].all()
    assert np.abs(shape.floor_db).max() < 1.1


@pytest.mark.feature("E2")
def test_a_link_that_hardly_ever_pauses_is_not_free_in_its_own_channel() -> None:
    found = cells(7, "BLE, both sides", rate_hz=30_720_000, draws=1)
    assert all(one.states[ChannelState.FREE] == 0 for one in found)
    assert sum(one.states[ChannelState.BUSY] for one in found) >= 7


@pytest.mark.feature("E2")
@pytest.mark.parametrize(("name", "level_db"), [("chirp jammer", 0), ("chirp jammer", 3), ("chirp jammer of 40 us", 3)])
def test_lines_at_a_full_bands_edge_do_not_show_what_is_idle(name: str, level_db: float) -> None:
    """A weak jammer over all of a band of 2 MHz: its last lines stand on the noise, and no higher than all the rest."""
    system, rate = SYSTEMS[name], 2_000_000
    amplitude = np.float32(np.sqrt(10 ** (level_db / 10) * system.width_at(rate) / rate))
    free = 0
    for seed in range(8):
        rng = np.random.default_rng([seed, *name.encode()])
        survey = survey_of(system, rate, HeardAs.NODE)
        z = system.draw(rng, rate_hz=rate, samples=rate // 5) * amplitude
        for start in range(0, len(z), rate // 50):
            part = z[start : start + 4500]
            survey.feed(codes(part + unit_noise(rng, len(part))), start_ns=start * 500)
        free += "free" in states(survey.report(200_000_000))
    assert free <= 1, "three to five of eight, were the lines enough"
