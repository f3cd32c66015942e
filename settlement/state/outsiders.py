"""Disputes of settlements between others, raised by a co-signer or an auditor, from records shown to it.

An outsider has no such settlement in its log. It is shown GRANT, ACCEPT and CONFIRM as bytes, verifies them by its own
anchors, and judges its dispute as both parties will. The dispute is sent to both until each acknowledges it; answers
and rulings go between the parties and the authority. An outsider escalates a dispute in the same way: the ruling on it
is shown beside the settlement, as it is not in the outsider's log.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from settlement.chain.admission import Admitted, prove
from settlement.chain.credentials import Subject
from settlement.chain.records import Attestation, Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.case import SettledPair, Sources, gather_settled
from settlement.disputes.table import DisputeMove, DisputeState, OpenDispute, moved
from settlement.records.complaint import Dispute, Ruling
from settlement.records.decision import Confirm
from settlement.state.disputes import dispute_of, judge_by_rule, judge_few, may_complain, opened, rule_of
from settlement.state.nodestate import NodeState
from settlement.state.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSettlement:
    """A settlement between others, proven from shown records; `rulings` are the rulings shown beside it."""

    sid: bytes
    confirm: bytes
    pair: SettledPair
    rulings: tuple[Record, ...] = ()

    def ruling_on(self, dispute: bytes) -> Record | None:
        """Return the shown ruling on one dispute; None if there is none."""
        return next((one for one in self.rulings if one.body.dispute == dispute), None)


def read_shown(state: NodeState, raws: Sequence[bytes]) -> ShownSettlement | Refusal:
    """Return the settlement whose GRANT, ACCEPT and CONFIRM are among `raws`; a refusal where it is not proven."""
    records: dict[bytes, Record] = {}
    for raw in raws:
        known = prove(raw, state.registry)
        if not isinstance(known, Admitted):
            return known
        records[known.record.digest] = known.record
    decided = [name for name, record in records.items() if isinstance(record.body, Confirm)]
    if len(decided) != 1:
        return refuse(Reason.PROOF, "shown.confirm", f"{len(decided)} CONFIRMs", "the CONFIRM of one settlement")
    sources = Sources(
        record=records.get,
        subject=state.registry.get,
        rule=lambda name: rule_of(state, name),
        line=state.registry.line,
    )
    pair = gather_settled(decided[0], sources)
    if isinstance(pair, Refusal):
        return pair
    sids = {pair.grant.body.sid, pair.accept.body.sid, pair.confirm.body.sid}
    one = (
        len(sids) == 1
        and pair.accept.body.grant == pair.grant.digest
        and pair.confirm.frame.author == pair.grant.frame.author
        and pair.accept.frame.author == pair.given.user
    )
    if not one:
        return refuse(Reason.PROOF, "shown.pair", "records of several settlements or authors", "one settlement")
    ruled = tuple(one for one in records.values() if isinstance(one.body, Ruling) and one.body.sid in sids)
    return ShownSettlement(sid=pair.given.sid, confirm=decided[0], pair=pair, rulings=ruled)


def judge_outsider(
    state: NodeState, body: Dispute, signed: Attestation, author: Subject, shown: ShownSettlement
) -> OpenDispute | Refusal:
    """Judge whether this outsider may dispute a settlement so; return the dispute to store, or the refusal."""
    line, parties = {*state.registry.line(author.hash), author.hash}, (shown.pair.holder, shown.pair.user)
    if line & {one.hash for one in parties}:
        return refuse(Reason.TERMS, "dispute.author", author.name, "no party: a party disputes from its own log")
    if not may_complain(state, shown.sid, author):
        measured = ", ".join(author.scope.actions)
        return refuse(Reason.SCOPE, "dispute.author", measured, "audit, or a co-signature of the settlement")
    if (body.sid, body.confirm) != (shown.sid, shown.confirm):
        return refuse(Reason.UNKNOWN_SID, "dispute.sid", body.sid.hex()[:16], shown.sid.hex()[:16])
    if body.against not in {one.hash for one in parties}:
        return refuse(Reason.TERMS, "dispute.against", body.against.hex()[:16], "holder or user")
    lower = _as_ruled(dispute_of(state, body.escalates), body.escalates, shown)
    few = judge_few(state, body, signed, author)
    refusal = few or judge_by_rule(state, body, signed, author, shown.pair, lower=lower)
    return refusal or OpenDispute(
        sid=body.sid,
        by=author.hash,
        against=body.against,
        ground=body.grounds,
        level=lower.level + 1 if lower is not None else 0,
        state=DisputeState.RAISED,
        raised_ns=signed.latest_ns,
        escalates=body.escalates,
    )


def _as_ruled(lower: OpenDispute | None, name: bytes | None, shown: ShownSettlement) -> OpenDispute | None:
    """Return a dispute of this log in its parties' state: with the shown ruling on it."""
    ruling = shown.ruling_on(name) if name is not None else None
    if lower is None or ruling is None:
        return lower
    return moved(lower, DisputeMove.RULE, ruling=ruling.digest, ruled_ns=ruling.frame.attestation.latest_ns)


def raise_as_outsider(state: NodeState, step: Step, body: Dispute, shown: ShownSettlement) -> Record | Refusal:
    """Judge an outsider's dispute as its readers will, sign it, send it to both parties until each acknowledges it."""
    me = state.registry.get(state.identity.credential)
    if me is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "dispute.author", "no credential of its own", "an admitted credential")
    held = judge_outsider(state, body, Attestation.of(step.now), me, shown)
    if isinstance(held, Refusal):
        return held
    record = step.sign(body)
    opened(state, step, record.digest, held)
    readers = [state.registry.newest(one.hash) for one in (shown.pair.holder, shown.pair.user)]
    state.holder.leases.debts.say_to_each(step, record, dict.fromkeys(readers))
    step.event("dispute raised", sid=body.sid, dispute=record.digest, ground=body.grounds, claim=body.claim)
    return record
