"""An authority's word on classes and participants takes the place only of words by itself or by who sits below it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.credentials import issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, Frame, digest, sign_record
from settlement.chain.scope import Area, Window
from settlement.core.reasons import Reason, Refusal
from settlement.governing.classfile import read_class
from settlement.records.authority import Admission
from settlement.state.messages import Message
from settlement.state.shares import Allowance, Share, Shares
from tests.settlement.market.classed import STORAGE, classed, enrolled, hand, schema_raw
from tests.settlement.world import (
    HOLDER_ACTIONS,
    LAT,
    LON,
    LOWER,
    NETWORK,
    NS,
    RULE,
    T0,
    USER_ACTIONS,
    World,
    claims,
    fix,
    held,
    scope,
    seed,
)

FAR = Area(lat_e7=LAT + 1_000_000, lon_e7=LON, radius_mm=1_000_000)
"""A kilometre round a place 11 km north of everybody."""
LIFE = Window(start_ns=T0 - 3600 * NS, end_ns=T0 + 3600 * NS)


class Lower:
    """An authority below the root that every member of a world knows; it may issue and rule where nobody is."""

    def __init__(self, world: World, name: str = "lower") -> None:
        self.world, self.key = world, SigningKey.from_seed(seed(name))
        entitled = scope(("issue", "rule", "request"), **{**world.given, "depth": 1, "tier": 2, "area": FAR})
        body = bodies.Credential(level="authority", scope=entitled)
        self.raw = issue(
            world.root_key, world.authority, body, claims(self.key.public, name, "root"),
            network=NETWORK, fix=fix(-8), seq=next(world.numbers),
        )  # fmt: skip
        for member in world.members.values():
            held(member.party.registry.admit_chain([world.root, self.raw]))

    def says(self, body: Any, *, seq: int, at_s: float = -6.5) -> Refusal | None:
        """Its word, handed to the holder."""
        frame = Frame(
            network=NETWORK, author=digest(self.raw), seq=seq, previous=bytes(32), attestation=Attestation.of(fix(at_s))
        )
        found: Refusal | None = hand(self.world, "holder", sign_record(self.key, frame, body), at_s + 0.5)
        return found


def said(refusal: Refusal | None, reason: Reason, clause: str) -> None:
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (reason, clause), str(refusal)
    assert refusal.measured
    assert refusal.required


# -- classes -----------------------------------------------------------------------------------------------------------


@pytest.mark.attack(64)
def test_a_class_of_an_authority_above_is_not_replaced_from_below(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path, STORAGE), ("holder",), ("alice",))
    first, low = read_class(STORAGE), Lower(world)
    mine = replace(first, version=60_000, previous=digest(world.schemas[0]), users=1)  # type: ignore[attr-defined]
    said(low.says(mine, seq=1), Reason.SCOPE, "authority.before")
    second = replace(first, version=2, previous=digest(world.schemas[0]))  # type: ignore[attr-defined]
    assert hand(world, "holder", schema_raw(world, second, 960)) is None


@pytest.mark.attack(64)
def test_an_authority_above_begins_a_class_anew_whatever_was_said_below(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path, STORAGE), ("holder",), ("alice",), told=False)
    first = read_class(STORAGE)
    assert Lower(world).says(replace(first, version=(1 << 64) - 1, users=1), seq=1) is None
    assert hand(world, "holder", schema_raw(world, replace(first, users=1), 961)) is None


@pytest.mark.attack(64)
def test_a_class_that_the_rule_names_is_taken_whoever_spoke_of_it_first(tmp_path: Path) -> None:
    """The rule names a schema by the hash of its record: nobody has to be asked who may replace whom."""
    world = classed(tmp_path, STORAGE)
    named: bytes = world.schemas[0]  # type: ignore[attr-defined]
    enrolled(world, ("holder",), ("alice",), told=False)
    later = replace(read_class(STORAGE), version=9, users=1)
    assert hand(world, "holder", schema_raw(world, later, 970)) is None
    assert hand(world, "holder", named) is None


# -- participants ------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(tmp_path: Path) -> World:
    """A world whose rule asks for a word on every participant."""
    world = World(tmp_path, rule=replace(RULE, admission=1))
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS)
    return world


def word(world: World, who: bytes, outcome: int) -> Admission:
    rule = world.members["holder"].party.rule.hash
    return Admission(subject=who, outcome=outcome, classes=("cbrs",), window=LIFE, rule=rule)


@pytest.mark.attack(64)
@pytest.mark.parametrize("who", ["alice", "nobody known"])
@pytest.mark.parametrize("outcome", [0, 1])
def test_nobody_bars_or_admits_whom_it_does_not_stand_above(asked: World, who: str, outcome: int) -> None:
    subject = asked.members[who].hash if who in asked.members else bytes(32)
    said(Lower(asked).says(word(asked, subject, outcome), seq=1), Reason.SCOPE, "admission.author")


@pytest.mark.attack(64)
def test_a_word_from_above_is_not_undone_by_who_issued_the_credential(asked: World) -> None:
    low, key = Lower(asked), SigningKey.from_seed(seed("dave"))
    holder = asked.members["holder"].party
    body = bodies.Credential(level="operator", scope=scope(("request",), tier=2, area=FAR), device="device-dave")
    raw = issue(
        low.key, held(holder.registry.admit(low.raw)), body, claims(key.public, "dave", "lower"),
        network=NETWORK, fix=fix(-8),
    )  # fmt: skip
    held(holder.registry.admit(raw))
    assert low.says(word(asked, digest(raw), 1), seq=1) is None
    assert hand(asked, "holder", asked.by_authority(word(asked, digest(raw), 0), -5.5), -5.0) is None
    said(low.says(word(asked, digest(raw), 1), seq=2, at_s=-4.5), Reason.SCOPE, "authority.before")


@pytest.mark.attack(65)
@pytest.mark.attack(66)
def test_what_a_neighbour_passes_on_costs_its_authors_share(tmp_path: Path) -> None:
    """An authority that floods alice with lists, each passed on, would have the holder listen to her no longer."""
    world = World(tmp_path)
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS)
    low, holder = Lower(world), world.members["holder"].party
    holder.shares = Shares(allowance=Allowance(log=Share(per_s=1000, burst=20_000)))
    told = []
    for version in range(1, 12):
        body = bodies.Revocation(version=version, fresh_until_ns=T0 + 3600 * NS, bits=bytes(4000))
        frame = Frame(
            network=NETWORK,
            author=digest(low.raw),
            seq=version,
            previous=bytes(32),
            attestation=Attestation.of(fix(0.9)),
        )
        raw = sign_record(low.key, frame, body)
        told.append(world.give("alice", "holder", Message(record=raw).encoded(), 1.0))
    assert told[0] is None
    said(told[-1], Reason.BUDGET, "share.log")
    world.offer(1.1)
    world.carry(1.1)
    world.request("alice", 1.2, LOWER, 3.0, 9.0)
    assert world.carry(1.2) == [], "alice is listened to"
