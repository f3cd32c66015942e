"""What several logs say of each other: one number once, both sides of each settlement, no cell twice, one tree each."""

import base64
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from settlement.audit.bundle import AuditedBundle, Bundle, BundledLog, verify_bundle
from settlement.audit.crosscheck import LiveCell, _check_numbers, cross_check
from settlement.audit.findings import SHOWN_MAX, Audited, Findings
from settlement.audit.handed import HandedChains
from settlement.audit.heads import FoundHead, Heads, LogTree, forks
from settlement.audit.heldrecords import HeldRow
from settlement.audit.verify import audit_lineage, leaves
from settlement.chain import bodies, merkle
from settlement.chain.admission import proven
from settlement.chain.checkpoint import Head, origin_of, sign_head
from settlement.chain.codec import decode, encode
from settlement.chain.credentials import Registry
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.lineage import Lineage
from settlement.chain.records import Attestation, Frame, Record, make_record, sign_record
from settlement.chain.scope import Area, Cell, Window
from settlement.core.reasons import Reason
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact
from settlement.pair.work import answer_to, settlement_id
from settlement.records.handingterms import DEPTH_MAX, TRANSFER
from settlement.records.handover import Handover, Vacated
from settlement.state.messages import Message
from tests.settlement.test_witness import QUORUM, greet
from tests.settlement.world import AREA, LAT, LOWER, NETWORK, NS, RULE, T0, TERMS, UPPER, World, fix, trio

A, B, C, D = (hashlib.sha256(name).digest() for name in (b"a", b"b", b"c", b"d"))
RADAR = bodies.Envelope(
    kind="place",
    observed=Window(start_ns=T0, end_ns=T0 + NS),
    valid_until_ns=T0 + 100 * NS,
    level_ppm=950_000,
    looks=10,
    channels=(bodies.ChannelObservation(band=UPPER, state="incumbent", floor_unit="dBm/Hz", flags=()),),
    incumbents=("radar",),
)


# -- the tree of each log against every head of it that anybody holds --------------------------------------------------


@pytest.fixture
def witnessed(tmp_path: Path) -> World:
    """A settlement whose holder's heads its neighbours cosigned, after bob told it of a radar."""
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=QUORUM))
    assert greet(world) == []
    report = world.do("bob", 0.5, lambda step: step.sign(RADAR))
    assert world.give("bob", "holder", Message(record=report.raw).encoded(), 0.5) is None
    world.settle()
    return world


def entries(world: World, name: str) -> list[bytes]:
    return list(world.members[name].party.lineage.bodies())


def log_of(world: World, name: str, kept: list[bytes]) -> BundledLog:
    """Entries under a head that their owner signs over them, whatever it left out."""
    key = world.members[name].key
    head = Head(origin=origin_of(NETWORK, key.public), size=len(kept), root=root_of(kept))
    return BundledLog(origin=head.origin, checkpoint=sign_head(head, key), entries=tuple(kept))


def root_of(kept: list[bytes]) -> bytes:
    frontier = merkle.NO_LEAVES
    for index, body in enumerate(kept):
        frontier, _ = merkle.grown(frontier, index, merkle.leaf_hash(body))
    return merkle.fold(frontier)


def without_report(world: World) -> list[bytes]:
    kept = [body for body in entries(world, "holder") if not is_report(body)]
    assert len(kept) == len(entries(world, "holder")) - 1
    return kept


def is_report(body: bytes) -> bool:
    leaf = decode_leaf(body)
    return isinstance(leaf, Leaf) and leaf.record is not None and b"bandpact/envelope" in leaf.record


def verified(world: World, *logs: BundledLog) -> AuditedBundle:
    data = encode(Bundle(network=NETWORK, logs=logs), limit=1 << 28)
    outcome = verify_bundle(data, network=NETWORK, anchors=world.anchors)
    assert isinstance(outcome, AuditedBundle)
    return outcome


@pytest.mark.attack(60)
def test_a_bundle_whose_log_is_not_what_a_neighbour_in_it_cosigned_is_a_fork(witnessed: World) -> None:
    honest = {name: log_of(witnessed, name, entries(witnessed, name)) for name in witnessed.members}
    whole = verified(witnessed, *honest.values())
    assert whole.ok, whole.crossed.problems
    forged = log_of(witnessed, "holder", without_report(witnessed))
    found = verified(witnessed, forged, honest["bob"])
    assert not found.ok
    assert found.crossed.problems[0].startswith(Reason.FORK.value)
    fork = found.crossed.forks[0]
    assert fork.origin == forged.origin
    proves(fork.size, fork.other, fork.consistency, forged)
    assert f"\n{fork.size}\n" in fork.signed


def proves(size: int, root: bytes, path: tuple[bytes, ...], log: BundledLog) -> None:
    """What is in hand really has that root at that size: by the proof, with nothing else."""
    count, whole = len(log.entries), root_of(list(log.entries))
    assert merkle.verify_consistency(size, count, root, whole, path) is None


