"""What the warden lets be given out: never wider, louder or longer than the settlement, less its time to be silent."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.cbrs import times
from radio.cbrs.above import SasAbove
from radio.cbrs.book import BookLost, CbsdBook
from radio.cbrs.calendar import Calendar, Reservation
from radio.cbrs.door import ask_of, flat
from radio.cbrs.identity import binds, identity, several
from radio.cbrs.outlet import Outlet, OutletPlan, Outside
from radio.cbrs.permission import Ask, Given, Spot, Withheld
from radio.cbrs.power import density_mdbm_per_mhz, eirp_mdbm
from radio.cbrs.wardenside import CbsdDesk, WardenView
from radio.gate import Inputs, Sensed
from radio.permits import HeldPermit
from settlement.core.reasons import Reason, refuse
from settlement.pair.artifact import VerifiedPermit
from tests.radio.test_gate import MONO, inputs, permit
from tests.settlement.world import LOWER, NS, T0

pytestmark = pytest.mark.feature("R12")
__all__ = ["permit"]
DEVICE = identity("fcc1", "s1")
PLAN = OutletPlan(members=frozenset({DEVICE}), horizon_ns=2 * NS, silent_within_ns=NS, experimental=True)


@pytest.fixture
def held(permit: VerifiedPermit) -> HeldPermit:
    """A settlement for a base station, its window from 2 s to 12 s, whose class has 3 s to vacate."""
    terms = replace(permit.terms, vacate_ns=3 * NS)
    return HeldPermit(replace(permit, user=replace(permit.user, device=DEVICE), terms=terms, max_eirp_mdbm=30_000))


def spot(held: HeldPermit) -> Spot:
    lat, lon = held.permit.cell.area.anchor
    return Spot(lat_e7=lat, lon_e7=lon, radius_mm=50_000)


def ask(held: HeldPermit, **changes: Any) -> Ask:
    density = density_mdbm_per_mhz(30.0, LOWER.high_hz - LOWER.low_hz)
    made = Ask(device=DEVICE, grant="g1", low_hz=LOWER.low_hz, high_hz=LOWER.high_hz, density_mdbm_per_mhz=density,
               spot=spot(held), fresh=True)  # fmt: skip
    return replace(made, **changes)


def outside(held: HeldPermit, at_s: float = 5.0, above: int | None = None, **changes: Any) -> Outside:
    made = replace(inputs(held.permit, at_s), **changes)
    return Outside(inputs=made, sensed=lambda _band: made.sensed, authorised_until=lambda _d, _b, _e: above)


def one(held: HeldPermit, asked: Ask | None = None, now: Outside | None = None, outlet: Outlet | None = None) -> Any:
    outlet = outlet or Outlet(plan=PLAN, book=CbsdBook())
    (answer,) = outlet.give([asked or ask(held)], [held], frozenset({held.permit.user.hash}), now or outside(held))
    return answer


def test_what_is_given_ends_before_its_horizon_and_before_the_settlement(held: HeldPermit) -> None:
    for at_s in (3.0, 5.0, 8.0, 8.4, 9.0, 9.5, 9.9):
        given = one(held, now=outside(held, at_s))
        assert isinstance(given, Given), (at_s, given)
        now = inputs(held.permit, at_s).now.time
        assert given.transmit_until_ns % NS == 0
        assert now.latest_ns < given.transmit_until_ns <= min(now.earliest_ns + 2 * NS, T0 + 11 * NS)
        assert given.transmit_until_ns <= given.grant_until_ns <= T0 + 11 * NS
        assert given.interval_s >= 1
    for at_s in (10.5, 11.5, 13.0, 1.0):
        assert isinstance(one(held, now=outside(held, at_s)), Withheld), at_s
    leased = HeldPermit(replace(held.permit, transmit_until_ns=T0 + 7 * NS))
    assert one(leased, now=outside(leased, 4.5)).transmit_until_ns <= T0 + 6 * NS


Change = Callable[[Inputs], dict[str, Any]]
CLOSED: list[tuple[str, dict[str, Any], Reason]] = [
    ("not armed", {"armed_until_mono_ns": None}, Reason.NOT_ARMED),
    ("stopped", {"latched": refuse(Reason.DRIVER, "x", "gone", "there")}, Reason.LATCHED),
    ("driver", {"driver_fault": "gone"}, Reason.DRIVER),
    ("agent silent", {"heartbeat_mono_ns": None}, Reason.HEARTBEAT),
    ("agent silent for long", {"heartbeat_mono_ns": MONO - 10 * NS}, Reason.HEARTBEAT),
    ("nothing sensed", {"sensed": None}, Reason.SENSING_STALE),
    ("incumbent", {"sensed": Sensed(listened_ns=MONO, incumbent=True)}, Reason.INCUMBENT),
]


@pytest.mark.parametrize(("name", "change", "reason"), CLOSED)
def test_what_closes_the_gate_closes_the_outlet(
    held: HeldPermit, name: str, change: dict[str, Any], reason: Reason
) -> None:
    found = one(held, now=outside(held, **change))
    assert isinstance(found, Withheld), name
    assert found.reason == reason.value


def test_an_untrusted_clock_gives_nothing(held: HeldPermit) -> None:
    now = outside(held)
    time = replace(now.inputs.now.time, trusted=False)
    found = one(held, now=replace(now, inputs=replace(now.inputs, now=replace(now.inputs.now, time=time))))
    assert found.reason == Reason.TIME_UNTRUSTED.value


def test_only_the_device_that_the_settlement_names(held: HeldPermit) -> None:
    other = identity("fcc1", "s2")
    assert one(held, ask(held, device=other)).reason == Reason.NO_PERMIT.value
    assert not one(held, ask(held, device=other)).over, "it may come"
    stranger = Outlet(plan=PLAN, book=CbsdBook())
    (answer,) = stranger.give([ask(held)], [held], frozenset({bytes(32)}), outside(held))
    assert isinstance(answer, Withheld), "a settlement between two others binds nothing here"
    assert answer.reason == Reason.NO_PERMIT.value
    (answer,) = stranger.give([ask(held)], [held], frozenset({held.permit.holder.hash}), outside(held))
    assert isinstance(answer, Given), "on the holder's side as well"
    both = several([DEVICE, other])
    assert binds(both, other, {DEVICE, other})
    assert not binds(both, other, {other})
    assert not binds(both, "cbsd:fcc1/s3", {DEVICE, other, "cbsd:fcc1/s3"})
    assert not binds(None, DEVICE, {DEVICE})


def test_a_grant_that_may_be_used_is_not_asked_for_anew_as_a_quieter_one(held: HeldPermit) -> None:
    """An endpoint that is somebody else's could so have a loud base station forgotten, and a second one beside it."""
    outlet = Outlet(plan=PLAN, book=CbsdBook())
    loud = ask(held)
    assert isinstance(one(held, loud, outlet=outlet), Given)
    for changes in (
        {"density_mdbm_per_mhz": -100_000},
        {"high_hz": loud.high_hz - 5_000_000},
        {"low_hz": loud.low_hz + 5_000_000},
    ):
        found = one(held, replace(loud, fresh=False, **changes), outlet=outlet)
        assert isinstance(found, Withheld), changes
        assert found.reason == Reason.CONFLICT.value
        assert found.over
    assert one(held, replace(loud, grant="g2"), outlet=outlet).reason == Reason.POWER.value
    assert isinstance(one(held, replace(loud, fresh=False), outlet=outlet), Given)


