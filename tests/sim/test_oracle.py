"""The oracle against signals whose power, band and time are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radio.signals import ofdm
from radio.signals.shapes import to_iq16
from sim.device import BurstSegment, Carrier
from sim.oracle import RadiatedBurst, burst, leakage, measure
from sim.oraclelog import OracleLog, read_log
from sim.stations import Hardware, Station

pytestmark = pytest.mark.feature("R6")

RATE = 30_720_000
FULL = 16_384
STATION = Station(name="s", lat_deg=0.0, lon_deg=0.0, antenna_gain_dbi=5.0, hardware=Hardware(tx_full_dbm=23.0))
SEGMENT = BurstSegment(
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


def test_the_log_is_whole_at_every_writing(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    log = OracleLog(path, zero_ns=7)
    one = RadiatedBurst(
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


def tone(offset_hz: float, dbfs: float, samples: int = 61_440) -> np.ndarray:
    iq = np.exp(2j * np.pi * offset_hz / RATE * np.arange(samples)) * FULL * 10 ** (dbfs / 20)
    return np.rint(iq.astype(np.complex64).view(np.float32)).astype(np.int16).reshape(-1, 2)


def reach(codes: np.ndarray, level_mdbm: int) -> tuple[int, int] | None:
    found = burst(SEGMENT, codes, STATION, levels_mdbm=(level_mdbm,))
    assert found is not None
    return next(((low - SEGMENT.center_hz, high - SEGMENT.center_hz) for _, low, high in found.reaches), None)


@pytest.mark.attack(54)
def test_a_spur_under_one_percent_is_seen_with_its_level() -> None:
    """24 dBm full scale: a tone at -40 dBFS is -16 dBm, far under 1 % of the rest."""
    codes = ofdm_codes() + tone(7e6, -40.0)
    found = burst(SEGMENT, codes, STATION)
    assert found is not None
    assert found.high_hz < SEGMENT.center_hz + 5e6
    above, below = reach(codes, -16_500), reach(codes, -15_000)
    assert above is not None
    assert below is not None
    assert above[1] == pytest.approx(7e6, abs=3 * RATE / 2048)
    assert below[1] < 5e6


@pytest.mark.attack(54)
def test_a_short_spur_between_others_is_seen() -> None:
    codes = ofdm_codes()
    codes[30_000:30_064] = tone(9e6, -12.0, 64)
    found = reach(codes, -13_000)
    assert found is not None
    assert found[1] > 8e6


def test_a_loud_moment_is_not_averaged_away() -> None:
    codes = tone(1e6, -40.0)
    codes[10_000:12_048] = tone(1e6, -10.0, 2048)
    codes[40_000:40_010] = tone(1e6, -3.0, 10)
    found = burst(SEGMENT, codes, STATION)
    assert found is not None
    assert found.moment_dbm == pytest.approx(24 - 10, abs=0.6)
    assert found.peak_dbm == pytest.approx(24 - 3, abs=0.05)
    assert found.eirp_dbm < 24 - 20


def test_what_was_cut_off_or_plays_on_does_not_count_as_a_splash() -> None:
    codes = tone(1e6, -10.0)
    codes[:1024] = codes[:1024] * np.sin(np.linspace(0, np.pi / 2, 1024))[:, None] ** 2
    cut = replace(SEGMENT, end_ns=2_000_000, cut_short=True)
    found = burst(cut, codes, STATION, levels_mdbm=(-30_000,))
    assert found is not None
    ((_, _, high_hz),) = found.reaches
    assert high_hz - SEGMENT.center_hz < 3e6
    # The same samples with an end of their own do splash.
    ended = burst(replace(SEGMENT, samples=30_720), codes[:30_720], STATION, levels_mdbm=(-30_000,))
    assert ended is not None
    assert ended.reaches[0][2] - SEGMENT.center_hz > 5e6
