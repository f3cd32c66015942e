"""Old bytes go as the rule's classes say, their hashes stay, and every auditor says what went and by which rule."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from settlement.audit.bundle import AuditedBundle, make_bundle, verify_bundle
from settlement.audit.crosscheck import cross_check
from settlement.audit.kept import compare
from settlement.audit.verify import audit_lineage
from settlement.chain import merkle
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.prunedleaf import PrunedLeaf, decode_pruned, is_pruned
from settlement.core.reasons import Reason
from settlement.disputes.table import STORE as DISPUTES
from settlement.disputes.table import DisputeState, OpenDispute
from settlement.records.classterms import RetentionTerms
from settlement.records.grant import Grant
from settlement.records.lease import Renew
from settlement.records.registry import TYPE_OF
from settlement.state import retention
from settlement.state.messages import Message
from tests.settlement.enveloped import observe, place
from tests.settlement.world import LOWER, NETWORK, NS, RULE, TERMS, World, fix, trio

pytestmark = pytest.mark.feature("G6")
KEEP_S = 30.0
KINDS = ("envelopes", "renewals", "usage", "intents")
OVER_S = 60.0


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EVERY_NS", 0)


def lived(folder: Path, kinds: tuple[str, ...] = KINDS, *, end_s: float = 20.0) -> World:
    """A holder that looked ten times, and a settlement that was renewed again and again."""
    terms = replace(TERMS, retention=tuple(RetentionTerms(what=one, keep_ns=int(KEEP_S * NS)) for one in kinds) or None)
    world = trio(folder, rule=replace(RULE, classes=(terms,)))
    for number in range(10):
        observe(world, place(number / 10), number / 10)
    world.offer(1.0)
    world.carry(1.1)
    world.request("alice", 1.2, LOWER, 2.0, end_s)
    assert world.carry(1.2) == []
    at_s = 2.0
    while at_s < min(end_s, 20.0):
        for name in ("holder", "alice"):
            world.do(name, at_s, world.members[name].party.tick)
        world.carry(at_s)
        at_s += 0.5
    return world


def let_go(world: World, name: str = "holder", at_s: float = OVER_S, times: int = 12) -> int:
    party = world.members[name].party
    before = len(stubs(world, name))
    for n in range(times):
        world.do(name, at_s + n / 10, party.tick)
    return len(stubs(world, name)) - before


def bodies_of(world: World, name: str = "holder") -> list[bytes]:
    return list(world.members[name].party.lineage.bodies())


def stubs(world: World, name: str = "holder") -> list[PrunedLeaf]:
    found = [decode_pruned(body) for body in bodies_of(world, name) if is_pruned(body)]
    return [one for one in found if isinstance(one, PrunedLeaf)]


def audited(world: World, name: str = "holder"):  # type: ignore[no-untyped-def]
    return audit_lineage(world.folder / f"{name}.db", network=NETWORK, anchors=world.registry().anchors)


def test_old_bytes_go_and_every_proof_of_the_log_holds(tmp_path: Path) -> None:
    world = lived(tmp_path)
    log = world.members["holder"].party.lineage
    before, root, size = bodies_of(world), log.head().root, log.size
    assert let_go(world) > 10
    after = bodies_of(world)
    assert {stub.kind for stub in stubs(world)} >= {"envelopes", "renewals"}
    assert log.root_at(size) == root
    for index, body in enumerate(after[:size]):
        name = merkle.leaf_hash(before[index])
        assert merkle.verify_inclusion(name, index, log.size, log.inclusion(index), log.head().root) is None
        assert body == before[index] or (is_pruned(body) and len(body) < len(before[index]))
    assert log.verify(world.members["holder"].key.public, standing=True) is None
    found = audited(world)
    assert found.ok, found.findings.problems
    assert {one.kind for one in found.prunings.shown()} >= {"envelopes", "renewals"}
    assert all(one.rule == world.members["holder"].party.rule.hash for one in found.prunings.shown())
    assert sum(one.count for one in found.prunings.shown()) == len(stubs(world))


def test_the_last_renewal_of_a_settlement_and_all_of_its_terms_stay(tmp_path: Path) -> None:
    world = lived(tmp_path)
    count = sum(1 for body in bodies_of(world) if _is(body, Renew))
    assert count > 3
    let_go(world)
    assert sum(1 for stub in stubs(world) if stub.kind == "renewals") == count - 1
    assert sum(1 for body in bodies_of(world) if _is(body, Renew)) == 1
    assert cross_check([audited(world), audited(world, "alice")]).problems == []


def _is(body: bytes, kind: type) -> bool:
    leaf = decode_leaf(body) if not is_pruned(body) else None
    return isinstance(leaf, Leaf) and leaf.record is not None and TYPE_OF[kind].encode() in leaf.record[:200]


def test_without_terms_nothing_goes_however_old_it_is(tmp_path: Path) -> None:
    world = lived(tmp_path, ())
    assert let_go(world, at_s=3000.0) == 0
    assert stubs(world) == []


def test_what_is_not_old_enough_stays_and_goes_later(tmp_path: Path) -> None:
    world = lived(tmp_path)
    assert let_go(world, at_s=25.0) == 0
    assert let_go(world, at_s=33.0) > 0
    early = len(stubs(world))
    assert let_go(world, at_s=OVER_S) > 0
    assert len(stubs(world)) > early
    assert audited(world).ok


def test_what_a_live_settlement_has_or_rests_on_stays(tmp_path: Path) -> None:
    world = lived(tmp_path, ("usage", "intents", "envelopes"), end_s=200.0)
    log = world.members["holder"].party.lineage
    (pair,) = world.members["holder"].party.holder.busy.values()
    before = log.of_settlement(pair.sid)
    let_go(world)
    assert log.of_settlement(pair.sid)[: len(before)] == before


@pytest.mark.parametrize("name", ["holder", "alice"])
def test_replaced_renewals_of_a_live_settlement_go_and_it_lives_on(tmp_path: Path, name: str) -> None:
    world = lived(tmp_path, ("renewals",), end_s=200.0)
    count = sum(1 for body in bodies_of(world, name) if _is(body, Renew))
    assert count > 3
    at_s = 20.0
    while at_s < OVER_S:
        for one in ("holder", "alice"):
            world.do(one, at_s, world.members[one].party.tick)
        world.carry(at_s)
        at_s += 0.5
    gone = [stub for stub in stubs(world, name) if stub.kind == "renewals"]
    assert len(gone) >= count  # all that are older than the time of keeping; the settlement is in its window still
    (pair,) = world.members["holder"].party.holder.busy.values()
    newest = world.members[name].party.lineage.newest_of(pair.sid, [TYPE_OF[Renew]])
    assert newest is not None
    assert world.members[name].party.lineage.raw_of(newest[1]) is not None
    found = audited(world, name)
    assert found.ok, found.findings.problems
    world.member_again(name)
    for one in ("holder", "alice"):
        world.do(one, at_s, world.members[one].party.tick)
    world.carry(at_s)
    assert world.members["holder"].party.holder.busy
    assert cross_check([audited(world), audited(world, "alice")]).problems == []


def test_what_is_disputed_stays_until_it_is_paid(tmp_path: Path) -> None:
    world = lived(tmp_path)
    party = world.members["holder"].party
    (sid,) = party.holder.pairs
    open_one = OpenDispute(
        sid=sid, by=bytes(32), against=bytes(32), ground="x", level=0, state=DisputeState.ANSWERED, raised_ns=1
    )
    world.do("holder", 40.0, lambda step: step.put(DISPUTES, b"d" * 32, open_one.stored()))
    let_go(world)
    assert not [stub for stub in stubs(world) if stub.kind == "renewals"]
    paid = replace(open_one, state=DisputeState.PAID)
    world.do("holder", 70.0, lambda step: step.put(DISPUTES, b"d" * 32, paid.stored()))
    let_go(world, at_s=71.0)
    assert [stub for stub in stubs(world) if stub.kind == "renewals"]


def test_a_restart_a_replayed_record_and_a_bundle_meet_a_log_with_gaps(tmp_path: Path) -> None:
    world = lived(tmp_path)
    renewal = next(leaf for leaf in map(decode_leaf, bodies_of(world, "alice")) if _renewal(leaf))
    assert let_go(world, "alice") > 0
    assert let_go(world) > 0
    again = world.member_again("alice")
    assert again.party.damaged is None
    world.members["alice"] = again
    assert isinstance(renewal, Leaf)
    assert renewal.record is not None
    refusal = world.give("holder", "alice", Message(record=renewal.record).encoded(), OVER_S + 5)
    assert refusal is not None
    assert refusal.reason in (Reason.REPLAY, Reason.STALE)
    for name in ("holder", "alice"):
        member = world.members[name]
        with member.party.lineage.transaction():
            member.party.lineage.checkpoint(member.key)
    packed = make_bundle([tmp_path / "holder.db", tmp_path / "alice.db"], network=NETWORK)
    assert isinstance(packed, bytes)
    opened = verify_bundle(packed, network=NETWORK, anchors=world.registry().anchors)
    assert isinstance(opened, AuditedBundle)
    assert opened.ok, [*opened.crossed.problems, *(one for log in opened.logs for one in log.findings.problems)]
    assert all(log.prunings.shown() for log in opened.logs)


def _renewal(leaf: object) -> bool:
    return isinstance(leaf, Leaf) and leaf.record is not None and TYPE_OF[Renew].encode() in leaf.record[:200]


def test_what_the_log_decides_no_more_is_not_held_against_a_node(tmp_path: Path) -> None:
    world = lived(tmp_path)
    let_go(world)
    compared = compare(tmp_path / "holder.db", network=NETWORK, anchors=world.registry().anchors)
    assert compared.differences == ()


def edit(world: World, sql: str, values: tuple[object, ...] = ()) -> None:
    db = apsw.Connection(str(world.folder / "holder.db"))
    db.execute(sql, values)
    db.close()


def _one_more(world: World) -> None:
    """The bytes of a GRANT replaced by a stub, as if they had been let go."""
    stub = stubs(world)[0]
    log = world.members["holder"].party.lineage
    ((index, _, author, seq, body),) = log.of_type(TYPE_OF[Grant], 0, log.size)
    leaf = decode_leaf(body)
    assert isinstance(leaf, Leaf)
    forged = replace(stub, leaf=merkle.leaf_hash(body), subject=leaf.subject, author=author, seq=seq)
    edit(world, "UPDATE leaf SET body=? WHERE idx=?", (forged.encoded(), index))


def _other_time(world: World) -> None:
    index = next(i for i, body in enumerate(bodies_of(world)) if is_pruned(body))
    stub = decode_pruned(bodies_of(world)[index])
    assert isinstance(stub, PrunedLeaf)
    edit(world, "UPDATE leaf SET body=? WHERE idx=?", (replace(stub, arrived_ns=0).encoded(), index))


def _other_hash(world: World) -> None:
    index = next(i for i, body in enumerate(bodies_of(world)) if is_pruned(body))
    stub = decode_pruned(bodies_of(world)[index])
    assert isinstance(stub, PrunedLeaf)
    edit(world, "UPDATE leaf SET body=? WHERE idx=?", (replace(stub, leaf=bytes(32)).encoded(), index))


@pytest.mark.attack(50)
@pytest.mark.parametrize("forge", [_one_more, _other_time, _other_hash])
def test_a_forged_stub_is_found_by_the_node_and_by_the_auditor(tmp_path: Path, forge: Callable[[World], None]) -> None:
    world = lived(tmp_path)
    let_go(world)
    forge(world)
    assert world.members["holder"].party.lineage.verify(world.members["holder"].key.public, standing=True) is not None
    assert not audited(world).ok


@pytest.mark.attack(50)
def test_an_owner_who_lets_go_what_no_rule_lets_go_is_named(tmp_path: Path) -> None:
    """The owner signs its own state: only its record of the lot, and the rule, say that bytes may be gone."""
    world = lived(tmp_path)
    party = world.members["holder"].party
    log = party.lineage
    rows = log.of_type(TYPE_OF[Renew], 0, log.size)
    index, _, author, seq, body = rows[0]
    leaf = decode_leaf(body)
    assert isinstance(leaf, Leaf)
    stub = PrunedLeaf(
        leaf=bytes(32), subject=leaf.subject, origin=leaf.origin, arrived_ns=leaf.arrived_latest_ns,
        kind="renewals", commodity="cbrs", author=author, seq=seq,
    )  # fmt: skip
    world.do("holder", OVER_S, lambda _: log.prune(index, stub))
    assert log.verify(world.members["holder"].key.public, standing=True) is None
    problems = audited(world).findings.problems
    assert any("in no lot" in one for one in problems), problems


def test_a_pass_reads_each_old_entry_a_few_times_however_many_renewals_a_settlement_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = lived(tmp_path, ("renewals",))
    log, read = world.members["holder"].party.lineage, list[int]()
    body_of = type(log).leaf_body

    def counted(self: object, index: int) -> bytes:
        read.append(index)
        return body_of(log, index)

    monkeypatch.setattr(type(log), "leaf_body", counted)
    gone = let_go(world, times=1)
    assert gone > 3
    assert len(read) <= 4 * log.size
    assert max(read.count(index) for index in set(read)) <= 6


def test_what_is_left_of_a_pass_is_seen_to_by_the_next_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = lived(tmp_path)
    party = world.members["holder"].party
    monkeypatch.setattr(retention, "EVERY_NS", 900 * NS)
    monkeypatch.setattr(retention, "LOT_MAX", 4)
    gone = [let_go(world, at_s=OVER_S, times=1)]
    while party.retention.more:
        assert party.due(fix(OVER_S))
        assert party.next_due_ns() == 0
        gone.append(let_go(world, at_s=OVER_S, times=1))
        assert len(gone) < 40
    assert max(gone) == 4
    assert sum(gone) > 10
    assert not party.due(fix(OVER_S))
    assert party.next_due_ns() is None
    assert audited(world).ok
