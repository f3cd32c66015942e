"""The two-party protocol through whole parties: bytes in, one verdict each, bytes out."""

from dataclasses import replace
from pathlib import Path

import pytest

from settlement.chain import bodies, records
from settlement.chain.leaf import decode_leaf
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal
from settlement.pair.table import HOLDER, USER, Event, HolderState, UserState, next_holder, next_user
from settlement.pair.work import answer_to
from settlement.state.messages import Message, decode_message
from tests.settlement.world import LOWER, NS, UPPER, World, fix, trio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return trio(tmp_path)


def last_verdicts(world: World, name: str) -> list[str]:
    leaves = [decode_leaf(body) for body in world.members[name].party.lineage.bodies()]
    return [leaf.reason or "" for leaf in leaves if not isinstance(leaf, Refusal) and not leaf.admitted]


@pytest.mark.feature("S2")
def test_request_to_settlement(world: World) -> None:
    world.settle()
    holder, alice = world.members["holder"].party, world.members["alice"].party
    (at_holder,), (at_user,) = holder.holder.pairs.values(), alice.user.pairs.values()
    assert (at_holder.state, at_user.state) == (HolderState.CONFIRMED, UserState.SETTLED)
    assert (at_holder.sid, at_holder.grant, at_holder.accept, at_holder.decision) == (
        at_user.sid,
        at_user.grant,
        at_user.accept,
        at_user.decision,
    )


@pytest.mark.feature("S7")
@pytest.mark.attack(27)
def test_second_request_for_the_same_cell_conflicts_and_is_told_why(world: World) -> None:
    world.settle()
    sid = world.request("bob", 1.2, LOWER, 5.0, 9.0)
    (refusal,) = world.carry(1.2)
    assert refusal.reason is Reason.CONFLICT
    pair = world.members["bob"].party.user.by_sid(sid)
    assert pair is not None
    assert (pair.state, pair.ended) == (UserState.REFUSED, "CONFLICT")
    world.request("bob", 1.3, UPPER, 5.0, 9.0)
    assert world.carry(1.3) == []


def test_adjoining_windows_do_not_conflict_but_overlapping_ones_do(world: World) -> None:
    world.settle(end_s=4.0)
    world.request("bob", 1.2, LOWER, 3.999, 9.0)
    (refusal,) = world.carry(1.2)
    assert refusal.reason is Reason.CONFLICT
    world.request("bob", 1.3, LOWER, 4.0, 9.0)
    assert world.carry(1.3) == []


@pytest.mark.feature("S7")
def test_no_answer_frees_the_cell(world: World) -> None:
    world.offer()
    world.carry(0.1)
    world.request("alice", 1.0, LOWER, 3.0, 9.0)
    outgoing, world.members["alice"].outgoing = world.members["alice"].outgoing, []
    assert world.give("alice", "holder", outgoing[0].data, 1.0) is None
    world.members["holder"].outgoing.clear()
    holder = world.members["holder"].party
    (pair,) = holder.holder.pairs.values()
    assert pair.state == HolderState.RESERVED
    world.do("holder", 2.0, holder.tick)
    assert holder.holder.pairs[pair.sid].state == HolderState.RESERVED
    world.do("holder", 2.1, holder.tick)
    assert holder.holder.pairs[pair.sid].state == HolderState.ABORTED
    world.request("bob", 2.2, LOWER, 3.0, 9.0)
    world.members["holder"].outgoing.clear()
    (message,) = world.members["bob"].outgoing
    world.members["bob"].outgoing = []
    assert world.give("bob", "holder", message.data, 2.2) is None


@pytest.mark.attack(25)
@pytest.mark.feature("S10")
def test_accept_after_abort_gets_the_same_abort_bytes(world: World) -> None:
    sid, accept = world.in_doubt()
    holder = world.members["holder"].party
    world.do("holder", 2.5, holder.tick)
    (abort,) = world.members["holder"].outgoing
    world.members["holder"].outgoing = []
    refusal = world.give("alice", "holder", accept, 2.6)
    assert refusal is not None
    assert refusal.reason is Reason.TIMEOUT
    (again,) = world.members["holder"].outgoing
    assert again.data == abort.data
    assert holder.holder.pairs[sid].state == HolderState.ABORTED