@pytest.mark.attack(60)
def test_a_log_alone_contradicts_the_heads_its_owner_asked_others_to_cosign(witnessed: World) -> None:
    found = verified(witnessed, log_of(witnessed, "holder", without_report(witnessed)))
    assert [log.findings.problems for log in found.logs] == [[]], "each record by itself is as it was"
    assert found.crossed.problems[0].startswith("FORK: ")
    assert not found.ok


@pytest.mark.attack(60)
def test_a_folder_of_logs_is_held_against_the_proofs_that_users_keep(tmp_path: Path) -> None:
    world = trio(tmp_path)
    report = world.do("bob", 0.5, lambda step: step.sign(RADAR))
    assert world.give("bob", "holder", Message(record=report.raw).encoded(), 0.5) is None
    world.settle()
    (tmp_path / "sealed").mkdir()
    alice = world.members["alice"]
    alice.party.lineage.seal(alice.key, tmp_path / "sealed" / "alice.db")
    honest = rebuilt(world, entries(world, "holder"), tmp_path / "sealed" / "holder.db")
    forged = rebuilt(world, without_report(world), tmp_path / "sealed" / "forged.db")
    alone = tmp_path / "sealed" / "alice.db"
    assert crossed(world, honest, alone) == []
    assert crossed(world, forged, alone)[0].startswith("FORK: alice.db holds a head")


def crossed(world: World, *paths: Path) -> list[str]:
    return cross_check([audit_lineage(path, network=NETWORK, anchors=world.anchors) for path in paths]).problems


def rebuilt(world: World, kept: list[bytes], path: Path) -> Path:
    """A log of the holder with these entries and nothing kept beside them, signed and sealed by its owner."""
    member = world.members["holder"]
    registry = member.party.registry
    lineage = Lineage(path.with_suffix(".open"), origin=origin_of(NETWORK, member.key.public))
    with lineage.transaction():
        for body in kept:
            leaf = decode_leaf(body)
            assert isinstance(leaf, Leaf)
            lineage.append(leaf, proven(leaf.record, registry) if leaf.admitted and leaf.record else None)
        lineage.stand(member.key)
    lineage.seal(member.key, path)
    lineage.close()
    return path


def holders_head(witnessed: World) -> tuple[Heads, Record, Record]:
    """What finds heads, a checkpoint of the holder's, and what bob wrote under its head."""
    bob, holder = (witnessed.members[name].party for name in ("bob", "holder"))
    kept = [proven(leaf.record, bob.registry) for leaf in leaves(bob.lineage.bodies()) if leaf.admitted and leaf.record]
    asked = next(
        r for r in kept if r is not None and r.typ == "checkpoint" and r.frame.author == holder.identity.credential
    )
    wrote = next(r for r in kept if r is not None and r.typ == "cosignature" and r.body.note == asked.body.note)
    return Heads(bob.registry), asked, wrote


def test_every_record_that_carries_a_head_is_looked_at(witnessed: World) -> None:
    heads, asked, wrote = holders_head(witnessed)
    origin, size, root = asked.body.note.split("\n")[:3]
    head = Head(origin=origin, size=int(size), root=base64.b64decode(root))
    plain = FoundHead(head=head, note=asked.body.note, holder="bob.db", where="a cosignature")
    claims = {"old_size": asked.body.old_size, "proof": asked.body.proof}
    of_checkpoint = replace(plain, where="a checkpoint", **claims)
    assert list(heads.of_record(asked, "bob.db", None)) == [of_checkpoint]
    assert list(heads.of_record(asked, "bob.db", 7)) == [replace(of_checkpoint, after=7)]
    assert list(heads.of_record(wrote, "bob.db", 7)) == [plain]
    assert list(heads.of_note(asked.body.note, "bob.db")) == [replace(plain, where="what it saw as a witness")]
    other = sign_head(replace(head, root=A), witnessed.members["holder"].key)
    notes = bodies.Evidence(reason="FORK", first=asked.body.note.encode(), second=other.encode())
    shown = list(heads.of_record(replace(asked, typ="evidence", body=notes), "bob.db", None))
    assert [(one.head.root, one.where, one.holder) for one in shown] == [
        (head.root, "evidence", "bob.db"), (A, "evidence", "bob.db")]  # fmt: skip
    asked_twice = bodies.Evidence(reason="FORK", first=asked.raw, second=wrote.raw)
    shown = list(heads.of_record(replace(asked, typ="evidence", body=asked_twice), "bob.db", None))
    assert shown == [replace(plain, where="evidence", **claims)], "of records only checkpoints"
    assert list(heads.of_record(replace(wrote, typ="gate"), "bob.db", None)) == []