@pytest.mark.parametrize(
    "change",
    [
        {"grant": "g" * 65}, {"grant": ""}, {"device": "d" * 129}, {"low_hz": -1}, {"high_hz": 2**70},
        {"high_hz": 1}, {"density_mdbm_per_mhz": 2**70}, {"density_mdbm_per_mhz": -(2**40)},
        {"spot": Spot(lat_e7=2**40, lon_e7=0, radius_mm=0)}, {"spot": Spot(lat_e7=0, lon_e7=2**40, radius_mm=0)},
        {"spot": Spot(lat_e7=0, lon_e7=0, radius_mm=-1)}, {"spot": Spot(lat_e7=0, lon_e7=0, radius_mm=2**70)},
    ],
)  # fmt: skip
def test_names_and_numbers_that_no_base_station_has_are_no_ask(held: HeldPermit, change: dict[str, Any]) -> None:
    """Each of them ended the warden's loop, or left a book that could not be written again."""
    assert ask_of(flat(ask(held))) == ask(held)
    assert ask_of(flat(ask(held, **change))) is None


def test_an_endpoint_cannot_have_the_warden_remember_strangers(held: HeldPermit) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    above = SasAbove(channel=ours)
    desk = CbsdDesk(outlet=Outlet(plan=PLAN, book=CbsdBook()), above=above)
    view = WardenView(inputs=inputs(held.permit, 5.0), held=[held], mine=frozenset(), sensed=lambda _band: None)
    for name in (*(f"cbsd:fcc1/x{one}" for one in range(50)), DEVICE):
        desk.answer({"op": "registered", "device": name, "item": {}}, view)
    assert list(above._items) == [DEVICE]
    ours.close()
    theirs.close()


