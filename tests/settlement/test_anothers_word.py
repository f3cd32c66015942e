"""Tests of obeyed observers: only inside their own band and area, at their issuer's level, for a bounded time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.codec import encode
from settlement.chain.credentials import Registry, Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import digest, sign_record
from settlement.chain.scope import Area, Band, Cell, Scope, Window
from settlement.core.reasons import Reason, Refusal
from settlement.pair.blocks import BLOCK_MAX_NS, BLOCKED, EACH_MAX
from settlement.state.messages import Message
from tests.settlement.world import (
    AREA,
    BAND,
    HOLDER_ACTIONS,
    LAT,
    LON,
    LOWER,
    NETWORK,
    NS,
    RULE,
    T0,
    UPPER,
    USER_ACTIONS,
    World,
    claims,
    fix,
    held,
    scope,
    seed,
)

HOUR_S = 3600.0
SLIVER = Band(low_hz=LOWER.low_hz, high_hz=LOWER.low_hz + 1_000_000)
THERE = Area(lat_e7=LAT + 1_260_000, lon_e7=LON, radius_mm=1_000_000)
"""A kilometre round a place 14 km north."""
HERE = Area(lat_e7=LAT, lon_e7=LON, radius_mm=5_000_000)
DAY_NS = 24 * 3600 * NS


class Delegated(World):
    """A world in which a sub-issuer has given a credential to an observer that all obey."""

    def observer(
        self, sub: Scope, *, sub_level: str = "authority", level: str = "authority", **changes: Any
    ) -> Subject | Refusal:
        """Enrol `watch`, by way of `sub`; what the registry says of it."""
        sub_key, key = SigningKey.from_seed(seed("sub")), SigningKey.from_seed(seed("watch"))
        made = issue(
            self.root_key, self.authority, bodies.Credential(level=sub_level, scope=sub),
            claims(sub_key.public, "sub", "root"), network=NETWORK, fix=fix(-8), seq=next(self.numbers),
        )  # fmt: skip
        registry = Registry(NETWORK, self.anchors)
        issuer = held(registry.admit_chain([self.root, made]))
        body = bodies.Credential(
            level=level,
            scope=replace(sub, actions=("observe",), depth=0, tier=2, **changes),
            transport_key=self.transport("watch"),
            device="device-watch",
        )
        mine = issue(sub_key, issuer, body, claims(key.public, "watch", "sub"), network=NETWORK, fix=fix(-8))
        found = registry.admit_chain([self.root, made, mine])
        if isinstance(found, Subject):
            self.chains["watch"] = (self.root, made, mine)
            for name in ("holder", "alice", "bob"):
                self.members[name].party.lineage.close()
                self.members[name] = self.member_again(name)
        self.watch, self.sub = digest(mine), digest(made)
        return found

    def says(self, body: bodies.Envelope, *, at_s: float = 1.0, lat_e7: int = LAT, seq: int = 1) -> Refusal | None:
        here = fix(at_s)
        here = replace(here, position=replace(here.position, lat_e7=lat_e7))
        frame = replace(self.frame("holder", at=here, seq=seq), author=self.watch)
        raw = sign_record(SigningKey.from_seed(seed("watch")), frame, body)
        return self.do(  # type: ignore[no-any-return]
            "holder",
            at_s,
            lambda s: self.members["holder"].party.receive(s, Message(record=raw).encoded(), self.transport("watch")),
        )

    def settled(self, area: Area, band: Band = LOWER) -> None:
        """Alice's settlement on a cell of that area."""
        self.offer()
        self.carry(0.1)
        self.wants("alice", area, band, 0.5)
        assert self.carry(0.5) == []
        assert self.live()

    def wants(self, user: str, area: Area, band: Band, at_s: float, length_s: float = 200.0) -> None:
        party = self.members[user].party
        start_ns = T0 + round((at_s + 1) * NS)
        cell = Cell(band=band, area=area, window=Window(start_ns=start_ns, end_ns=start_ns + round(length_s * NS)))
        offer = next(iter(party.user.offers.values()))
        self.do(user, at_s, lambda s: party.user.request(s, offer, cell, eirp_mdbm=20_000))

    def live(self) -> int:
        return sum(pair.live for pair in self.members["holder"].party.holder.pairs.values())