def test_what_a_checkpoint_claims_to_extend_comes_with_its_head(witnessed: World) -> None:
    """As a record, and as one that somebody shows as evidence."""
    heads, asked, _ = holders_head(witnessed)
    body = replace(asked.body, old_size=1, proof=(A,))
    (one,) = heads.of_record(replace(asked, body=body), "bob.db", None)
    assert (one.old_size, one.proof) == (1, (A,))
    raw = sign_record(witnessed.members["holder"].key, replace(asked.frame, seq=909), body)
    twice = bodies.Evidence(reason="FORK", first=raw, second=raw)
    shown = list(heads.of_record(replace(asked, typ="evidence", body=twice), "bob.db", None))
    assert [(one.old_size, one.proof) for one in shown] == [(1, (A,))] * 2


def test_a_head_that_its_owner_did_not_sign_is_none(witnessed: World) -> None:
    heads, asked, wrote = holders_head(witnessed)
    note = asked.body.note
    forged = (
        note.replace("bandpact/", "bandpact/x", 1),
        note[:-20] + note[-10:],
        "",
        "bandpact/test-net/00\n1\nAA==\n\n",
    )
    for one in forged:
        assert heads.opened(one) is None, one
        assert list(heads.of_record(replace(wrote, body=replace(wrote.body, note=one)), "bob.db", None)) == []
    strange = Heads(Registry(NETWORK, witnessed.anchors))
    assert strange.opened(note) is None
    garbage = bodies.Evidence(reason="FORK", first=b"\xff", second=b"\x00")
    assert list(heads.of_record(replace(asked, typ="evidence", body=garbage), "x", None)) == []
    assert (
        list(strange.of_record(replace(asked, typ="evidence", body=replace(garbage, first=asked.raw)), "x", None)) == []
    )


def test_the_head_under_a_settlements_proof_is_looked_at(tmp_path: Path) -> None:
    world = trio(tmp_path)
    artifact = world.settle()
    heads = Heads(world.registry())
    (one,) = heads.of_artifact(artifact, "alice.db")
    whole = decode(Artifact, artifact, "artifact", limit=ARTIFACT_LIMIT)
    assert isinstance(whole, Artifact)
    largest = replace(whole, derivation=(bytes(8_000),) * 16).encoded()
    assert list(heads.of_artifact(largest, "alice.db")) == [one], "however much lies beside the proof"
    assert (one.holder, one.where, one.note) == ("alice.db", "an artifact", whole.proof.checkpoint)
    assert (one.leaf, one.index) == (merkle.leaf_hash(whole.proof.leaf), whole.proof.index)
    moved = replace(whole, proof=replace(whole.proof, index=0)).encoded()
    (unproven,) = heads.of_artifact(moved, "alice.db")
    assert (unproven.head, unproven.leaf) == (one.head, None)
    assert list(heads.of_artifact(artifact[:-1], "alice.db")) == []


def found(size: int, root: bytes, origin: str = "log", old_size: int = 0, proof: tuple[bytes, ...] = ()) -> FoundHead:
    head = Head(origin=origin, size=size, root=root)
    return FoundHead(head=head, note=f"{size}", holder="bob", where="", old_size=old_size, proof=proof)


def tree(*leaves: bytes, origins: tuple[str, ...] = ("log",)) -> LogTree:
    return LogTree(origins=origins, size=len(leaves), note="newest", entries=lambda: list(leaves))


LEAVES = [bytes([n]) * 40 for n in range(9)]
OTHER = [*LEAVES[:3], b"other", *LEAVES[4:]]


def sizes(heads: list[FoundHead], *trees: LogTree) -> list[int]:
    return [fork.size for fork in forks(heads, list(trees))]


def test_every_size_is_held_against_the_tree() -> None:
    honest = [found(n, root_of(LEAVES[:n])) for n in range(1, 10)]
    assert sizes(honest, tree(*LEAVES)) == []
    assert sizes(honest, tree(*OTHER)) == [4, 5, 6, 7, 8, 9]
    assert sizes([*honest, *honest], tree(*OTHER)) == [4, 5, 6, 7, 8, 9], "each size once"
    assert sizes(honest, tree(*OTHER, origins=("another",))) == [], "another's log"
    assert sizes([found(3, A, origin="old")], tree(*LEAVES, origins=("log", "old"))) == [3], "a key before"
    assert sizes([found(0, merkle.EMPTY_ROOT)], tree(*LEAVES)) == []


def test_a_log_that_is_shorter_than_it_was_when_its_owner_signed_is_told_of() -> None:
    longer = replace(found(9, root_of(LEAVES)), after=8)
    assert sizes([longer], tree(*LEAVES[:8])) == [9]
    assert sizes([replace(longer, after=9)], tree(*LEAVES[:8])) == []
    assert sizes([replace(longer, after=None)], tree(*LEAVES[:8])) == [], "a copy of before"
    seen = replace(found(9, root_of(LEAVES)), leaf=merkle.leaf_hash(LEAVES[7]), index=7)
    assert sizes([seen], tree(*LEAVES[:8])) == []
    assert sizes([seen], tree(*LEAVES[:7])) == [], "a copy of before"
    assert sizes([seen], tree(*LEAVES[1:8])) == [9], "one before it was taken out"
    assert sizes([seen], tree(*LEAVES[:7], b"another in its place")) == [9]


