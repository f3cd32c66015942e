"""Kill -9 of either side at each step of a settlement, real processes: after the restart both agree, and once."""

from pathlib import Path

import pytest

from settlement.pair.table import HolderState, UserState
from tests.settlement.peers import AFTER_COMMIT, AFTER_SEND, BEFORE_COMMIT, Street, patient, street
from tests.settlement.world import LOWER, NS

POINTS = (BEFORE_COMMIT, AFTER_COMMIT, AFTER_SEND)
STEPS = [
    ("holder", "granted"),
    ("holder", "settled"),
    ("alice", "requested"),
    ("alice", "accepted"),
    ("alice", "settled"),
]
CASES = [(who, step, point) for who, step in STEPS for point in POINTS]


def ask(where: Street, user: str, length_s: int = 30) -> None:
    peer = where.peers[user]
    if not peer.ask("offers"):
        where.peers["holder"].ask("offer")  # it was lost with the holder, which offers again when it comes up
    peer.until("offers", bool)
    start_ns = where.now_ns() // NS * NS + 2 * NS
    peer.ask("request", LOWER, start_ns, start_ns + length_s * NS)


@pytest.mark.feature("S7")
@pytest.mark.attack(47)
@pytest.mark.parametrize(("who", "step", "point"), CASES)
def test_killed_at_a_step_both_agree_after_the_restart(tmp_path: Path, who: str, step: str, point: str) -> None:
    kill_and_compare(tmp_path, who, step, point)


def kill_and_compare(folder: Path, who: str, step: str, point: str) -> None:
    """Let a node die there, start it again, bring what was begun to its end, and hold both sides to it."""
    where = street(folder, patient(), **{who: (step, point)})
    try:
        act(where, step)
        where.peers[who].dies()
        where.again(who)
        finish(where)
        agree(where)
    finally:
        where.close()


def act(where: Street, step: str) -> None:
    """Do what brings that node to its step."""
    if step in ("offer", "offered"):
        return
    ask(where, "alice")
    if step == "ended":
        where.peers["alice"].until("pairs", lambda p: [s for s, _ in p[1].values()] == [UserState.SETTLED])
        where.peers["alice"].ask("relinquish")


def finish(where: Street) -> None:
    """What was begun comes to its end; what was lost before it was durable is asked for again."""
    alice = where.peers["alice"]
    if not alice.ask("pairs")[1]:
        ask(where, "alice")
    done = (UserState.SETTLED, UserState.ENDED)
    alice.until("pairs", lambda p: p[1] and all(state in done for state, _ in p[1].values()))


def agree(where: Street) -> None:
    """One decision for each settlement on both sides, one live grant of the cell, and bob is told it is taken."""
    holder, alice, bob = (where.peers[name] for name in ("holder", "alice", "bob"))
    ours = alice.ask("pairs")[1]
    over = {sid for sid, (state, _) in ours.items() if state == UserState.ENDED}
    theirs, _ = holder.until("pairs", lambda p: all(p[0][sid][0] != HolderState.CONFIRMED for sid in over))
    for sid, (state, decision) in ours.items():
        assert theirs[sid][1] == decision
        assert state != UserState.SETTLED or theirs[sid][0] == HolderState.CONFIRMED
    assert len(holder.ask("records", "confirm")) == len({sid for sid in theirs if theirs[sid][1]})
    for peer in (holder, alice):
        assert peer.ask("faults") == []
    if any(state == HolderState.CONFIRMED for state, _ in theirs.values()):
        ask(where, "bob")
        bob.until("pairs", lambda p: [s for s, _ in p[1].values()] == [UserState.REFUSED])
        assert sum(state == HolderState.CONFIRMED for state, _ in holder.ask("pairs")[0].values()) == 1
