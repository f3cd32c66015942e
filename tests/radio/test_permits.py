"""Tests of the warden's permits: what is accepted, what changes one, key rotation, and which permit applies now."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from radio.permits import GRACE_NS, WITHDRAWN_MAX, HeldPermit, Permits
from radio.rulebook import RuleBook
from settlement.chain import bodies
from settlement.chain.bodies import Renew, Resume, Suspend
from settlement.chain.credentials import Registry, Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import digest
from settlement.chain.rotation import judge_rotation, rotation_of
from settlement.chain.scope import Window
from settlement.core.reasons import Reason, Refusal, refuse
from tests.settlement.collusion import Collusion, other_cell
from tests.settlement.world import NETWORK, NS, T0, USER_ACTIONS, claims, fix, scope, seed

GONE = refuse(Reason.PREEMPTED, "gate.6", "gone", "here")


@pytest.fixture
def made(tmp_path: Path) -> Collusion:
    return Collusion(tmp_path)


def permits(made: Collusion, **changes: Any) -> Permits:
    return Permits(network=NETWORK, anchors=made.anchors, **changes)


def taken(made: Collusion, warden: Permits, at_s: float = 1.3) -> HeldPermit:
    held = warden.take(made.artifact(), fix(at_s).time)
    assert isinstance(held, HeldPermit), held
    return held


def reason(outcome: object) -> Reason | None:
    return outcome.reason if isinstance(outcome, Refusal) else None


def record(made: Collusion, body: Any, at_s: float = 3.0) -> bytes:
    return made.signed("holder", made.chains["holder"], body, fix(at_s))


def renewal(held: HeldPermit, **changes: Any) -> Renew:
    body = Renew(sid=held.permit.sid, confirm=held.permit.confirm, number=1, transmit_until_ns=T0 + 6 * NS, fence=2)
    return replace(body, **changes)


def test_an_artifact_is_taken_once_and_what_is_known_of_it_stays(made: Collusion) -> None:
    warden, artifact = permits(made), made.artifact()
    held = warden.take(artifact, fix(1.3).time)
    assert isinstance(held, HeldPermit)
    held.bursts = 7
    assert warden.take(artifact, fix(1.4).time) is held
    assert warden.get(held.permit.sid) is held
    assert warden.get(bytes(32)) is None
    assert reason(warden.take(artifact[:-1], fix(1.3).time)) is not None
    assert reason(Permits(network="other", anchors=made.anchors).take(artifact, fix(1.3).time)) is not None
    assert reason(Permits(network=NETWORK, anchors=[bytes(32)]).take(artifact, fix(1.3).time)) is Reason.UNKNOWN_AUTHOR


@pytest.mark.attack(42)
def test_only_a_higher_fence_changes_a_permit(made: Collusion) -> None:
    warden = permits(made)
    held = taken(made, warden)
    sid, name = held.permit.sid, held.permit.confirm
    assert warden.change(record(made, renewal(held)), sid, fix(3.1).time) is held
    assert (held.permit.fence, held.permit.renewals, held.permit.transmit_until_ns) == (2, 1, T0 + 6 * NS)
    before = held.permit
    for old in (renewal(held), renewal(held, number=2), renewal(held, fence=3)):
        assert reason(warden.change(record(made, old), sid, fix(3.2).time)) is Reason.FENCE
        assert held.permit is before, "nothing else changed"
    late = Suspend(sid=sid, confirm=name, number=9, fence=2, reason="radar")
    assert reason(warden.change(record(made, late), sid, fix(3.2).time)) is Reason.FENCE
    assert held.permit.suspended_for is None


def test_a_change_needs_a_permit_a_clock_and_a_lease_near_here_and_now(made: Collusion) -> None:
    warden = permits(made)
    held = taken(made, warden)
    sid, name = held.permit.sid, held.permit.confirm
    raw = record(made, renewal(held))
    assert reason(warden.change(raw, bytes(32), fix(3.1).time)) is Reason.UNKNOWN_SID
    assert reason(warden.change(raw, sid, fix(3.1, trusted=False).time)) is Reason.LEASE
    ahead = record(made, renewal(held, transmit_until_ns=T0 + 11 * NS), at_s=8.5)
    assert reason(warden.change(ahead, sid, fix(3.1).time)) is Reason.LEASE, "attested in the future"
    assert warden.change(ahead, sid, fix(8.6).time) is held
    suspend = record(made, Suspend(sid=sid, confirm=name, number=2, fence=3, reason="radar"), at_s=8.7)
    assert warden.change(suspend, sid, fix(8.8, trusted=False).time) is held, "what closes needs no clock"
    assert held.permit.suspended_for == "radar"
    resume = record(made, Resume(sid=sid, confirm=name, number=3, transmit_until_ns=T0 + 11 * NS, fence=4), at_s=8.9)
    assert reason(warden.change(resume, sid, fix(9.0, trusted=False).time)) is Reason.LEASE
    assert held.permit.suspended_for == "radar"
    assert warden.change(resume, sid, fix(9.0).time) is held
    assert held.permit.suspended_for is None


def test_at_the_edge_of_its_lease(made: Collusion) -> None:
    warden = permits(made)
    held = taken(made, warden)
    now = fix(3.0)
    edge_ns = now.time.latest_ns + 3 * NS
    raw = record(made, renewal(held, transmit_until_ns=edge_ns))
    earlier = replace(now.time, latest_ns=now.time.latest_ns - 1)
    refusal = warden.change(raw, held.permit.sid, earlier)
    assert str(refusal) == f"LEASE [permits.lease]: {edge_ns} ns (required: <= {edge_ns - 1} ns)"
    assert warden.change(raw, held.permit.sid, now.time) is held


# -- suspensions from the agent, and which permit applies --------------------------------------------------------------


def test_what_was_suspended_stays_so_and_the_first_reason_counts(made: Collusion) -> None:
    warden = permits(made)
    sid = made.grant_body().sid
    assert warden.withdraw(sid, GONE) is False, "not held yet"
    held = taken(made, warden)
    assert held.withdrawn == GONE
    other = replace(GONE, reason=Reason.REVOKED)
    assert warden.withdraw(sid, other) is True
    assert held.withdrawn == GONE
    warden = permits(made)
    held = taken(made, warden)
    assert held.withdrawn is None
    assert warden.withdraw(sid, GONE) is True
    assert held.withdrawn == GONE


def test_suspensions_of_what_is_not_held_are_bounded(made: Collusion) -> None:
    warden = permits(made)
    sid = made.grant_body().sid
    warden.withdraw(sid, GONE)
    for number in range(WITHDRAWN_MAX):
        warden.withdraw(number.to_bytes(32, "big"), GONE)
    assert taken(made, warden).withdrawn is None, "the oldest is forgotten"
    warden = permits(made)
    for number in range(WITHDRAWN_MAX - 1):
        warden.withdraw(number.to_bytes(32, "big"), GONE)
    warden.withdraw(sid, GONE)
    warden.withdraw(bytes(31) + b"x", GONE)
    assert taken(made, warden).withdrawn == GONE, "the newest are not"
    warden = permits(made)
    warden.withdraw(sid, GONE)
    for number in range(WITHDRAWN_MAX - 1):
        warden.withdraw(number.to_bytes(32, "big"), GONE)
    assert taken(made, warden).withdrawn == GONE, "nor is any while there is room for it"


def test_a_refusal_names_its_clause_and_what_was_measured(made: Collusion) -> None:
    warden = permits(made, chain=made.chains["user"])
    held = taken(made, warden)
    raw = record(made, renewal(held))
    key, other = successor(made, device="device-mallory")
    refusals = (
        warden.change(raw, bytes(32), fix(3.1).time),
        warden.change(raw, held.permit.sid, replace(fix(3.1).time, trusted=False, status="no source")),
        warden.succeed(made.records()[1]),
        warden.succeed(turned(made, key, other)),
    )
    assert [str(one) for one in refusals] == [
        "UNKNOWN_SID [permits.change]: 0000000000000000 (required: a permit held here)",
        "LEASE [permits.change]: no source (required: a trusted clock)",
        "BINDING [permits.succeed]: accept (required: a rotation by user)",
        "BINDING [rotation.device]: device-mallory (required: device-user)",
    ]


class Several:
    """Settlements of one pair with windows of their own, in one warden."""

    def __init__(self, folder: Path, *windows: tuple[float, float]) -> None:
        self.held: list[HeldPermit] = []
        self.warden: Permits | None = None
        for number, (start_s, end_s) in enumerate(windows):
            window = Window(start_ns=T0 + round(start_s * NS), end_ns=T0 + round(end_s * NS))
            made = Collusion(folder / f"{number}", grant={"cell": other_cell(window=window)})
            self.warden = self.warden or permits(made)
            self.held.append(taken(made, self.warden))

    def current(self, at_s: float) -> int | None:
        assert self.warden is not None
        found = self.warden.current(fix(at_s).time)
        return None if found is None else next(n for n, held in enumerate(self.held) if held is found)


def test_the_permit_to_go_by(tmp_path: Path) -> None:
    made = Several(tmp_path, (2, 12), (3, 9), (20, 30))
    assert made.current(1.5) == 1, "coming: the one that ends first"
    assert made.current(2.0 - 1e-6) == 0, "begun once its first instant may be now"
    assert made.current(2.5) == 0, "begun before coming"
    assert made.current(4.0) == 1, "both leased: the one that ends first"
    assert made.current(5.5) == 1, "the lease of the first is out"
    assert made.current(7.0) == 1, "begun, none leased: by its end"
    assert made.current(10.0) == 0
    assert made.current(15.0) == 2
    assert made.current(40.0) == 2, "all over: the last one, until it is accounted for"
    made.held[1].withdrawn = GONE
    assert made.current(4.0) == 0
    made.held[0].permit = replace(made.held[0].permit, suspended_for="radar")
    assert made.current(4.0) == 0, "suspended by its holder, and still the one that stands"


def test_a_lease_that_is_held_comes_before_one_that_is_out(tmp_path: Path) -> None:
    made = Several(tmp_path, (2, 12), (2, 9))
    made.held[0].permit = replace(made.held[0].permit, transmit_until_ns=T0 + 8 * NS)
    assert made.current(6.0) == 0
    made.held[0].permit = replace(made.held[0].permit, suspended_for="radar")
    assert made.current(6.0) == 1


def test_what_is_over_is_accounted_for_once(tmp_path: Path) -> None:
    made = Several(tmp_path, (2, 12), (3, 9))
    warden = made.warden
    assert warden is not None
    assert warden.finished(fix(8.0).time) == []
    assert warden.finished(fix(9.5).time) == [made.held[1]]
    assert warden.finished(fix(9.6).time) == []
    made.held[0].withdrawn = GONE
    assert warden.finished(fix(9.7).time) == [made.held[0]]
    assert made.current(9.8) is None, "nothing is left to go by"


# -- the node's own next key -------------------------------------------------------------------------------------------


def successor(made: Collusion, **changes: Any) -> tuple[SigningKey, bytes]:
    """A credential for the user's next key, as its issuer makes it, or not quite."""
    key = SigningKey.from_seed(seed("next"))
    device = changes.pop("device", "device-user")
    name = changes.pop("name", "user")
    issuer, issuer_key = changes.pop("issuer", (made.world.authority, made.world.root_key))
    body = bodies.Credential(
        level="operator",
        scope=scope(USER_ACTIONS, **{"tier": 2, **changes}),
        transport_key=seed("user-transport"),
        device=device,
    )
    said = claims(key.public, name, issuer.name)
    return key, issue(issuer_key, issuer, body, said, network=NETWORK, fix=fix(-1), seq=90)


