"""Deliberate defects of the program, one at a time. Each takes pytest's monkeypatch and returns the world to run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from radio import gate, permits
from settlement.chain.bodies import BODIES, Preempt, Renew
from settlement.chain.codec import from_map
from settlement.chain.records import parse
from settlement.core.fixes import TimeFix, deadline_open
from settlement.core.reasons import Reason, Refusal
from settlement.pair import artifact, envelopes, handover, holdercoordination, holderlease, userlease
from settlement.pair import holder as holder_side
from settlement.pair.coordinator import Coordinator
from settlement.pair.handings import Handings
from settlement.pair.holder import Holder
from settlement.pair.holderpairs import HolderPairs
from settlement.pair.table import USER, Event, UserState
from settlement.pair.user import User
from settlement.pair.userlease import LeaseTaker
from settlement.party.party import Party
from settlement.state import budget, handovers, nodestate
from settlement.state.messages import decode_message
from settlement.state.step import Step
from sim.world.member import Done, Member
from sim.world.run import World

Break = Callable[[pytest.MonkeyPatch], type[World]]


class EagerMember(Member):
    """A member that sends a step's messages before the step is durable."""

    world: World

    def do(self, at_ns: int, action: Callable[[Step], Any]) -> Done:
        def eager(step: Step) -> Any:
            result = action(step)
            self.world._leave(self, step.outgoing)
            return result

        return super().do(at_ns, eager)


class EagerWorld(World):
    member_class = EagerMember

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for member in self.members.values():
            assert isinstance(member, EagerMember)
            member.world = self


def send_before_durable(patch: pytest.MonkeyPatch) -> type[World]:
    return EagerWorld


def skip_accept_by(patch: pytest.MonkeyPatch) -> type[World]:
    def open_for_ever(time: TimeFix, deadline_ns: int, clause: str) -> Refusal | None:
        return None if clause == "accept.accept_by" else deadline_open(time, deadline_ns, clause)

    patch.setattr(holder_side, "deadline_open", open_for_ever)
    return World


def reuse_fence(patch: pytest.MonkeyPatch) -> type[World]:
    counting = Step.count

    def count(self: Step, name: str, amount: int = 1) -> int:
        if name == "fence" and self.lineage.counted(name) > 0:
            return self.lineage.counted(name)
        return counting(self, name, amount)

    patch.setattr(Step, "count", count)
    return World


def forget_on_restart(patch: pytest.MonkeyPatch) -> type[World]:
    begin = nodestate.restored_holder

    def forgetful(**kwargs: Any) -> Holder:
        return begin(**{**kwargs, "stored": []})

    patch.setattr(nodestate, "restored_holder", forgetful)
    return World


def take_stale_renew(patch: pytest.MonkeyPatch) -> type[World]:
    judging = userlease.judge_change

    def judge_change(held: Any, record: Any) -> Refusal | None:
        return None if isinstance(record.body, Renew) else judging(held, record)

    patch.setattr(userlease, "judge_change", judge_change)
    for state in UserState:
        patch.setitem(USER, (state, Event.RENEW), state)
    return World


def sign_twice(patch: pytest.MonkeyPatch) -> type[World]:
    """Answer a repeated request with a newly made record."""
    again = Step.send_again

    def afresh(self: Step, to: bytes, subject: bytes) -> bool:
        data = self.lineage.get("reply", subject)
        message = decode_message(data) if data is not None else None
        if message is None or isinstance(message, Refusal) or not message.record:
            return again(self, to, subject)
        unproven = parse(message.record)
        assert not isinstance(unproven, Refusal)
        if unproven.typ not in {"confirm", "grant"} or self.halted is not None:
            return again(self, to, subject)
        self.send(to, self.sign(from_map(BODIES[unproven.typ], unproven.payload[6], unproven.typ)).raw)
        return True

    patch.setattr(Step, "send_again", afresh)
    return World


def free_at_once(patch: pytest.MonkeyPatch) -> type[World]:
    """Regrant a cell without waiting for the lease of the displaced user."""
    saving = HolderPairs.save

    def save(self: HolderPairs, work: Any, pair: Any) -> None:
        over = pair.state == holder_side.HolderState.ENDED and pair.cell.window.end_ns > work.now.time.latest_ns
        saving(self, work, replace(pair, busy_until_ns=0) if over else pair)

    patch.setattr(HolderPairs, "save", save)
    return World


def ignore_the_window(patch: pytest.MonkeyPatch) -> type[World]:
    patch.setattr(gate, "time_inside", lambda *args: None)
    return World


def weak_preempts_strong(patch: pytest.MonkeyPatch) -> type[World]:
    patch.setattr(holderlease, "Preempt", lambda **fields: Preempt(**{**fields, "tier": 3}))
    patch.setattr(LeaseTaker, "judge_preempt", lambda self, admitted, grant: self.judge(admitted, Event.PREEMPT))
    return World


