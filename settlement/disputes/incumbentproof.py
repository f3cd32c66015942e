"""Whether a settlement that its holder ended for an incumbent, or for somebody stronger, was ended for one. Pure.

    (1) the envelope is there, and is what somebody found at a place
    (2) it reports an incumbent, and something in a channel of the settlement's band
    (3) it held when the PREEMPT was signed
    (4) it is the holder's own word, or of a level that the rule has others act on or weigh, for an area that touches it

A hash of nothing, or of anything else, proves nothing: the settlement was ended for nobody. So it is with the REQUEST
that a PREEMPT names, where that is in hand.
"""

from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.chain.taxonomy import Behaviour, behaviour_of
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.case import DisputeCase
from settlement.records.authority import Rule
from settlement.records.endings import Preempt
from settlement.records.grant import Grant
from settlement.records.market import Request
from settlement.records.observation import FREE, PLACE, Envelope


def claims_incumbent(body: Preempt) -> bool:
    """Whether a PREEMPT says that it protects an incumbent, and names what shows it."""
    return body.by is None and body.reason == Reason.INCUMBENT.value and body.evidence is not None


def judge_incumbent(preempt: Record, evidence: Record | None, cell: Cell) -> Refusal | None:
    """Checks (1) to (3): None where an incumbent is shown; `evidence` is the record that the PREEMPT names."""
    named = (preempt.body.evidence or b"").hex()[:16] or "none"
    if evidence is None or evidence.digest != preempt.body.evidence:
        return refuse(Reason.PROOF, "preempt.evidence", f"{named}: not in evidence", "the envelope that reports it")
    body = evidence.body
    if not isinstance(body, Envelope) or body.kind != PLACE:
        return refuse(Reason.TYPE, "preempt.evidence", f"{named}: a {evidence.typ}", "the envelope of a place")
    busy = [channel.band for channel in body.channels if channel.state != FREE]
    if not body.incumbents or not any(band.overlaps(cell.band) for band in busy):
        measured = (
            f"{named}: {', '.join(body.incumbents) or 'no incumbent'} in {', '.join(map(str, busy)) or 'no band'}"
        )
        return refuse(Reason.BAND, "preempt.evidence", measured[:256], f"an incumbent in {cell.band}")
    said, cut = evidence.frame.attestation, preempt.frame.attestation
    if said.earliest_ns > cut.latest_ns or cut.earliest_ns > body.valid_until_ns:
        measured = f"signed at {said.latest_ns} ns, valid until {body.valid_until_ns} ns"
        return refuse(Reason.EXPIRED, "preempt.evidence", measured, f"in force at {cut.latest_ns} ns")
    return None


def judge_stronger(preempt: Record, request: Record, granted: Grant) -> Refusal | None:
    """None where a PREEMPT may take a settlement back for a REQUEST: stronger, for its cell, signed by then."""
    body, named = request.body, request.digest.hex()[:16]
    if not isinstance(body, Request):
        return refuse(Reason.TYPE, "preempt.by", f"{named}: a {request.typ}", "the REQUEST of a stronger tier")
    if body.tier != preempt.body.tier or body.tier >= granted.tier:
        required = f"tier {preempt.body.tier}, stronger than {granted.tier}"
        return refuse(Reason.TIER, "preempt.by", f"{named}: tier {body.tier}", required)
    if not body.cell.overlaps(granted.cell):
        return refuse(Reason.BAND, "preempt.by", f"{named}: {body.cell.band}", f"something of {granted.cell.band}")
    if request.frame.attestation.earliest_ns > preempt.frame.attestation.latest_ns:
        return refuse(Reason.OUT_OF_ORDER, "preempt.by", f"{named}: signed after it", "signed before the PREEMPT")
    return None


def judge_reporter(author: Subject | None, cell: Cell, rule: Rule, *, own: bool) -> Refusal | None:
    """Check (4), of who signed the envelope; `own` where that is the holder."""
    if author is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "preempt.reporter", "no credential", "an admitted credential")
    if own:
        return None
    if behaviour_of(rule, author.level, "envelope") is Behaviour.KEEP:
        required = "a level whose observations the rule has others act on"
        return refuse(Reason.SCOPE, "preempt.reporter", f"{author.name}: {author.level}", required)
    if not author.scope.area.overlaps(cell.area):
        return refuse(Reason.SCOPE, "preempt.reporter", f"{author.name}: {author.scope.area}", f"near {cell.area}")
    return None


def ended_for_incumbent(case: DisputeCase, preempt: Record) -> bool:
    """Checks (1) to (4), where the envelope that a PREEMPT names has to be in evidence."""
    settled, name = case.settled, preempt.body.evidence
    evidence = next((one for one in case.evidence if one.digest == name), None)
    if evidence is None or not claims_incumbent(preempt.body):
        return False
    cell, author = settled.given.cell, case.sources.subject(evidence.frame.author or b"")
    refusal = judge_incumbent(preempt, evidence, cell)
    return (refusal or judge_reporter(author, cell, settled.rule, own=case.of(evidence, settled.holder))) is None
