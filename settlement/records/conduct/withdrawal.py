"""Withdrawal of an approval by its holder: the approval is not, or no longer, used, and its cell is free."""

from dataclasses import dataclass

from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.conduct.base import RecordCase
from settlement.records.conduct.quorum import proposal_of
from settlement.state.assembly import PROPOSED, WITHDRAWN
from settlement.state.nodestate import NodeState
from settlement.state.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A holder's statement that it grants nothing, or nothing more, on an approval that it asked for."""

    proposal: bytes


def judge_withdrawn(case: RecordCase) -> Withdrawn | Refusal:
    """Refuse a withdrawal by anybody but the author of the approval's PROPOSAL."""
    state, subject = case.state, case.body.subject
    asked = proposal_of(state, subject) if subject in state.assembly.approvals else None
    if asked is None or asked.frame.author not in {case.author.hash, *state.registry.line(case.author.hash)}:
        return refuse(Reason.UNKNOWN_SID, "withdrawn.subject", subject.hex()[:16], "an approval its author asked for")
    return Withdrawn(proposal=subject)


def withdraw(state: NodeState, step: Step, name: bytes, verdict: Record) -> None:
    """Stop keeping the cell of an approval free, by the verdict of the holder that asked for the approval."""
    step.put(WITHDRAWN, name, verdict.digest)
    state.assembly.withdrawn.add(name)


def forget_proposal(state: NodeState, step: Step, name: bytes) -> None:
    """Delete a proposal that can have no effect any more, with any stored withdrawal of it."""
    if name in state.assembly.withdrawn:
        step.drop(WITHDRAWN, name)
    state.assembly.forget(name)
    step.drop(PROPOSED, name)