def test_two_heads_of_one_size_contradict_without_any_tree() -> None:
    assert sizes([found(4, A), found(5, A), found(4, B), found(4, C)]) == [4]
    assert sizes([found(4, A), found(4, B, origin="another")]) == []
    (fork,) = forks([found(4, A), found(4, B)], [])
    assert str(fork) == "FORK: bob holds a head of log at 4, signed by its owner; at 4 other signed heads say otherwise"


def test_a_part_of_a_log_is_held_against_what_claims_to_extend_it() -> None:
    nodes = {(lv, i): h for lv, i, h in _nodes(LEAVES)}
    proof = merkle.consistency_proof(5, 9, lambda lv, i: nodes[lv, i])
    later = found(9, root_of(LEAVES), old_size=5, proof=proof)
    assert sizes([later], tree(*LEAVES[:6])) == []
    assert sizes([later], tree(*OTHER[:6])) == [5]
    assert sizes([later], tree(*OTHER[:4])) == [], "too short to say"
    (fork,) = forks([later], [tree(*OTHER[:6])])
    assert str(fork) == "FORK: bob holds a head of log at 9, signed by its owner; at 5 the entries here say otherwise"
    proves(5, fork.other, fork.consistency, BundledLog(origin="log", checkpoint="", entries=tuple(OTHER[:6])))


@pytest.mark.parametrize("old_size", [1, 5])
def test_what_is_claimed_of_the_first_entry_and_of_all_that_are_here_counts(old_size: int) -> None:
    nodes = {(lv, i): h for lv, i, h in _nodes(LEAVES)}
    proof = merkle.consistency_proof(old_size, 9, lambda lv, i: nodes[lv, i])
    later = found(9, root_of(LEAVES), old_size=old_size, proof=proof)
    changed = [b"other", *LEAVES[1:old_size]]
    assert sizes([later], tree(*LEAVES[:old_size])) == []
    assert sizes([later], tree(*changed)) == [old_size]


def test_a_fork_has_both_heads_and_what_proves_them_apart() -> None:
    (fork,) = forks([found(4, A), replace(found(4, B), note="later")], [])
    assert (fork.signed, fork.other, fork.other_note, fork.consistency) == ("later", A, "4", ())
    for size in (1, 4, 9):
        (fork,) = forks([found(size, A)], [tree(*LEAVES)])
        assert (fork.signed, fork.other_note, fork.holder) == (f"{size}", "newest", "bob")
        proves(size, fork.other, fork.consistency, BundledLog(origin="log", checkpoint="", entries=tuple(LEAVES)))
    (fork,) = forks([found(0, A)], [tree(*LEAVES)])
    assert (fork.size, fork.other, fork.consistency) == (0, merkle.EMPTY_ROOT, ()), "of no entries there is one tree"


def _nodes(leaves: list[bytes]) -> Iterator[tuple[int, int, bytes]]:
    held: dict[tuple[int, int], bytes] = {}
    for index, body in enumerate(leaves):
        for level, at, value in merkle.new_nodes(index, merkle.leaf_hash(body), lambda lv, i: held[lv, i]):
            held[level, at] = value
            yield level, at, value


def test_forks_are_told_first_and_not_without_end() -> None:
    many = [found(n, one) for n in range(1, 2 * SHOWN_MAX) for one in (A, B)]
    findings = cross_check([Audited(path=Path("x"), origin="log", heads=many)])
    assert len(findings.forks) == len(findings.problems) == SHOWN_MAX


# -- settlements -----------------------------------------------------------------------------------------------------


CELL = Cell(band=LOWER, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 10 * NS))
HERE = Attestation.of(fix(1.0))
ANYBODY = SigningKey.from_seed(bytes(32))
"""Signs for everyone: whose key it was is asked before anything is compared."""


