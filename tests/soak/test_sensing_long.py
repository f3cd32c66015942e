"""Long statistics of sensing: flat memory, radar in hours of nothing, coverage counted often."""

import os
import resource

import numpy as np
import pytest
from scipy import stats

from agent.bench.detection import Effort, measure
from agent.bench.detectionrow import poisson_interval
from agent.bench.radartrial import (
    NOISE_RATE,
    RATE,
    TRIAL_LOOK_SAMPLES,
    found_in_looks,
    found_in_noise,
    pulses_expected_per_s,
)
from sensing.frontend import FrontEnd


@pytest.mark.feature("E1")
@pytest.mark.timeout(600)
def test_memory_is_flat_over_a_billion_samples() -> None:
    rng = np.random.default_rng(1)
    iq = np.rint(rng.standard_normal((1 << 20, 2)) * 100).astype(np.int16)
    front = FrontEnd(n_fft=1024, full_scale=2048, frames=32)
    for _ in range(20):
        front.feed(iq)
        front.take()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(960):
        front.feed(iq)
        front.take()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096


@pytest.mark.feature("E3")
@pytest.mark.timeout(7200)
def test_at_most_one_radar_in_an_uninterrupted_hour_of_noise(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = 3600
    pulses, kinds = found_in_noise(seed=71, seconds=seconds, processes=os.cpu_count() or 1)
    with capsys.disabled():
        print(f"{len(kinds)} radars {kinds}, {pulses} pulses in {seconds} s at {NOISE_RATE / 1e6:g} MS/s")
        print(f"radars an hour, 95 %: {poisson_interval(len(kinds))}")
    assert len(kinds) <= 1
    assert 0.7 < pulses / seconds / pulses_expected_per_s() < 1.4


@pytest.mark.feature("E3")
@pytest.mark.timeout(3600)
def test_an_hour_of_looks_at_noise_gives_at_most_one_radar(capsys: pytest.CaptureFixture[str]) -> None:
    pieces, looks = 6, 30_000
    found = [found_in_looks(np.random.default_rng([6, piece]), looks=looks) for piece in range(pieces)]
    pulses, kinds = sum(one for one, _ in found), [kind for _, some in found for kind in some]
    listened_s = pieces * looks * TRIAL_LOOK_SAMPLES / RATE
    with capsys.disabled():
        print(f"{len(kinds)} radars {kinds}, {pulses} pulses in {pieces * looks} looks, {listened_s:.0f} s listened to")
    assert len(kinds) <= 1
    assert pulses > 0


@pytest.mark.feature("E2")
@pytest.mark.feature("E3")
@pytest.mark.timeout(3600)
def test_the_published_table_holds() -> None:
    for row in measure(Effort(trials=300, seed=3, noise_s=60)).rows:
        if row.expected is None or row.group.startswith("Radar in"):
            continue
        counted = stats.binom.interval(0.9999, row.trials, row.expected)
        hits = row.found * row.trials
        if row.group.startswith("Radar"):
            assert row.high >= row.expected, row
        elif row.group.startswith("Coverage"):
            assert row.high >= 0.93, row
            assert row.low <= 0.97, row
        else:
            assert counted[0] <= hits <= counted[1], row
