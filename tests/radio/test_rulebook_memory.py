"""What a warden's rule book says and remembers: a superseded rule in words, edges of a rule's window, its bounds."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from radio.rulebook import SETTLED_MAX, RuleBook, RulesLost, SeenFile, SeenRules, Settled
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.chain.scope import Window
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import VerifiedPermit
from tests.radio.test_rulebook import SECOND_AT_S, after, book, held, permits, under
from tests.settlement.collusion import Collusion
from tests.settlement.world import NS, T0, fix


def permit_of(made: Collusion) -> VerifiedPermit:
    taken = permits(made).take(made.artifact(), fix(1.5).time)
    assert not isinstance(taken, Refusal)
    return taken.permit


def instant(at_ns: int) -> TimeFix:
    return TimeFix(earliest_ns=at_ns, latest_ns=at_ns, source=TimeSource.SIMULATED, trusted=True)


def signed_at(permit: VerifiedPermit, earliest_ns: int, latest_ns: int) -> VerifiedPermit:
    return replace(permit, granted=replace(permit.granted, earliest_ns=earliest_ns, latest_ns=latest_ns))


def told(refusal: Refusal | None) -> tuple[str, str, str]:
    assert refusal is not None
    assert refusal.reason is Reason.RULE_UNKNOWN
    return refusal.clause, refusal.measured, refusal.required


@pytest.mark.attack(59)
def test_a_superseded_rule_is_told_with_both_versions(tmp_path: Path) -> None:
    first = Collusion(tmp_path / "one")
    second = under(first, tmp_path / "two", after(first), SECOND_AT_S + 1)
    opened, permit = book(first, configured=first), permit_of(first)
    assert opened.hear(held(second)) is None
    begun = T0 + round(SECOND_AT_S * NS)
    assert opened.judge(permit, instant(begun - 1)) is None
    assert told(opened.judge(permit, instant(begun))) == (
        "rulebook.in_force", "version 1 of test", "version 2, in force now",
    )  # fmt: skip
    assert told(opened.judge(signed_at(permit, begun, begun), instant(begun - 1))) == (
        "rulebook.in_force", "version 1 of test", "version 2, in force when its GRANT was signed",
    )  # fmt: skip


@pytest.mark.attack(59)
def test_an_instant_counts_where_a_rules_window_surely_holds_it(tmp_path: Path) -> None:
    made = Collusion(tmp_path)
    opened, permit = book(made, configured=made), permit_of(made)
    window = made.rule.effective
    never = ("rulebook.in_force", "version 1 of test", "a rule in force when its GRANT was signed")
    assert opened.judge(signed_at(permit, window.start_ns, window.end_ns - 1), fix(1).time) is None
    assert told(opened.judge(signed_at(permit, window.start_ns - 1, window.end_ns - 1), fix(1).time)) == never
    assert told(opened.judge(signed_at(permit, window.start_ns, window.end_ns), fix(1).time)) == never
    over = ("rulebook.in_force", "version 1 of test", "a rule in force now")
    assert told(opened.judge(permit, instant(window.end_ns))) == over


def lasting(permit: VerifiedPermit, number: int, end_ns: int) -> VerifiedPermit:
    """Another settlement like it, over at `end_ns`."""
    cell = replace(permit.cell, window=Window(start_ns=T0, end_ns=end_ns))
    return replace(permit, sid=number.to_bytes(32, "big"), cell=cell)


def remembered(opened: RuleBook) -> set[int]:
    return {int.from_bytes(sid, "big") for sid in opened._settled}


def test_what_is_surely_over_is_forgotten_and_nothing_else(tmp_path: Path) -> None:
    made = Collusion(tmp_path)
    opened, permit = book(made, configured=made), permit_of(made)
    for number, end_s in ((1, 5), (2, 6)):
        opened.note(lasting(permit, number, T0 + end_s * NS), fix(1).time)
    opened.note(lasting(permit, 3, T0 + 9 * NS), None)
    assert remembered(opened) == {1, 2, 3}, "without a clock nothing is over"
    opened.note(lasting(permit, 4, T0 + 9 * NS), instant(T0 + 5 * NS))
    assert remembered(opened) == {1, 2, 3, 4}, "at the very end it is not surely over"
    opened.note(lasting(permit, 5, T0 + 9 * NS), instant(T0 + 5 * NS + 1))
    assert remembered(opened) == {2, 3, 4, 5}
    opened.note(lasting(permit, 5, T0 + 99 * NS), instant(T0 + 60 * NS))
    assert remembered(opened) == {2, 3, 4, 5}, "one that is known already changes nothing"


def test_it_remembers_so_many_and_lets_the_oldest_go(tmp_path: Path) -> None:
    made = Collusion(tmp_path)
    opened, permit = book(made, configured=made), permit_of(made)
    for number in range(SETTLED_MAX):
        opened.note(lasting(permit, number, T0 + 9 * NS), None)
    assert remembered(opened) == set(range(SETTLED_MAX))
    opened.note(lasting(permit, SETTLED_MAX, T0 + 9 * NS), None)
    assert remembered(opened) == set(range(1, SETTLED_MAX + 1))


def test_the_configured_rule_is_heard_once_and_none_may_be_missing(tmp_path: Path) -> None:
    first = Collusion(tmp_path / "one")
    opened = book(first)
    assert opened.newest is None
    assert opened.open(held(first)) is None
    assert opened.open(held(first)) is None
    assert [one.rule.rule.version for one in opened._rules] == [1]


def test_bytes_that_are_no_rule_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    made = Collusion(tmp_path)
    opened = book(made, configured=made)
    refusal = opened.hear_bytes(b"\x00", made.rule_chain)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.MALFORMED


def test_a_lost_file_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        RulesLost, match=rf"^{tmp_path}: is a folder; the warden must be able to read what it has seen$"
    ):
        SeenFile(tmp_path).read()
    spoiled = tmp_path / "seen"
    spoiled.write_bytes(b"\xff")
    with pytest.raises(RulesLost, match=rf"^{spoiled}: damaged \(\w+\); restore it, or move it away knowingly$"):
        SeenFile(spoiled).read()


def test_the_writer_is_one_thread_of_its_own_name_and_ends_when_closed(tmp_path: Path) -> None:
    made = Collusion(tmp_path / "one")
    opened, permit = book(made, tmp_path / "seen", made), permit_of(made)
    for number in range(5):
        opened.note(lasting(permit, number, T0 + 9 * NS), None)
    (thread,) = [one for one in threading.enumerate() if one.name == "seen rules"]
    assert thread.daemon
    opened.close()
    assert not thread.is_alive()
    assert len(SeenFile(tmp_path / "seen").read().settled) == 5
    assert opened.file is not None
    assert opened.file.fault is None


@pytest.mark.timeout(60)
def test_what_is_kept_later_is_written_too_however_much_it_is(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    file = SeenFile(path)
    sids = [number.to_bytes(32, "big") for number in range(SETTLED_MAX)]
    settled = tuple(Settled(sid=sid, confirm=sid, end_ns=T0) for sid in sids)
    for count in (1, SETTLED_MAX):
        file.keep(SeenRules(rules=(), settled=settled[:count]))
        while not (path.exists() and len(SeenFile(path).read().settled) == count):
            threading.Event().wait(0.001)
    assert path.stat().st_size > MAX_RECORD_BYTES, "more than one record may hold"
    file.keep(SeenRules(rules=(), settled=settled[:2]))
    file.close()
    assert len(SeenFile(path).read().settled) == 2, "what waits at the end is written before it ends"
