"""Handles log heads to cosign, cosignature lines for this node's heads, and evidence against an author."""

from dataclasses import dataclass

from settlement.chain.checkpoint import Head
from settlement.chain.credentials import Subject
from settlement.core.reasons import Reason, Refusal
from settlement.records.conduct.alarms import key_in_use
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.proofs import conflict
from settlement.records.witness import Checkpoint, Cosignature, Evidence
from settlement.state.witness import HeardHead


def _judge_checkpoint(case: RecordCase) -> Head | Refusal:
    return case.state.witness.judge_checkpoint(case.admitted, case.step)


def _cosign(case: RecordCase, head: Head) -> None:
    case.state.witness.cosign(case.step, case.admitted, head)


def _refuse_checkpoint(case: RecordCase, refusal: Refusal) -> None:
    case.state.witness.refused_checkpoint(case.step, case.admitted, refusal)


def _judge_cosignature(case: RecordCase) -> HeardHead | Refusal:
    return case.state.witness.judge_cosignature(case.admitted, case.step)


def _take_line(case: RecordCase, heard: HeardHead) -> None:
    case.state.witness.take(case.step, case.admitted, heard)


def _refuse_line(case: RecordCase, refusal: Refusal) -> None:
    """Handle a refused cosignature: two heads of one size are a fork; a head ahead of this log halts the node."""
    case.state.witness.refused_cosignature(case.step, case.admitted, refusal)
    if refusal.reason is Reason.HALT_BEHIND_WITNESS:
        case.state.halt(case.step, refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accusation:
    """Evidence that proves a conflict; `ours` is this node's own credential if its key signed both records."""

    ours: Subject | None


def _judge_evidence(case: RecordCase) -> Accusation | Refusal:
    found = conflict(case.body, case.state.registry)
    if isinstance(found, Refusal):
        return found
    own = found is not None and found.author.hash in case.state.own_line
    return Accusation(ours=found.author if found is not None and own else None)


def _accused(case: RecordCase, decided: Accusation) -> None:
    """Raise an alarm where the key that signed both records is this node's own: somebody else has it."""
    if decided.ours is not None:
        key_in_use(case.state, case.step, decided.ours, f"{case.author.name} holds two records signed with it")


CONDUCT = (
    Conduct(body=Checkpoint, judge=_judge_checkpoint, act=_cosign, refused=_refuse_checkpoint),
    Conduct(body=Cosignature, judge=_judge_cosignature, act=_take_line, refused=_refuse_line),
    Conduct(body=Evidence, judge=_judge_evidence, act=_accused),
)