class Story:
    """The records of one settlement, as two logs may hold them."""

    def __init__(
        self,
        number: int,
        cell: Cell = CELL,
        confirmed_s: float = 1.0,
        pair: tuple[bytes, bytes] = (A, B),
        **changes: dict[str, Any],
    ) -> None:
        self.number, self.cell, self.changes = number, cell, changes
        nonce, (self.holder, self.user) = bytes([number]) * 16, pair
        self.sid = settlement_id(self.holder, self.user, nonce, cell)
        self.grant = self.record("grant", self.holder, self._grant(nonce))
        answer = answer_to(C, self.grant.digest)
        taken = bodies.Accept(sid=self.sid, grant=self.grant.digest, answer=answer)
        self.accept = self.record("accept", self.user, replace(taken, **changes.get("accept", {})))
        decided = bodies.Confirm(
            sid=self.sid,
            grant=self.grant.digest,
            accept=self.accept.digest,
            transmit_until_ns=T0 + 3 * NS,
            fence=1,
        )
        at = Attestation.of(fix(confirmed_s))
        self.confirm = self.record("confirm", self.holder, replace(decided, **changes.get("confirm", {})), at)

    def _grant(self, nonce: bytes) -> bodies.Grant:
        base = bodies.Grant(
            sid=self.sid, request=C, user=self.user, nonce=nonce, cell=self.cell, commodity="cbrs", tier=2,
            max_eirp_mdbm=0, price=0, accept_by_ns=T0 + 2 * NS, confirm_by_ns=T0 + 3 * NS, challenge=C, rule=C,
            fence=1, lease_ns=NS,
        )  # fmt: skip
        return replace(base, **self.changes.get("grant", {}))

    def record(
        self, typ: str, author: bytes, body: Any, at: Attestation = HERE, salt: bytes = b"", seq: int | None = None
    ) -> Record:
        name = hashlib.sha256(typ.encode() + author + repr(body).encode() + salt).digest()
        seq = int.from_bytes(name[:4], "big") if seq is None else seq
        frame = Frame(network=NETWORK, author=author, seq=seq, attestation=at)
        made = make_record(ANYBODY, frame, body)
        assert made.typ == typ
        return made

    @property
    def all(self) -> list[Record]:
        return [self.grant, self.accept, self.confirm]


def told(*records: Record) -> list[str]:
    return cross_check([Audited(path=Path("x"), origin="x", held=list(records))]).problems


def test_a_whole_settlement_is_no_problem() -> None:
    assert told(*Story(1).all) == []
    assert told() == []


def changed_cell(**changes: Any) -> Cell:
    return replace(CELL, **changes)


def renewed(story: Story, until_s: float, typ: str = "renew") -> Record:
    made = bodies.Renew if typ == "renew" else bodies.Resume
    body = made(
        sid=story.sid, confirm=story.confirm.digest, number=1, transmit_until_ns=T0 + int(until_s * NS), fence=2
    )
    return story.record(typ, A, body)


def given_back(story: Story) -> Record:
    return story.record("relinquish", B, bodies.Relinquish(sid=story.sid, confirm=story.confirm.digest, reason="done"))


def displaced(story: Story) -> Record:
    body = bodies.Preempt(sid=story.sid, confirm=story.confirm.digest, tier=1, reason="radar", vacate_by_ns=T0)
    return story.record("preempt", A, body)


APART: dict[str, Cell] = {
    "another band": changed_cell(band=UPPER),
    "another place": changed_cell(area=Area(lat_e7=LAT + 10**7, lon_e7=0, radius_mm=1000)),
    "another time": changed_cell(window=Window(start_ns=T0 + 10 * NS, end_ns=T0 + 20 * NS)),
}


@pytest.mark.attack(62)
def test_two_confirmed_settlements_on_one_cell_are_told_of() -> None:
    one, two = Story(1), Story(2)
    named = sorted(story.sid.hex()[:16] for story in (one, two))
    clash = [f"settlements {named[0]} and {named[1]} were live on the same cell"]
    assert told(*one.all, *two.all) == clash
    separate = [Audited(path=Path(n), origin=n, held=s.all) for n, s in (("x", one), ("y", two))]
    assert cross_check(separate).problems == clash, "whoever holds them"
    unconfirmed = Story(9)
    assert told(unconfirmed.grant, unconfirmed.accept, *one.all, *two.all) == clash, "after one that never was"
    three = Story(3)
    assert len(told(*one.all, *two.all, *three.all)) == 3, "each pair of them"


@pytest.mark.parametrize("name", APART)
def test_settlements_apart_in_band_place_or_time_do_not_clash(name: str) -> None:
    later = 10.5 if name == "another time" else 1.0
    grant = {"confirm_by_ns": T0 + 20 * NS, "accept_by_ns": T0 + 20 * NS}
    assert told(*Story(1).all, *Story(2, APART[name], later, grant=grant).all) == []


def test_one_that_was_confirmed_after_the_other_was_over_does_not_clash() -> None:
    one = Story(1)
    grant = {"confirm_by_ns": T0 + 20 * NS, "accept_by_ns": T0 + 20 * NS}
    at_lease_end = Story(2, CELL, 3.0 + 1e-6, grant=grant)
    before = Story(3, CELL, 2.999, grant=grant)
    assert told(*one.all, *at_lease_end.all) != [], "its window is not over"
    for end in (given_back, displaced):
        assert told(*one.all, end(one), *at_lease_end.all) == []
        assert told(*at_lease_end.all, *one.all, end(one)) == []
        assert told(*one.all, end(one), *before.all) != [], "its lease is not over"
        assert told(*one.all, end(one), renewed(one, 4.0), *at_lease_end.all) != [], "a longer lease"
        assert told(*one.all, end(one), renewed(one, 4.0, "resume"), *at_lease_end.all) != []
        assert told(*one.all, end(one), renewed(one, 2.0), *at_lease_end.all) == [], "a shorter one changes nothing"
    long_lease = Story(1, confirm={"transmit_until_ns": T0 + 99 * NS})
    after = Story(4, CELL, 10.0 + 1e-6, grant=grant)
    assert told(*long_lease.all, given_back(long_lease), *after.all) == [], "never past the window"


