"""Tests of a holder's warden granting to the base stations of its user's credential, for as long as the lease runs."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.node.loans import Lending
from radio.cbrs.book import CbsdBook
from radio.cbrs.identity import identity
from radio.cbrs.outlet import Outlet, OutletPlan, Outside
from radio.cbrs.permission import Ask, Given, Spot, Withheld
from radio.cbrs.power import density_mdbm_per_mhz
from radio.gate import Sensed
from radio.permits import HeldPermit, Permits
from settlement.chain import bodies
from settlement.chain.credentials import issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import parse
from settlement.core.reasons import Reason, Refusal, refuse
from tests.radio.test_gate import MONO, inputs
from tests.settlement.test_suspension import WAITS, incumbent, tick
from tests.settlement.world import (
    AREA,
    HOLDER_ACTIONS,
    LOWER,
    NETWORK,
    NS,
    T0,
    USER_ACTIONS,
    World,
    claims,
    fix,
    scope,
    seed,
)

pytestmark = pytest.mark.feature("R12")
DEVICE = identity("fcc1", "s1")


class Stations(World):
    """A world whose users' credentials name base stations."""

    device = DEVICE

    def credential(self, name: str, actions: tuple[str, ...], **changes: Any) -> bytes:
        if actions != USER_ACTIONS:
            return super().credential(name, actions, **changes)
        body = bodies.Credential(
            level="operator",
            scope=scope(actions, **{"tier": 2, **changes}),
            transport_key=self.transport(name),
            device=self.device,
        )
        told = claims(SigningKey.from_seed(seed(name)).public, name, "root")
        seq = next(self.numbers)
        return issue(self.root_key, self.authority, body, told, network=NETWORK, fix=fix(-8), seq=seq)


@dataclass
class HoldersWarden:
    """The holder's warden: verifies what it is handed, and what a base station may have of it."""

    world: World
    now_s: float = 3.0
    refused: list[Refusal] = field(default_factory=list)
    handed: int = 0

    def __post_init__(self) -> None:
        self.permits = Permits(network=NETWORK, anchors=self.world.anchors)
        self.plan = OutletPlan(members=frozenset({DEVICE}), horizon_ns=2 * NS, silent_within_ns=0, experimental=True)
        self.outlet = Outlet(plan=self.plan, book=CbsdBook())

    def permit(self, artifact: bytes) -> None:
        self.handed += 1
        self._note(self.permits.take(artifact, fix(self.now_s).time))

    def lease(self, record: bytes) -> None:
        parsed = parse(record)
        assert not isinstance(parsed, Refusal)
        self._note(self.permits.change(record, parsed.payload[6][1], fix(self.now_s).time))

    def withdraw(self, sid: bytes, reason: Reason, detail: str) -> None:
        self.permits.withdraw(sid, refuse(reason, "gate.6", detail, "an undisturbed settlement"))

    def _note(self, outcome: HeldPermit | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self.refused.append(outcome)

    def ask(self, at_s: float) -> Given | Withheld:
        held = self.permits.all()
        holder = self.world.members["holder"].party.identity.credential
        lat, lon = AREA.anchor
        density = density_mdbm_per_mhz(10.0, LOWER.high_hz - LOWER.low_hz)
        asked = Ask(
            device=DEVICE, grant="g", low_hz=LOWER.low_hz, high_hz=LOWER.high_hz, density_mdbm_per_mhz=density,
            spot=Spot(lat_e7=lat, lon_e7=lon, radius_mm=50_000), fresh=True,
        )  # fmt: skip
        outside = self._outside(held[0] if held else None, at_s)
        (answer,) = self.outlet.give([asked], held, frozenset({holder}), outside)
        return answer

    def _outside(self, held: HeldPermit | None, at_s: float) -> Outside:
        sensed = Sensed(listened_ns=MONO, incumbent=False)
        if held is None:
            return cast("Outside", SimpleNamespace(inputs=SimpleNamespace(now=fix(at_s))))
        base = replace(inputs(held.permit, at_s), sensed=sensed)
        return Outside(inputs=base, sensed=lambda _band: sensed, authorised_until=lambda _d, _b, _e: None)


def made(tmp_path: Path, device: str = DEVICE) -> tuple[World, HoldersWarden, Lending]:
    Stations.device = device
    terms = replace(WAITS.classes[0], vacate_ns=2 * NS)
    world = Stations(tmp_path, rule=replace(WAITS, classes=(terms, *WAITS.classes[1:])))
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS)
    world.offer()
    world.carry(0.5)
    warden = HoldersWarden(world)
    said: list[str] = []
    lending = Lending(world.members["holder"].party, frozenset({DEVICE}), warden, lambda what, _sid: said.append(what))
    return world, warden, lending


