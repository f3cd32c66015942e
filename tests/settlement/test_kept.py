"""Tests that a node's state beside its log equals what the log gives; a row that differs is named."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from settlement.audit.kept import Compared, compare
from settlement.chain.codec import encode
from settlement.pair.holder import HolderPair
from settlement.pair.work import stored_as
from tests.settlement.test_standing import copied, edited, history
from tests.settlement.test_succession import turn
from tests.settlement.world import LOWER, NETWORK, NS, RULE, T0, UPPER, World, trio

__all__ = ["history"]


def compared(world: World, path: Path) -> Compared:
    return compare(path, network=NETWORK, anchors=world.anchors)


def rows_of(found: Compared) -> list[str]:
    return [difference.row for difference in found.differences]


@pytest.mark.feature("G6")
@pytest.mark.parametrize("name", ["holder", "alice", "bob"])
def test_a_history_of_every_kind_retells_what_was_kept(history: World, tmp_path: Path, name: str) -> None:
    found = compared(history, copied(history, name, tmp_path))
    assert [str(d) for d in found.differences] == []
    assert found.checked >= (12 if name == "holder" else 4)


SAID = ("holder", "user", "offer", "heard", "status", "rule", "review", "reported", "suspended")


def edits(path: Path) -> Iterator[tuple[str, str, tuple[object, ...]]]:
    """Each row that the log decides, once taken away; each of its counters, once taken away and once raised."""
    db = apsw.Connection(str(path))
    rows = [row for row in db.execute("SELECT kind, key FROM state") if row[0] in SAID]
    names = [row for row in db.execute("SELECT name FROM counter") if not str(row[0]).startswith("replay")]
    db.close()
    for kind, key in rows:
        yield f"{kind} {bytes(key).hex()[:16]}", "DELETE FROM state WHERE kind=? AND key=?", (kind, key)  # type: ignore[arg-type]
    for (name,) in names:
        yield f"counter {str(name)[:48]}", "DELETE FROM counter WHERE name=?", (name,)
        yield f"counter {str(name)[:48]}", "UPDATE counter SET value = value + 1 WHERE name=?", (name,)


@pytest.mark.attack(50)
@pytest.mark.parametrize("name", ["holder", "alice"])
def test_the_row_that_was_edited_is_the_one_named(history: World, tmp_path: Path, name: str) -> None:
    whole, tried = copied(history, name, tmp_path), set()
    kept = tmp_path / "kept"
    shutil.copy(whole, kept)
    for row, sql, bindings in edits(whole):
        shutil.copy(kept, whole)
        edited(whole, sql, bindings)
        assert row in rows_of(compared(history, whole)), (sql, bindings)
        tried.add(row.split()[0])
    assert tried >= ({"holder", "counter", "suspended", "review"} if name == "holder" else {"user", "heard"})


def test_a_field_of_a_settlement_is_named_with_both_values(history: World, tmp_path: Path) -> None:
    whole = copied(history, "holder", tmp_path)
    db = apsw.Connection(str(whole))
    ((key, raw),) = list(db.execute("SELECT key, value FROM state WHERE kind='holder' LIMIT 1"))
    db.close()
    pair = stored_as(HolderPair, bytes(raw), "holder")  # type: ignore[arg-type]
    for changes, field in (({"fence": pair.fence + 1}, "fence"), ({"busy_until_ns": 0}, "busy_until_ns")):
        edited(whole, "UPDATE state SET value=? WHERE key=?", (encode(replace(pair, **changes)), key))  # type: ignore[arg-type]
        (difference,) = compared(history, whole).differences
        assert difference.row.endswith(field)
        assert str(difference).startswith("holder ")


def test_an_answer_with_another_record_is_named(history: World, tmp_path: Path) -> None:
    whole = copied(history, "holder", tmp_path)
    edited(whole, "UPDATE state SET value = x'a10141ff' WHERE kind='reply'")
    assert any(row.startswith("reply ") for row in rows_of(compared(history, whole)))


def test_what_time_alone_decided_is_no_difference(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    world = trio(tmp_path / "live")
    world.settle(end_s=12.0)
    world.request("bob", 1.5, UPPER, 3.0, 9.0)
    world.members["bob"].outgoing = []
    for name in world.members:
        for at_s in (3.6, 8.0, 20.0, 30.0):
            world.do(name, at_s, world.members[name].party.tick)
            world.carry(at_s)
    for name in world.members:
        assert compared(world, copied(world, name, tmp_path)).differences == (), name


@pytest.mark.feature("S6")
def test_a_lease_suspended_and_resumed_is_retold(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    terms = replace(RULE.classes[0], on_incumbent=1)
    world = trio(tmp_path / "live", rule=replace(RULE, classes=(terms, *RULE.classes[1:])))
    world.settle(end_s=50.0)
    holder = world.members["holder"].party.holder
    until_ns = T0 + 9 * NS
    world.do(
        "holder", 2.5, lambda s: holder.preempt(s, LOWER, tier=0, reason="INCUMBENT", until_ns=until_ns, evidence=None)
    )
    world.carry(2.5)
    for wait in (3.0, 12.0):
        for name in world.members:
            assert compared(world, copied(world, name, tmp_path)).differences == (), (name, wait)
        world.do("holder", wait, world.members["holder"].party.tick)
        world.carry(wait)
    assert {pair.renewals for pair in holder.pairs.values()} >= {2}


def test_what_is_over_may_be_forgotten_and_what_is_not_may_not(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    world = trio(tmp_path / "live")
    world.settle(end_s=12.0)
    for name in world.members:
        world.do(name, 3500.0, world.members[name].party.tick)
        assert compared(world, copied(world, name, tmp_path)).differences == (), name
    kept = copied(world, "holder", tmp_path)
    assert not world.members["holder"].party.holder.offers
    edited(kept, "DELETE FROM state WHERE kind=?", ("swept",))
    assert any(row.startswith("offer ") for row in rows_of(compared(world, kept)))


def test_a_key_turned_is_retold(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    world = trio(tmp_path / "live")
    world.settle()
    for number, name in enumerate(("alice", "holder"), 1):
        assert turn(world, name, 1.5 + number / 10) is None
        world.carry(1.5 + number / 10)
    world.offer(3.0)
    world.carry(3.0)
    for name in world.members:
        assert compared(world, copied(world, name, tmp_path)).differences == (), name