def turned(made: Collusion, key: SigningKey, raw: bytes, by: str = "user") -> bytes:
    chain = made.chains[by]
    return made.signed(by, chain, rotation_of(digest(chain[-1]), raw, key, NETWORK), fix(1.0))


def test_a_next_key_of_the_same_radio_is_gone_by(made: Collusion) -> None:
    warden = permits(made, chain=made.chains["user"])
    key, raw = successor(made)
    new = warden.succeed(turned(made, key, raw))
    assert isinstance(new, Subject)
    assert (new.public, new.device) == (key.public, "device-user")
    again = SigningKey.from_seed(seed("third key"))
    body = bodies.Credential(
        level="operator", scope=scope(USER_ACTIONS, tier=2), transport_key=seed("user-transport"), device="device-user"
    )
    third = issue(
        made.world.root_key, made.world.authority, body, claims(again.public, "user", "root"), network=NETWORK,
        fix=fix(-1), seq=91,
    )  # fmt: skip
    chain = (made.world.root, raw)
    second = made.signed("user", chain, rotation_of(digest(raw), third, again, NETWORK), fix(1.1), key=key)
    assert isinstance(warden.succeed(second), Subject), "from the next key on"


@pytest.mark.attack(22)
def test_another_radio_does_not_succeed(made: Collusion) -> None:
    warden = permits(made, chain=made.chains["user"])
    key, raw = successor(made, device="device-mallory")
    refusal = warden.succeed(turned(made, key, raw))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.clause) == (Reason.BINDING, "rotation.device")
    good, chain = successor(made)
    assert isinstance(warden.succeed(turned(made, good, chain)), Subject), "nothing of it was kept"


