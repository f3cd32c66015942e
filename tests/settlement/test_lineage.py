"""The log: durable, append-only, sealed; and the audit that notices any change to it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import apsw
import pytest

from settlement.audit.crosscheck import cross_check
from settlement.audit.findings import Audited
from settlement.audit.seal import seal_path, write_seal
from settlement.audit.verify import audit_lineage
from settlement.chain import codec
from settlement.chain.bodies import BODIES, Evidence
from settlement.chain.checkpoint import Head, open_note, origin_of, sign_head
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import OWN, admitted_leaf
from settlement.chain.lineage import Lineage, LineageError
from settlement.chain.records import Attestation, Frame, Record, Unproven, make_record, parse
from settlement.core.reasons import Reason, Refusal, RefusedError
from tests.settlement.test_types import body_of
from tests.settlement.world import NETWORK, UPPER, World, fix, trio


def sealed(world: World, folder: Path) -> dict[str, Path]:
    paths = {}
    for name, member in world.members.items():
        paths[name] = folder / f"{name}.db"
        member.party.lineage.seal(member.key, paths[name])
        write_seal(paths[name], member.key)
    return paths


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, dict[str, Path]]:
    world = trio(tmp_path_factory.mktemp("live"))
    world.settle()
    world.request("bob", 1.2, UPPER, 2.0, 9.0)
    world.carry(1.2)
    world.request("bob", 1.3, UPPER, 2.0, 9.0)
    world.carry(1.3)
    world.do("holder", 3.6, world.members["holder"].party.tick)
    world.carry(3.6)
    return world, sealed(world, tmp_path_factory.mktemp("sealed"))


def audit(world: World, path: Path) -> Audited:
    return audit_lineage(path, network=NETWORK, anchors=world.anchors)


@pytest.mark.feature("G6")
def test_an_untouched_trial_verifies(trial: tuple[World, dict[str, Path]]) -> None:
    world, paths = trial
    audited = [audit(world, path) for path in paths.values()]
    for one in audited:
        assert one.findings.problems == []
        assert one.sealed
        assert one.records > 8
    assert cross_check(audited).problems == []
    assert audited[0].refused == {"CONFLICT": 1}


@pytest.mark.attack(50)
def test_any_flipped_byte_of_the_file_is_noticed(trial: tuple[World, dict[str, Path]], tmp_path: Path) -> None:
    world, paths = trial
    whole = paths["alice"].read_bytes()
    copy = tmp_path / "alice.db"
    shutil.copy(seal_path(paths["alice"]), seal_path(copy))
    for at in range(0, len(whole), max(1, len(whole) // 150)):
        copy.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert not audit(world, copy).ok, at


Edit = Callable[[apsw.Connection], object]
SWAP = """UPDATE leaf SET idx = CASE idx WHEN 5 THEN -6 WHEN 6 THEN -5 END WHERE idx IN (5, 6);
          UPDATE leaf SET idx = -idx WHERE idx < 0"""
EDITS: list[tuple[str, Edit]] = [
    ("an entry's bytes", lambda db: db.execute("UPDATE leaf SET body = body || x'00' WHERE idx = 7")),
    ("an entry gone", lambda db: db.execute("DELETE FROM leaf WHERE idx = 5")),
    ("the last entry gone", lambda db: db.execute("DELETE FROM leaf WHERE idx = (SELECT max(idx) FROM leaf)")),
    ("two entries swapped", lambda db: db.execute(SWAP)),
    ("a tree node", lambda db: db.execute("UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND idx = 0")),
    ("the owner's mark", lambda db: db.execute("UPDATE leaf SET admitted = 0 WHERE idx = 8")),
    ("a node too many", lambda db: db.execute("INSERT INTO node VALUES(0, -1, zeroblob(32))")),
    ("a column of text", lambda db: db.execute("UPDATE node SET idx = 'x' WHERE level = 0 AND idx = 3")),
    ("a body of nothing", lambda db: db.execute("UPDATE leaf SET seq = 99 WHERE idx = 9")),
    ("a checkpoint", lambda db: db.execute("UPDATE checkpoint SET note = replace(note, 'A', 'B')")),
]


@pytest.mark.parametrize("edit", [e[1] for e in EDITS], ids=[e[0] for e in EDITS])
def test_edits_with_sql_are_noticed_even_without_the_seal(
    trial: tuple[World, dict[str, Path]], tmp_path: Path, edit: Edit
) -> None:
    world, paths = trial
    copy = tmp_path / "holder.db"
    shutil.copy(paths["holder"], copy)
    db = apsw.Connection(str(copy))
    edit(db)
    db.close()
    assert not audit(world, copy).ok


def test_other_anchors_prove_nothing(trial: tuple[World, dict[str, Path]]) -> None:
    _, paths = trial
    assert not audit_lineage(paths["alice"], network=NETWORK, anchors=[bytes(32)]).ok


def without(audited: Audited, typ: str) -> Audited:
    audited.held = audited.held.without(typ)
    return audited


def test_a_confirm_that_the_holder_denies_is_noticed(trial: tuple[World, dict[str, Path]]) -> None:
    world, paths = trial
    audited = {name: audit(world, path) for name, path in paths.items()}
    without(audited["holder"], "confirm")
    assert any("missing in its author's own" in p for p in cross_check(list(audited.values())).problems)


def test_a_confirm_that_never_reached_its_user_is_no_fault(trial: tuple[World, dict[str, Path]]) -> None:
    world, paths = trial
    audited = {name: audit(world, path) for name, path in paths.items()}
    without(audited["alice"], "confirm")
    assert cross_check(list(audited.values())).problems == []


def test_a_confirm_without_its_accept_is_noticed(trial: tuple[World, dict[str, Path]]) -> None:
    world, paths = trial
    alone = without(without(audit(world, paths["holder"]), "accept"), "abort")
    assert any("GRANT and an ACCEPT" in p for p in cross_check([alone]).problems)


def test_a_journal_beside_a_sealed_lineage_is_noticed(trial: tuple[World, dict[str, Path]], tmp_path: Path) -> None:
    world, paths = trial
    copy = tmp_path / "holder #1.db"
    shutil.copy(paths["holder"], copy)
    shutil.copy(seal_path(paths["holder"]), seal_path(copy))
    assert audit(world, copy).ok
    copy.with_name(copy.name + "-wal").write_bytes(b"anything")
    assert not audit(world, copy).ok


def test_not_a_lineage(tmp_path: Path) -> None:
    path = tmp_path / "noise.db"
    path.write_bytes(bytes(range(256)) * 40)
    assert not audit_lineage(path, network=NETWORK, anchors=[]).ok


def test_pragmas_and_foreign_file(tmp_path: Path) -> None:
    lineage = Lineage(tmp_path / "a.db", origin="bandpact/x/1")
    lineage.close()
    with pytest.raises(LineageError, match="not of"):
        Lineage(tmp_path / "a.db", origin="bandpact/x/2")
    with pytest.raises(LineageError, match="cannot open"):
        Lineage(tmp_path / "missing" / "a.db", origin="x")


def test_an_append_that_fails_never_happened(tmp_path: Path) -> None:
    lineage = Lineage(tmp_path / "a.db", origin="x")
    leaf = admitted_leaf(b"record", origin=OWN, now=fix(0).time)

    class StopError(Exception):
        pass

    def fails() -> None:
        with lineage.transaction():
            lineage.append(leaf, None)
            raise StopError

    with pytest.raises(StopError):
        fails()
    assert lineage.size == 0
    with lineage.transaction():
        assert lineage.append(leaf, None) == 0
    lineage.close()
    assert Lineage(tmp_path / "a.db", origin="x").size == 1


class Full:
    """A database whose disk has no room left to fold its write-ahead log into the file."""

    def __init__(self, real: apsw.Connection) -> None:
        self._real = real

    def execute(self, sql: str) -> None:
        raise apsw.FullError(f"database or disk is full: {sql}")

    def close(self) -> None:
        self._real.close()


def test_a_log_is_let_go_of_on_a_full_disk_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    lineage = Lineage(tmp_path / "a.db", origin="x")
    with lineage.transaction():
        lineage.append(admitted_leaf(b"record", origin=OWN, now=fix(0).time), None)
    lineage._db = Full(lineage._db)  # type: ignore[assignment]
    lineage.close()
    assert Lineage(tmp_path / "a.db", origin="x").size == 1


@pytest.mark.attack(48)
def test_disk_full_is_an_error_and_nothing_is_kept(tmp_path: Path) -> None:
    lineage = Lineage(tmp_path / "a.db", origin="x")
    leaf = admitted_leaf(bytes(60_000), origin=OWN, now=fix(0).time)
    pages = lineage._one("PRAGMA page_count")
    lineage._db.execute(f"PRAGMA max_page_count={pages + 2}")

    def too_much() -> None:
        with lineage.transaction():
            lineage.append(leaf, None)

    with pytest.raises((LineageError, apsw.FullError)):
        too_much()
    assert lineage.size == 0
    assert list(lineage.bodies()) == []


def test_checkpoints_are_strict() -> None:
    key = SigningKey.from_seed(bytes(32))
    head = Head(origin=origin_of("n", key.public), size=3, root=bytes(range(32)))
    note = sign_head(head, key)
    assert open_note(note, key.public) == head
    assert sign_head(head, key) == note
    for bad in (
        note + "\n",
        note.replace("3", "03", 1),
        note[:-2],
        note.replace("\u2014", "-"),
        note.replace("\n\n", "\n"),
    ):
        assert isinstance(open_note(bad, key.public), Refusal)
    stranger = open_note(note, SigningKey.from_seed(bytes([1] * 32)).public)
    assert isinstance(stranger, Refusal)
    assert stranger.reason is Reason.KEY


def test_what_a_node_signs_is_what_others_prove(trial: tuple[World, dict[str, Path]]) -> None:
    member = trial[0].members["holder"]
    frame = Frame(network=NETWORK, author=member.hash, seq=1, previous=None, attestation=Attestation.of(fix(0.0)))
    for typ, cls in BODIES.items():
        if typ == "credential":
            continue
        body = codec.from_map(cls, body_of(typ), typ)
        made = make_record(member.key, frame, body)
        unproven = parse(made.raw)
        assert isinstance(unproven, Unproven)
        assert unproven.prove(member.key.public, NETWORK) == made
        with pytest.raises(RefusedError):
            make_record(member.key, replace(frame, seq=-1), body)


def test_what_a_failed_step_wrote_is_forgotten(tmp_path: Path) -> None:
    world = trio(tmp_path)
    world.settle()
    member = world.members["holder"]
    log, me = member.party.lineage, member.hash
    last, signed = log.author_last(me), list[Record]()
    assert log.get("reply", b"x") is None
    assert log.items("spoilt") == []

    def fails() -> None:
        with member.party.step(fix(2.0)) as step:
            signed.append(step.sign(Evidence(reason="x", first=b"a", second=b"b")))
            step.put("reply", b"x", b"y")
            step.put("spoilt", b"x", b"y")
            assert (log.get("reply", b"x"), log.items("spoilt")) == (b"y", [(b"x", b"y")])
            assert log.recent(signed[0].digest) == signed[0]
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert (log.get("reply", b"x"), log.items("spoilt"), log.recent(signed[0].digest)) == (None, [], None)
    assert log.author_last(me) == last


def test_of_a_new_record_by_a_known_author_the_log_is_asked_once(tmp_path: Path) -> None:
    """Whether its hash was seen is looked for; that nobody had its number before is known from the author's last."""
    world = trio(tmp_path)
    world.settle()
    log, author = (
        world.members["holder"].party.lineage,
        next(one.hash for name, one in world.members.items() if name != "holder"),
    )
    last = log.author_last(author)
    assert last is not None
    number, name = last
    run, looked = log._db.execute, list[str]()

    def looks(sql: str, values: tuple[object, ...]) -> object:
        looked.append(sql)
        return run(sql, values)

    with mock.patch.object(log, "_db", SimpleNamespace(execute=looks)):
        assert log.author_record(author, number + 1) is None
        assert log.seen(name), "it was admitted a while ago"
        assert not looked
        assert log.author_record(author, number) == name
        assert not log.seen(bytes(32))
        assert len(looked) == 2
    rows = run("SELECT seq, subject FROM leaf WHERE author=? AND admitted=1", (author,))
    assert all(log.author_record(author, seq) == bytes(subject) for seq, subject in list(rows))
    assert log.author_record(bytes(32), 1) is None


