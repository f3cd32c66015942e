"""Fallbacks, disputes and rulings: only about a settlement of both, and what they do to a record of fulfilment."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.records import digest, sign_record
from settlement.chain.weights import Kept, kept_by
from settlement.core.reasons import Reason
from settlement.state.messages import Message
from tests.settlement.test_succession import turn
from tests.settlement.test_taxonomy import admitted_records
from tests.settlement.world import World, fix, seed, trio


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = trio(tmp_path)
    world.settle()
    return world


def told(world: World, by: str, to: str, body: Any, seq: int = 800) -> Reason | None:
    raw = sign_record(world.members[by].key, world.frame(by, seq=seq, at=fix(1.1)), body)
    refusal = world.give(by, to, Message(record=raw).encoded(), 1.2)
    return refusal.reason if refusal else None


def settled(world: World) -> tuple[bytes, bytes]:
    (pair,) = world.members["alice"].party.user.pairs.values()
    assert pair.decision is not None
    return pair.sid, pair.decision


def dispute(world: World, **changes: Any) -> bodies.Dispute:
    sid, confirm = settled(world)
    holder = world.members["holder"].party
    base = bodies.Dispute(
        sid=sid,
        confirm=confirm,
        rule=holder.rule.hash,
        against=holder.identity.credential,
        grounds="interference",
        claim=7,
        evidence=(),
    )
    return replace(base, **changes)


def fallback(world: World, **changes: Any) -> bodies.Fallback:
    sid, confirm = settled(world)
    cell = world.members["holder"].party.holder.pairs[sid].cell
    base = bodies.Fallback(
        sid=sid, confirm=confirm, choice=0, cell=cell, from_ns=fix(1.0).time.latest_ns, notice_ns=0, reason="x", fence=1
    )
    return replace(base, **changes)


@pytest.mark.feature("E6")
@pytest.mark.parametrize(
    ("by", "changes", "reason"),
    [
        ("alice", {}, None),
        ("bob", {}, Reason.UNKNOWN_SID),
        ("alice", {"sid": seed("no settlement")}, Reason.UNKNOWN_SID),
        ("alice", {"confirm": seed("no confirm")}, Reason.TERMS),
        ("alice", {"against": seed("nobody")}, Reason.TERMS),
        ("alice", {"evidence": (seed("nothing"),)}, Reason.PROOF),
    ],
)
def test_a_dispute_is_about_a_settlement_of_its_author(
    world: World, by: str, changes: dict[str, Any], reason: Reason | None
) -> None:
    assert told(world, by, "holder", dispute(world, **changes)) is reason


def test_a_dispute_still_fits_when_a_key_was_turned(world: World) -> None:
    before = dispute(world, evidence=(settled(world)[1],))
    assert turn(world, "holder", 1.05) is None
    world.carry(1.05)
    assert told(world, "alice", "holder", before) is None


@pytest.mark.parametrize(
    ("by", "changes", "reason"),
    [
        ("holder", {}, None),
        ("holder", {"sid": seed("no settlement")}, Reason.UNKNOWN_SID),
        ("holder", {"confirm": seed("no confirm")}, Reason.TERMS),
        ("alice", {}, Reason.SCOPE),
    ],
)
def test_a_fallback_is_the_holders_over_its_own_settlement(
    world: World, by: str, changes: dict[str, Any], reason: Reason | None
) -> None:
    to = "alice" if by == "holder" else "holder"
    assert told(world, by, to, fallback(world, **changes)) is reason
    failed = world.members[to].party.lineage.counted(f"failed:{world.members[by].hash.hex()}")
    assert failed == (1 if reason is None else 0)


@pytest.mark.feature("G10")
def test_a_ruling_counts_against_whom_it_has_pay_once_and_only_on_a_dispute(world: World) -> None:
    sid, _ = settled(world)
    alice, holder = world.members["alice"], world.members["holder"].party
    body = dispute(world)
    raw = sign_record(alice.key, world.frame(seq=800, at=fix(1.1)), body)
    ruling = bodies.Ruling(
        dispute=digest(raw),
        sid=sid,
        rule=holder.rule.hash,
        outcome="dismissed",
        compensation=0,
        pays=alice.hash,
        reason="none",
    )

    def rule(seq: int) -> Reason | None:
        word = world.by_authority(ruling, 1.1, seq=seq)
        refusal = world.give("bob", "holder", Message(record=word).encoded(), 1.2)
        return refusal.reason if refusal else None

    assert rule(500) is Reason.UNKNOWN_SID
    assert world.give("alice", "holder", Message(record=raw).encoded(), 1.2) is None
    assert (rule(501), rule(502)) == (None, None)
    assert holder.lineage.counted(f"failed:{alice.hash.hex()}") == 1
    assert kept_by(admitted_records(world, "holder")) == {alice.hash: Kept(failed=1)}