@pytest.mark.attack(22)
def test_nobody_elses_rotation_and_nothing_else_is_taken(made: Collusion) -> None:
    warden = permits(made, chain=made.chains["user"])
    key, raw = successor(made, name="holder")
    foreign = warden.succeed(turned(made, key, raw, by="holder"))
    assert reason(foreign) in (Reason.BINDING, Reason.UNKNOWN_AUTHOR)
    assert reason(warden.succeed(made.records()[1])) is Reason.BINDING
    assert reason(warden.succeed(b"\x00")) is Reason.MALFORMED
    assert reason(permits(made).succeed(turned(made, *successor(made)))) is Reason.UNKNOWN_AUTHOR
    wide, wider = successor(made, tier=1)
    assert reason(warden.succeed(turned(made, wide, wider))) is Reason.ROTATION


@pytest.mark.attack(22)
def test_a_successor_by_another_issuer_does_not_succeed(made: Collusion) -> None:
    below = made._credential("bay", ("issue", "rule", *USER_ACTIONS), {"depth": 1}, {}, level="authority")
    registry = Registry(NETWORK, made.anchors)
    bay, user = registry.admit_chain(below), registry.admit_chain(made.chains["user"])
    assert isinstance(bay, Subject)
    assert isinstance(user, Subject)
    key, raw = successor(made, issuer=(bay, made.keys["bay"]))
    body = rotation_of(user.hash, raw, key, NETWORK)
    refusal = judge_rotation(user, body, registry)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.clause) == (Reason.ROTATION, "rotation.name")
    key, raw = successor(made)
    assert isinstance(judge_rotation(user, rotation_of(user.hash, raw, key, NETWORK), registry), Subject)


