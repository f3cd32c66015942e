"""A start from a snapshot finds what a start that reads everything finds, in time that does not grow with the log."""

import shutil
from pathlib import Path

import apsw
import cbor2
import pytest

from settlement.chain import lineage as lineage_module
from settlement.chain import merkle, snapshot
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import OWN, admitted_leaf
from settlement.chain.lineage import Lineage, LineageError
from settlement.chain.logcheck import Scrubbing
from settlement.core.reasons import Reason
from tests.settlement.world import World, fix, seed, trio

pytestmark = pytest.mark.feature("G6")
ORIGIN, KEY = "bandpact/test-net/snap", SigningKey.from_seed(seed("snap"))
EVERY, ENTRIES = 64, 200


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage_module, "SNAPSHOT_EVERY", EVERY)


def filled(path: Path, entries: int = ENTRIES, *, first: int = 0, group: int = 1) -> Lineage:
    log = Lineage(path, origin=ORIGIN)
    for start in range(first, entries, group):
        with log.transaction():
            for number in range(start, min(entries, start + group)):
                log.append(admitted_leaf(b"entry %d" % number, origin=OWN, now=fix(number).time), None)
                log.put("kind", b"%d" % (number % 7), b"%d" % number)
            if start % 5 == 0:
                log.checkpoint(KEY)
            log.stand(KEY)
    return log


def edited(path: Path, *statements: str) -> None:
    db = apsw.Connection(str(path))
    for sql in statements:
        db.execute(sql)
    db.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "log.db"
    lineage_module.SNAPSHOT_EVERY, before = EVERY, lineage_module.SNAPSHOT_EVERY
    filled(path).close()
    lineage_module.SNAPSHOT_EVERY = before
    return path


def again(kept: Path, folder: Path, *statements: str) -> Lineage:
    path = folder / "log.db"
    shutil.copy(kept, path)
    edited(path, *statements)
    return Lineage(path, origin=ORIGIN)


def test_a_start_reads_from_the_newest_snapshot_on(kept: Path, tmp_path: Path) -> None:
    log = again(kept, tmp_path)
    look = log.start_look(KEY.public)
    assert look.refusal is None
    assert look.read_from == ENTRIES // EVERY * EVERY
    assert look.why == ""
    log.close()