def ruled(*changed: dict[str, Any]) -> Record:
    """A rule with a class for each change to the usual one, in somebody's log."""
    classes = tuple(replace(TERMS, **one) for one in changed)
    return Story(99).record("rule", A, replace(RULE, classes=classes))


def clashes(*stories: Story, rule: Record) -> int:
    problems = told(rule, *(record for story in stories for record in story.all))
    assert all(one.endswith("were live on the same cell") for one in problems), problems
    return len(problems)


@pytest.mark.attack(62)
@pytest.mark.parametrize(("users", "found"), [(1, 3), (2, 2), (3, 0)])
def test_a_cell_that_a_class_lets_several_share_is_shared_by_no_more_at_once(users: int, found: int) -> None:
    rule = ruled({"users": users})
    grant = {"rule": rule.digest}
    assert clashes(*(Story(number, grant=grant) for number in (1, 2, 3)), rule=rule) == found


@pytest.mark.attack(62)
def test_what_no_rule_in_hand_lets_share_is_not_shared() -> None:
    rule = ruled({"users": 2}, {"name": "other", "users": 2}, {"name": "alone"})
    named = {"rule": rule.digest}
    other, alone = ({**named, "commodity": name} for name in ("other", "alone"))
    assert clashes(Story(1, grant=named), Story(2, grant=named), rule=rule) == 0
    assert clashes(Story(1, grant=named), Story(2), rule=rule) == 1, "a GRANT under a rule that nobody has"
    assert clashes(Story(1, grant=named), Story(2, grant=other), rule=rule) == 1, "of two classes"
    assert clashes(Story(1, grant=alone), Story(2, grant=alone), rule=rule) == 1, "the class says nothing of it"
    unknown = {**named, "commodity": "nothing"}
    assert clashes(Story(1, grant=unknown), Story(2, grant=unknown), rule=rule) == 1, "no class of the rule"


def handed_on(lease: Story, by: bytes, to: bytes) -> Record:
    """A HANDOVER of a settlement's whole lease, whoever signs it."""
    body = Handover(
        sid=lease.sid, confirm=lease.confirm.digest, kind=TRANSFER, to=to, cell=lease.cell, commodity="cbrs", tier=2,
        max_eirp_mdbm=0, price=0, rule=C, artifact=b"a",
    )  # fmt: skip
    return lease.record("handover", by, body)


def silent(lease: Story, handover: Record, by: bytes, seq: int = 1) -> Record:
    body = Vacated(sid=lease.sid, handover=handover.digest, silent_earliest_ns=T0, silent_latest_ns=T0 + 1)
    return lease.record("vacated", by, body, seq=seq)


def problems_of(lease: Story, handover: Record, pair: tuple[bytes, bytes], *beside: Record) -> list[str]:
    """What is told of a lease and of a settlement on its cell that names a HANDOVER, without the name of that one."""
    onward = Story(2, pair=pair, grant={"handover": handover.digest})
    both = sorted(one.sid.hex()[:16] for one in (lease, onward))
    found = told(*lease.all, handover, *onward.all, *beside)
    clash = f"settlements {both[0]} and {both[1]} were live on the same cell"
    return ["clash" if one == clash else one.removeprefix(f"settlement {onward.sid.hex()[:16]}: ") for one in found]


@pytest.mark.feature("M10")
def test_a_lease_and_what_it_was_handed_on_to_do_not_clash_once_its_user_was_silent() -> None:
    lease = Story(1)
    handover = handed_on(lease, B, C)
    early = "confirmed before its old user said that its radio is silent"
    assert problems_of(lease, handover, (B, C), silent(lease, handover, B)) == []
    assert problems_of(lease, handover, (B, C)) == [early]
    assert problems_of(lease, handover, (B, C), silent(lease, handover, A)) == [early], "the holder's word"
    confirm = Story(2, pair=(B, C), grant={"handover": handover.digest}).confirm
    assert problems_of(lease, handover, (B, C), silent(lease, handover, B, confirm.frame.seq + 1)) == [early]
    assert problems_of(lease, handover, (B, C), silent(lease, handover, B, confirm.frame.seq - 1)) == []


@pytest.mark.attack(62)
@pytest.mark.feature("M10")
def test_no_second_grant_of_a_cell_hides_behind_a_handover() -> None:
    """A holder that grants one cell twice names some HANDOVER: its own, its user's to somebody else, or another's."""
    lease = Story(1)
    own, users, others = handed_on(lease, A, C), handed_on(lease, B, C), handed_on(lease, C, B)
    not_its = "granted under a HANDOVER by somebody who has not the lease that it hands on"
    assert problems_of(lease, own, (A, C), silent(lease, own, A)) == [not_its, "clash"]
    assert problems_of(lease, others, (C, B), silent(lease, others, C)) == [not_its, "clash"]
    elsewhere = "granted under a HANDOVER that somebody else signed"
    assert problems_of(lease, users, (A, C), silent(lease, users, A)) == [elsewhere, "clash"]
    astray = "granted under a HANDOVER to somebody else"
    assert problems_of(lease, users, (B, D), silent(lease, users, B)) == [astray, "clash"]