def test_no_wider_louder_or_elsewhere(held: HeldPermit) -> None:
    assert one(held, ask(held, high_hz=LOWER.high_hz + 1)).reason == Reason.BAND.value
    assert one(held, ask(held, low_hz=1, high_hz=2)).reason == Reason.SCOPE.value
    louder = ask(held).density_mdbm_per_mhz + 3
    assert one(held, ask(held, density_mdbm_per_mhz=louder)).reason == Reason.POWER.value
    narrow = ask(held, high_hz=LOWER.low_hz + 1_000_000, density_mdbm_per_mhz=30_000)
    assert isinstance(one(held, narrow), Given)
    far = replace(spot(held), lat_e7=spot(held).lat_e7 + 10_000_000)
    assert one(held, ask(held, spot=far)).reason == Reason.SPATIAL_OUTSIDE.value
    vague = replace(spot(held), radius_mm=10**9)
    assert one(held, ask(held, spot=vague)).reason == Reason.SPATIAL_UNDECIDED.value


def test_all_that_is_out_under_a_settlement_adds_up(held: HeldPermit) -> None:
    second = identity("fcc1", "s2")
    bound = HeldPermit(replace(held.permit, user=replace(held.permit.user, device=several([DEVICE, second]))))
    outlet = Outlet(plan=replace(PLAN, members=frozenset({DEVICE, second})), book=CbsdBook())
    half = ask(bound).density_mdbm_per_mhz - 3011
    first = ask(bound, density_mdbm_per_mhz=half)
    assert isinstance(one(bound, first, outlet=outlet), Given)
    assert isinstance(one(bound, first, outlet=outlet), Given), "its own entry does not count twice"
    assert isinstance(one(bound, replace(first, device=second, grant="g2"), outlet=outlet), Given)
    third = replace(first, grant="g3")
    assert one(bound, third, outlet=outlet).reason == Reason.POWER.value
    outlet.book.returned(DEVICE, ["g1"])
    assert isinstance(one(bound, third, outlet=outlet), Given), "what it gave back does not count for itself"
    assert one(bound, replace(first, device=second, grant="g4"), outlet=outlet).reason == Reason.POWER.value
    later = outside(bound, 9.0)
    assert isinstance(one(bound, ask(bound), later, outlet), Given), "what surely ran out is forgotten"
    assert eirp_mdbm(density_mdbm_per_mhz(30.0, 10_000_000), 10_000_000) <= 30_000


def test_the_worst_case_must_fit_the_time_to_vacate(held: HeldPermit) -> None:
    slow = Outlet(plan=replace(PLAN, silent_within_ns=60 * NS), book=CbsdBook())
    assert one(held, outlet=slow).reason == Reason.TERMS.value
    assert OutletPlan(members=frozenset()).worst_ns == 120 * NS


