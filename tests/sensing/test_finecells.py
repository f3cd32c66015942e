"""Weak trains of P0N#1 measured again in their samples: what filters as long as a pulse find, and what noise makes."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import gammainccinv
from scipy.stats import binom

from agent.bench.radartrial import Beside, radar_found
from sensing.detectors.finecells import TRIED_NEPERS, SampleMemory, measured_finely
from sensing.detectors.trainchecks import Course
from sim.waveforms.radar import RadarClassName

pytestmark = pytest.mark.feature("E3")
BINS, HOP, PLACES = 20, 10, 20
"""Cells of 1 us at 10 MS/s, and pulses of a train."""
PRI = 100.0
"""Frames; a tenth of the class's, so that little noise has to be made."""
FRAMES = round(PRI * (PLACES + 1))
MIDDLE = BINS // 2


def unit_noise(rng: np.random.Generator, samples: int) -> NDArray[np.complex64]:
    pairs = rng.standard_normal((samples, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    return pairs.view(np.complex64)[:, 0]


def course() -> Course:
    return Course(phase=40.0, pri=PRI, first=0, last=PLACES - 1)


def measured(iq: NDArray[Any]) -> tuple[float, int] | None:
    samples = SampleMemory()
    samples.append(iq, frame=0, drop=0, hop=HOP)
    return measured_finely(samples, course(), np.ones(len(iq) // HOP, np.float32), bin_=MIDDLE, bins=BINS)


def test_noise_makes_no_larger_sums_than_the_number_of_tries_allows() -> None:
    """Beside filters, half as many tries again as places and intervals of the search: three cells, three intervals."""
    draws, share = 400, 0.05
    tries = np.exp(TRIED_NEPERS) * 9
    limit = gammainccinv(PLACES, share / tries)
    rng = np.random.default_rng(3)
    sums = [found[0] for _ in range(draws) if (found := measured(unit_noise(rng, FRAMES * HOP))) is not None]
    assert len(sums) == draws
    assert sum(one > limit for one in sums) <= binom.ppf(0.999, draws, share)
    assert np.mean(sums) > PLACES, "the largest of many sums is above the mean of one"


@pytest.mark.parametrize("width_us", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("late", [0, 3, 5])
def test_a_pulse_between_two_cells_is_measured_whole(width_us: float, late: int) -> None:
    """Pulses of energy 8 over the noise: their mean cell is within 1.5 dB of 9 wherever they begin."""
    rng = np.random.default_rng(4)
    iq, width = unit_noise(rng, FRAMES * HOP), round(width_us * HOP)
    for place in range(PLACES):
        at = round((41.0 + place * PRI) * HOP) - width // 2 + late
        iq[at : at + width] += np.sqrt(8 / width).astype(np.float32) * np.exp(1j * rng.uniform(0, 6.28))
    found = measured(iq)
    assert found is not None
    assert found[1] == PLACES
    # Of 20 cells of mean 9 and a variance of 17 the mean is 0.92 off (rms); the surprise cuts each at log(cells).
    assert 9 / 10**0.15 - 2 * 0.92 < found[0] / PLACES < 9 + 3 * 0.92


def test_samples_are_the_same_as_whole_numbers_and_as_complex_ones_and_in_pieces() -> None:
    codes = np.random.default_rng(5).integers(-9, 10, (FRAMES * HOP, 2)).astype(np.int16)
    whole = SampleMemory()
    whole.append(codes, frame=0, drop=0, hop=HOP)
    pieces = SampleMemory()
    pieces.append(codes[:3000], frame=0, drop=0, hop=HOP)
    pieces.append(codes[3000:], frame=300 - 100, drop=100, hop=HOP)
    kept, parted = whole.part(150, 900, HOP), pieces.part(50, 800, HOP)
    assert kept is not None
    assert parted is not None
    np.testing.assert_array_equal(kept, parted)
    np.testing.assert_array_equal(kept, codes[1500:9000, 0] + 1j * codes[1500:9000, 1])


def test_what_is_not_kept_is_not_measured() -> None:
    codes = np.ones((1000, 2), np.int16)
    samples = SampleMemory()
    samples.append(codes, frame=0, drop=0, hop=HOP)
    samples.append(np.empty((0, 2), np.int16), frame=100, drop=0, hop=HOP)
    samples.append(codes, frame=200, drop=0, hop=HOP)
    assert samples.part(50, 250, HOP) is None, "a piece between them was not kept"
    assert samples.part(210, 290, HOP) is not None
    samples.append(codes, frame=0, drop=300, hop=HOP)
    assert samples.part(-90, -10, HOP) is None, "dropped"
    samples.reset()
    assert samples.part(0, 50, HOP) is None


def test_a_radar_under_traffic_that_never_stops_is_heard_by_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells of these bursts alone lack a few nepers of what makes a train no chance."""

    def heard() -> int:
        draws = [np.random.default_rng([seed, 77]) for seed in (2118, 2123, 2149)]
        found = [radar_found(rng, RadarClassName.P0N1, snr_db=20, beside=Beside.ALWAYS_ON) for rng in draws]
        return sum("P0N#1" in one for one in found)

    by_samples = heard()
    monkeypatch.setattr("sensing.detectors.weaktrains.measured_finely", lambda *_, **__: None)
    assert by_samples - heard() >= 2
