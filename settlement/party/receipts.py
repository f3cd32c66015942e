"""Receipts: a signed word that what must be heard was heard, so that it is not said again.

A receipt is a `verdict` with the reason RECEIVED. RELINQUISH is received by the holder, SUSPEND and RESUME by the user.
The same record always gets the same receipt.
"""

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Verdict
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.state.nodestate import NodeState
from settlement.state.step import Step


def is_receipt(admitted: Admitted) -> bool:
    """Is this verdict no refusal, but a receipt?"""
    return admitted.record.typ == "verdict" and admitted.record.body.reason == Reason.RECEIVED.value


def receive(step: Step, admitted: Admitted) -> None:
    """Tell the author of a record that it is durable here."""
    record = admitted.record
    body = Verdict(
        subject=record.digest, reason=Reason.RECEIVED.value, clause=f"{record.typ}.received", measured="", required=""
    )
    step.send(admitted.author.hash, step.sign(body).raw)


def judge_receipt(state: NodeState, admitted: Admitted) -> Refusal | None:
    """A receipt counts for a record of ours that asks for one, by the other side of its settlement."""
    subject = admitted.record.body.subject
    said = state.record_of(subject)
    if said is not None and said.row.receipted and said.frame.author in {state.identity.credential, *state.former}:
        mine, theirs = state.holder.pairs.get(said.body.sid), state.user.by_sid(said.body.sid)
        others = {mine.user if mine else None, theirs.holder if theirs else None}
        if others & {*state.registry.line(admitted.author.hash)}:
            return None
    return refuse(Reason.UNKNOWN_SID, "receipt.subject", subject.hex()[:16], "a record of ours to the author")


def take_receipt(state: NodeState, step: Step, admitted: Admitted) -> None:
    """Stop saying it."""
    subject = admitted.record.body.subject
    state.holder.heard(step, subject)
    state.user.heard(step, subject)