def test_accept_exactly_at_the_deadline_is_undecided_and_refused(world: World) -> None:
    sid, accept = world.in_doubt()
    deadline_ns = world.members["holder"].party.holder.pairs[sid].accept_by_ns
    refusal = world.give("alice", "holder", accept, (deadline_ns - 1_790_000_000 * NS) / NS)
    assert refusal is not None
    assert refusal.reason is Reason.TIME_UNDECIDED
    assert world.members["holder"].party.holder.pairs[sid].state == HolderState.RESERVED


@pytest.mark.feature("S10")
def test_resent_accept_gets_the_stored_confirm_and_changes_nothing(world: World) -> None:
    _, accept = world.in_doubt()
    assert world.give("alice", "holder", accept, 1.1) is None
    (confirm,) = world.members["holder"].outgoing
    world.members["holder"].outgoing = []
    root = world.members["holder"].party.holder.pairs.copy()
    refusal = world.give("alice", "holder", accept, 1.4)
    assert refusal is not None
    assert refusal.reason is Reason.REPLAY
    (again,) = world.members["holder"].outgoing
    assert again.data == confirm.data
    assert world.members["holder"].party.holder.pairs == root


@pytest.mark.attack(24)
def test_replay_after_a_restart_is_still_a_replay(world: World) -> None:
    _, accept = world.in_doubt()
    assert world.give("alice", "holder", accept, 1.1) is None
    (confirm,) = world.members["holder"].outgoing
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member("holder")
    refusal = world.give("alice", "holder", accept, 1.4)
    assert refusal is not None
    assert refusal.reason is Reason.REPLAY
    assert world.members["holder"].outgoing[0].data == confirm.data


@pytest.mark.attack(26)
def test_a_second_accept_with_other_bytes_is_kept_as_evidence(world: World) -> None:
    sid, accept = world.in_doubt()
    assert world.give("alice", "holder", accept, 1.1) is None
    world.members["holder"].outgoing = []
    grant = world.members["alice"].party.user.by_sid(sid)
    assert grant is not None
    assert grant.grant is not None
    body = bodies.Accept(sid=sid, grant=grant.grant, answer=bytes(32))
    other = world.do("alice", 1.2, lambda step: step.sign(body))
    refusal = world.give("alice", "holder", Message(record=other.raw).encoded(), 1.2)
    assert refusal is not None
    assert refusal.reason is Reason.EQUIVOCATION
    kinds = [
        leaf.record
        for leaf in map(decode_leaf, world.members["holder"].party.lineage.bodies())
        if not isinstance(leaf, Refusal)
    ]
    assert any(raw is not None and b"bandpact/evidence" in raw for raw in kinds)


def test_wrong_answer_to_the_challenge_aborts(world: World) -> None:
    world.offer()
    world.carry(0.1)
    sid = world.request("alice", 1.0, LOWER, 3.0, 9.0)
    (message,) = world.members["alice"].outgoing
    world.members["alice"].outgoing = []
    world.give("alice", "holder", message.data, 1.0)
    pair = world.members["holder"].party.holder.pairs[sid]
    body = bodies.Accept(sid=sid, grant=pair.grant, answer=answer_to(bytes(32), pair.grant))
    record = world.do("alice", 1.0, lambda step: step.sign(body))
    refusal = world.give("alice", "holder", Message(record=record.raw).encoded(), 1.1)
    assert refusal is not None
    assert refusal.reason is Reason.CHALLENGE
    assert world.members["holder"].party.holder.pairs[sid].state == HolderState.ABORTED


def test_bob_cannot_accept_for_alice(world: World) -> None:
    sid, accept = world.in_doubt()
    refusal = world.give("bob", "holder", accept, 1.1)
    assert refusal is not None
    assert refusal.reason is Reason.TRANSPORT_BINDING
    pair = world.members["holder"].party.holder.pairs[sid]
    body = bodies.Accept(sid=sid, grant=pair.grant, answer=answer_to(pair.challenge, pair.grant))
    record = world.do("bob", 1.1, lambda step: step.sign(body))
    refusal = world.give("bob", "holder", Message(record=record.raw).encoded(), 1.1)
    assert refusal is not None
    assert refusal.reason is Reason.UNKNOWN_SID


