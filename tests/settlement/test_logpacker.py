"""The room of bodies that were let go comes free for new entries; rows, tree and signatures stay as they were."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from settlement.audit.verify import audit_lineage
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage
from settlement.state import logpacker, retention
from settlement.state.logpacker import EVERY_NS, PACKED, QUIET_NS, STRETCH, LogPacker
from settlement.state.retention import RENEWALS
from tests.settlement.packedlog import check_entries, grow, let_go, pages, step_of
from tests.settlement.test_retention import lived
from tests.settlement.world import NETWORK, NS, fix, seed

pytestmark = pytest.mark.feature("G6")
ORIGIN, KEY = "bandpact/test-net/packing", SigningKey.from_seed(seed("packing"))
ENTRIES = 1024
PACKED_WITHIN = 1.2
"""Pages in use beside those of a copy that SQLite itself made as small as it can."""
ROWS = "SELECT idx, {} FROM leaf ORDER BY idx".format(
    ", ".join(
        f"typeof({name}), hex(CAST({name} AS BLOB))"
        for name in ("body", "subject", "typ", "sid", "author", "seq", "admitted", "reason")
    )
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Lineage]:
    """A log most of whose bodies have just gone."""
    made = Lineage(tmp_path / "log.db", origin=ORIGIN)
    with made.transaction():
        grow(made, ENTRIES)
        made.stand(KEY)
    with made.transaction():
        let_go(made, ENTRIES - 128)
        made.stand(KEY)
    yield made
    made.close()


def packed_all(log: Lineage, packer: LogPacker | None = None) -> list[int]:
    """Steps of a node, a second apart, until nothing is left to pack; rows moved by each."""
    packer = packer or LogPacker(log)
    moved: list[int] = []
    for number in range(ENTRIES):
        with log.transaction():
            found = packer.act(step_of(log, KEY, number))
            log.stand(KEY)
        if not found:
            return moved
        moved.append(found)
    raise AssertionError("it never comes to an end")


def compact_pages(log: Lineage, folder: Path) -> int:
    log.seal(KEY, folder / "compact.db")
    db = apsw.Connection(str(folder / "compact.db"))
    ((count,),) = db.execute("PRAGMA page_count")
    db.close()
    return int(count)


def test_pages_in_use_are_little_more_than_what_is_kept_needs(log: Lineage, tmp_path: Path) -> None:
    assert packed_all(log) == [STRETCH] * ((ENTRIES - 128) // STRETCH)
    count, free = pages(log)
    assert count - free <= PACKED_WITHIN * compact_pages(log, tmp_path)
    assert free > count // 4


def test_new_entries_take_the_room_before_the_file_grows(log: Lineage) -> None:
    packed_all(log)
    count, free = pages(log)
    with log.transaction():
        grow(log, free * 4)
        log.stand(KEY)
    after, left = pages(log)
    assert after == count
    assert left < free // 2
    assert log.verify(KEY.public, standing=True) is None


def test_no_row_is_another_and_no_proof_either(log: Lineage) -> None:
    rows, head, proof = list(log._db.execute(ROWS)), log.head(), log.inclusion(5)
    assert packed_all(log)
    assert list(log._db.execute(ROWS)) == rows
    assert (log.head(), log.inclusion(5)) == (head, proof)
    assert check_entries(log) == ENTRIES - 128
    assert log.verify(KEY.public, standing=True) is None
    assert log._one("PRAGMA integrity_check") == "ok"


def test_what_somebody_altered_on_the_disk_is_moved_as_it_is_and_found(log: Lineage) -> None:
    log._db.execute("UPDATE leaf SET body=CAST(x'ff61' AS TEXT), author='x', seq=1.5, reason=x'00' WHERE idx=9")
    rows = list(log._db.execute(ROWS))
    assert packed_all(log)
    assert list(log._db.execute(ROWS)) == rows
    assert log.verify(KEY.public, standing=True) is not None


def test_a_start_goes_on_where_the_last_came_to(log: Lineage) -> None:
    with log.transaction():
        assert LogPacker(log).act(step_of(log, KEY, 0)) == STRETCH
        log.stand(KEY)
    path = log.path
    log.close()
    again = Lineage(path, origin=ORIGIN)
    assert again.counted(f"{PACKED}{RENEWALS}") == STRETCH
    assert again.start_look(KEY.public).refusal is None
    assert len(packed_all(again)) == (ENTRIES - 128) // STRETCH - 1


def test_a_step_that_fails_leaves_rows_and_place_as_they_were(log: Lineage) -> None:
    rows, packer = list(log._db.execute(ROWS)), LogPacker(log)

    def fails() -> None:
        with log.transaction():
            assert packer.act(step_of(log, KEY, 0)) == STRETCH
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert list(log._db.execute(ROWS)) == rows
    assert log.counted(f"{PACKED}{RENEWALS}") == 0
    assert len(packed_all(log)) == (ENTRIES - 128) // STRETCH
    assert list(log._db.execute(ROWS)) == rows


def test_one_stretch_goes_in_a_second_and_none_that_is_not_decided_on(log: Lineage) -> None:
    packer, half_s = LogPacker(log), EVERY_NS / NS / 2
    moved = [packer.act(step_of(log, KEY, number * half_s)) for number in range(6)]
    assert moved == [STRETCH, 0] * 3
    packed_all(log)
    assert log.counted(f"{PACKED}{RENEWALS}") == ENTRIES - 128
    with log.transaction():
        let_go(log, STRETCH // 2)
    assert packed_all(log) == []
    with log.transaction():
        let_go(log, STRETCH // 2)
    assert packed_all(log) == [STRETCH]


def test_where_nothing_is_to_do_the_next_look_is_later(log: Lineage) -> None:
    packer = LogPacker(log)
    packed_all(log, packer)
    with log.transaction():
        let_go(log, STRETCH)
    waited = QUIET_NS // NS + ENTRIES
    assert packer.act(step_of(log, KEY, (ENTRIES - 128) // STRETCH + 1)) == 0
    assert packer.act(step_of(log, KEY, waited)) == STRETCH
    with log.transaction():
        let_go(log, STRETCH)
    assert packer.act(step_of(log, KEY, 0)) == STRETCH, "a clock set back stops nothing"


def test_stretches_with_few_stubs_of_the_kind_stay(tmp_path: Path) -> None:
    log = Lineage(tmp_path / "log.db", origin=ORIGIN)
    with log.transaction():
        for number in range(logpacker.LOOKED_AT + 4):
            few = STRETCH // logpacker.LEAST - (0 if number == 2 else 1)
            grow(log, few)
            grow(log, STRETCH - few, typ="grant")
        let_go(log, log.size)
    packer, cursor = LogPacker(log), f"{PACKED}{RENEWALS}"
    assert packer.act(step_of(log, KEY, 0)) == STRETCH
    assert log.counted(cursor) == 3 * STRETCH
    assert packer.act(step_of(log, KEY, 1)) == 0
    assert log.counted(cursor) == (3 + logpacker.LOOKED_AT) * STRETCH
    assert packer.act(step_of(log, KEY, 2)) == 0
    assert log.counted(cursor) == log.size
    log.close()


def test_a_reader_that_began_before_sees_the_log_as_it_was(log: Lineage) -> None:
    reader = apsw.Connection(str(log.path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = reader.execute(ROWS)
    first = next(rows)
    assert len(packed_all(log)) > 10
    assert [first, *rows] == list(log._db.execute(ROWS))
    reader.close()


def test_a_node_packs_behind_what_it_lets_go_and_its_log_is_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logpacker, "STRETCH", 8)
    monkeypatch.setattr(retention, "EVERY_NS", 0)
    world = lived(tmp_path)
    party = world.members["holder"].party
    log, ticks, packed = party.lineage, 0, list[int]()
    pack = type(log).pack

    def counted(self: Lineage, first: int, last: int) -> None:
        packed.append(first)
        pack(self, first, last)

    monkeypatch.setattr(type(log), "pack", counted)
    while ticks < 20 or party.packer.due_ns is not None:
        at_ns, waits_until = fix(60.0 + ticks).time.latest_ns, party.packer.due_ns
        if waits_until is not None:
            assert party.next_due_ns() in (0, waits_until)
            assert at_ns < waits_until or party.due(fix(60.0 + ticks))
        world.do("holder", 60.0 + ticks, party.tick)
        ticks += 1
        assert ticks < 100
    assert len(packed) >= 2
    assert not party.due(fix(60.0 + ticks))
    assert party.next_due_ns() is None
    assert party.faults == 0
    assert log.verify(world.members["holder"].key.public, standing=True) is None
    found = audit_lineage(world.folder / "holder.db", network=NETWORK, anchors=world.registry().anchors)
    assert found.ok, found.findings.problems