def test_preempted_is_over_and_suspended_may_come_back(held: HeldPermit) -> None:
    gone = replace(held, withdrawn=refuse(Reason.PREEMPTED, "gate.6", "its holder", "none"))
    assert one(gone).over
    paused = HeldPermit(replace(held.permit, suspended_for="INCUMBENT"))
    assert not one(paused).over


@pytest.mark.feature("R10")
def test_between_3550_and_3700_mhz_a_sas_above_is_needed(held: HeldPermit) -> None:
    strict = Outlet(plan=replace(PLAN, experimental=False), book=CbsdBook())
    assert one(held, outlet=strict).reason == Reason.OUTSIDE_AUTHORISATION.value
    given = one(held, now=outside(held, above=MONO + 3 * NS), outlet=strict)
    assert isinstance(given, Given)
    assert given.transmit_until_ns <= T0 + 7 * NS, "3 s from above, less 1 s to be silent in"
    deaf = outside(held, above=MONO + 5 * NS, sensed=None)
    assert isinstance(one(held, now=deaf, outlet=strict), Given), "the SAS above answers for incumbents"
    hears = outside(held, above=MONO + 5 * NS, sensed=Sensed(listened_ns=MONO, incumbent=True))
    assert one(held, now=hears, outlet=strict).reason == Reason.INCUMBENT.value


@pytest.mark.feature("R14")
def test_a_calendar_closes_before_its_reservation(held: HeldPermit) -> None:
    radar = Reservation(name="radar", band=LOWER, start_ns=T0 + 9 * NS, end_ns=T0 + 10 * NS)
    calendar = Calendar(name="a", serial=1, valid_until_ns=T0 + 100 * NS, reservations=(radar,))
    outlet = Outlet(plan=PLAN, book=CbsdBook(), calendar=lambda: calendar)
    given = one(held, now=outside(held, 5.9), outlet=outlet)
    assert given.transmit_until_ns + PLAN.silent_within_ns <= radar.start_ns
    assert one(held, now=outside(held, 6.1), outlet=outlet).reason == Reason.INCUMBENT.value
    rule = replace(held.permit.rule, incumbent_calendar=1)
    asks_for_one = HeldPermit(replace(held.permit, rule=rule))
    assert one(asks_for_one).reason == Reason.INCUMBENT.value


def test_a_device_heard_after_its_end_gets_nothing(held: HeldPermit) -> None:
    outlet = Outlet(plan=PLAN, book=CbsdBook(), heard_after={DEVICE: "-60 dBm in 3550-3560 MHz"})
    assert one(held, outlet=outlet).reason == Reason.LATCHED.value


def test_room_is_what_would_be_given(held: HeldPermit) -> None:
    outlet = Outlet(plan=PLAN, book=CbsdBook())
    mine = frozenset({held.permit.user.hash})
    (room,) = outlet.room(DEVICE, spot(held), [held], mine, outside(held))
    assert isinstance(one(held, ask(held, density_mdbm_per_mhz=room.density_mdbm_per_mhz)), Given)
    assert outlet.room(DEVICE, spot(held), [held], mine, outside(held, 11.5)) == []
    assert outlet.room("cbsd:other", spot(held), [held], mine, outside(held)) == []


def test_the_book_outlives_its_process(held: HeldPermit, tmp_path: Path) -> None:
    book = CbsdBook(path=tmp_path / "book")
    book.open()
    given = one(held, outlet=Outlet(plan=PLAN, book=book))
    book.keep()
    again = CbsdBook(path=tmp_path / "book")
    again.open()
    assert again.all() == book.all()
    (out,) = again.all()
    assert (out.device, out.transmit_until_ns) == (DEVICE, given.transmit_until_ns)
    assert out.silent_by_ns == given.transmit_until_ns + PLAN.silent_within_ns
    assert times.shown(out.transmit_until_ns)
    (tmp_path / "book").write_bytes(b"\x00")
    with pytest.raises(BookLost):
        CbsdBook(path=tmp_path / "book").open()
    lost = CbsdBook(path=tmp_path / "no" / "book")
    lost.note(out)
    with pytest.raises(BookLost):
        lost.keep()
