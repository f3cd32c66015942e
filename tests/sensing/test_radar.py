"""Radar classes are found and told apart; what is not radar is not called one."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from radio.signals import ofdm
from sensing.detectors.pulses import PulseFinder
from sensing.detectors.radar import EITHER, Incumbent, RadarDetector, Stretch, crowd_max
from sim.waveforms import wifi
from sim.waveforms.radar import Radar, RadarClassName, corners, render

RATE = 30_720_000
FULL_SCALE = 2048


def peak_in_a_megahertz(radar: Radar) -> float:
    """Highest power of the pulse after an ideal 1 MHz filter at its centre, over that of a carrier of unit power."""
    fast, samples = 122_880_000, 1 << 15
    x = render(radar, sample_rate_hz=fast, start=-4000, samples=samples)
    spectrum = np.fft.fft(x)
    spectrum[np.abs(np.fft.fftfreq(samples, 1 / fast)) > 0.5e6] = 0
    return float(np.max(np.abs(np.fft.ifft(spectrum)) ** 2))


def noise(rng: np.random.Generator, samples: int) -> NDArray[np.complex64]:
    return rng.standard_normal(2 * samples, dtype=np.float32).view(np.complex64) * np.float32(np.sqrt(0.5))


def digital(z: NDArray[np.complex64]) -> NDArray[np.int16]:
    return np.clip(np.rint(z.view(np.float32) * 10), -2048, 2047).astype(np.int16).reshape(-1, 2)


def heard(parts: Iterator[NDArray[np.int16]], *, gap_ns: int = 0, rate: int = RATE) -> tuple[Incumbent, ...]:
    finder, detector = PulseFinder(sample_rate_hz=rate, full_scale=FULL_SCALE), RadarDetector(band_hz=rate)
    found: list[Incumbent] = []
    at = 0
    for index, iq in enumerate(parts):
        contiguous = gap_ns == 0 and index > 0
        pulses, length_ns = finder.find(iq, contiguous=contiguous), round(len(iq) / rate * 1e9)
        seen = Stretch(pulses=pulses, start_ns=at, length_ns=length_ns, contiguous=contiguous)
        found += detector.decide(seen).incumbents
        at += length_ns + gap_ns
    return tuple(found)


def over_noise(
    radar: Radar, rng: np.random.Generator, *, snr_db: float, offset_hz: float = 0.0, rate: int = RATE
) -> NDArray[np.int16]:
    samples = int(rate * (radar.burst_s + 0.003))
    x = render(radar, sample_rate_hz=rate, start=-int(rng.uniform(0.3e-3, 2e-3) * rate), samples=samples)
    x = x * np.exp(2j * np.pi * offset_hz / rate * np.arange(samples)).astype(np.complex64)
    amplitude = np.sqrt(10 ** (snr_db / 10) * 1e6 / rate / peak_in_a_megahertz(radar))
    return digital((x * np.float32(amplitude) + noise(rng, samples)).astype(np.complex64))


def looks(iq: NDArray[np.int16], seconds: float = 0.02) -> Iterator[NDArray[np.int16]]:
    step = int(RATE * seconds)
    return (iq[i : i + step] for i in range(0, len(iq), step))


@pytest.mark.feature("E3")
@pytest.mark.parametrize("radar_class", list(RadarClassName))
def test_every_corner_of_every_class_is_found_at_twenty_decibels(radar_class: RadarClassName) -> None:
    rng = np.random.default_rng(17)
    for radar in corners(radar_class):
        offset = float(rng.uniform(-0.25, 0.25)) * RATE if radar.chirp_hz == 0 else 0.0
        kinds = {one.kind for one in heard(looks(over_noise(radar, rng, snr_db=20, offset_hz=offset)))}
        assert radar_class.value in kinds, radar


@pytest.mark.feature("E3")
@pytest.mark.parametrize("radar_class", [RadarClassName.Q3N2, RadarClassName.Q3N3])
def test_where_the_band_is_too_narrow_to_tell_two_sweeps_apart_both_are_named(radar_class: RadarClassName) -> None:
    rng, rate, uncertain = np.random.default_rng(23), 10_000_000, 0
    for radar in corners(radar_class):
        if radar.pulses_per_burst > 8:
            continue
        kinds = {one.kind for one in heard(iter([over_noise(radar, rng, snr_db=20, rate=rate)]), rate=rate)}
        assert len(kinds) == 1, radar
        named = kinds.pop().split(EITHER)
        assert radar_class.value in named, radar
        uncertain += len(named) > 1
    assert uncertain > 0


def test_a_crowd_is_where_half_an_accidental_pair_is_to_be_expected() -> None:
    rng, pri_us = np.random.default_rng(2), (905.0, 1116.0)
    most = crowd_max(look_us=2000.0, pri_us=pri_us)
    for others, many in ((most, False), (most + 1, True)):
        at = np.sort(rng.uniform(0, 2000.0, (4000, 2 + others)), axis=1)
        apart = at[:, None, :] - at[:, :, None]
        pairs = ((apart >= pri_us[0]) & (apart <= pri_us[1])).sum() / len(at)
        assert bool(pairs > 0.5) is many


@pytest.mark.feature("E3")
def test_magnetron_is_found_in_one_short_look_beside_and_inside_a_busy_channel() -> None:
    rng = np.random.default_rng(3)
    radar = Radar(radar_class=RadarClassName.P0N1, pulse_s=1e-6, chirp_hz=0, pulses_per_s=1000, pulses_per_burst=15)
    samples = int(RATE * 0.004)
    peak = peak_in_a_megahertz(radar)
    busy = ofdm.generate(rng, sample_rate_hz=RATE, bandwidth_hz=10_000_000, samples=samples, duplex=ofdm.Duplex.FDD)
    ramp = np.exp(2j * np.pi * 5e6 / RATE * np.arange(samples)).astype(np.complex64)
    pulses = render(radar, sample_rate_hz=RATE, start=-5000, samples=samples)
    for snr_db, busy_db, at_hz in ((20, 25, -4.9e6), (35, 12, 4.9e6)):
        shift = np.exp(2j * np.pi * at_hz / RATE * np.arange(samples))
        z = pulses * shift * np.sqrt(10 ** (snr_db / 10) * 1e6 / RATE / peak) + noise(rng, samples)
        z += busy * ramp * np.sqrt(10 ** (busy_db / 10) * 9e6 / RATE)
        found = heard(iter([digital(z.astype(np.complex64))]))
        assert [one.kind for one in found] == ["P0N#1"]
        assert found[0].low_hz < at_hz < found[0].high_hz


@pytest.mark.feature("E3")
@pytest.mark.parametrize("gap_ns", [0, 16_000_000])
@pytest.mark.parametrize("level_db", [15, 35])
def test_bursts_of_ofdm_that_start_and_stop_are_no_radar(gap_ns: int, level_db: int) -> None:
    rng = np.random.default_rng(level_db)
    samples = int(RATE * 0.12)
    signal = ofdm.generate(rng, sample_rate_hz=RATE, bandwidth_hz=10_000_000, samples=samples, duplex=ofdm.Duplex.TDD)
    mask = np.zeros(samples, np.float32)
    at = 0
    while at < samples:
        on = int(rng.uniform(0.2e-3, 6e-3) * RATE)
        mask[at : at + on] = 1
        at += on + int(rng.uniform(0.05e-3, 4e-3) * RATE)
    ramp = np.exp(2j * np.pi * 5e6 / RATE * np.arange(samples))
    z = signal * mask * ramp * np.sqrt(10 ** (level_db / 10) * 9e6 / RATE) + noise(rng, samples)
    assert heard(looks(digital(z.astype(np.complex64)), 0.004), gap_ns=gap_ns) == ()


@pytest.mark.feature("E3")
def test_wifi_bursts_and_noise_are_no_radar() -> None:
    rng = np.random.default_rng(31)
    samples = int(RATE * 0.1)
    bursts = wifi.generate(rng, sample_rate_hz=40_000_000, samples=samples) * np.float32(8)
    for extra in (np.zeros(samples, np.complex64), bursts):
        assert heard(looks(digital((extra + noise(rng, samples)).astype(np.complex64)))) == ()


def test_cutting_the_samples_changes_nothing_that_matters() -> None:
    rng = np.random.default_rng(5)
    radar = next(corners(RadarClassName.Q3N3))
    iq = over_noise(radar, rng, snr_db=20)
    iq.flags.writeable = False
    whole = {one.pulses for one in heard(looks(iq, 1.0))}
    cut = {one.pulses for one in heard(looks(iq, 0.005))}
    assert max(cut) >= max(whole) - 1
