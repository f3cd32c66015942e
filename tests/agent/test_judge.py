"""The judge: which emissions a live settlement covers, from signed records alone."""

from dataclasses import replace

import pytest

from agent.trial.judge import BesideLimits, JudgedRadio, Live, judge, seconds
from agent.trial.result import warnings
from agent.words.spread import spread, spread_text
from settlement.chain.scope import Window
from sim.oracle import RadiatedBurst
from tests.settlement.world import AREA, LAT, LON, LOWER, NS

USER = b"u" * 32


def live() -> Live:
    """Confirmed at 1 s for 2 to 12 s, leased to 5 s and, by a renewal at 4 s, to 8 s."""
    return Live(
        sid=b"s" * 32,
        user=USER,
        band=LOWER,
        window=Window(start_ns=2 * NS, end_ns=12 * NS),
        max_eirp_mdbm=20_000,
        area=AREA,
        accepted=True,
        confirmed_ns=NS,
        leases=[(NS, 5 * NS), (4 * NS, 8 * NS)],
    )


BURST = RadiatedBurst(
    radio="user",
    start_ns=3 * NS,
    end_ns=3 * NS + 2_000_000,
    center_hz=3_555_000_000,
    low_hz=3_550_500_000,
    high_hz=3_559_500_000,
    eirp_dbm=18.0,
    cut_short=False,
    moment_dbm=18.5,
    peak_dbm=29.0,
    levels_mdbm=(-13_000, -25_000, -40_000),
    reaches=((-13_000, 3_550_200_000, 3_559_800_000), (-25_000, 3_549_000_000, 3_561_000_000)),
)
HERE = {"user": JudgedRadio(credential=USER, lat_e7=LAT, lon_e7=LON)}
MASK = BesideLimits(beside=((0, -13_000), (10_000_000, -25_000)), guarded=((-40_000, 3_530_000_000, 3_720_000_000),))


def why(burst: RadiatedBurst, settlement: Live) -> str:
    (judged,) = judge([burst], [settlement], stations=HERE, utc_at_zero_ns=0, service=MASK)
    return judged.why


@pytest.mark.feature("R6")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"start_ns": 2 * NS, "end_ns": 8 * NS}, ""),
        ({"start_ns": 2 * NS - 1}, "window"),
        ({"start_ns": 7 * NS, "end_ns": 8 * NS + 1}, "lease"),
        ({"end_ns": 13 * NS}, "window"),
        ({"start_ns": 8 * NS + 1, "end_ns": 8 * NS + 2}, "lease"),
        ({"low_hz": 3_549_999_999}, "band"),
        ({"high_hz": 3_560_000_001}, "band"),
        ({"eirp_dbm": 20.001}, "hotter"),
        ({"moment_dbm": 20.001}, "hotter"),
        ({"peak_dbm": 33.001}, "peaks"),
        ({"reaches": ((-13_000, 3_549_999_999, 3_559_000_000),)}, "-13 dBm/MHz"),
        ({"reaches": ((-13_000, 3_551_000_000, 3_560_000_000),)}, "-13 dBm/MHz"),
        ({"reaches": ((-25_000, 3_539_999_999, 3_559_000_000),)}, "-25 dBm/MHz"),
        ({"reaches": ((-25_000, 3_541_000_000, 3_570_000_000),)}, "-25 dBm/MHz"),
        ({"reaches": ((-40_000, 3_529_999_999, 3_559_000_000),)}, "-40 dBm/MHz"),
        ({"reaches": ()}, ""),
        ({"levels_mdbm": (-12_000,), "reaches": ()}, "dBm/MHz"),
        ({"radio": "stranger"}, "no settlement"),
    ],
)
def test_one_burst(changes: dict[str, object], expected: str) -> None:
    found = why(replace(BURST, **changes), live())  # type: ignore[arg-type]
    assert (expected in found) if expected else found == ""


def test_an_ended_settlement_covers_nothing_after_its_end() -> None:
    ended = live()
    ended.ended_ns = 3 * NS + 1_000_000
    assert "ended" in why(BURST, ended)
    assert why(replace(BURST, end_ns=3 * NS + 1_000_000), ended) == ""


def test_unconfirmed_covers_nothing() -> None:
    unconfirmed = live()
    unconfirmed.confirmed_ns = None
    assert "confirmed" in why(BURST, unconfirmed)


def test_overlapping_power_of_one_radio_counts_once() -> None:
    carrier = replace(BURST, start_ns=2 * NS, end_ns=4 * NS)
    judged = judge([carrier, BURST], [live()], stations=HERE, utc_at_zero_ns=0, service=MASK)
    assert seconds(judged) == pytest.approx(2.0)


def test_a_radio_outside_the_area_is_not_covered() -> None:
    far = {"user": replace(HERE["user"], lat_e7=LAT + 2_000_000)}
    (judged,) = judge([BURST], [live()], stations=far, utc_at_zero_ns=0, service=MASK)
    assert "area" in judged.why


def test_a_trial_in_which_nothing_happened_shows_nothing_and_says_so() -> None:
    assert warnings(2, 1.5) == []
    assert "nobody settled" in warnings(0, 0.0)[0]
    assert "nobody transmitted" in warnings(2, 0.0)[0]
    assert "nobody heard it" in warnings(2, 1.5, {"present": True, "detected": False})[0]
    assert warnings(2, 1.5, {"present": True, "detected": True}) == []
    assert warnings(2, 1.5, {"present": False, "detected": False}) == []


def test_no_percentile_of_fewer_than_twenty() -> None:
    assert spread([3.0]) == {"count": 1, "min": 3.0, "median": 3.0, "p50": None, "p99": None, "max": 3.0}
    assert spread([])["median"] is None
    assert spread([float(n) for n in range(19)])["p99"] is None
    assert spread([float(n) for n in range(20)])["p99"] == 18.81
    assert spread_text(spread([3.0])) == "3 ms, once"
    assert spread_text(spread([1.0, 2.0, 4.0])) == "min 1, median 2, max 4 ms of 3"
