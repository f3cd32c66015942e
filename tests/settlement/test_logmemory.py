"""What a log holds in memory is bounded and right; after a commit that may have failed a node starts from the file."""

from pathlib import Path
from types import TracebackType
from typing import Any

import apsw
import pytest

from settlement.chain import memory
from settlement.chain.bodies import Evidence
from settlement.chain.lineage import LineageError
from settlement.chain.memory import Memory, Recent
from settlement.chain.records import Record
from settlement.state.step import Step
from tests.settlement.world import Member, World, fix, trio

pytestmark = pytest.mark.feature("G6")
KEPT = 8


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT", KEPT)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return trio(tmp_path)


def said(step: Step, number: int) -> Record:
    return step.sign(Evidence(reason=f"number {number}", first=b"a", second=b"b"))


def test_the_entries_kept_last_stay_and_the_oldest_makes_room(few: None) -> None:
    recent = Recent[int, str]()
    for number in range(KEPT):
        recent.keep(number, "")
    recent.keep(0, "again")
    recent.keep(KEPT, "")
    assert list(recent.items()) == [*((number, "") for number in range(2, KEPT)), (0, "again"), (KEPT, "")]
    for number in range(10 * KEPT):
        recent.keep(number, "")
        assert len(recent) <= KEPT


def test_a_log_of_many_records_holds_few_of_them_and_knows_all(world: World, few: None) -> None:
    holder = world.members["holder"]
    log, signed = holder.party.lineage, list[Record]()
    for number in range(3 * KEPT):
        with holder.party.step(fix(1.0)) as step:
            signed.append(said(step, number))
            step.put("kept", bytes([number]), b"value")
    held: Memory = log._memory
    assert max(len(held.records), len(held.lasts), len(held.state)) <= KEPT
    assert signed[-1].digest in held.records
    assert signed[0].digest not in held.records
    assert all(log.seen(one.digest) for one in signed)
    assert all(log.author_record(holder.hash, one.frame.seq) == one.digest for one in signed)
    assert log.author_last(holder.hash) == (signed[-1].frame.seq, signed[-1].digest)
    assert [log.get("kept", bytes([number])) for number in range(3 * KEPT)] == [b"value"] * (3 * KEPT)


def test_an_authors_last_record_is_the_one_with_the_highest_number_in_whatever_order_they_come(world: World) -> None:
    made: list[Record] = []
    world.do("holder", 1.0, lambda step: made.extend(said(step, number) for number in range(3)))
    held, author = Memory(), world.members["holder"].hash
    held.lasts.keep(author, None)
    for one in (made[0], made[2], made[1]):
        held.appended(one)
    assert held.lasts[author] == (made[2].frame.seq, made[2].digest)


class Unsure:
    """A database that says of the next commit that it failed; it may have been durable all the same."""

    def __init__(self, real: apsw.Connection, *, durable: bool) -> None:
        self._real, self._durable, self._depth = real, durable, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __enter__(self) -> None:
        self._real.__enter__()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth or exc is not None:
            self._real.__exit__(kind, exc, trace)
        elif self._durable:
            self._real.__exit__(None, None, None)
            raise apsw.IOError("disk I/O error")
        else:
            failed = apsw.IOError("disk I/O error")
            self._real.__exit__(apsw.IOError, failed, None)
            raise failed


def fails_to_commit(member: Member, signed: list[Record], *, durable: bool) -> None:
    """A step of a node whose commit says that it failed."""
    log = member.party.lineage
    real = log._db
    log._db = Unsure(real, durable=durable)  # type: ignore[assignment]

    def tried() -> None:
        with member.party.step(fix(2.0)) as step:
            signed.append(said(step, 1))
            step.put("spoilt", b"x", b"y")

    with pytest.raises(LineageError, match="commit failed: disk I/O error; free disk space, then restart"):
        tried()
    log._db = real


@pytest.mark.attack(48)
@pytest.mark.parametrize("durable", [False, True])
def test_what_a_commit_of_unsure_outcome_wrote_is_held_to_have_never_happened(world: World, durable: bool) -> None:
    world.settle()
    member, signed = world.members["holder"], list[Record]()
    log, size = member.party.lineage, member.party.lineage.size
    held = log.head()
    fails_to_commit(member, signed, durable=durable)
    assert (log.size, log.head()) == (size, held)
    assert log.recent(signed[0].digest) is None
    assert signed[0].digest not in log._memory.records
    assert ("spoilt", b"x") not in log._memory.state


@pytest.mark.attack(48)
@pytest.mark.parametrize("durable", [False, True])
def test_a_node_goes_on_from_what_is_durable_once_it_starts_again(world: World, durable: bool) -> None:
    """It signs the next number, and never the same number twice: that would be taken for a contradiction."""
    world.settle()
    member, signed = world.members["holder"], list[Record]()
    size = member.party.lineage.size
    fails_to_commit(member, signed, durable=durable)
    member.party.lineage.close()
    again = world.members["holder"] = world.member_again("holder")
    assert again.party.damaged is None
    assert again.party.lineage.size == size + durable
    assert again.party.lineage.seen(signed[0].digest) is durable
    assert again.party.lineage.get("spoilt", b"x") == (b"y" if durable else None)
    world.do("holder", 3.0, lambda step: signed.append(said(step, 2)))
    assert signed[1].frame.seq == signed[0].frame.seq + durable


@pytest.mark.attack(48)
def test_a_node_that_goes_on_all_the_same_writes_nothing_over_what_was_durable(world: World) -> None:
    world.settle()
    member, signed = world.members["holder"], list[Record]()
    fails_to_commit(member, signed, durable=True)

    def tried() -> None:
        with member.party.step(fix(3.0)) as step:
            said(step, 2)

    with pytest.raises(LineageError, match="restart"):
        tried()
    member.party.lineage.close()
    again = world.member_again("holder")
    assert again.party.damaged is None
    assert again.party.lineage.seen(signed[0].digest)
