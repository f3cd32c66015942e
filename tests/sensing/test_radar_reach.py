"""Samples that could not be searched for radar are named as such: none was "not heard" in them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from agent.sense.session import SensePlan, sense
from agent.sense.sources import Look, Origin, Tuning
from agent.sense.view import as_json, radar_lines
from sensing.flags import SampleFlag
from sensing.radarreach import Searched

pytestmark = pytest.mark.feature("E3")
RATE = 10_000_000
TUNED = Tuning(center_hz=3.555e9, sample_rate_hz=RATE)


class Given:
    """Looks of 20 ms at noise, one after the other, as they are put into it."""

    name, full_scale, samples, scale, tunings, origin = "test:", 1.0, None, None, (TUNED,), Origin()

    def __init__(self, *looks: np.ndarray) -> None:
        self._looks = looks

    def looks(self, look_s: float = 0.02) -> Iterator[Look]:
        for i, iq in enumerate(self._looks):
            yield Look(iq=iq, start_ns=i * 20_000_000, flags=SampleFlag.NONE, tuning=TUNED)

    def close(self) -> None:
        pass


def noise(seed: int) -> np.ndarray:
    pairs = np.random.default_rng(seed).standard_normal((RATE // 50, 2), dtype=np.float32) * 0.02
    return pairs.view(np.complex64)[:, 0]


def heard(*looks: np.ndarray) -> tuple[str, dict[str, Any]]:
    (result,) = sense(Given(*looks), SensePlan())
    return "\n".join(radar_lines(result)), as_json((result,))["radar"]


def test_all_that_could_be_searched_held_none() -> None:
    told, found = heard(noise(1), noise(2))
    assert told == "No radar heard."
    assert found["searched_s"] == found["listened_s"] == pytest.approx(0.04)


def test_a_look_with_a_value_that_is_no_number_was_not_searched() -> None:
    broken = noise(2)
    broken[[7, 90_000]] = np.nan
    told, found = heard(noise(1), broken, noise(3))
    assert told == "Radar: none in the 0.04 s of 0.06 s that could be searched."
    assert found["searched_s"] == pytest.approx(0.04)


def test_zeros_were_not_searched_and_part_what_is_before_and_after() -> None:
    cut = noise(2)
    cut[5_000:195_000] = 0
    told, found = heard(noise(1)[:100_000], cut)
    assert "No radar heard" not in told
    assert "0.011 s of 0.03 s" in told
    assert found["cannot_tell"]
    every = noise(4)
    every.reshape(-1, 20_000)[:, :4_000] = 0
    told, found = heard(every, every)
    assert found["searched"] == []
    assert "1.6 ms without a gap is shorter than a train of pulses" in told


def test_nothing_that_is_a_number_cannot_tell_of_any() -> None:
    told, found = heard(np.full(RATE // 50, np.nan, np.complex64))
    assert told.startswith("Radar: cannot tell of P0N#1")
    assert "no samples that could be used" in told
    assert found["searched"] == []


def test_stretches_join_where_nothing_is_missing() -> None:
    one = Searched()
    one.take(100, silent=[(30, 40)], usable=True, joined=False)
    one.take(100, silent=[], usable=True, joined=True)
    assert (one.longest, one.samples, one.of) == (160, 190, 200)
    one.take(100, silent=[], usable=False, joined=True)
    one.take(100, silent=[], usable=True, joined=True)
    assert (one.longest, one.samples, one.of) == (160, 290, 400)


def test_a_band_that_something_fills_is_named_for_a_radar_is_heard_over_that_only() -> None:
    """The first look has no floor yet by which a filled band is told."""
    told, found = heard(noise(1) * 16, noise(2) * 16, noise(3) * 16)
    assert "Something filled the band for 0.04 s: there a radar is heard over that, not over the noise." in told
    assert found["lowered_s"] == pytest.approx(0.04)
    told, found = heard(noise(1), noise(2))
    assert "filled" not in told
    assert found["lowered_s"] == 0
