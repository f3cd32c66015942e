"""A base station that goes on after its end is heard, and told apart from silence, from others, from not knowing."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.cbrs.book import CbsdBook
from radio.cbrs.byear import (
    DOUBT,
    BandLook,
    EarFinding,
    EarVerdict,
    StationEar,
    StationEars,
    StationSpan,
    at_least,
    at_most,
)
from radio.cbrs.ends import StationEnds
from radio.cbrs.identity import identity
from radio.cbrs.outlet import Outlet, OutletPlan
from radio.cbrs.permission import Ask, Given
from radio.cbrs.wardenside import CbsdDesk, WardenView
from radio.gate import Inputs, Sensed
from radio.link import StationHeard, StationTold
from radio.permits import HeldPermit
from settlement.core.reasons import Reason
from tests.radio.cbrs.test_outlet import ask, held
from tests.radio.test_gate import inputs, permit
from tests.settlement.world import LOWER, NS, T0

pytestmark = pytest.mark.feature("R12")
__all__ = ["held", "permit"]
DEVICE = identity("fcc1", "s1")
BEGINS, ENDS, SILENT, WINDOW = 10 * NS, 20 * NS, 21 * NS, 60 * NS
SPAN = StationSpan(
    device=DEVICE,
    sid=bytes(32),
    low_hz=LOWER.low_hz,
    high_hz=LOWER.high_hz,
    since_ns=BEGINS,
    on_until_ns=ENDS,
    silent_from_ns=SILENT,
    alone_until_ns=WINDOW,
)
Sound = Callable[[float], float | None]
"""Seconds to the level that is heard then, dB; None for nothing."""


def listen(sound: Sound, *, span: StationSpan = SPAN, until_s: float = 40.0, others: str = "") -> list[EarFinding]:
    ears, found = StationEars(), []
    ears.span(span)
    for number in range(int(until_s * 50)):
        at_s = number / 50
        level = sound(at_s)
        look = BandLook(at_ns=round(at_s * NS), heard=level is not None, level_db=-90.0 if level is None else level)
        ears.ears[span.key].look(look, others)
        found += ears.findings(round(at_s * NS) + 1)
    return found


def bursts(share: float, level_db: float, from_s: float, to_s: float, seed: int = 1) -> Sound:
    rng = random.Random(seed)

    def heard(at_s: float) -> float | None:
        spread = rng.gauss(0, 1)
        return level_db + spread if from_s <= at_s < to_s and rng.random() < share else None

    return heard


@pytest.mark.parametrize("share", [1.0, 0.6, 0.2])
def test_a_base_station_that_goes_on_is_still_on_and_one_that_obeys_is_silent(share: float) -> None:
    (still,) = listen(bursts(share, -60, 10.5, 99))
    assert still.verdict is EarVerdict.STILL_ON
    assert still.like >= 5
    assert still.levels_db is not None
    assert still.levels_db[0] <= still.levels_db[1] <= still.levels_db[2]
    assert SILENT <= still.from_ns < still.to_ns
    (obeyed,) = listen(bursts(share, -60, 10.5, 20.9))
    assert obeyed.verdict is EarVerdict.SILENT, obeyed.detail


def test_false_alarms_are_as_rare_as_the_bound_says_and_misses_rarer() -> None:
    """Of 40 that obey none is blamed but for what the bound lets through, of 40 that go on nearly all are caught."""
    obeyed = [listen(bursts(0.4, -60, 10.5, 21, seed), until_s=25)[0].verdict for seed in range(40)]
    goes_on = [listen(bursts(0.4, -60, 10.5, 99, seed), until_s=27)[0].verdict for seed in range(40)]
    assert obeyed.count(EarVerdict.STILL_ON) <= 1
    assert goes_on.count(EarVerdict.STILL_ON) >= 38


def test_who_was_never_heard_while_on_is_not_called_silent() -> None:
    (found,) = listen(lambda _at_s: None)
    assert found.verdict is EarVerdict.CANNOT_TELL
    assert "0 of" in found.detail


def test_without_a_look_it_was_not_checked() -> None:
    ears = StationEars()
    ears.span(SPAN)
    assert ears.findings(SILENT + NS) == []
    (found,) = ears.findings(SILENT + 6 * NS)
    assert found.verdict is EarVerdict.NOT_CHECKED


def test_another_transmitter_is_not_taken_for_it() -> None:
    """One 20 dB weaker, radar pulses in one look of 25, and one that was there before are not the base station."""

    def weaker(at_s: float) -> float | None:
        return -60 if 10.5 <= at_s < 20.9 else -80 if at_s > 21 else None

    rng = random.Random(4)

    def radar(at_s: float) -> float | None:
        return -60 if 10.5 <= at_s < 20.9 or (at_s > 21 and rng.random() < 0.04) else None

    def before(at_s: float) -> float | None:
        return -60 if not 21 <= at_s < 21.2 else None

    assert [one.verdict for one in listen(weaker)] == [EarVerdict.SILENT]
    assert [one.verdict for one in listen(radar)] == [EarVerdict.SILENT]
    assert EarVerdict.STILL_ON not in {one.verdict for one in listen(before)}


def test_where_somebody_else_may_be_on_nobody_can_tell() -> None:
    (found,) = listen(bursts(1, -60, 10.5, 99), others="it is lent to somebody else")
    assert found.verdict is EarVerdict.CANNOT_TELL
    assert found.detail == "it is lent to somebody else"


def test_past_the_window_only_what_went_on_without_a_break_counts() -> None:
    over = replace(SPAN, alone_until_ns=SILENT)
    (found,) = listen(bursts(1, -60, 10.5, 99), span=over)
    assert found.verdict is EarVerdict.STILL_ON

    def next_one(at_s: float) -> float | None:
        return -60 if 10.5 <= at_s < 20.9 or at_s > 22 else None

    told = listen(next_one, span=over, until_s=60)
    assert EarVerdict.STILL_ON not in {one.verdict for one in told}, told


def test_one_that_comes_back_on_is_heard_and_a_new_grant_begins_anew() -> None:
    def back(at_s: float) -> float | None:
        return -60 if 10.5 <= at_s < 20.9 or at_s > 30 else None

    told = listen(back, until_s=45)
    assert [one.verdict for one in told] == [EarVerdict.SILENT, EarVerdict.STILL_ON]
    ear = StationEar(SPAN)
    ear.told = EarVerdict.STILL_ON
    ear.moves(replace(SPAN, since_ns=30 * NS, on_until_ns=40 * NS, silent_from_ns=41 * NS))
    assert ear.told is None


def test_bounds_are_the_binomial_ones() -> None:
    assert at_least(0, 10) == 0.0
    assert at_most(10, 10) == 1.0
    assert at_least(10, 10) == pytest.approx(DOUBT ** (1 / 10))
    assert at_most(0, 10) == pytest.approx(1 - DOUBT ** (1 / 10))
    assert at_least(3, 10) < 0.3 < at_most(3, 10)


# -- the warden's side -------------------------------------------------------------------------------------------------


def desk(held: HeldPermit, path: Path | None = None) -> CbsdDesk:
    book = CbsdBook(path=path)
    book.open()
    plan = OutletPlan(members=frozenset({DEVICE}), horizon_ns=2 * NS, silent_within_ns=NS, experimental=True)
    return CbsdDesk(outlet=Outlet(plan=plan, book=book))


def then(held: HeldPermit, at_s: float) -> Inputs:
    """The gate's inputs at an instant, whose monotonic clock goes on too."""
    made = inputs(held.permit, at_s)
    mono_ns = made.mono_ns + round(at_s * NS)
    sensed = Sensed(listened_ns=mono_ns, incumbent=False)
    return replace(made, mono_ns=mono_ns, heartbeat_mono_ns=mono_ns, sensed=sensed)