def sighted(*bands: Band, valid_ns: int = 60 * NS) -> bodies.Envelope:
    channels = tuple(bodies.ChannelObservation(band=b, state="busy", floor_unit="", flags=()) for b in bands)
    return bodies.Envelope(
        kind="place", observed=Window(start_ns=T0, end_ns=T0 + NS), valid_until_ns=T0 + NS + valid_ns,
        level_ppm=900_000, looks=1, channels=channels, incumbents=("radar",), modality="energy",
    )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Delegated:
    made = Delegated(tmp_path)
    made.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS)
    return made


def sub(**changes: Any) -> Scope:
    return scope(("issue", "observe"), **{"depth": 1, "tier": 2, **changes})


@pytest.mark.attack(64)
@pytest.mark.parametrize("band", [LOWER, BAND, UPPER, Band(low_hz=SLIVER.low_hz, high_hz=SLIVER.high_hz + 1)])
def test_an_envelope_outside_its_authors_band_is_refused_whole(world: Delegated, band: Band) -> None:
    assert isinstance(world.observer(sub(bands=(SLIVER,))), Subject)
    world.settled(AREA)
    refusal = world.says(sighted(SLIVER, band))
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.SCOPE, "capability.8.channel")
    assert "3550-3551 MHz" in refusal.required
    assert world.live()
    assert world.members["holder"].party.holder.blocked == {}


@pytest.mark.attack(64)
def test_an_envelope_reaches_no_further_than_its_authors_area(world: Delegated) -> None:
    """14 km away and 1 MHz wide: what it says there it may say, and here it changes nothing."""
    assert isinstance(world.observer(sub(bands=(SLIVER,), area=THERE)), Subject)
    world.settled(HERE)
    assert world.says(sighted(SLIVER), lat_e7=LAT + 1_260_000) is None
    assert world.live(), "nobody here is displaced"
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    world.wants("bob", HERE, UPPER, 1.2)
    world.wants("alice", replace(HERE, radius_mm=4_000_000), LOWER, 1.3)
    reasons = [one.reason for one in world.carry(1.3)]
    assert reasons == [Reason.CONFLICT], "it is taken, not protected"
    outside = world.says(sighted(SLIVER), seq=2, at_s=1.5)
    assert outside is not None
    assert outside.reason is Reason.SPATIAL_OUTSIDE


@pytest.mark.attack(64)
def test_inside_both_it_is_obeyed(world: Delegated) -> None:
    assert isinstance(world.observer(sub()), Subject)
    world.settled(HERE)
    assert world.says(sighted(LOWER)) is None
    assert not world.live()
    world.wants("bob", HERE, LOWER, 1.2)
    assert [one.reason for one in world.carry(1.2) if one.reason is not Reason.REPLAY] == [Reason.INCUMBENT]


@pytest.mark.attack(64)
def test_a_level_that_the_issuer_has_not_is_not_given(world: Delegated) -> None:
    found = world.observer(sub(), sub_level="operator", level="authority")
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.SCOPE, "scope.level")


@pytest.mark.attack(64)
@pytest.mark.parametrize(
    ("sub_level", "level", "expected"),
    [("guest", "operator", Reason.SCOPE), ("nobody", "guest", Reason.SCOPE), ("operator", "guest", None)],
)
def test_a_level_above_its_issuers_in_the_rule_says_nothing(
    tmp_path: Path, sub_level: str, level: str, expected: Reason | None
) -> None:
    guest = bodies.Level(name="guest", response="consider", weight_ppm=100, admits=tuple(bodies.BODIES))
    world = Delegated(tmp_path, rule=replace(RULE, levels=(*RULE.levels, guest)))
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS)
    assert isinstance(world.observer(sub(), sub_level=sub_level, level=level), Subject)
    refusal = world.says(sighted(LOWER))
    assert (refusal.reason if refusal else None) is expected
    if refusal is not None:
        assert refusal.clause == "capability.7.level"


@pytest.mark.attack(64)
def test_a_block_ends_and_is_said_again_or_forgotten(world: Delegated) -> None:
    assert isinstance(world.observer(sub()), Subject)
    assert world.says(sighted(LOWER, valid_ns=20 * DAY_NS)) is None
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    holder = world.members["holder"].party
    assert holder.holder.blocked == {LOWER: fix(1.0).time.latest_ns + BLOCK_MAX_NS}
    world.do("holder", HOUR_S + 2.0, holder.holder.tick)
    assert holder.holder.blocked == {}
    assert holder.lineage.items(BLOCKED) == []


