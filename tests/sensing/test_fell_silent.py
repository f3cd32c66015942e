"""A channel that was busy from the first look on, then fell silent: all of it is judged by the floor found at last."""

from itertools import pairwise

import numpy as np
import pytest

from sensing.layout import short_look_bins
from sensing.results import ChannelState
from sensing.survey import Survey, SurveySettings
from sensing.values import Channel

RATE_HZ, LOOK_S, EVERY_S, KEEP_S = 2_000_000, 0.00225, 0.02, 120.0
BUSY_S, QUIET_S = 90.0, 30.0


@pytest.mark.feature("E1")
@pytest.mark.parametrize("whole", [False, True])
def test_a_minute_and_a_half_of_use_is_not_forgotten_when_it_ends(whole: bool) -> None:
    edges = [-850_000, 850_000] if whole else [-850_000, -425_000, 0, 425_000, 850_000]
    channels = tuple(Channel(low_hz=3.55e9 + a, high_hz=3.55e9 + b) for a, b in pairwise(edges))
    settings = SurveySettings(
        center_hz=3.55e9, sample_rate_hz=RATE_HZ, full_scale=2048, channels=channels, keep_s=KEEP_S,
        fft_size=short_look_bins(RATE_HZ, channels),
    )  # fmt: skip
    survey, rng, count = Survey(settings), np.random.default_rng(1), round(RATE_HZ * LOOK_S)
    low_hz, high_hz = edges[0], edges[1] - 25_000

    def look(power: float) -> np.ndarray:
        spectrum = np.fft.fft(rng.normal(size=count) + 1j * rng.normal(size=count))
        hz = np.fft.fftfreq(count, 1 / RATE_HZ)
        spectrum[(hz < low_hz) | (hz > high_hz)] = 0
        z = 10 * (rng.normal(size=count) + 1j * rng.normal(size=count) + power * np.fft.ifft(spectrum))
        return np.column_stack((z.real, z.imag)).astype(np.int16)

    used, idle = [look(10.0) for _ in range(12)], [look(0.0) for _ in range(12)]
    for number in range(round((BUSY_S + QUIET_S) / EVERY_S)):
        some = used if number * EVERY_S < BUSY_S else idle
        survey.feed(some[rng.integers(12)], start_ns=round(number * EVERY_S * 1e9))
    found = survey.report(round((BUSY_S + QUIET_S) * 1e9)).channels[0]
    assert found.state is ChannelState.BUSY
    assert found.occupancy.value == pytest.approx(BUSY_S / (BUSY_S + QUIET_S), abs=0.01)
    assert found.occupancy.low <= 0.75 <= found.occupancy.high
