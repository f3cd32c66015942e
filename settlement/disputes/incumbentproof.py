"""Checks the reason of a PREEMPT: a proven incumbent, or the REQUEST of a stronger tier. Pure.

    (1) the envelope that it names is there, and is a place envelope
    (2) the envelope reports an incumbent, and a channel in the settlement's band that is not free
    (3) the envelope was valid when the PREEMPT was signed
    (4) the envelope is the holder's own, or of a level on whose observations the rule has others act or weigh, with an
        area that touches the cell

If one of them fails, the settlement counts as ended without cause. The same holds for a PREEMPT that names a REQUEST,
where that REQUEST is known (`judge_stronger`).
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
    """Whether a PREEMPT gives an incumbent as its reason and names an envelope as evidence."""
    return body.by is None and body.reason == Reason.INCUMBENT.value and body.evidence is not None


def judge_incumbent(preempt: Record, evidence: Record | None, cell: Cell) -> Refusal | None:
    """Run checks (1) to (3): None where an incumbent is shown; `evidence` is the record that the PREEMPT names."""
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
    """Refuse a REQUEST as reason of a PREEMPT unless it is of a stronger tier, overlaps the cell, and came first."""
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
    """Run check (4) on the author of the envelope; `own`: the author is the holder."""
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
    """Whether checks (1) to (4) hold for a PREEMPT in a dispute; the envelope that it names must be cited."""
    settled, name = case.settled, preempt.body.evidence
    evidence = next((one for one in case.evidence if one.digest == name), None)
    if evidence is None or not claims_incumbent(preempt.body):
        return False
    cell, author = settled.given.cell, case.sources.subject(evidence.frame.author or b"")
    refusal = judge_incumbent(preempt, evidence, cell)
    return (refusal or judge_reporter(author, cell, settled.rule, own=case.of(evidence, settled.holder))) is None
