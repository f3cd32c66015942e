"""What comes in pulses and is no radar, from generators made by the public standards: nothing is called a radar."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import fftconvolve, firwin

from agent.bench.impostors import IMPOSTORS, codes, impostor, survey_for, unit_noise
from agent.sense.receivers import open_source
from agent.sense.session import SensePlan, sense
from sensing.detectors.radarclasses import CLASSES, observable
from sensing.survey import SurveyReport
from sensing.values import Channel
from sim.waveforms.impulses import pwm
from sim.waveforms.radar import Radar, RadarClassName, render

pytestmark = pytest.mark.feature("E3")
IQ = Path(os.environ.get("BANDPACT_IQ", Path(__file__).parents[3] / "shared" / "iq"))
FAST = ("uplink control each 2.5 ms", "sounding each 1 ms", "BLE acknowledgements", "PWM at 1 kHz", "chirp jammer")


def surveyed(z: NDArray[np.complexfloating], rate: int, **more: Any) -> SurveyReport:
    survey, iq, step = survey_for(rate, **more), codes(z), rate // 50
    for start in range(0, len(iq), step):
        survey.feed(iq[start : start + step], start_ns=round(start / rate * 1e9))
    return survey.report(round(len(iq) / rate * 1e9))


@pytest.mark.parametrize(
    ("name", "rate", "snr_db"),
    [*((one, 10_000_000, 20) for one in IMPOSTORS), *((one, 30_720_000, 15) for one in FAST)],
)
def test_is_no_radar(name: str, rate: int, snr_db: float) -> None:
    report = surveyed(impostor(np.random.default_rng(3), name, rate_hz=rate, seconds=0.08, snr_db=snr_db), rate)
    assert report.incumbents == ()


SEEN_ONCE = [
    *(("sounding on each fourth carrier", seed, 20) for seed in (39, 55, 99)),
    ("sounding each 1 ms", 2029, 10),
    ("uplink control of 60 kHz carriers", 107, 20),
    ("uplink control each 0.5 ms", 2004, 35),
    *(("a carrier with 5 us lost", seed, 20) for seed in (21, 43, 2029)),
    ("TDD lightly loaded", 2001, 35),
    ("chirp jammer", 2000, 10),
    *(("chirp jammer of 40 us", seed, 35) for seed in (2002, 2003, 7011)),
    *(("chirp jammer of 40 us", seed, 31) for seed in (7000, 7001, 7004, 7005)),
    *(("PWM at 1 kHz", seed, 10) for seed in (2004, 2005, 2009, 2012, 2021, 2032)),
    *(("PWM at 1 kHz", seed, 8) for seed in (2104, 2117)),
    *(("uplink control of 60 kHz carriers", seed, 1.5) for seed in (7016, 7021)),
    *(("uplink control each 0.5 ms", seed, 1.5) for seed in (7000, 7008, 7016)),
    ("uplink control of 60 kHz carriers", 7000, 4.5),
]
"""Draws taken for a radar: by two pulses of a long train that noise had cut alike, by the clicks of a carrier or
the edges of traffic at a steady interval, by two sweeps of many, or by a part of a train too weak to be seen whole.
"""


@pytest.mark.parametrize(("name", "seed", "snr_db"), SEEN_ONCE)
def test_a_train_is_judged_by_all_that_is_in_step_with_it(name: str, seed: int, snr_db: float) -> None:
    z = impostor(np.random.default_rng(seed), name, rate_hz=10_000_000, seconds=0.08, snr_db=snr_db)
    assert surveyed(z, 10_000_000).incumbents == ()


@pytest.mark.parametrize("jitter_s", [2e-6, 10e-6, 30e-6])
@pytest.mark.parametrize("snr_db", [20, 35])
def test_a_supply_whose_interval_jitters_is_taken_back_at_a_nodes_cadence(jitter_s: float, snr_db: float) -> None:
    """Two or three pulses in a look: each look has another interval, and the supply goes on for longer than a burst."""
    rate, look = 10_000_000, 22_500
    for seed in (3000, 3001, 3003):
        rng, survey = np.random.default_rng(seed), survey_for(rate)
        pulses = pwm(rng, sample_rate_hz=rate, samples=rate // 5, ring_hz=1e6, decay_s=1e-6, jitter_s=jitter_s)
        z = pulses * np.float32(np.sqrt(10 ** (snr_db / 10) * 1e6 / rate)) + unit_noise(rng, len(pulses))
        for start in range(0, len(z) - look, rate // 50):
            survey.feed(codes(z[start : start + look]), start_ns=round(start / rate * 1e9))
        assert survey.report(200_000_000).incumbents == ()


@pytest.mark.parametrize("name", ["PWM at 1 kHz", "uplink control each 2.5 ms", "BLE acknowledgements"])
def test_is_no_radar_for_long_at_a_nodes_cadence(name: str) -> None:
    rate, frame, look = 30_720_000, 614_400, 69_120
    z = impostor(np.random.default_rng(4), name, rate_hz=rate, seconds=0.24, snr_db=20)
    survey, told = survey_for(rate), []
    for start in range(0, len(z) - look, frame):
        heard = survey.feed(codes(z[start : start + look]), start_ns=round(start / rate * 1e9)).incumbents
        told.append(bool(heard))
    assert not any(told[4:]), "whatever was taken for a radar's first pulses is taken back within 80 ms"
    assert survey.report(round(0.24e9)).incumbents == ()


def burst(rng: np.random.Generator, rate: int) -> NDArray[np.complex64]:
    radar = Radar(radar_class=RadarClassName.P0N1, pulse_s=1e-6, chirp_hz=0, pulses_per_s=1000, pulses_per_burst=20)
    samples = int(rate * 0.03)
    pulses = render(radar, sample_rate_hz=rate, start=-rate // 1000, samples=samples)
    return pulses * np.float32(np.sqrt(200 * 1e6 / rate)) + unit_noise(rng, samples)


def test_where_no_incumbent_can_be_a_radars_train_is_a_pulse_report() -> None:
    rate = 10_000_000
    here, elsewhere = Channel(low_hz=3.5e9, high_hz=3.7e9), Channel(low_hz=2.9e9, high_hz=3.1e9)
    for bands, held in ((None, True), ((here,), True), ((elsewhere,), False), ((), False)):
        report = surveyed(burst(np.random.default_rng(1), rate), rate, incumbent_bands=bands)
        assert [one.kind for one in report.incumbents] == (["P0N#1"] if held else [])
        assert [one.kind for one in report.pulse_trains] == ([] if held else ["P0N#1"])


def test_each_class_needs_a_band_wide_enough_to_tell_it() -> None:
    names = tuple(sorted(kind.name for kind in CLASSES))
    assert observable(250e3) == ()
    assert observable(2e6) == ("P0N#2",)
    assert observable(30.72e6) == names


@pytest.mark.parametrize(
    "meta", sorted(IQ.glob("**/*.sigmf-meta")) or [pytest.param(None, marks=pytest.mark.skip(f"no recordings in {IQ}"))]
)
def test_recordings_hold_no_radar(meta: Path) -> None:
    results = sense(open_source(f"file:{meta}"), SensePlan())
    assert results
    assert all(one.report.incumbents == () for one in results)


@pytest.mark.feature("E10")
@pytest.mark.parametrize("kind", ["filter of 0.6", "filter of 0.72", "neighbour 40 dB over noise"])
@pytest.mark.parametrize("rate", [10_000_000, 30_720_000])
def test_steady_noise_with_edges_holds_no_radar(kind: str, rate: int) -> None:
    """Beside an edge all bins rise and fall together, as nothing does that a sum over bins takes for independent."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        z = unit_noise(rng, rate // 10)
        if kind.startswith("filter"):
            taps = firwin(129, float(kind.rpartition(" ")[2])).astype(np.float32)
            z = fftconvolve(z, taps, mode="same") * np.float32(10) + unit_noise(rng, len(z)) * np.float32(0.02)
        else:
            taps = firwin(257, 0.2).astype(np.float32)
            turn = np.exp(0.5j * np.pi * np.arange(len(z))).astype(np.complex64)
            z = z + fftconvolve(unit_noise(rng, len(z)), taps, mode="same") * turn * np.float32(100)
            z = z * np.float32(0.5)
        found += [one.kind for one in surveyed(z, rate).incumbents]
    assert not found


@pytest.mark.parametrize("both_edges", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 12, 29])
def test_a_supply_whose_interval_jitters_by_a_few_microseconds_is_no_radar(seed: int, both_edges: bool) -> None:
    rate, rng = 20_000_000, np.random.default_rng([4100, seed])
    supply = pwm(
        rng, sample_rate_hz=rate, samples=int(rate * 0.07), period_s=float(rng.uniform(0.95e-3, 1.05e-3)),
        ring_hz=2e6, jitter_s=3e-6, both_edges=both_edges,
    )  # fmt: skip
    z = supply * np.float32(np.sqrt(10**2.7 * 1e6 / rate)) + unit_noise(rng, len(supply))
    assert surveyed(z, rate).incumbents == ()
