"""The oracle against signals whose power, band and time are known."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.device import Carrier, Segment
from sim.oracle import Burst, burst, leakage, measure, merged
from sim.oraclelog import Log, read_log
from sim.stations import Hardware, Station
from sim.waveforms import ofdm
from sim.waveforms.shaping import to_iq16

pytestmark = pytest.mark.feature("R6")

RATE = 30_720_000
FULL = 16_384
STATION = Station(name="s", lat_deg=0.0, lon_deg=0.0, antenna_gain_dbi=5.0, hardware=Hardware(tx_full_dbm=23.0))
SEGMENT = Segment(
    id=1, station="s", burst=1, first_sample=0, samples=61_440, start_ns=1_000_000, end_ns=3_000_000,
    center_hz=3_555_000_000, sample_rate_hz=RATE, attenuation_mdb=4_000, live=True,
)  # fmt: skip


def ofdm_codes(bandwidth_hz: int = 10_000_000) -> np.ndarray:
    iq = ofdm.generate(np.random.default_rng(1), sample_rate_hz=RATE, bandwidth_hz=bandwidth_hz, samples=61_440)
    return to_iq16(iq, full_scale=FULL, backoff_db=12)


@pytest.mark.parametrize("bandwidth_hz", sorted(ofdm.CARRIERS))
def test_occupied_bandwidth_is_the_carriers(bandwidth_hz: int) -> None:
    found = measure(ofdm_codes(bandwidth_hz), sample_rate_hz=RATE, full_scale=FULL)
    assert found is not None
    edge = ofdm.CARRIERS[bandwidth_hz] * 15e3 / 2 * 0.99
    assert found.high_hz == pytest.approx(edge, abs=2 * RATE / 1024)
    assert found.low_hz == pytest.approx(-edge, abs=2 * RATE / 1024)


def test_a_burst_is_reported_as_it_left_the_antenna() -> None:
    found = burst(SEGMENT, ofdm_codes(), STATION)
    assert found is not None
    assert found.eirp_dbm == pytest.approx(23 + 5 - 4 - 12, abs=0.05)
    assert found.start_ns == pytest.approx(1_000_000, abs=1000)
    assert found.end_ns == pytest.approx(3_000_000, abs=1000)
    assert 3_555_000_000 - 4.6e6 < found.low_hz < found.center_hz < found.high_hz < 3_555_000_000 + 4.6e6
    assert not found.cut_short


def test_padding_is_not_emission_and_silence_is_none() -> None:
    codes = np.zeros((61_440, 2), dtype=np.int16)
    codes[30_720:40_000] = ofdm_codes()[1000:10_280]
    found = burst(SEGMENT, codes, STATION)
    assert found is not None
    assert (found.start_ns, found.end_ns) == (2_000_000, 1_000_000 + 40_000 * 10**9 // RATE)
    assert found.eirp_dbm == pytest.approx(12, abs=0.5)
    assert burst(SEGMENT, np.zeros((61_440, 2), dtype=np.int16), STATION) is None
    assert measure(np.zeros((0, 2), dtype=np.int16), sample_rate_hz=RATE, full_scale=FULL) is None


def test_only_what_was_on_the_antenna_counts() -> None:
    codes = ofdm_codes()
    assert burst(replace(SEGMENT, live=False), codes, STATION) is None
    assert burst(replace(SEGMENT, end_ns=SEGMENT.start_ns), codes, STATION) is None
    loud_after = codes.copy()
    loud_after[30_720:] = 16_000
    cut = replace(SEGMENT, end_ns=2_000_000, cut_short=True)
    found = burst(cut, loud_after, STATION)
    assert found is not None
    assert found.end_ns == 2_000_000
    assert found.cut_short
    assert found.eirp_dbm == pytest.approx(12, abs=0.3)


def test_the_dac_clips_at_its_full_scale() -> None:
    codes = np.full((61_440, 2), 32_767, dtype=np.int16)
    found = burst(SEGMENT, codes, STATION)
    assert found is not None
    assert found.eirp_dbm == pytest.approx(23 + 5 - 4 + 3.01, abs=0.01)


def test_leakage_counts_only_above_its_floor() -> None:
    carrier = Carrier(id=1, station="s", start_ns=5, end_ns=10, center_hz=3_555_000_000, attenuation_mdb=10_000)
    found = leakage(carrier, STATION, floor_dbm=-40)
    assert found is not None
    assert (found.kind, found.eirp_dbm, found.start_ns, found.end_ns) == ("lo_leakage", -32.0, 5, 10)
    assert leakage(replace(carrier, attenuation_mdb=89_750), STATION, floor_dbm=-40) is None
    assert leakage(replace(carrier, end_ns=5), STATION, floor_dbm=-40) is None


@st.composite
def bursts(draw) -> list[Burst]:
    found, at = [], 0
    for _ in range(draw(st.integers(0, 20))):
        at += draw(st.integers(0, 3000))
        end = at + draw(st.integers(1, 5000))
        found.append(
            Burst(
                radio=draw(st.sampled_from("ab")), start_ns=at, end_ns=end, center_hz=100,
                low_hz=draw(st.integers(0, 99)), high_hz=draw(st.integers(101, 200)),
                eirp_dbm=draw(st.floats(-50, 30)), cut_short=draw(st.booleans()),
            )
        )  # fmt: skip
        at = end
    return found


@given(bursts(), st.integers(0, 5000))
def test_merging_keeps_time_band_and_power(found: list[Burst], gap_ns: int) -> None:
    joined = merged(reversed(found), gap_ns=gap_ns)
    for one in found:
        (home,) = [
            each
            for each in joined
            if each.radio == one.radio and each.start_ns <= one.start_ns and one.end_ns <= each.end_ns
        ]
        assert home.low_hz <= one.low_hz < one.high_hz <= home.high_hz
        assert home.eirp_dbm >= one.eirp_dbm
    for radio in "ab":
        mine = [one for one in joined if one.radio == radio]
        assert all(later.start_ns - earlier.end_ns > gap_ns for earlier, later in itertools.pairwise(mine))
    assert len(joined) <= len(found)


def test_the_log_is_whole_at_every_writing(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    log = Log(path, zero_ns=7)
    one = Burst(
        radio="a", start_ns=1, end_ns=2, center_hz=3, low_hz=4, high_hz=5, eirp_dbm=-1.5, cut_short=True, kind="burst"
    )
    leak = replace(one, kind="lo_leakage", start_ns=0)
    log.write(still_on=[], until_ns=1)
    assert read_log(path) == []
    log.add(one)
    log.write(still_on=[leak], until_ns=2)
    assert read_log(path) == [leak, one]
    log.add(replace(one, start_ns=9))
    log.write(still_on=[], until_ns=3)
    assert read_log(path) == [one, replace(one, start_ns=9)]
    log.close()
    assert [each.name for each in tmp_path.iterdir()] == ["log.json"]