def test_a_base_station_has_what_its_holder_lends_and_no_longer(tmp_path: Path) -> None:
    world, warden, lending = made(tmp_path)
    assert isinstance(warden.ask(3.0), Withheld), "nothing is lent yet"
    world.settle(start_s=2.0, end_s=30.0)
    lending.turn()
    lending.turn()
    assert warden.handed == 1
    given = warden.ask(3.0)
    assert isinstance(given, Given), given
    (held,) = warden.permits.all()
    assert given.transmit_until_ns <= held.permit.transmit_until_ns

    incumbent(world, 5.0, 8.0)
    warden.now_s = 5.0
    lending.turn()
    suspended = warden.ask(5.1)
    assert isinstance(suspended, Withheld)
    assert (suspended.reason, suspended.over) == (Reason.SUSPENDED.value, False)
    world.carry(5.2)
    tick(world, "holder", at_s=8.5)
    warden.now_s = 8.5
    lending.turn()
    assert isinstance(warden.ask(8.6), Given), "it goes on once the incumbent left"

    before_ns = warden.permits.all()[0].permit.transmit_until_ns
    warden.now_s = (before_ns - T0) / NS - 0.2
    tick(world, "holder", at_s=warden.now_s)
    lending.turn()
    assert warden.permits.all()[0].permit.transmit_until_ns > before_ns, "a RENEW reaches the warden"
    assert warden.refused == []


@pytest.mark.parametrize("ending", ["preempted", "relinquished", "window end"])
def test_what_ended_is_given_out_no_more(tmp_path: Path, ending: str) -> None:
    world, warden, lending = made(tmp_path)
    world.settle(start_s=2.0, end_s=30.0)
    lending.turn()
    ((sid, _),) = lending.handed.items()
    assert isinstance(warden.ask(3.0), Given)
    holder, alice = world.members["holder"].party, world.members["alice"].party
    if ending == "preempted":
        world.do(
            "holder",
            4.0,
            lambda step: holder.holder.preempt(
                step, LOWER, tier=1, reason="HIGHER_TIER", until_ns=fix(9).time.latest_ns, evidence=None
            ),
        )
    elif ending == "relinquished":
        world.do("alice", 4.0, lambda step: alice.user.relinquish(step, sid, "done"))
        world.carry(4.0)
    else:
        tick(world, "holder", at_s=30.5)
    lending.turn()
    withheld = warden.ask(4.1)
    assert isinstance(withheld, Withheld), ending
    assert withheld.over
    assert lending.handed == {}


def test_only_base_stations_on_the_list_and_proven_settlements_are_handed_over(tmp_path: Path) -> None:
    world, warden, lending = made(tmp_path, device=identity("fcc1", "s9"))
    world.settle(start_s=2.0, end_s=30.0)
    lending.turn()
    assert warden.handed == 0, "the credential names another base station"
    lending.members = frozenset({DEVICE, identity("fcc1", "s9")})
    lending.turn()
    assert warden.handed == 1
    assert warden.refused == []


def test_after_a_restart_everything_that_stands_is_handed_over_again(tmp_path: Path) -> None:
    world, warden, lending = made(tmp_path)
    world.settle(start_s=2.0, end_s=30.0)
    incumbent(world, 5.0, 12.0)
    world.carry(5.0)
    lending.turn()
    assert isinstance(warden.ask(5.5), Withheld)
    again = HoldersWarden(world, now_s=5.5)
    anew = Lending(world.members["holder"].party, frozenset({DEVICE}), again, lambda _what, _sid: None)
    anew.turn()
    suspended = again.ask(5.5)
    assert isinstance(suspended, Withheld)
    assert suspended.reason == Reason.SUSPENDED.value


def test_what_is_lent_is_never_the_holders_own_radio(tmp_path: Path) -> None:
    """The permit to go by is one of this node's own: what it lends to others opens no gate of its own."""
    world, warden, lending = made(tmp_path)
    world.settle(start_s=2.0, end_s=30.0)
    lending.turn()
    holder = {world.members["holder"].party.identity.credential}
    assert warden.permits.current(fix(3.0).time, holder) is None
    assert warden.permits.current(fix(3.0).time) is not None