def test_what_is_read_at_a_start_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """Counted by SQLite itself: steps of its virtual machine, at 400 entries and at 3,200."""
    steps = {}
    for entries in (400, 3200):
        log = filled(tmp_path / f"{entries}.db", entries // EVERY * EVERY + 10, group=2 * EVERY)
        log.close()
        log = Lineage(tmp_path / f"{entries}.db", origin=ORIGIN)
        counted = [0]

        def count(counted: list[int] = counted) -> bool:
            counted[0] += 1
            return False

        log._db.set_progress_handler(count, 20)
        assert log.start_look(KEY.public).refusal is None
        steps[entries] = counted[0]
        log.close()
    assert steps[3200] < 1.5 * steps[400]


NOT_GONE_BY: dict[str, tuple[str, ...]] = {
    "none": ("DELETE FROM meta WHERE key='snapshot'",),
    "another's bytes": ("UPDATE meta SET value=x'8101' WHERE key='snapshot'",),
    "text": ("UPDATE meta SET value='x' WHERE key='snapshot'",),
}


@pytest.mark.parametrize("statements", NOT_GONE_BY.values(), ids=NOT_GONE_BY.keys())
def test_without_a_snapshot_that_holds_everything_is_read_and_that_is_said(
    kept: Path, tmp_path: Path, statements: tuple[str, ...]
) -> None:
    log = again(kept, tmp_path, *statements)
    look = log.start_look(KEY.public)
    assert look.refusal is None
    assert look.read_from == 0
    assert "snapshot.stored" in look.why
    assert log.unread == 0
    log.close()


@pytest.mark.parametrize("field", range(5))
def test_a_snapshot_with_another_value_is_not_gone_by(kept: Path, tmp_path: Path, field: int) -> None:
    log = again(kept, tmp_path)
    (raw,) = log._db.execute("SELECT value FROM meta WHERE key='snapshot'").fetchone() or (b"",)
    values = cbor2.loads(raw)
    values[field] = values[field] - 1 if isinstance(values[field], int) else values[field][:-1] + values[field][:1]
    log._db.execute("UPDATE meta SET value=? WHERE key='snapshot'", (cbor2.dumps(values),))
    look = log.start_look(KEY.public)
    assert look.refusal is None
    assert look.read_from == 0
    assert "snapshot.signature" in look.why
    log.close()


def test_anothers_snapshot_is_not_gone_by(kept: Path, tmp_path: Path) -> None:
    log = again(kept, tmp_path)
    found = snapshot.read_snapshot(log._db)
    assert isinstance(found, tuple)
    stranger = SigningKey.from_seed(seed("stranger"))
    log._db.execute("UPDATE meta SET value=? WHERE key='snapshot'", (found[0].stored(stranger),))
    assert "snapshot.signature" in log.start_look(KEY.public).why
    log.close()


LAST = "(SELECT max(idx) FROM leaf)"
COLUMNS = "body, subject, typ, sid, author, seq, admitted, reason"
ALTERED: dict[str, tuple[str, ...]] = {
    "an entry since": (f"UPDATE leaf SET body=x'a0' WHERE idx={LAST}",),
    "a column since": (f"UPDATE leaf SET typ='grant' WHERE idx={LAST}",),
    "an entry since gone": (f"DELETE FROM leaf WHERE idx={LAST} - 1",),
    "one entry more": (
        f"INSERT INTO leaf SELECT idx + 1, {COLUMNS} FROM leaf WHERE idx={LAST}",
    ),
    "a node since": (f"UPDATE node SET hash=zeroblob(32) WHERE level=0 AND idx={LAST}",),
    "a node too many": (f"INSERT INTO node VALUES(0, {LAST} + 5, zeroblob(32))",),
    "state": ("DELETE FROM state WHERE key=x'30'",),
    "a counter": ("INSERT INTO counter VALUES('x', 1)",),
    "no standing": ("DELETE FROM standing",),
    "the newest head": ("UPDATE checkpoint SET note='x' WHERE size=(SELECT max(size) FROM checkpoint)",),
}  # fmt: skip


@pytest.mark.attack(50)
@pytest.mark.parametrize("statements", ALTERED.values(), ids=ALTERED.keys())
def test_what_was_altered_since_the_snapshot_or_beside_the_log_stops_a_start(
    kept: Path, tmp_path: Path, statements: tuple[str, ...]
) -> None:
    log = again(kept, tmp_path, *statements)
    look = log.start_look(KEY.public)
    assert look.refusal is not None
    assert look.refusal.reason is Reason.ENTRY_MISMATCH or look.refusal.reason is Reason.MALFORMED
    log.close()


def scrubbed(log: Lineage) -> Scrubbing:
    running = Scrubbing(log.path, log.origin, KEY.public)
    running._process.wait(60)
    return running


OLD: dict[str, str] = {
    "an old entry": "UPDATE leaf SET body=x'a0' WHERE idx=3",
    "an old column": "UPDATE leaf SET typ='grant' WHERE idx=3",
    "an old entry gone": "DELETE FROM leaf WHERE idx=3",
}


@pytest.mark.attack(50)
@pytest.mark.parametrize("sql", OLD.values(), ids=OLD.keys())
def test_what_was_altered_before_the_snapshot_is_found_by_the_reading_behind(
    kept: Path, tmp_path: Path, sql: str
) -> None:
    log = again(kept, tmp_path, sql)
    assert log.start_look(KEY.public).refusal is None
    running = scrubbed(log)
    refusal = running.answer()
    running.close()
    assert refusal is not None
    assert refusal.reason is Reason.ENTRY_MISMATCH
    log.close()


def test_a_whole_log_is_found_whole_by_the_reading_behind(kept: Path, tmp_path: Path) -> None:
    log = again(kept, tmp_path)
    running = scrubbed(log)
    assert running.answer() is None
    running.close()
    log.close()


def test_a_reading_that_ends_without_an_answer_says_nothing_of_the_log(kept: Path, tmp_path: Path) -> None:
    log = again(kept, tmp_path)
    running = Scrubbing(log.path, log.origin, KEY.public)
    running._process.kill()
    running._process.wait(60)
    refusal = running.answer()
    assert refusal is None or refusal.reason is Reason.FAULT
    running.close()
    log.close()


@pytest.mark.attack(50)
def test_an_old_entry_that_was_altered_is_not_used_before_it_was_read(kept: Path, tmp_path: Path) -> None:
    log = again(kept, tmp_path, "UPDATE leaf SET body=(SELECT body FROM leaf WHERE idx=4) WHERE idx=3")
    assert log.start_look(KEY.public).refusal is None
    with pytest.raises(LineageError, match="altered"):
        log.leaf_body(3)
    assert log.leaf_body(4)
    log.close()


@pytest.mark.attack(50)
def test_an_old_entry_altered_with_its_node_is_not_used_either(kept: Path, tmp_path: Path) -> None:
    log = again(kept, tmp_path)
    body = log.leaf_body(4)
    log._db.execute("UPDATE leaf SET body=? WHERE idx=3", (body,))
    log._db.execute("UPDATE node SET hash=? WHERE level=0 AND idx=3", (merkle.leaf_hash(body),))
    assert log.start_look(KEY.public).refusal is None
    with pytest.raises(LineageError, match="altered"):
        log.leaf_body(3)
    log.close()


def test_a_log_goes_on_after_a_start_from_a_snapshot(kept: Path, tmp_path: Path) -> None:
    log = again(kept, tmp_path)
    assert log.start_look(KEY.public).read_from
    log.close()
    filled(tmp_path / "log.db", ENTRIES + EVERY, first=ENTRIES).close()
    log = Lineage(tmp_path / "log.db", origin=ORIGIN)
    assert log.start_look(KEY.public).read_from == ENTRIES // EVERY * EVERY + EVERY
    assert log.verify(KEY.public, standing=True) is None
    log.close()


def settled(folder: Path) -> World:
    world = trio(folder)
    world.settle()
    return world


def test_a_party_that_is_told_its_old_entries_do_not_hold_halts_and_signs_nothing(tmp_path: Path) -> None:
    world = settled(tmp_path)
    party = world.members["holder"].party
    before = party.lineage._db.execute("SELECT signature FROM standing").fetchone()
    refusal = snapshot.no_snapshot("root", "x", "y")
    world.do("holder", 3.0, lambda step: party.scrubbed(step, refusal))
    assert party.halted == refusal
    assert party.lineage._db.execute("SELECT signature FROM standing").fetchone() == before


def test_a_rotated_log_has_a_snapshot_under_its_new_name(tmp_path: Path) -> None:
    log = filled(tmp_path / "log.db", EVERY + 3)
    successor = SigningKey.from_seed(seed("next"))
    with log.transaction():
        log.append(admitted_leaf(b"rotation", origin=OWN, now=fix(500).time), None)
        log.rename("bandpact/test-net/next")
        log.stand(successor)
    log.close()
    log = Lineage(tmp_path / "log.db", origin="bandpact/test-net/next")
    assert log.start_look(successor.public, former=[KEY.public]).read_from == EVERY + 4
    log.close()


def test_a_step_undone_takes_its_snapshot_with_it(tmp_path: Path) -> None:
    log = filled(tmp_path / "log.db", EVERY - 1)

    def fails() -> None:
        with log.transaction():
            log.append(admitted_leaf(b"last", origin=OWN, now=fix(500).time), None)
            log.stand(KEY)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert log.start_look(KEY.public).why
    log.close()
    log = filled(tmp_path / "log.db", EVERY, first=EVERY - 1)
    assert log.start_look(KEY.public).read_from == EVERY
    log.close()
