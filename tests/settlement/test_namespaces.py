"""Nodes on hosts of their own, the network cut in the middle: they settle or abort, and agree."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.pair.table import HolderState, UserState
from tests.settlement.hosts import Hosts, HostsError, Town, hosts
from tests.settlement.peers import AFTER_COMMIT, Peer
from tests.settlement.world import HOLDER_ACTIONS, LOWER, NS, RULE, USER_ACTIONS

NAMES = ["holder", "alice", "bob"]
LONG_S = 40.0
SHORT = replace(RULE, classes=tuple(replace(c, accept_ns=2 * NS, confirm_ns=2 * NS) for c in RULE.classes))
LONG = replace(
    RULE,
    record_age_ns_max=30 * NS,
    classes=tuple(replace(c, accept_ns=20 * NS, confirm_ns=20 * NS) for c in RULE.classes),
)


@contextlib.contextmanager
def made(names: list[str], *, kernel: bool) -> Iterator[Hosts]:
    """Hosts, or a skipped test where this machine lets it make none."""
    with contextlib.ExitStack() as stack:
        try:
            network = stack.enter_context(hosts(names, kernel=kernel))
        except (HostsError, OSError) as exc:
            pytest.skip(f"no network namespaces for a test here: {exc}")
        yield network


def settle_in(town: Town, **pause: tuple[str, str]) -> None:
    """Start all three, have the holder offer, and have alice ask."""
    roles = {"holder": HOLDER_ACTIONS, "alice": USER_ACTIONS, "bob": USER_ACTIONS}
    town.enrol_processes(**roles)
    for name in roles:
        others = {other: town.place(other) for other in roles if other != name}
        town.start(town.spec(name, town.place(name), others, pause.get(name)))
    town.peers["holder"].ask("offer")
    ask(town, "alice")


def ask(town: Town, who: str) -> None:
    """Have a user ask for the cell; an offer that was lost on the way is made again."""
    deadline = time.monotonic() + LONG_S
    while not town.peers[who].ask("offers"):
        assert time.monotonic() < deadline, f"{who} hears of no offer"
        town.peers["holder"].ask("offer")
        with contextlib.suppress(AssertionError):
            town.peers[who].until("offers", bool)
    start_ns = town.now_ns() // NS * NS + 2 * NS
    town.peers[who].ask("request", LOWER, start_ns, start_ns + 60 * NS)


def eventually(peer: Peer, command: str, holds: Callable[[Any], Any]) -> Any:
    """As `Peer.until`, for a network that takes its time."""
    deadline = time.monotonic() + LONG_S
    while not holds(answer := peer.ask(command)):
        assert time.monotonic() < deadline, f"{peer.spec.name}: {command} stays {answer}"
    return answer


def over(pairs: Any) -> bool:
    ended = (UserState.SETTLED, UserState.ABORTED, UserState.REFUSED, UserState.ENDED)
    return bool(pairs[1]) and all(state in ended for state, _ in pairs[1].values())


def agreed(town: Town) -> int:
    """Both sides hold the same decision on each settlement of alice; returns the state of hers."""
    theirs, ours = town.peers["holder"].ask("pairs")[0], town.peers["alice"].ask("pairs")[1]
    ((sid, (state, decision)),) = ours.items()
    there, decided = theirs.get(sid, (HolderState.ABORTED, None))
    assert decided == decision
    assert (state == UserState.SETTLED) == (there == HolderState.CONFIRMED)
    for peer in town.peers.values():
        assert peer.ask("faults") == []
    return int(state)


def only_once(town: Town) -> None:
    """Bob gets the cell when alice has it not, and not when she has."""
    ask(town, "bob")
    state = agreed(town)
    found = eventually(town.peers["bob"], "pairs", over)
    wanted = UserState.REFUSED if state == UserState.SETTLED else UserState.SETTLED
    assert [s for s, _ in found[1].values()] == [wanted]
    live = [s for s, _ in town.peers["holder"].ask("pairs")[0].values() if s == HolderState.CONFIRMED]
    assert len(live) == 1


@pytest.mark.feature("S7")
@pytest.mark.parametrize(
    ("who", "step", "in_time", "ends"),
    [
        ("alice", "accepted", False, UserState.ABORTED),
        ("alice", "accepted", True, UserState.SETTLED),
        ("holder", "settled", False, UserState.SETTLED),
    ],
    ids=["ACCEPT held back until it is too late", "ACCEPT held back for a while", "CONFIRM held back"],
)
def test_a_network_cut_in_the_middle_of_a_settlement(
    tmp_path: Path, who: str, step: str, in_time: bool, ends: UserState
) -> None:
    with made(NAMES, kernel=True) as network:
        town = Town(tmp_path, network, rule=LONG if in_time else SHORT)
        try:
            settle_in(town, **{who: (step, AFTER_COMMIT)})
            paused = town.wait_paused(who)
            network.cut("alice")
            paused.go_on()
            holder, alice = town.peers["holder"], town.peers["alice"]
            if ends is UserState.ABORTED:
                holder.until("pairs", lambda p: {s for s, _ in p[0].values()} == {HolderState.ABORTED})
            # Cut off after her ACCEPT she is in doubt: she neither has it nor gives it up.
            assert [s for s, _ in alice.ask("pairs")[1].values()] == [UserState.ACCEPTED]
            network.heal("alice")
            eventually(alice, "pairs", over)
            assert agreed(town) == ends
            only_once(town)
        finally:
            town.close()