def go_on_when_suspended(patch: pytest.MonkeyPatch) -> type[World]:
    """The warden ignores a SUSPEND."""
    extending = permits.extend

    def extend(permit: Any, raw: bytes, **trust: Any) -> Any:
        changed = extending(permit, raw, **trust)
        return changed if isinstance(changed, Refusal) else replace(changed, suspended_for=None)

    patch.setattr(permits, "extend", extend)
    return World


def confirm_without_asking(patch: pytest.MonkeyPatch) -> type[World]:
    """The holder does not ask for co-signatures."""
    patch.setattr(holdercoordination, "shards_of", lambda rule, cell: ())
    return World


def sign_for_anybody(patch: pytest.MonkeyPatch) -> type[World]:
    """An authority ignores its earlier co-signatures, and holders their earlier grants."""
    patch.setattr(Coordinator, "_clear", lambda self, grant, now, own: None)
    patch.setattr(holder_side, "judge_in_the_way", lambda pairs, body, terms, now: ())
    patch.setattr(Holder, "_barred", lambda self, cell, now: None)
    return World


def decide_by_any_clock(patch: pytest.MonkeyPatch) -> type[World]:
    patch.setattr(Party, "unsure", lambda self, now: None)
    patch.setattr(Party, "entitled", lambda self, record: None)
    return World


def spend_without_counting(patch: pytest.MonkeyPatch) -> type[World]:
    patch.setattr(budget, "spend", lambda *args: None)
    return World


def grant_beyond_the_envelope(patch: pytest.MonkeyPatch) -> type[World]:
    patch.setattr(envelopes, "allows", lambda *args, **kwargs: None)
    return World


# -- leases that change hands ----------------------------------------------------------------------------------------


def confirm_before_silence(patch: pytest.MonkeyPatch) -> type[World]:
    """The old user does not wait until its radio is silent."""
    patch.setattr(Handings, "lacks", lambda self, pair: None)
    return World


def go_on_in_what_is_handed_on(patch: pytest.MonkeyPatch) -> type[World]:
    """The warden reports that it has left the band while it has not."""
    patch.setattr(permits, "narrowed", lambda whole, handed, now: whole)
    return World


def confirm_without_consent(patch: pytest.MonkeyPatch) -> type[World]:
    """The old user does not ask for consent, and verifiers do not check it."""
    lacking = Handings.lacks

    def lacks(self: Handings, pair: Any) -> Any:
        found = lacking(self, pair)
        return None if found is Reason.CONSENT else found

    patch.setattr(Handings, "lacks", lacks)
    patch.setattr(handover, "judge_consent", lambda *args: None)
    patch.setattr(artifact, "judge_consent", lambda *args: None)
    return World


def hand_on_more_than_there_is(patch: pytest.MonkeyPatch) -> type[World]:
    patch.setattr(handover, "no_wider", lambda *args, **kwargs: None)
    return World


def lease_longer_than_the_lease_above(patch: pytest.MonkeyPatch) -> type[World]:
    patch.setattr(Handings, "until_ns", lambda *args: 1 << 62)
    patch.setattr(artifact, "judge_vacated", lambda *args: None)
    return World


def take_back_at_once(patch: pytest.MonkeyPatch) -> type[World]:
    """A lease that ended early returns to its old user before the next user's last lease has run out."""
    following = handovers._follow

    def follow(state: Any, step: Step, handing: Any) -> None:
        following(state, step, handing)
        child = state.holder.pairs.get(handing.child) if handing.child is not None else None
        if child is not None and not child.live:
            handovers._take_back(state, step, state.holder.handings.known.get(handing.handover, handing), child)

    patch.setattr(handovers, "_follow", follow)
    return World


def wait_for_ever(patch: pytest.MonkeyPatch) -> type[World]:
    """A user in doubt asks without end, though its window is over."""
    patch.setattr(User, "_undecided", lambda user, work, pair, *_why: user.leases.again(work, pair))
    return World


def keep_what_nobody_accepts(patch: pytest.MonkeyPatch) -> type[World]:
    """A reservation is kept beyond its deadline."""
    patch.setattr(holder_side, "ABORTS_MAX", 0)
    return World


class HastyMember(Member):
    """A member that hands its warden the log's settlements before its neighbours have confirmed the log."""

    def start(self, at_ns: int) -> Done:
        whole = Party.halted
        Party.halted = property(lambda _party: None)  # type: ignore[assignment,method-assign]
        try:
            done = super().start(at_ns)
        finally:
            Party.halted = whole  # type: ignore[method-assign]
        return done


class HastyWorld(World):
    member_class = HastyMember


def open_on_an_unproven_log(patch: pytest.MonkeyPatch) -> type[World]:
    return HastyWorld
