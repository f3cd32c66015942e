"""Tests that authorisation is checked before costly computation, and that each author's share of it is bounded."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from settlement.audit.verify import audit_lineage
from settlement.chain import bodies, keys, rings
from settlement.chain.codec import decode
from settlement.chain.credentials import issue
from settlement.chain.entitlement import CORNERS_MAX, outlines
from settlement.chain.records import sign_record
from settlement.chain.scope import Area, Cell, Corner, Window
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact, GroupProof, Links, verify
from settlement.pair.artifact import CORNERS_MAX as ARTIFACT_CORNERS
from settlement.pair.recognition import flaw
from settlement.state.messages import Message
from settlement.state.shares import Allowance, Share, Shares
from tests.settlement.world import (
    LAT,
    LON,
    LOWER,
    NETWORK,
    NS,
    RULE,
    T0,
    World,
    claims,
    fix,
    offered,
    scope,
)


def ring(number: int, corners: int = rings.CORNERS_MAX, radius_e7: int = 400_000) -> Area:
    """An outline round the middle of the world, slightly different for each number."""
    turn = 2 * math.pi / corners
    return Area(
        outline=tuple(
            Corner(
                lat_e7=LAT + round((radius_e7 + number) * math.cos(at * turn)),
                lon_e7=LON + round((radius_e7 + number) * math.sin(at * turn)),
            )
            for at in range(corners)
        )
    )


def outlined(count: int) -> bodies.Rule:
    """A rule with that many outlines in its budgets and shards."""
    budget = bodies.Budget(
        level="operator", commodity="cbrs", window_ns=NS, amount_hz_s=1, first_share_ppm=1, step_ppm=0
    )
    shard = bodies.Shard(name="", mode=1, authorities=(), need=0)
    budgets = tuple(replace(budget, area=ring(n)) for n in range(count // 2))
    shards = tuple(replace(shard, name=f"s{n}", area=ring(1000 + n)) for n in range(count - count // 2))
    return replace(RULE, version=2, budgets=budgets, coordination=shards)


class Counted:
    """Geodesics solved and signatures checked, from here on; what was solved before is forgotten."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.solved = self.verified = 0
        inverse, verify = rings.Geodesic.WGS84.Inverse, keys.verify

        def solving(*args: Any) -> Any:
            self.solved += 1
            return inverse(*args)

        def verifying(*args: Any) -> bool:
            self.verified += 1
            return verify(*args)

        monkeypatch.setattr(rings.Geodesic.WGS84, "Inverse", solving)
        monkeypatch.setattr(keys, "verify", verifying)

    def since(self) -> int:
        for cached in (rings._solve, rings._cartesian, rings.flaw, rings.ring_holds, rings.rings_apart):
            cached.cache_clear()
        before, self.solved = self.solved, 0
        return before


@pytest.fixture
def world(tmp_path: Path) -> World:
    return offered(tmp_path)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


@pytest.mark.attack(58)
def test_a_rule_by_a_user_is_refused_before_an_outline_is_looked_at(world: World, counted: Counted) -> None:
    raws = []
    for n in range(4):
        body = replace(outlined(8), name=f"rule {n}")
        raws.append(sign_record(world.members["bob"].key, world.frame("bob", seq=900 + n), body))
    counted.since()
    for raw in raws:
        refusal = world.give("bob", "holder", Message(record=raw).encoded(), 1.0)
        assert refusal is not None
        assert (refusal.reason, refusal.clause) == (Reason.SCOPE, "capability.6")
    assert counted.since() == 0


@pytest.mark.attack(58)
def test_an_auditor_looks_at_no_outline_of_theirs_either(world: World, counted: Counted, tmp_path: Path) -> None:
    raw = sign_record(world.members["bob"].key, world.frame("bob"), outlined(8))
    world.give("bob", "holder", Message(record=raw).encoded(), 1.0)
    world.members["holder"].party.lineage.close()
    counted.since()
    audited = audit_lineage(tmp_path / "holder.db", network="test-net", anchors=world.anchors)
    assert audited.refused == {Reason.SCOPE.value: 1}
    assert audited.findings.problems == []
    assert counted.since() == 0


@pytest.mark.attack(58)
def test_an_authority_has_a_few_outlines_in_one_record(world: World) -> None:
    assert CORNERS_MAX == 8 * rings.CORNERS_MAX
    for count, expected in ((9, Reason.TERMS), (8, None)):
        body = replace(outlined(count), previous=world.members["holder"].party.rule.hash)
        raw = world.by_authority(body, 1.0)
        refusal = world.give("alice", "holder", Message(record=raw).encoded(), 1.0)
        assert (refusal.reason if refusal else None) is expected
        if refusal is not None:
            assert (refusal.clause, refusal.measured) == ("integrity.1.corners", str(9 * rings.CORNERS_MAX))


