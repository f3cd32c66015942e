"""What an audit keeps of records lies outside memory, in the order asked for, and nothing of it is lost on the way."""

import tracemalloc
from dataclasses import replace
from random import Random

import pytest

from settlement.audit import heldrecords
from settlement.audit.crosscheck import LiveCell, _check_live, _LiveCells
from settlement.audit.findings import Findings
from settlement.audit.handed import HandedChains
from settlement.audit.heldrecords import HeldRecords
from settlement.chain.bodies import Grant
from settlement.chain.keys import SigningKey
from settlement.chain.records import Record, make_record, reopened
from settlement.chain.scope import Area, Band, Cell, Window
from tests.settlement.test_crosscheck import Story

pytestmark = pytest.mark.feature("X3")
ANYBODY = SigningKey.from_seed(bytes(32))
NOBODY = HandedChains(handovers={}, vacated={}, above={}, wrong={})
HERE = Area(lat_e7=0, lon_e7=0, radius_mm=1000)


def _numbered(record: Record, seq: int, name: int) -> Record:
    return replace(record, digest=name.to_bytes(32, "big"), frame=replace(record.frame, seq=seq))


def _grant() -> Record:
    return next(record for record in Story(1).all if isinstance(record.body, Grant))


def test_a_number_that_was_used_twice_is_found_wherever_it_stands() -> None:
    held, grant, count = HeldRecords(), _grant(), 3 * heldrecords.WRITTEN_AT_ONCE
    for number in range(count):
        held.add(_numbered(grant, number + 1, number), index=number, once=True)
    assert list(held.twice()) == []
    held.add(_numbered(grant, 7, count), index=count, once=True)
    held.add(_numbered(grant, 8, count + 1), index=count + 1)
    assert list(held.twice()) == [(count, grant.frame.author, 7)]


def test_the_largest_number_there_is_keeps_its_place() -> None:
    held, grant = HeldRecords(), _grant()
    for name, seq in enumerate(((1 << 64) - 1, 1 << 63, 2, 256)):
        held.add(_numbered(grant, seq, name))
    assert [int.from_bytes(row.num, "big") for row in held.by_number()] == [2, 256, 1 << 63, (1 << 64) - 1]


def test_a_grant_is_found_again_however_many_came_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heldrecords, "GRANTS_AT_HAND", 3)
    held, grant = HeldRecords(), _grant()
    for number in range(10):
        body = replace(grant.body, sid=number.to_bytes(32, "big"), fence=number)
        held.granted(make_record(ANYBODY, grant.frame, body))
    for number in range(10):
        found = held.grant(number.to_bytes(32, "big"))
        assert found is not None
        assert found.body.fence == number
    assert held.grant(bytes(31) + b"\x63") is None


def test_memory_does_not_grow_with_what_is_kept() -> None:
    grant = _grant()

    def peak(count: int) -> int:
        tracemalloc.start()
        held = HeldRecords()
        for number in range(count):
            sid = number.to_bytes(32, "big")
            body = replace(grant.body, sid=sid)
            held.add(replace(_numbered(grant, number, number), body=body), index=number, once=True)
        assert sum(1 for _ in held.by_settlement()) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(8000) < 1.3 * peak(2000)


def _lives(rng: Random, count: int) -> list[LiveCell]:
    lives = []
    for number in range(count):
        low_hz, from_ns = rng.randrange(6) * 10, rng.randrange(100)
        cell = Cell(
            band=Band(low_hz=low_hz, high_hz=low_hz + rng.choice((10, 20))),
            area=HERE,
            window=Window(start_ns=from_ns, end_ns=from_ns + 50),
        )
        until_ns = from_ns + rng.randrange(-3, 12)
        sid = number.to_bytes(32, "big")
        lives.append(LiveCell(sid=sid, cell=cell, from_ns=from_ns, until_ns=until_ns, commodity="c"))
    return lives


@pytest.mark.parametrize("seed", range(40))
def test_the_sweep_finds_every_pair_that_all_pairs_find(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("settlement.audit.findings.SHOWN_MAX", 10_000)
    lives, store, findings = _lives(Random(seed), 40), _LiveCells(), Findings()
    for live in lives:
        store.add(live)
    _check_live(findings, NOBODY, store)
    pairs = {
        frozenset((one.sid, other.sid)) for n, one in enumerate(lives) for other in lives[:n] if one.clashes(other)
    }
    assert len(findings.problems) == len(pairs)
    assert pairs


def test_a_record_and_a_live_cell_come_back_as_they_were() -> None:
    for record in Story(1).all:
        assert reopened(record.raw) == record
    live = _lives(Random(1), 1)[0]
    assert heldrecords.unpacked(heldrecords.packed(live)) == live