@pytest.mark.attack(42)
def test_a_permit_long_over_is_let_go_and_its_artifact_is_refused_for_good(made: Collusion) -> None:
    warden = permits(made)
    held = taken(made, warden)
    end_s = (held.permit.cell.window.end_ns - T0) / NS
    late_s = end_s + GRACE_NS / NS
    assert warden.finished(fix(end_s + 1).time) == [held]
    assert warden.get(held.permit.sid) is held
    assert warden.take(made.artifact(), fix(end_s + 2).time) is held
    # Without a trusted clock nothing is let go.
    assert warden.finished(fix(late_s + 1, trusted=False).time) == []
    assert warden.get(held.permit.sid) is held
    assert warden.finished(fix(late_s + 1).time) == []
    assert warden.get(held.permit.sid) is None
    assert reason(warden.take(made.artifact(), fix(late_s + 2).time)) is Reason.EXPIRED
    # Nor does a clock that was set back, or lost, bring it in again.
    assert reason(warden.take(made.artifact(), fix(1.4).time)) is Reason.EXPIRED
    assert reason(warden.take(made.artifact(), None)) is Reason.EXPIRED


@pytest.mark.attack(42)
def test_an_artifact_never_seen_here_is_refused_once_it_is_long_over_by_a_trusted_clock(
    made: Collusion,
) -> None:
    end_ns = made.grant_body().cell.window.end_ns
    last = replace(fix(0.0).time, earliest_ns=end_ns + GRACE_NS, latest_ns=end_ns + GRACE_NS + 1)
    assert isinstance(permits(made).take(made.artifact(), last), HeldPermit), "the last instant of its grace"
    over = replace(last, earliest_ns=last.earliest_ns + 1)
    refusal = permits(made).take(made.artifact(), over)
    assert str(refusal) == "EXPIRED [permits.window]: its window ended 60 s ago (required: <= 60 s after its window)"
    untrusted = fix((end_ns - T0) / NS + 3600, trusted=False).time
    assert isinstance(permits(made).take(made.artifact(), untrusted), HeldPermit), "nothing is told by such a clock"