def view(held: HeldPermit, at_s: float) -> WardenView:
    now = then(held, at_s)
    sensed = Sensed(listened_ns=now.mono_ns, incumbent=False)
    return WardenView(inputs=now, held=[held], mine=frozenset({held.permit.user.hash}), sensed=lambda _band: sensed)


def give(one: CbsdDesk, held: HeldPermit, at_s: float, *, fresh: bool = False) -> Any:
    asked = ask(held, fresh=fresh)
    plain = {name: getattr(asked, name) for name in Ask.__slots__}
    plain["spot"] = {name: getattr(asked.spot, name) for name in asked.spot.__slots__}
    (answer,) = one.answer({"op": "give", "asks": [plain]}, view(held, at_s))
    return answer


def heard(verdict: EarVerdict = EarVerdict.STILL_ON) -> StationHeard:
    return StationHeard(
        device=DEVICE, low_hz=LOWER.low_hz, high_hz=LOWER.high_hz, verdict=verdict.value, detail="in 9 of 9 looks"
    )


def mono(held: HeldPermit, at_s: float) -> int:
    return then(held, at_s).mono_ns


def test_the_receiver_is_told_of_heartbeats_not_of_grants_and_of_every_end(held: HeldPermit) -> None:
    one = desk(held)
    give(one, held, 4.0, fresh=True)
    assert one.listen(then(held, 4.0).now.time, mono(held, 4.0)) == []
    given = give(one, held, 4.1)
    (told,) = one.listen(then(held, 4.1).now.time, mono(held, 4.1))
    assert isinstance(told, StationTold)
    assert told.since_ns == mono(held, 4.1)
    assert told.on_until_ns <= mono(held, 4.1) + given["transmit_until_ns"] - round((T0 / NS + 4.1) * NS) + 1000
    assert told.silent_from_ns >= told.on_until_ns + NS
    suspended = replace(held, permit=replace(held.permit, suspended_for="INCUMBENT"))
    assert "reason" in give(one, suspended, 4.5)
    (told,) = one.listen(then(held, 4.5).now.time, mono(held, 4.5))
    assert told.on_until_ns == mono(held, 4.5)
    assert told.silent_from_ns == mono(held, 4.5) + NS