@pytest.mark.feature("M10")
def test_a_handover_of_a_lease_that_no_log_has_is_left_as_it_is() -> None:
    lease = Story(1)
    handover = handed_on(lease, B, C)
    onward = Story(2, pair=(B, C), grant={"handover": handover.digest})
    assert told(handover, *onward.all, silent(lease, handover, B)) == []
    assert told(*onward.all) == [], "nor is anything told of a HANDOVER that no log has"


@pytest.mark.feature("M10")
def test_silence_said_with_the_number_of_the_confirm_is_not_before_it() -> None:
    lease = Story(1)
    handover = handed_on(lease, B, C)
    confirm = Story(2, pair=(B, C), grant={"handover": handover.digest}).confirm
    found = problems_of(lease, handover, (B, C), silent(lease, handover, B, confirm.frame.seq))
    assert "confirmed before its old user said that its radio is silent" in found


@pytest.mark.feature("M10")
def test_each_link_of_a_chain_of_leases_is_related_to_those_above_it() -> None:
    names = [bytes([n]) * 32 for n in range(DEPTH_MAX + 3)]
    above = dict(itertools.pairwise(names))
    chains = HandedChains(handovers={}, vacated={}, above=above, wrong={})
    assert chains.line(names[0]) == names[1 : DEPTH_MAX + 2], "so deep as a lease may be, and one more"
    for low, high in itertools.pairwise(names):
        assert chains.related(low, high)
        assert chains.related(high, low)
    assert not chains.related(names[0], names[-1])
    assert not chains.related(names[0], B)
    loop = HandedChains(handovers={}, vacated={}, above={A: B, B: A}, wrong={})
    assert len(loop.line(A)) == DEPTH_MAX + 1, "two that hand on each other's lease end too"


def test_settlements_that_two_logs_hold_whole_are_each_read_as_one() -> None:
    records = [*Story(1).all, *Story(2, APART["another band"]).all, *Story(3, APART["another place"]).all]
    logs = [Audited(path=Path(name), origin=name, held=records) for name in ("x", "y")]
    assert cross_check(logs).problems == []


def test_one_that_was_over_before_its_window_opened_was_never_live() -> None:
    """Confirmed, and taken back while its lease, that reaches less far than to its window, was the only one."""
    ahead = changed_cell(window=Window(start_ns=T0 + 5 * NS, end_ns=T0 + 15 * NS))
    one, two = Story(1, ahead), Story(2, ahead)
    assert told(*one.all, *two.all) != []
    assert told(*one.all, displaced(one), *two.all) == []
    assert told(*one.all, *two.all, displaced(two)) == []


def test_what_is_live_from_the_instant_at_which_another_is_over_does_not_clash() -> None:
    first, then = (LiveCell(sid=b"s", cell=CELL, from_ns=a, until_ns=b) for a, b in ((0, 5), (5, 9)))
    assert not first.clashes(then)
    assert not then.clashes(first)
    before = replace(then, from_ns=4)
    assert first.clashes(before)
    assert before.clashes(first)
    assert not first.clashes(replace(before, cell=APART["another band"]))


def test_an_aborted_one_was_never_live() -> None:
    one, two = Story(1), Story(2)
    abort = two.record("abort", A, bodies.Abort(sid=two.sid, grant=two.grant.digest, reason="TIMEOUT"))
    assert told(*one.all, two.grant, two.accept, abort) == []


NOT_ONE: dict[str, dict[str, dict[str, Any]]] = {
    "another sid": {"grant": {"nonce": bytes(16)}},
    "another user": {"grant": {"user": C}},
    "over another GRANT": {"accept": {"grant": C}},
    "no answer": {"accept": {"answer": C}},
    "a CONFIRM over another GRANT": {"confirm": {"grant": C}},
    "a CONFIRM over another ACCEPT": {"confirm": {"accept": C}},
    "another fence": {"confirm": {"fence": 2}},
    "too late": {"grant": {"accept_by_ns": T0 + NS}},
}


@pytest.mark.parametrize("name", NOT_ONE)
def test_records_that_do_not_belong_together_are_told_of(name: str) -> None:
    story = Story(1, **NOT_ONE[name])
    expected = f"settlement {story.sid.hex()[:16]}: confirmed without a GRANT and an ACCEPT that belong to it"
    assert told(*story.all) == [expected]


def test_the_last_instant_to_confirm_is_before_accept_by() -> None:
    latest_ns = Story(1).confirm.frame.attestation.latest_ns
    assert told(*Story(1, grant={"accept_by_ns": latest_ns + 1}).all) == []
    assert told(*Story(1, grant={"accept_by_ns": latest_ns}).all) != []


