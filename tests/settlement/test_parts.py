"""Parts of a log's transaction: each is undone alone, and one that changes nothing is never begun in the database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from settlement.chain.lineage import Lineage


class PartError(Exception):
    """What ends a part of a test."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Lineage]:
    held = Lineage(tmp_path / "lineage.db", origin="bandpact/test/parts")
    yield held
    held.close()


def _fail(log: Lineage, *, change: bool) -> None:
    with log.transaction():
        if change:
            log.put("kind", b"gone", b"1")
            log.count("gone")
        raise PartError


def _fail_after_an_inner_one(log: Lineage) -> None:
    with log.transaction():
        with log.transaction(), log.transaction():
            log.put("kind", b"inner", b"1")
        raise PartError


def _begun(log: Lineage) -> list[str]:
    said: list[str] = []

    def note(_cursor: object, sql: str, _bindings: object) -> bool:
        said.append(sql.split(maxsplit=1)[0].upper())
        return True

    log._db.exec_trace = note
    return said


def test_parts_that_change_nothing_are_not_begun(log: Lineage) -> None:
    said = _begun(log)
    with log.transaction():
        for _ in range(10):
            with log.transaction(), log.transaction():
                log.get("kind", b"none")
    assert (said.count("BEGIN"), said.count("SAVEPOINT")) == (1, 0)


def test_a_part_is_begun_with_those_around_it_by_its_first_change(log: Lineage) -> None:
    said = _begun(log)
    with log.transaction(), log.transaction(), log.transaction():
        log.put("kind", b"a", b"1")
        log.put("kind", b"b", b"1")
    assert (said.count("BEGIN"), said.count("SAVEPOINT"), said.count("RELEASE")) == (1, 2, 2)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_part_is_undone_alone_whatever_was_changed_around_it(log: Lineage, *, before: bool, after: bool) -> None:
    with log.transaction():
        with log.transaction():
            if before:
                log.put("kind", b"before", b"1")
            with pytest.raises(PartError):
                _fail(log, change=True)
            with pytest.raises(PartError):
                _fail(log, change=False)
            if after:
                log.put("kind", b"after", b"1")
        log.put("kind", b"last", b"1")
    kept = {key for key, _ in log.items("kind")}
    assert kept == {b"last"} | ({b"before"} if before else set()) | ({b"after"} if after else set())
    assert log.counted("gone") == 0
    assert {key for key, _ in _read_anew(log)} == kept


def test_what_an_outer_part_undoes_takes_with_it_what_inner_ones_changed(log: Lineage) -> None:
    with log.transaction():
        log.put("kind", b"first", b"1")
        with pytest.raises(PartError):
            _fail_after_an_inner_one(log)
    assert [key for key, _ in _read_anew(log)] == [b"first"]


def test_a_whole_that_is_undone_leaves_nothing_and_the_next_is_as_ever(log: Lineage) -> None:
    with pytest.raises(PartError):
        _fail_after_an_inner_one(log)
    with log.transaction(), log.transaction():
        log.put("kind", b"next", b"1")
    assert [key for key, _ in _read_anew(log)] == [b"next"]


def _read_anew(log: Lineage) -> list[tuple[bytes, bytes]]:
    """What is durable, by another connection."""
    other = Lineage(log.path, origin=log.origin)
    found = other.items("kind")
    other._db.close()
    return found
