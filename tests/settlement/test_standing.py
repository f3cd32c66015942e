"""Tests that at start a node's database holds what its last step left, or the node signs nothing."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.chain import bodies
from settlement.chain.bodies import PPM, Budget, Revocation
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.lineage import Lineage, LineageError
from settlement.chain.standing import Tally
from settlement.chain.status import bits_of
from settlement.core.reasons import Reason, Refusal
from settlement.state.messages import Message
from tests.settlement.world import LOWER, NS, RULE, T0, UPPER, World, fix, trio

BUDGET = Budget(
    level="operator",
    commodity="cbrs",
    window_ns=3600 * NS,
    amount_hz_s=150_000_000,
    first_share_ppm=PPM,
    step_ppm=0,
)
HOLDER_KINDS = {"holder", "offer", "blocked", "status", "review", "neighbour", "line", "reply", "suspended", "spent"}
COUNTERS = {"fence", "fulfilled"}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A witnessed settlement, one suspended budget, one revoked user, one displaced band: every kind of state."""
    rule = replace(RULE, witness_quorum=2, budgets=(BUDGET,))
    world = trio(tmp_path_factory.mktemp("live"), rule=rule, status_index={"alice": 3, "bob": 4})
    for name in world.members:
        world.do(name, -6.0, world.members[name].party.hello)
    world.carry(-6.0)
    lists = Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=bits_of((), 32))
    world.give("bob", "holder", Message(record=world.by_authority(lists, 0.0)).encoded(), 0.0)
    world.carry(0.0)
    world.settle()
    alice, holder = world.members["alice"].party, world.members["holder"].party
    asked = alice.record_bytes(next(iter(alice.user.pairs)))
    assert asked is not None
    again = world.give("alice", "holder", Message(record=asked).encoded(), 1.1)
    assert again is not None
    assert again.reason is Reason.REPLAY
    world.request("bob", 1.2, UPPER, 2.0, 120.0)
    refused = world.carry(1.2)
    assert Reason.BUDGET in {r.reason for r in refused}
    sid = next(iter(alice.user.pairs.values())).sid
    world.do("alice", 1.3, lambda step: alice.user.report_usage(step, sid, used=None, airtime_ns=1, bursts=1))
    world.carry(1.3)
    revoked = Revocation(version=2, fresh_until_ns=T0 + 100 * NS, bits=bits_of((3,), 32))
    world.give("bob", "holder", Message(record=world.by_authority(revoked, 1.4)).encoded(), 1.4)
    until_ns = T0 + 60 * NS
    act = holder.holder.preempt
    world.do("holder", 1.5, lambda s: act(s, UPPER, tier=1, reason="INCUMBENT", until_ns=until_ns, evidence=None))
    world.carry(1.5)
    return world


def copied(world: World, name: str, folder: Path) -> Path:
    """A copy of a member's log, as a backup of the live file makes it."""
    target = folder / f"{name}.db"
    target.unlink(missing_ok=True)
    world.members[name].party.lineage._db.execute("VACUUM INTO ?", (str(target),))
    return target


def edited(path: Path, sql: str, bindings: tuple[object, ...] = ()) -> None:
    db = apsw.Connection(str(path))
    db.execute(sql, bindings)  # type: ignore[arg-type]
    db.close()


def looked_at(world: World, name: str, path: Path) -> Refusal | None:
    member = world.members[name]
    log = Lineage(path, origin=member.party.lineage.origin)
    found = log.verify(member.key.public, standing=True)
    log.close()
    return found


def test_the_history_holds_every_kind_of_state(history: World) -> None:
    db = history.members["holder"].party.lineage._db
    kinds = {kind for (kind,) in db.execute("SELECT DISTINCT kind FROM state")}
    assert kinds >= HOLDER_KINDS
    assert {name.partition(":")[0] for (name,) in db.execute("SELECT name FROM counter")} >= COUNTERS
    kinds = {kind for (kind,) in history.members["alice"].party.lineage._db.execute("SELECT DISTINCT kind FROM state")}
    assert kinds >= {"user", "heard", "artifact", "reply", "seen", "head"}