@pytest.mark.attack(58)
def test_an_outline_that_is_none_is_refused_once_its_author_may_speak(world: World) -> None:
    a, b, c, d = ring(0, corners=4).outline or ()
    crossed = Area(outline=(a, b, d, c))
    assert crossed.flaw() is not None
    assert crossed.form_flaw() is None
    body = world.asked()
    for author, expected in (("holder", Reason.SCOPE), ("alice", Reason.MALFORMED)):
        refusal = forged(world, author, body, crossed)
        assert refusal is not None
        assert refusal.reason is expected


def forged(world: World, author: str, body: bodies.Request, area: Area) -> Refusal | None:
    """A record with an area that our own encoder would not sign."""
    import settlement.chain.scope as scoped

    held = scoped.Area.flaw
    scoped.Area.flaw = scoped.Area.form_flaw  # type: ignore[method-assign]
    try:
        body = replace(body, cell=replace(body.cell, area=area))
        raw = sign_record(world.members[author].key, world.frame(author, seq=950), body)
    finally:
        scoped.Area.flaw = held  # type: ignore[method-assign]
    return world.give(author, "holder" if author == "alice" else "bob", Message(record=raw).encoded(), 1.0)


@pytest.mark.attack(58)
def test_an_outline_that_crosses_itself_is_none() -> None:
    """Whoever signs by this program cannot make one; others can."""
    turns = ((0, 0), (9000, 9000), (0, 9000), (9000, 0))
    crossed = tuple(Corner(lat_e7=LAT + lat, lon_e7=LON + lon) for lat, lon in turns)
    cell = Cell(band=LOWER, area=Area(outline=crossed), window=Window(start_ns=T0 + NS, end_ns=T0 + 2 * NS))
    found = outlines(Mock(body=cell))
    assert found is not None
    assert (found.reason, found.clause) == (Reason.MALFORMED, "integrity.1.outline")
    assert found.required == "a whole area"


@pytest.mark.attack(58)
def test_the_dearest_request_costs_a_bounded_number_of_geodesics(world: World, counted: Counted) -> None:
    """A REQUEST of one outline of as many corners as there may be: about as many solutions as pairs of its sides."""
    body = replace(
        world.asked(), cell=Cell(band=LOWER, area=ring(7), window=Window(start_ns=T0 + NS, end_ns=T0 + 2 * NS))
    )
    raw = sign_record(world.members["alice"].key, world.frame(), body)
    counted.since()
    verified = counted.verified
    refusal = world.give("alice", "holder", Message(record=raw).encoded(), 1.0)
    assert refusal is None, refusal
    assert counted.since() <= 2 * rings.CORNERS_MAX**2
    assert counted.verified - verified <= 4


@pytest.mark.attack(58)
@pytest.mark.parametrize("what", ["rule", "envelope", "evidence", "beside"])
def test_the_dearest_records_of_other_kinds_cost_a_bounded_number_of_signatures(
    world: World, counted: Counted, what: str
) -> None:
    """By what it takes: signatures checked and geodesics solved, where one signature is what any record costs."""
    held = bodies.Envelope(
        kind="place", observed=Window(start_ns=T0, end_ns=T0 + 1), valid_until_ns=T0 + 60 * NS, level_ppm=900_000,
        looks=1, channels=(), incumbents=("radar",),
    )  # fmt: skip
    free = bodies.ChannelObservation(band=LOWER, state="busy", floor_unit="", flags=())
    one = sign_record(world.members["bob"].key, world.frame("bob", seq=800), held)
    message, signatures, solutions = {
        "rule": (world.by_authority(replace(outlined(8), previous=world.members["holder"].party.rule.hash), 1.0), 8,
                 3 * 8 * rings.CORNERS_MAX**2),
        "envelope": (sign_record(world.members["bob"].key, world.frame("bob"), replace(held, channels=(free,) * 256)),
                     4, 16),
        "evidence": (sign_record(world.members["bob"].key, world.frame("bob", seq=801), bodies.Evidence(
            reason="EQUIVOCATION", first=one, second=one)), 8, 16),
        "beside": (one, 2 * 65, 16 * 65),
    }[what]  # fmt: skip
    beside = tuple(
        sign_record(world.members["bob"].key, world.frame("bob", seq=810 + n), replace(held, looks=n))
        for n in range(64 if what == "beside" else 0)
    )
    counted.since()
    verified = counted.verified
    world.give("bob", "holder", Message(record=message, beside=beside or None).encoded(), 1.0)
    assert counted.verified - verified <= signatures
    assert counted.since() <= solutions