def test_a_base_station_that_is_still_on_gets_nothing_until_a_person_clears_it(
    held: HeldPermit, tmp_path: Path
) -> None:
    one = desk(held, tmp_path / "book")
    give(one, held, 4.0)
    one.heard(heard(), mono(held, 4.5))
    assert one.status(mono(held, 4.5))["heard_after"] == {}, "it still may be on"
    one.heard(heard(EarVerdict.SILENT), mono(held, 8.0))
    (ear,) = one.status(mono(held, 8.0))["ears"]
    assert (ear["state"], ear["verdict"]) == ("ended", "silent")
    one.heard(heard(), mono(held, 8.2))
    one.outlet.book.keep()
    again = desk(held, tmp_path / "book")
    for each in (one, again):
        assert each.status(mono(held, 8.3))["heard_after"] == {DEVICE: "in 9 of 9 looks"}
        withheld = give(each, held, 8.3)
        assert withheld["reason"] == Reason.LATCHED.value
        assert not withheld["over"]
        assert not each.clear("cbsd:nobody")
        assert each.clear(DEVICE)
        assert "transmit_until_ns" in give(each, held, 8.4)


def test_where_no_receiver_speaks_it_says_not_checked(held: HeldPermit) -> None:
    one = desk(held)
    give(one, held, 4.0)
    assert one.status(mono(held, 4.5))["ears"][0]["verdict"] is None
    (ear,) = one.status(mono(held, 30.0))["ears"]
    assert (ear["state"], ear["verdict"]) == ("ended", "not checked")


def test_what_was_given_out_before_a_restart_is_listened_for(held: HeldPermit, tmp_path: Path) -> None:
    before = desk(held, tmp_path / "book")
    give(before, held, 4.0)
    before.outlet.book.keep()
    after = desk(held, tmp_path / "book")
    now = then(held, 4.2)
    assert after.listen(replace(now.now.time, trusted=False), now.mono_ns) == []
    (told,) = after.listen(now.now.time, now.mono_ns)
    assert (told.device, told.low_hz) == (DEVICE, LOWER.low_hz)
    assert told.silent_from_ns > now.mono_ns


def test_a_word_about_nothing_that_had_to_be_silent_counts_for_nothing(held: HeldPermit) -> None:
    one = desk(held)
    one.heard(heard(), mono(held, 8.0))
    one.heard(replace(heard(), verdict="loud"), mono(held, 8.0))
    assert one.status(mono(held, 8.0))["heard_after"] == {}


def test_spans_that_were_not_taken_are_told_again(held: HeldPermit) -> None:
    ends = StationEnds(NS)
    now = then(held, 4.0)
    answer = Given(sid=held.permit.sid, transmit_until_ns=T0 + 6 * NS, grant_until_ns=T0 + 9 * NS, interval_s=1)
    ends.given(ask(held), answer, held.permit.cell.window.end_ns, now.now.time, now.mono_ns)
    (span,) = ends.due(now.mono_ns)
    assert ends.due(now.mono_ns + 1) == []
    ends.untold([span])
    assert ends.due(now.mono_ns + 2) == [span]
    assert ends.due(now.mono_ns + 11 * NS) == [span]