def row_edits(path: Path) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Each row of state and each counter, once taken away and once altered."""
    db = apsw.Connection(str(path))
    rows, counters = list(db.execute("SELECT kind, key FROM state")), list(db.execute("SELECT name FROM counter"))
    db.close()
    for row in rows:
        yield "DELETE FROM state WHERE kind=? AND key=?", row
        yield "UPDATE state SET value = CAST(value || x'00' AS BLOB) WHERE kind=? AND key=?", row
        yield "UPDATE state SET kind = kind || 'x' WHERE kind=? AND key=?", row
    for name in counters:
        yield "DELETE FROM counter WHERE name=?", name
        yield "UPDATE counter SET value = value - 1 WHERE name=?", name


@pytest.mark.feature("G6")
@pytest.mark.parametrize("name", ["holder", "alice"])
def test_no_row_of_state_can_be_taken_away_or_altered(history: World, tmp_path: Path, name: str) -> None:
    whole = copied(history, name, tmp_path)
    assert looked_at(history, name, whole) is None
    kept, tried = tmp_path / "kept", 0
    shutil.copy(whole, kept)
    for sql, row in row_edits(whole):
        shutil.copy(kept, whole)
        edited(whole, sql, row)
        found = looked_at(history, name, whole)
        assert found is not None, (sql, row)
        assert found.clause == "lineage.standing", (sql, row)
        tried += 1
    assert tried > 25


EDITS = {
    "all state": "DELETE FROM state",
    "one more piece": "INSERT INTO state VALUES('holder', x'00', x'00')",
    "one more counter": "INSERT INTO counter VALUES('fulfilled:00', 9)",
    "text for bytes": "UPDATE counter SET value = 'x'",
    "an author": "UPDATE leaf SET author = NULL WHERE idx = (SELECT max(idx) FROM leaf WHERE author IS NOT NULL)",
    "a number": "UPDATE leaf SET seq = seq + 1 WHERE idx = (SELECT max(idx) FROM leaf WHERE seq IS NOT NULL)",
    "a type": "UPDATE leaf SET typ = NULL WHERE idx = (SELECT max(idx) FROM leaf WHERE typ IS NOT NULL)",
    "a settlement": "UPDATE leaf SET sid = zeroblob(32) WHERE idx = (SELECT max(idx) FROM leaf WHERE sid IS NOT NULL)",
    "the signature gone": "DELETE FROM standing",
    "another size": "UPDATE standing SET size = size - 1",
    "another sum": "UPDATE standing SET rows = zeroblob(512)",
    "a short signature": "UPDATE standing SET signature = x'00'",
    "no checkpoint table": "DROP TABLE checkpoint",
}


@pytest.mark.attack(50)
@pytest.mark.parametrize("sql", EDITS.values(), ids=EDITS.keys())
def test_a_node_whose_database_was_edited_grants_nothing(history: World, tmp_path: Path, sql: str) -> None:
    edited(copied(history, "holder", tmp_path), sql)
    try:
        refusal, signed = asked_after_restart(history, tmp_path)
    except LineageError:
        return
    assert refusal is not None
    assert refusal.reason is Reason.ENTRY_MISMATCH
    assert signed == 0


@pytest.mark.attack(50)
def test_a_tail_cut_off_with_all_that_follows_from_it_is_noticed(history: World, tmp_path: Path) -> None:
    path = copied(history, "holder", tmp_path)
    edited(path, "DELETE FROM leaf WHERE idx = (SELECT max(idx) FROM leaf)")
    db = apsw.Connection(str(path))
    (size,) = db.execute("SELECT count(*) FROM leaf").fetchone() or (0,)
    db.execute("DELETE FROM node WHERE (idx + 1) << level > ?", (size,))
    db.execute("DELETE FROM checkpoint WHERE size > ?", (size,))
    db.close()
    log = Lineage(path, origin=history.members["holder"].party.lineage.origin)
    assert log.verify(history.members["holder"].key.public) is None
    log.close()
    found = looked_at(history, "holder", path)
    assert found is not None
    assert found.clause == "lineage.standing"


def asked_after_restart(history: World, folder: Path) -> tuple[Refusal | None, int]:
    """Restart the holder on the copy in `folder` and ask it for a cell that is taken; how much it signed of that."""
    live, history.folder = history.folder, folder
    before = history.members["holder"]
    try:
        history.members["holder"] = again = history.member_again("holder")
        size = again.party.lineage.size
        offer = next(iter(history.members["bob"].party.user.offers.values()))
        body = request_of(offer.declaration, offer.body)
        raw = history.do("bob", 1.6, lambda step: step.sign(body)).raw
        refusal = history.give("bob", "holder", Message(record=raw).encoded(), 1.6)
        entries = [decode_leaf(b) for b in again.party.lineage.bodies(size)]
        again.party.lineage.close()
    finally:
        history.folder, history.members["holder"] = live, before
    return refusal, sum(1 for leaf in entries if isinstance(leaf, Leaf) and leaf.admitted)


def request_of(declaration: bytes, offered: bodies.Declaration) -> bodies.Request:
    window = replace(offered.cell.window, start_ns=T0 + 3 * NS, end_ns=T0 + 5 * NS)
    return bodies.Request(
        declaration=declaration,
        cell=replace(offered.cell, band=LOWER, window=window),
        commodity="cbrs",
        tier=2,
        eirp_mdbm=10_000,
        price=offered.price,
        partial=0,
        nonce=bytes(16),
    )


@pytest.mark.feature("G6")
def test_a_restart_keeps_reservations_spent_budgets_and_fences(tmp_path: Path) -> None:
    world = trio(tmp_path, rule=replace(RULE, budgets=(replace(BUDGET, amount_hz_s=10**9),)))
    world.settle()
    before = world.members["holder"].party.lineage
    fence, spent = before.counted("fence"), dict(before._db.execute("SELECT * FROM counter"))
    before.close()
    world.members["holder"] = world.member_again("holder")
    world.request("bob", 1.5, LOWER, 3.0, 9.0)
    assert [r.reason for r in world.carry(1.5)] == [Reason.CONFLICT]
    log = world.members["holder"].party.lineage
    assert dict(log._db.execute("SELECT * FROM counter")) == spent
    world.request("bob", 1.6, UPPER, 3.0, 9.0)
    assert world.carry(1.6) == []
    fences = [pair.fence for pair in world.members["holder"].party.holder.pairs.values()]
    assert log.counted("fence") > fence
    assert len(set(fences)) == len(fences)


def test_a_step_that_fails_leaves_the_standing_of_the_one_before(tmp_path: Path) -> None:
    world = trio(tmp_path)
    world.settle()
    member = world.members["holder"]

    def fails() -> None:
        with member.party.step(fix(2.0)) as step:
            step.put("reply", b"x", b"y")
            step.count("fence")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    world.do("holder", 2.1, lambda step: step.count("fence"))
    assert member.party.lineage.verify(member.key.public, standing=True) is None


def test_what_was_found_altered_is_not_signed_again(tmp_path: Path) -> None:
    world = trio(tmp_path)
    world.settle()
    world.members["holder"].party.lineage.close()
    edited(tmp_path / "holder.db", "DELETE FROM state")
    for _ in range(2):
        again = world.members["holder"] = world.member_again("holder")
        world.do("holder", 3.0, lambda step: step.count("fence"))
        assert again.party.damaged is not None
        again.party.lineage.close()


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=4), st.binary(max_size=4)), max_size=8)


@given(rows=ROWS, order=st.randoms(use_true_random=False))
def test_the_sum_knows_rows_and_not_their_order(rows: list[tuple[str, bytes, bytes]], order: "object") -> None:
    held = {(kind, key): value for kind, key, value in rows}
    by_steps, seen = Tally(), dict[tuple[str, bytes], bytes]()
    for kind, key, value in rows:
        by_steps = by_steps.changed("state", (kind, key), seen.get((kind, key)), value)
        seen[kind, key] = value
    shuffled = list(held.items())
    shuffle: Callable[[list[object]], None] = order.shuffle  # type: ignore[attr-defined]
    shuffle(shuffled)  # type: ignore[arg-type]
    at_once = Tally()
    for name, value in shuffled:
        at_once = at_once.changed("state", name, None, value)
    assert by_steps == at_once
    assert at_once.changed("state", ("a", b"more"), None, b"") != at_once
