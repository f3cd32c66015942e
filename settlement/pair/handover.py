"""Checks on a lease that is handed on, used by its user, its holder, the next user, the warden and the auditor.

    (1) the HANDOVER is of this very settlement, signed by its user, to the party that the GRANT names
    (2) the class allows this kind of handing on, and this many times below the licence
    (3) what is handed on is no wider than the lease on any axis, and the GRANT no wider than that; a transfer is whole
    (4) where the class asks for it, now or when the lease was granted, its holder has signed a CONSENT to it
    (5) the old user signed VACATED, that its radio is silent, before the CONFIRM that lets the new user transmit
    (6) no lease of the next user reaches beyond the lease it comes from

Pure. A part that does not exist yet (a GRANT that is not confirmed) is skipped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from settlement.chain.admission import RuleInForce
from settlement.chain.codec import blob
from settlement.chain.records import Attestation, Record
from settlement.chain.ruling import HeldRule, judge_before
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import ClassTerms
from settlement.records.grant import Grant
from settlement.records.handingterms import TRANSFER
from settlement.records.handover import Consent, Handover, Vacated


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOn:
    """The records, as bytes, that prove in an artifact that a lease was handed on."""

    handover: bytes = blob(1, MAX_RECORD_BYTES, least=1)
    vacated: bytes = blob(2, MAX_RECORD_BYTES, least=1)
    consent: bytes | None = blob(3, MAX_RECORD_BYTES, least=1, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseExtent:
    """The extent of a lease on every axis on which a part of it may be no wider."""

    cell: Cell
    max_eirp_mdbm: int
    tier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedUnder:
    """The rule that a settlement was made under, and when and where its GRANT was signed."""

    ruled: HeldRule
    granted: Attestation


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentLease:
    """The settlement that is handed on, as limits for its parts; `holder` and `user` are their credentials' hashes.

    `depth` is how many times it was itself handed on; `until_ns` (UTC) is how far its newest known lease reaches.
    `rules` are the rules of this settlement and of each one above it, whose lease it hands on.
    """

    sid: bytes
    confirm: bytes
    holder: bytes
    user: bytes
    cell: Cell
    commodity: str
    tier: int
    max_eirp_mdbm: int
    depth: int
    until_ns: int
    rules: tuple[GrantedUnder, ...] = ()

    @property
    def extent(self) -> LeaseExtent:
        """The limits that no part of the lease may exceed."""
        return LeaseExtent(cell=self.cell, max_eirp_mdbm=self.max_eirp_mdbm, tier=self.tier)


def judge_above(chain: Sequence[RuleInForce], above: Iterable[GrantedUnder]) -> Refusal | None:
    """Refuse unless each lease above a handed-on one was granted under the rule of its time; `chain`: oldest first."""
    found = (judge_before(chain, one.ruled.rule, one.granted) for one in above)
    return next((refusal for refusal in found if refusal is not None), None)


def judge_handover(handover: Record, parent: ParentLease, terms: ClassTerms | None) -> Refusal | None:
    """Run checks (1) to (3) on a HANDOVER alone."""
    body: Handover = handover.body
    if (body.sid, body.confirm) != (parent.sid, parent.confirm):
        return refuse(Reason.TERMS, "handing.sid", body.sid.hex()[:16], f"the settlement {parent.sid.hex()[:16]}")
    if handover.frame.author != parent.user:
        author = (handover.frame.author or b"").hex()[:16]
        return refuse(Reason.BINDING, "handing.author", author, f"the user of the lease, {parent.user.hex()[:16]}")
    return judge_handing(body, parent, terms)


def judge_handing(body: Handover, parent: ParentLease, terms: ClassTerms | None) -> Refusal | None:
    """Run checks (2) and (3), before anything is signed."""
    handing = terms.handing if terms is not None else None
    if handing is None or body.kind not in handing.kinds:
        allowed = " or ".join(handing.kinds) if handing is not None else "no lease changes hands"
        return refuse(Reason.TERMS, "handing.kind", body.kind, f"{allowed}, by the rule's handing.kinds")
    if parent.depth + 1 > handing.depth:
        required = f"<= {handing.depth}, by the rule's handing.depth"
        return refuse(Reason.DEPTH, "handing.depth", parent.depth + 1, required)
    if body.to == parent.user:
        return refuse(Reason.BINDING, "handing.to", "the user of the lease itself", "another party")
    part = LeaseExtent(cell=body.cell, max_eirp_mdbm=body.max_eirp_mdbm, tier=body.tier)
    return _class_of(body.commodity, parent) or no_wider(part, parent.extent, whole=body.kind == TRANSFER)


def _class_of(commodity: str, parent: ParentLease) -> Refusal | None:
    same = commodity == parent.commodity
    return None if same else refuse(Reason.SCOPE, "handing.class", commodity, parent.commodity)


def no_wider(part: LeaseExtent, of: LeaseExtent, *, whole: bool = False) -> Refusal | None:
    """Refuse a lease that is wider than its parent on an axis, naming the first such axis; None where it is not.

    Args: whole: a transfer hands on all of it: band, area, EIRP and end are the lease's own.
    """
    cell, loud = part.cell, f"{part.max_eirp_mdbm / 1000:g} dBm"
    checks = (
        ("band", of.cell.band.holds(cell.band), cell.band, f"inside {of.cell.band}", Reason.SCOPE),
        ("area", of.cell.area.holds(cell.area), cell.area, f"inside {of.cell.area}", Reason.SCOPE),
        ("window", of.cell.window.holds(cell.window), _span(cell), f"inside {_span(of.cell)}", Reason.SCOPE),
        ("eirp", part.max_eirp_mdbm <= of.max_eirp_mdbm, loud, f"<= {of.max_eirp_mdbm / 1000:g} dBm", Reason.POWER),
        ("tier", part.tier >= of.tier, part.tier, f">= {of.tier}", Reason.TIER),
    )
    for axis, held, measured, required, reason in checks:
        if not held:
            return refuse(reason, f"handing.{axis}", measured, f"{required}, the lease it comes from")
    if whole and _ends(part) != _ends(of):
        return refuse(Reason.TERMS, "handing.whole", f"{cell.band} at {loud}", f"all of {of.cell.band}, until its end")
    return None


def _ends(lease: LeaseExtent) -> tuple[object, ...]:
    """The values that a transfer may not change; its start is not among them."""
    return lease.cell.band, lease.cell.area, lease.cell.window.end_ns, lease.max_eirp_mdbm


def _span(cell: Cell) -> str:
    return f"{cell.window.start_ns} to {cell.window.end_ns} ns"


def judge_granted_under(
    grant: Record, handover: Record, parent: ParentLease, terms: ClassTerms | None
) -> Refusal | None:
    """Run checks (1) to (3) on a GRANT and the HANDOVER that it names."""
    given: Grant = grant.body
    body: Handover = handover.body
    if given.handover != handover.digest:
        named = given.handover.hex()[:16] if given.handover is not None else "none"
        return refuse(Reason.TERMS, "handing.handover", named, handover.digest.hex()[:16])
    if grant.frame.author != handover.frame.author:
        author = (grant.frame.author or b"").hex()[:16]
        return refuse(Reason.BINDING, "handing.grant", author, "the author of the HANDOVER")
    if given.user != body.to:
        return refuse(Reason.BINDING, "handing.to", given.user.hex()[:16], body.to.hex()[:16])
    return (
        judge_handover(handover, parent, terms)
        or _class_of(given.commodity, parent)
        or no_wider(
            LeaseExtent(cell=given.cell, max_eirp_mdbm=given.max_eirp_mdbm, tier=given.tier),
            LeaseExtent(cell=body.cell, max_eirp_mdbm=body.max_eirp_mdbm, tier=body.tier),
            whole=body.kind == TRANSFER,
        )
    )


def asks_consent(terms: ClassTerms | None) -> bool:
    """Whether leases of a class are handed on only with their holder's consent: the default without terms for it."""
    return terms is None or terms.handing is None or bool(terms.handing.consent)