def test_same_nonce_twice_never_overwrites_a_settlement(world: World) -> None:
    world.settle()
    (pair,) = world.members["holder"].party.holder.pairs.values()
    first = world.members["alice"].party.record_of(pair.request)
    assert first is not None
    record = world.do("alice", 1.5, lambda step: step.sign(first.body))
    refusal = world.give("alice", "holder", Message(record=record.raw).encoded(), 1.5)
    assert refusal is not None
    assert refusal.reason is Reason.EQUIVOCATION
    assert world.members["holder"].party.holder.pairs[pair.sid] == pair


REFUSED_REQUESTS = [
    ("band", {"cell.band": Band(low_hz=3_565_000_000, high_hz=3_575_000_000)}, Reason.SCOPE),
    ("raster", {"cell.band": Band(low_hz=3_551_000_000, high_hz=3_556_000_000)}, Reason.TERMS),
    ("price", {"price": 6}, Reason.PRICE),
    ("tier", {"tier": 1}, Reason.TIER),
    ("hot", {"eirp_mdbm": 31_000}, Reason.POWER),
    ("class", {"commodity": "cbr"}, Reason.SCOPE),
    ("offer", {"declaration": bytes(32)}, Reason.TERMS),
]


@pytest.mark.parametrize(("changes", "reason"), [r[1:] for r in REFUSED_REQUESTS], ids=[r[0] for r in REFUSED_REQUESTS])
def test_requests_beyond_offer_rule_or_credential(world: World, changes: dict[str, object], reason: Reason) -> None:
    world.offer()
    world.carry(0.1)
    world.request("alice", 1.0, LOWER, 3.0, 9.0)
    world.members["alice"].outgoing = []
    (pair,) = world.members["alice"].party.user.pairs.values()
    asked = world.members["alice"].party.record_of(pair.request)
    assert asked is not None
    plain = {key: value for key, value in changes.items() if "." not in key}
    cell = replace(asked.body.cell, **{k.split(".")[1]: v for k, v in changes.items() if "." in k})
    body = replace(asked.body, cell=cell, nonce=bytes(16), **plain)
    record = world.do("alice", 1.0, lambda step: step.sign(body), honest=False)
    refusal = world.give("alice", "holder", Message(record=record.raw).encoded(), 1.0)
    assert refusal is not None
    assert refusal.reason is reason
    assert last_verdicts(world, "holder")[-1] == reason.value
    told = decode_message(world.members["holder"].outgoing[-1].data)
    assert isinstance(told, Message)
    assert b"bandpact/verdict" in told.record
    assert not world.members["holder"].party.holder.pairs


@pytest.mark.feature("A1")
def test_preemption_ends_both_sides_and_blocks_the_band(world: World) -> None:
    artifact = world.settle()
    assert artifact
    holder = world.members["holder"].party
    until = fix(60).time.latest_ns
    world.do(
        "holder",
        5.0,
        lambda s: holder.holder.preempt(s, LOWER, tier=1, reason="INCUMBENT", until_ns=until, evidence=None),
    )
    assert world.carry(5.0) == []
    (pair,) = world.members["alice"].party.user.pairs.values()
    assert pair.state == UserState.ENDED
    assert any(n.name == "displaced" for n in world.members["alice"].notices)
    world.request("bob", 7.0, LOWER, 8.0, 9.0)
    (refusal,) = world.carry(7.0)
    assert refusal.reason is Reason.INCUMBENT