@pytest.mark.attack(42)
def test_the_same_part_of_a_wish_may_be_settled_again_once_the_first_is_over(tmp_path: Path) -> None:
    def part(name: str, start_s: float) -> Collusion:
        window = Window(start_ns=T0 + round(start_s * NS), end_ns=T0 + round((start_s + 10) * NS))
        return Collusion(tmp_path / name, grant={"wish": b"w" * 16, "index": 1, "cell": other_cell(window=window)})

    first, second = part("one", 2), part("two", 20)
    warden = permits(first)
    taken(first, warden)
    assert reason(warden.take(second.artifact(), fix(11.0).time)) is Reason.CONFLICT
    assert isinstance(warden.take(second.artifact(), fix(12.5).time), HeldPermit)


def test_what_is_not_accounted_for_is_not_let_go(made: Collusion) -> None:
    warden = permits(made)
    held = taken(made, warden)
    warden._forget(fix((held.permit.cell.window.end_ns + 2 * GRACE_NS - T0) / NS).time)
    assert warden.get(held.permit.sid) is held


def test_what_is_taken_later_lets_the_book_forget_what_is_over(tmp_path: Path) -> None:
    first = Collusion(tmp_path / "one")
    window = Window(start_ns=T0 + 20 * NS, end_ns=T0 + 30 * NS)
    second = Collusion(tmp_path / "two", grant={"cell": other_cell(window=window)})
    book = RuleBook(registry=Registry(NETWORK, first.anchors))
    warden = permits(first, book=book)
    taken(first, warden)
    assert set(book._settled) == {first.grant_body().sid}
    taken(second, warden, 15.0)
    assert set(book._settled) == {second.grant_body().sid}


def test_a_warden_without_a_book_of_its_own_begins_one_for_its_network_and_anchors(made: Collusion) -> None:
    assert permits(made).rule(made.rule_raw, made.rule_chain) is None
    other = Permits(network="other", anchors=made.anchors)
    assert reason(other.rule(made.rule_raw, made.rule_chain)) is not None
    nobody = Permits(network=NETWORK, anchors=[bytes(32)])
    assert reason(nobody.rule(made.rule_raw, made.rule_chain)) is Reason.UNKNOWN_AUTHOR


WISH = (b"w" * 32, 2)
RUNNING, OVER = Mock(after=lambda ns: ns < 100), Mock(after=lambda ns: True)


def twice(now: Any, *held: tuple[bytes, Any, Any]) -> Refusal | None:
    """What is said of a settlement for part 2 of a wish beside those held: id, part, whether it is withdrawn."""
    kept = {
        sid: Mock(permit=Mock(part=part, cell=Mock(window=Mock(end_ns=200))), withdrawn=withdrawn)
        for sid, part, withdrawn in held
    }
    return Permits._part_twice(Mock(_held=kept), Mock(part=WISH, sid=b"new"), now)


@pytest.mark.parametrize("now", [RUNNING, None], ids=["before its end", "no clock"])
def test_one_part_of_a_wish_is_used_once(now: Any) -> None:
    refusal = twice(now, (b"another", (WISH[0], 1), None), (b"new", WISH, None), (b"old", WISH, None))
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.CONFLICT, "permits.part")
    assert refusal.measured == f"part 2 of the wish is {b'old'.hex()} already"


@pytest.mark.parametrize(
    ("now", "sid", "part", "withdrawn"),
    [
        (RUNNING, b"new", WISH, None),
        (RUNNING, b"old", (WISH[0], 1), None),
        (RUNNING, b"old", (b"v" * 32, 2), None),
        (RUNNING, b"old", None, None),
        (RUNNING, b"old", WISH, Mock()),
        (OVER, b"old", WISH, None),
    ],
    ids=["itself", "another part", "another wish", "no part", "withdrawn", "over"],
)
def test_what_is_no_second_use_of_a_part_is_let_be(now: Any, sid: bytes, part: Any, withdrawn: Any) -> None:
    assert twice(now, (sid, part, withdrawn)) is None


def test_two_settlements_that_fill_no_part_of_a_wish_are_let_be() -> None:
    held = {b"old": Mock(permit=Mock(part=None), withdrawn=None)}
    assert Permits._part_twice(Mock(_held=held), Mock(part=None, sid=b"new"), None) is None