@pytest.mark.attack(64)
def test_a_block_for_ever_from_a_program_of_before_is_cut(world: Delegated) -> None:
    def keep(step: Any) -> None:
        step.put(BLOCKED, encode(LOWER), (2**63 - 1).to_bytes(8, "big"))

    world.do("holder", 0.1, keep)
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    holder = world.members["holder"].party
    world.do("holder", 1.0, holder.holder.tick)
    assert holder.holder.blocked == {LOWER: fix(1.0).time.latest_ns + BLOCK_MAX_NS}
    world.do("holder", HOUR_S + 2.0, holder.holder.tick)
    assert holder.holder.blocked == {}


@pytest.mark.attack(64)
@pytest.mark.attack(65)
def test_one_author_blocks_a_bounded_number_of_bands(world: Delegated) -> None:
    assert isinstance(world.observer(sub()), Subject)
    step_hz = 50_000
    bands = [
        Band(low_hz=LOWER.low_hz + n * step_hz, high_hz=LOWER.low_hz + (n + 1) * step_hz) for n in range(EACH_MAX + 30)
    ]
    assert world.says(sighted(*bands)) is None
    holder = world.members["holder"].party
    assert len(holder.holder.blocked) == EACH_MAX
    assert len(holder.lineage.items(BLOCKED)) == EACH_MAX
    own = T0 + 60 * NS
    world.do(
        "holder", 1.1,
        lambda s: holder.holder.preempt(s, UPPER, tier=1, reason="INCUMBENT", until_ns=own, evidence=None),
    )  # fmt: skip
    assert holder.holder.blocked[UPPER] == own, "its own finding takes nobody's place"


@pytest.mark.attack(64)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"area": THERE}, Reason.SCOPE), ({"bands": (UPPER,)}, Reason.SCOPE), ({}, None)],
)
def test_an_authority_rules_on_what_was_settled_inside_its_own_scope(
    world: Delegated, changes: dict[str, Any], expected: Reason | None
) -> None:
    entitled = scope(("issue", "observe", "rule"), **{"depth": 1, "tier": 2, **changes})
    assert isinstance(world.observer(entitled), Subject)
    world.settled(HERE)
    holder, alice = world.members["holder"].party, world.members["alice"]
    (pair,) = holder.holder.pairs.values()
    assert pair.decision is not None
    dispute = bodies.Dispute(
        sid=pair.sid, confirm=pair.decision, rule=holder.rule.hash, against=holder.identity.credential,
        grounds="interference", claim=7, evidence=(),
    )  # fmt: skip
    said = sign_record(alice.key, world.frame(seq=800, at=fix(1.0)), dispute)
    assert world.give("alice", "holder", Message(record=said).encoded(), 1.0) is None
    for pays, wanted in ((alice.hash, expected), (world.watch, expected or Reason.TERMS)):
        body = bodies.Ruling(
            dispute=digest(said), sid=pair.sid, rule=holder.rule.hash, outcome="upheld", compensation=1, pays=pays,
            reason="",
        )  # fmt: skip
        frame = replace(world.frame("alice", seq=11 + (pays == alice.hash), at=fix(1.1)), author=world.sub)
        raw = sign_record(SigningKey.from_seed(seed("sub")), frame, body)
        refusal = world.give("bob", "holder", Message(record=raw).encoded(), 1.2)
        assert (refusal.reason if refusal else None) is wanted
    assert holder.lineage.counted(f"failed:{alice.hash.hex()}") == (expected is None)
    assert holder.lineage.counted(f"failed:{world.watch.hex()}") == 0


def test_a_unit_reaches_as_far_as_its_radio(world: Delegated) -> None:
    assert isinstance(world.observer(sub()), Subject)
    able = bodies.ChannelObservation(
        band=Band(low_hz=70_000_000, high_hz=6_000_000_000), state="able", floor_unit="", flags=()
    )
    body = replace(sighted(), kind="unit", channels=(able,), incumbents=(), level_ppm=1_000_000)
    assert world.says(body) is None


def test_the_rule_says_how_long_an_envelope_may_hold(tmp_path: Path) -> None:
    world = Delegated(tmp_path, rule=replace(RULE, validity_ns_max=30 * NS))
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS)
    assert isinstance(world.observer(sub()), Subject)
    refusal = world.says(sighted(LOWER, valid_ns=31 * NS))
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.TERMS, "disposition.13.validity")
    assert world.says(sighted(LOWER, valid_ns=29 * NS), seq=2) is None