@pytest.mark.feature("S7")
def test_leases_are_renewed_in_time_and_stop_with_the_window(world: World) -> None:
    world.settle(start_s=2.0, end_s=12.0)
    holder, alice = world.members["holder"].party, world.members["alice"].party
    (pair,) = alice.user.pairs.values()
    assert pair.transmit_until_ns == pair.cell.window.start_ns + 3 * NS
    for at_s in range(2, 12):
        world.do("holder", at_s + 0.5, holder.tick)
        assert world.carry(at_s + 0.5) == []
        (pair,) = alice.user.pairs.values()
        assert pair.transmit_until_ns is not None
        assert fix(at_s + 0.5).time.latest_ns < pair.transmit_until_ns <= pair.cell.window.end_ns
    assert pair.renewals >= 3
    world.do("holder", 12.5, holder.tick)
    world.do("alice", 12.5, alice.tick)
    assert next(iter(holder.holder.pairs.values())).state == HolderState.ENDED
    assert next(iter(alice.user.pairs.values())).state == UserState.ENDED


@pytest.mark.attack(42)
def test_an_old_fence_number_is_refused(world: World) -> None:
    world.settle()
    holder, alice = world.members["holder"].party, world.members["alice"].party
    world.do("holder", 3.6, holder.tick)
    world.carry(3.6)
    (pair,) = alice.user.pairs.values()
    assert pair.renewals == 1
    assert pair.decision is not None
    body = bodies.Renew(
        sid=pair.sid,
        confirm=pair.decision,
        number=2,
        transmit_until_ns=pair.cell.window.end_ns,
        fence=pair.fence,
    )
    record = world.do("holder", 3.7, lambda step: step.sign(body))
    refusal = world.give("holder", "alice", Message(record=record.raw).encoded(), 3.7)
    assert refusal is not None
    assert refusal.reason is Reason.FENCE


def test_untrusted_clock_grants_nothing(world: World) -> None:
    world.offer()
    world.carry(0.1)
    world.request("alice", 1.0, LOWER, 3.0, 9.0)
    (message,) = world.members["alice"].outgoing
    member = world.members["holder"]
    with member.party.step(fix(1.0, trusted=False)) as step:
        refusal = member.party.receive(step, message.data, world.members["alice"].transport)
    assert refusal is not None
    assert refusal.reason is Reason.TIME_UNTRUSTED
    assert not member.party.holder.pairs


def test_a_failed_step_leaves_nothing_behind(world: World) -> None:
    world.offer()
    world.carry(0.1)
    world.request("alice", 1.0, LOWER, 3.0, 9.0)
    (message,) = world.members["alice"].outgoing
    holder = world.members["holder"]
    before = holder.party.lineage.head()

    class PulledPlugError(Exception):
        pass

    def half_a_step() -> None:
        with holder.party.step(fix(1.0)) as step:
            holder.party.receive(step, message.data, world.members["alice"].transport)
            raise PulledPlugError

    with pytest.raises(PulledPlugError):
        half_a_step()
    assert holder.party.lineage.head() == before
    assert not holder.party.holder.pairs
    assert world.give("alice", "holder", message.data, 1.0) is None


def test_same_input_same_bytes(tmp_path: Path) -> None:
    artifacts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        artifacts.append(trio(tmp_path / name).settle())
    assert artifacts[0] == artifacts[1]


@pytest.mark.parametrize("state", HolderState)
@pytest.mark.parametrize("event", Event)
def test_holder_table(state: HolderState, event: Event) -> None:
    outcome = next_holder(state, event)
    if (state, event) in HOLDER:
        assert outcome is HOLDER[state, event]
    else:
        assert isinstance(outcome, Refusal)
        assert outcome.reason is Reason.OUT_OF_ORDER


@pytest.mark.parametrize("state", UserState)
@pytest.mark.parametrize("event", Event)
def test_user_table(state: UserState, event: Event) -> None:
    outcome = next_user(state, event)
    if (state, event) in USER:
        assert outcome is USER[state, event]
    else:
        assert isinstance(outcome, Refusal)
        assert outcome.reason is Reason.OUT_OF_ORDER


def test_own_records_are_one_chain(world: World) -> None:
    world.settle()
    party = world.members["holder"].party
    previous, number = None, 0
    for body in party.lineage.bodies():
        leaf = decode_leaf(body)
        assert not isinstance(leaf, Refusal)
        if leaf.origin == 0:
            assert leaf.record is not None
            record = party.record_of(leaf.subject)
            assert record is not None
            number += 1
            assert (record.frame.seq, record.frame.previous) == (number, previous)
            previous = records.digest(leaf.record)
    assert number >= 3
