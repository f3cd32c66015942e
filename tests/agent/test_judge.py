"""The judge: which emissions a live settlement covers, from signed records alone."""

from dataclasses import replace

import pytest

from agent.trial.judge import Live, judge, seconds
from settlement.chain.scope import Window
from sim.oracle import Burst
from tests.settlement.world import LOWER, NS

USER = b"u" * 32


def live() -> Live:
    """Confirmed at 1 s for 2 to 12 s, leased to 5 s and, by a renewal at 4 s, to 8 s."""
    return Live(
        sid=b"s" * 32,
        user=USER,
        band=LOWER,
        window=Window(start_ns=2 * NS, end_ns=12 * NS),
        max_eirp_mdbm=20_000,
        accepted=True,
        confirmed_ns=NS,
        leases=[(NS, 5 * NS), (4 * NS, 8 * NS)],
    )


BURST = Burst(
    radio="user",
    start_ns=3 * NS,
    end_ns=3 * NS + 2_000_000,
    center_hz=3_555_000_000,
    low_hz=3_550_500_000,
    high_hz=3_559_500_000,
    eirp_dbm=18.0,
    cut_short=False,
)


def why(burst: Burst, settlement: Live) -> str:
    (judged,) = judge([burst], [settlement], stations={"user": USER}, utc_at_zero_ns=0)
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
    judged = judge([carrier, BURST], [live()], stations={"user": USER}, utc_at_zero_ns=0)
    assert seconds(judged) == pytest.approx(2.0)