@pytest.mark.parametrize("prefix", [b"", b"a", b"a\xff", b"\xff", b"\xff\xff", b"\x00", b"b"])
def test_state_is_found_by_the_beginning_of_its_key_and_no_other_row_is_looked_at(
    tmp_path: Path, prefix: bytes
) -> None:
    lineage = Lineage(tmp_path / "a.db", origin="x")
    keys = [b"", b"\x00", b"a", b"a\x00", b"a\xff", b"a\xff\xff", b"b", b"\xfe", b"\xff", b"\xff\xff\xff" + bytes(40)]
    with lineage.transaction():
        for key in keys:
            lineage.put("kind", key, b"v")
            lineage.put("other", key, b"v")
    found = sorted(key for key in keys if key.startswith(prefix))
    assert [key for key, _ in lineage.items_from("kind", prefix)] == found
    assert lineage.first_of("kind", prefix) == (len(found), found[0])
    looked: list[str] = []
    run = lineage._db.execute
    lineage._db = SimpleNamespace(execute=lambda sql, values: looked.append(sql) or run(sql, values))  # type: ignore[assignment]
    lineage.items_from("kind", prefix)
    (sql,) = looked
    plan = [row[3] for row in run(f"EXPLAIN QUERY PLAN {sql}", ("kind", prefix, prefix))]
    assert plan == ["SEARCH state USING PRIMARY KEY (kind=? AND key>? AND key<?)"]