def test_a_grant_or_accept_by_nobody_is_told_of() -> None:
    story = Story(1)
    for one in (story.grant, story.accept):
        anonymous = make_record(ANYBODY, replace(one.frame, author=None), one.body)
        assert any("confirmed without" in p for p in told(*(r for r in story.all if r is not one), anonymous))


def test_a_confirm_by_another_than_the_holder_is_told_of() -> None:
    story = Story(1)
    other = story.record("confirm", C, story.confirm.body)
    assert any("confirmed without" in p for p in told(story.grant, story.accept, other))
    for missing in (story.grant, story.accept):
        assert any("confirmed without" in p for p in told(*(r for r in story.all if r is not missing)))


def test_where_others_cosigned_the_confirm_has_longer() -> None:
    late = Story(1, CELL, 2.5)
    assert any("confirmed without" in p for p in told(*late.all))
    body = bodies.Coordination(
        sid=late.sid, grant=late.grant.digest, accept=late.accept.digest, shards=("x",), until_ns=T0
    )
    signed = late.record("coordination", C, body)
    assert told(*late.all, signed) == []
    later = Story(1, CELL, 3.0)
    assert any("confirmed without" in p for p in told(*later.all, later.record("coordination", C, body)))


@pytest.mark.parametrize("typ", ["grant", "accept", "confirm", "abort"])
def test_two_versions_of_one_step_are_told_of(typ: str) -> None:
    story = Story(1)
    author = B if typ == "accept" else A
    abort = bodies.Abort(sid=story.sid, grant=story.grant.digest, reason="TIMEOUT")
    body = abort if typ == "abort" else getattr(story, typ).body
    first = story.record("abort", A, body) if typ == "abort" else getattr(story, typ)
    second = story.record(typ, author, body, salt=b"again")
    told_of = told(*(r for r in story.all if typ == "abort" or r is not first), first, second)
    assert f"settlement {story.sid.hex()[:16]}: 2 different {typ} records" in told_of


def test_both_decisions_are_told_of() -> None:
    story = Story(1)
    abort = story.record("abort", A, bodies.Abort(sid=story.sid, grant=story.grant.digest, reason="TIMEOUT"))
    assert f"settlement {story.sid.hex()[:16]}: both confirmed and aborted" in told(*story.all, abort)


# -- numbers ---------------------------------------------------------------------------------------------------------


def numbered(author: bytes | None, seq: int, name: bytes) -> Record:
    frame = Frame(network=NETWORK, author=author, seq=seq, attestation=HERE)
    return Record(raw=name, digest=hashlib.sha256(name).digest(), typ="gate", kid=b"", claims=None, frame=frame, body=0)


def test_an_author_uses_each_number_once_over_all_logs() -> None:
    one, two, other = numbered(A, 7, b"one"), numbered(A, 7, b"two"), numbered(B, 7, b"other")
    apart = [Audited(path=Path("x"), origin="x", held=[one]), Audited(path=Path("y"), origin="y", held=[two])]
    assert cross_check(apart).problems == [f"{A.hex()[:8]} signed two different records with number 7"]
    assert told(one, one, other, numbered(A, 8, b"two")) == []
    assert told(numbered(None, 7, b"root"), numbered(None, 7, b"another root")) == []
    assert len(told(numbered(None, 7, b"root"), one, two)) == 1


def test_what_others_hold_of_an_author_is_in_its_own_log() -> None:
    one = numbered(A, 7, b"one")
    mine = Audited(path=Path("mine.db"), origin="x", held=[], line=(A, C))
    theirs = Audited(path=Path("theirs.db"), origin="y", held=[one], line=(B,))
    missing = ["theirs.db holds a gate that is missing in its author's own lineage"]
    assert cross_check([mine, theirs]).problems == missing
    former = replace(theirs, held=[numbered(C, 1, b"as it was called before"), numbered(None, 1, b"root")])
    assert cross_check([mine, former]).problems == missing
    assert cross_check([replace(mine, held=[one]), theirs]).problems == []
    assert cross_check([theirs]).problems == [], "where its own is not in hand"


def test_a_record_that_one_log_alone_holds_ends_no_comparison() -> None:
    """Authors come in order: a lone record of the first, whose log is not here, hides no double number of the next."""
    first, second, number = b"\x01" * 32, b"\x02" * 32, (7).to_bytes(8, "big")
    logs = [
        [HeldRow(author=first, num=number, name=b"x", typ="offer"), HeldRow(second, number, b"y", "grant")],
        [HeldRow(author=second, num=number, name=b"z", typ="grant")],
    ]
    findings = Findings()
    held: Any = [Mock(by_number=lambda rows=rows: iter(rows)) for rows in logs]
    _check_numbers(findings, [], held)
    assert findings.problems == [f"{second.hex()[:8]} signed two different records with number 7"]