def test_a_recognition_rule_of_many_ways_is_measured_at_once() -> None:
    """32 nodes that each name the eight behind them: as many branches as grains of sand, and one look at each node."""
    nodes = [
        bodies.Recognition(kind="all", parts=tuple(range(n + 1, min(n + 9, 32)))) if n < 31
        else bodies.Recognition(kind="handshake")
        for n in range(32)
    ]  # fmt: skip
    refusal = flaw(nodes)
    assert refusal is not None
    assert refusal.reason is Reason.RULE_UNKNOWN


# -- a share of this node for each -------------------------------------------------------------------------------------


@pytest.mark.attack(58)
def test_whoever_costs_too_much_waits_and_nobody_else_does(world: World) -> None:
    spent = iter(range(0, 10**15, 400_000_000))  # each message takes 0.4 s of computing
    holder = world.members["holder"].party
    holder.shares = Shares(
        allowance=Allowance(work=Share(per_s=100_000_000, burst=1_000_000_000)), meter=lambda: next(spent)
    )
    told = [world.give("bob", "holder", b"noise", 1.0) for _ in range(6)]
    assert [one.reason if one else None for one in told] == [Reason.MALFORMED] * 3 + [Reason.BUDGET] * 3
    assert told[-1] is not None
    assert (told[-1].clause, "ns to wait" in told[-1].measured) == ("share.work", True)
    assert holder.shares.counted() == {"work": 3}
    honest = world.give("alice", "holder", b"noise", 1.0)
    assert honest is not None
    assert honest.reason is Reason.MALFORMED
    later = world.give("bob", "holder", b"noise", 4.0)
    assert later is not None
    assert later.reason is Reason.MALFORMED, "paid off at the bucket's rate"


def test_a_message_that_settles_is_free_of_a_few_milliseconds() -> None:
    shares = Shares(allowance=Allowance(work=Share(per_s=1, burst=10_000_000)), meter=lambda: 0)
    for _ in range(1000):
        shares.charge(b"peer", 0, work_ns=2_900_000, log_bytes=10**6, moves=True)
    assert shares.judge(b"peer", 0) is None
    shares.charge(b"peer", 0, work_ns=14_000_000, log_bytes=0, moves=True)
    assert shares.judge(b"peer", 0) is not None
    assert shares.judge(b"other", 0) is None


def test_a_clock_that_went_back_fills_nothing_and_empties_nothing() -> None:
    shares = Shares(allowance=Allowance(log=Share(per_s=10, burst=100)))
    shares.charge(b"peer", 100 * NS, work_ns=0, log_bytes=100, moves=False)
    assert shares.judge(b"peer", 50 * NS) is not None
    assert shares.judge(b"peer", 51 * NS) is None
    assert shares.judge(b"peer", 52 * NS) is None
    assert fix(1.0).time.trusted


@pytest.mark.attack(58)
@pytest.mark.parametrize(("outlines", "expected"), [(ARTIFACT_CORNERS // 32, None), (70, "credential.corners")])
def test_outlines_in_the_credentials_of_an_artifact_are_few_together(
    world: World, counted: Counted, outlines: int, expected: str | None
) -> None:
    """Somebody's true artifact, and beside it credentials of many outlines: most of them are never looked at."""
    found = decode(Artifact, world.settle(), "artifact", limit=ARTIFACT_LIMIT)
    assert isinstance(found, Artifact)
    chains = []
    for number in range(outlines):
        body = bodies.Credential(level="operator", scope=scope(("request",), tier=2, area=ring(number)))
        named = claims(world.root_key.public, f"n{number}", "root")
        raw = issue(world.root_key, world.authority, body, named, network=NETWORK, fix=fix(-8), seq=700 + number)
        chains += [Links(credentials=(world.root, raw))] * (1 if outlines > 60 else 2)
    fields = {name: getattr(found, name) for name in Artifact.__dataclass_fields__}
    beside = GroupProof(records=(found.grant,), chains=tuple(chains))
    data = Artifact(**fields | {"decided": beside}).encoded()
    counted.solved = 0
    read = verify(data, network=NETWORK, anchors=world.anchors)
    assert (read.clause if isinstance(read, Refusal) else None) == expected
    assert counted.solved < 16 * 1100, "sixteen outlines, each side against each, and no more"