def consent_needed(parent: ParentLease, terms: ClassTerms | None) -> bool:
    """Whether the holder's consent is needed: by the rule now, or by the rule under which the lease was granted.

    A holder plans the use of its spectrum by the rule under which it granted the lease.
    """
    then = parent.rules[0].ruled.rule.rule.terms(parent.commodity) if parent.rules else terms
    return asks_consent(then) or asks_consent(terms)


def judge_consent(
    handover: Record, consent: Record | None, parent: ParentLease, terms: ClassTerms | None
) -> Refusal | None:
    """Run check (4): the holder's CONSENT, where it is needed."""
    needed = consent_needed(parent, terms)
    if consent is None:
        absent = refuse(Reason.CONSENT, "handing.consent", "none", "the CONSENT of the settlement's holder")
        return absent if needed else None
    body: Consent = consent.body
    if consent.frame.author != parent.holder or (body.sid, body.handover) != (parent.sid, handover.digest):
        author = (consent.frame.author or b"").hex()[:16]
        return refuse(Reason.CONSENT, "handing.consent", f"by {author}", "the holder's, over this HANDOVER")
    return None


def judge_vacated(handover: Record, vacated: Record, confirm: Record, parent: ParentLease) -> Refusal | None:
    """Run checks (5) and (6): VACATED is earlier than the CONFIRM, and no new lease outlasts the old user's lease."""
    body: Vacated = vacated.body
    over = vacated.frame.author == handover.frame.author and body.handover == handover.digest and body.sid == parent.sid
    if not over:
        return refuse(Reason.PROOF, "handing.vacated", body.handover.hex()[:16], "the old user's, over this HANDOVER")
    if vacated.frame.seq >= confirm.frame.seq:
        required = f"before the CONFIRM, record {confirm.frame.seq}"
        return refuse(Reason.OUT_OF_ORDER, "handing.silent", f"record {vacated.frame.seq}", required)
    if body.silent_latest_ns > confirm.frame.attestation.latest_ns:
        required = f"<= {confirm.frame.attestation.latest_ns} ns, the CONFIRM"
        return refuse(Reason.OUT_OF_ORDER, "handing.silent", f"silent from {body.silent_latest_ns} ns", required)
    until_ns: int = confirm.body.transmit_until_ns
    if until_ns > parent.until_ns:
        return refuse(Reason.LEASE, "handing.lease", f"{until_ns} ns", f"<= {parent.until_ns} ns, the lease it is of")
    return None
