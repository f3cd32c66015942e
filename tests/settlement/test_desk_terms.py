"""Tests of a rule strict about clock and place, with its own terms for the authority's desk, which has neither."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.records import sign_record
from settlement.chain.rotation import rotation_of
from settlement.chain.status import bits_of
from settlement.core.fixes import Fix, PositionSource, TimeSource
from settlement.core.reasons import Reason
from settlement.governing.rulefile import RuleFileError, read_rule
from settlement.state.messages import Message
from tests.settlement.test_rulefile import TEXT
from tests.settlement.test_succession import successor
from tests.settlement.world import NETWORK, NS, RULE, T0, World, fix, trio

DESK = bodies.DeskTerms(
    time_sources=(TimeSource.KERNEL,),
    position_sources=(PositionSource.SURVEYED,),
    time_bound_ns_max=2 * NS,
    position_radius_mm_max=1_000_000,
)


def desk_fix(at_s: float, bound_ns: int = NS) -> Fix:
    """As the desk attests: its computer's clock to a second, its place by hand."""
    here = fix(at_s, bound_ns=bound_ns)
    return replace(
        here,
        time=replace(here.time, source=TimeSource.KERNEL),
        position=replace(here.position, source=PositionSource.SURVEYED, radius_mm=1_000_000),
    )


def told(world: World, body: Any, at: Fix, by: str = "root", seq: int = 600) -> Reason | None:
    member = world.members.get(by)
    frame = world.frame("bob", seq=seq, at=at)
    if member is None:
        raw = sign_record(world.root_key, replace(frame, author=world.authority.hash), body)
    else:
        raw = sign_record(member.key, replace(frame, author=member.hash), body)
    refusal = world.give("bob" if member is None else by, "holder", Message(record=raw).encoded(), 1.0)
    return refusal.reason if refusal else None


REVOCATION = bodies.Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=bits_of((), 8))


@pytest.mark.feature("G7")
@pytest.mark.attack(36)
def test_a_desks_word_counts_by_the_terms_for_desks_and_by_no_others(tmp_path: Path) -> None:
    strict = trio(tmp_path)
    assert told(strict, REVOCATION, desk_fix(0.0)) is Reason.TIME_UNTRUSTED
    (tmp_path / "desk").mkdir()
    world = trio(tmp_path / "desk", rule=replace(RULE, desk=DESK))
    assert told(world, REVOCATION, desk_fix(0.0, 3 * NS)) is Reason.TIME_UNTRUSTED
    assert told(world, REVOCATION, desk_fix(0.0), seq=601) is None
    rule = world.members["holder"].party.rule
    after = replace(rule.rule, version=2, previous=rule.hash)
    assert told(world, after, desk_fix(0.2), seq=602) is None
    assert world.members["holder"].party.rules.newest.rule.rule.version == 2


@pytest.mark.attack(36)
@pytest.mark.attack(37)
def test_a_node_is_not_believed_by_the_terms_for_desks(tmp_path: Path) -> None:
    world = trio(tmp_path, rule=replace(RULE, desk=DESK))
    key, raw = successor(world, "alice")
    body = rotation_of(world.members["alice"].hash, raw, key, NETWORK)
    assert told(world, body, desk_fix(0.0), by="alice") is Reason.TIME_UNTRUSTED
    assert told(world, body, fix(0.0), by="alice", seq=603) is None
    envelope = bodies.Envelope(
        kind="place", observed=bodies.Window(start_ns=1, end_ns=2), valid_until_ns=3, level_ppm=1, looks=1,
        channels=(), incumbents=(),
    )  # fmt: skip
    assert told(world, envelope, desk_fix(0.9), by="bob", seq=604) is Reason.TIME_UNTRUSTED


TABLE = """
[desk]
time_sources = ["kernel"]
position_sources = ["surveyed"]
time_bound_ns_max = 2_000_000_000
position_radius_mm_max = 1_000_000
"""


def test_the_terms_are_a_table_of_the_rule() -> None:
    assert read_rule(TEXT + TABLE).desk == DESK
    assert read_rule(TEXT).desk is None
    for changed, complaint in (
        (TABLE.replace("kernel", "sundial"), "desk.time_sources: 'sundial'"),
        (TABLE.replace("time_bound", "time_bund"), "desk.time_bund_ns_max: no such key"),
        (TABLE.replace("2_000_000_000", '"two"'), "desk.time_bound_ns_max"),
    ):
        with pytest.raises(RuleFileError, match=complaint):
            read_rule(TEXT + changed)
