"""Judges each ground of a dispute from the records that both sides cite, under the rule of the settlement.

Grounds, each upheld if:

rule misapplied                the GRANT exceeds class, rule or a credential, its price does not follow from the offer,
                               or a PREEMPT displaces a tier that it may not, or states less than is owed
fallback not kept              the holder ended the settlement early, without a stronger tier or a proven incumbent as
                               cause, and offered no substitute as it was bound to, or did not grant it
credential invalid at signing  the credential was outside its validity, or on a status list signed before
interference measured          the envelopes that measured the cell busy weigh enough, and one at least is by no party
usage misreported              the USAGE is impossible: outside the window, or with more air time than there was
compensation not paid          a PREEMPT, a FALLBACK or a ruling states what is owed, and no payment is cited

Pure: the same case always gives the same finding. A record that nobody cites does not count. See docs/disputes.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

from settlement.chain.credentials import Subject
from settlement.chain.records import Attestation, Record
from settlement.chain.status import is_set
from settlement.chain.weights import UNANSWERED, observation_weight_ppm
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.case import DisputeCase
from settlement.disputes.fallbacks import Substitute, fallback_terms, judge_substitute
from settlement.disputes.incumbentproof import ended_for_incumbent, judge_stronger
from settlement.market.tiers import Displaceable, compensation, tier_of
from settlement.pair.offered import inside_offer
from settlement.pair.terms import deal_of_grant, judge_terms
from settlement.records.authority import Revocation
from settlement.records.complaint import Fallback, Ruling
from settlement.records.complaintterms import INTERFERENCE, INVALID, MISAPPLIED, MISREPORTED, NOT_KEPT, UNPAID
from settlement.records.decision import Abort, Confirm
from settlement.records.endings import Compensation, Preempt, Usage
from settlement.records.grant import Grant
from settlement.records.market import Declaration, Request
from settlement.records.observation import PLACE, Envelope
from settlement.records.sizes import PPM
from settlement.records.verdict import Verdict

BUSY = "busy"
"""The state of a channel in which a signal was found."""
ENOUGH_PPM = PPM // 2
"""Least total weight of the measurements for them to count, as for an incumbent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFinding:
    """The result of judging a ground: the clause, what was found and what would have been right.

    `lost_from_ns` is since when the settlement was not kept (UTC); `unpaid` is the part of a stated debt not yet paid.
    """

    upheld: bool
    clause: str
    measured: str
    required: str
    lost_from_ns: int
    unpaid: int = 0


def _kept(case: DisputeCase, clause: str, measured: object, required: object) -> DisputeFinding:
    return DisputeFinding(
        upheld=False,
        clause=clause,
        measured=str(measured),
        required=str(required),
        lost_from_ns=case.settled.given.cell.window.end_ns,
    )


def _broken(
    case: DisputeCase, clause: str, measured: object, required: object, *, from_ns: int | None = None, unpaid: int = 0
) -> DisputeFinding:
    begins_ns = case.settled.given.cell.window.start_ns
    return DisputeFinding(
        upheld=True,
        clause=clause,
        measured=str(measured),
        required=str(required),
        lost_from_ns=begins_ns if from_ns is None else from_ns,
        unpaid=unpaid,
    )


def find(case: DisputeCase) -> DisputeFinding | Refusal:
    """Judge a dispute's ground; TERMS for a ground that is not in GROUNDS_JUDGED."""
    ground = GROUNDS_JUDGED.get(case.body.grounds)
    if ground is None:
        return refuse(Reason.TERMS, "dispute.ground", case.body.grounds, ", ".join(GROUNDS_JUDGED))
    return ground.judge(case)


# -- rule misapplied -----------------------------------------------------------------------------------------------


def _misapplied(case: DisputeCase) -> DisputeFinding:
    s = case.settled
    refusal = judge_terms(deal_of_grant(s.grant), s.rule, holder=s.holder, user=s.user) or _price(case)
    if refusal is not None:
        return _broken(case, refusal.clause, refusal.measured, refusal.required)
    for cited in [one for one in case.cited(Preempt) if case.of(one, s.holder) and one.body.by is not None]:
        preempt: Preempt = cited.body
        asked = next((one for one in case.evidence if one.digest == preempt.by), None)
        weaker = judge_stronger(cited, asked, s.given) if asked is not None else None
        if weaker is not None:
            return _broken(case, weaker.clause, weaker.measured, weaker.required, from_ns=preempt.vacate_by_ns)
        window, tier = s.given.cell.window, tier_of(s.terms.tiers, preempt.tier)
        if tier is None or s.given.tier not in tier.displaces:
            measured = f"tier {preempt.tier} over tier {s.given.tier}"
            required = "a tier that may displace it by the rule"
            return _broken(case, "tier.displaces", measured, required, from_ns=preempt.vacate_by_ns)
        lost = Displaceable(tier=s.given.tier, window=window, price=s.given.price, leased_until_ns=0)
        due = compensation(tier, lost, preempt.vacate_by_ns)
        if (preempt.owed or 0) < due:
            short = due - (preempt.owed or 0)
            return _broken(
                case, "compensation.owed", preempt.owed or 0, f">= {due}", from_ns=preempt.vacate_by_ns, unpaid=short
            )
    return _kept(case, "terms", "inside rule, class and credentials", "a term beyond them")


def _price(case: DisputeCase) -> Refusal | None:
    """Refuse a GRANT whose REQUEST does not fit its offer; None unless both are cited and no COUNTER set the price."""
    given = case.settled.given
    asked = next((one for one in case.evidence if one.digest == given.request), None)
    if asked is None or not isinstance(asked.body, Request):
        return None
    offer = next((one for one in case.evidence if one.digest == asked.body.declaration), None)
    if offer is None or not isinstance(offer.body, Declaration) or asked.body.counter is not None:
        return None
    return inside_offer(asked.body, offer.body, case.settled.terms)


# -- fallback not kept ---------------------------------------------------------------------------------------------


def _not_kept(case: DisputeCase) -> DisputeFinding:
    s = case.settled
    ended = [one for one in case.cited(Preempt) if case.of(one, s.holder) and one.body.by is None]
    early = [one.body for one in ended if not ended_for_incumbent(case, one)]
    moves = [one for one in case.cited(Fallback) if case.of(one, s.holder)]
    if not early and not moves:
        return _kept(case, "fallback.delivered", "no end by the holder is cited", "a PREEMPT or a FALLBACK of it")
    ends_ns = [one.vacate_by_ns for one in early] + [one.body.from_ns for one in moves]
    from_ns = min(ends_ns)
    if from_ns >= s.given.cell.window.end_ns:
        return _kept(case, "fallback.delivered", f"ended at {from_ns} ns", f"< {s.given.cell.window.end_ns} ns")
    bound = fallback_terms(s.terms, s.given.fallback)
    if bound is None:
        measured = f"ended at {from_ns} ns for nobody"
        return _broken(case, "fallback.none", measured, f"until {s.given.cell.window.end_ns} ns", from_ns=from_ns)
    if not moves:
        required = f"a FALLBACK of number {bound.number}, {bound.scope}"
        return _broken(case, "fallback.missing", f"ended at {from_ns} ns, none cited", required, from_ns=from_ns)
    failings = [_moved(case, one) for one in moves]
    failing = failings[0]
    if failing is None or None in failings:
        return _kept(case, "fallback.kept", "a substitute as it was bound to offer", "no such substitute")
    return _broken(case, failing.clause, failing.measured, failing.required, from_ns=from_ns)


def _moved(case: DisputeCase, move: Record) -> Refusal | None:
    """Return why a FALLBACK does not keep the holder's commitment; None where it does."""
    s, body = case.settled, move.body
    bound = fallback_terms(s.terms, s.given.fallback)
    offer = next((one for one in case.evidence if one.digest == body.declaration), None)
    if bound is None or body.declaration is None or offer is None or not isinstance(offer.body, Declaration):
        return refuse(Reason.PROOF, "fallback.declaration", "not cited", "the offer that the substitute is asked from")
    by = case.sources.subject(offer.frame.author or b"")
    one = Substitute(
        body=body,
        signed_ns=move.frame.attestation.latest_ns,
        holder=s.holder.name,
        offer=offer.body,
        offerer=by.name if by is not None else "unknown",
        commodity=s.given.commodity,
        price=s.given.price,
        eirp_mdbm=s.given.max_eirp_mdbm,
        tariff=s.terms.tariff,
    )
    refusal = judge_substitute(bound, s.given.cell, one)
    return refusal if refusal is not None else _granted(case, move)


def _granted(case: DisputeCase, move: Record) -> Refusal | None:
    """Refuse a substitute that was requested and refused, or aborted for no fault of its user."""
    asked = {one.digest for one in case.evidence if isinstance(one.body, Request) and one.body.replaces == move.digest}
    grants = [one for one in case.evidence if isinstance(one.body, Grant) and one.body.replaces == move.digest]
    confirmed = {one.body.grant for one in case.evidence if isinstance(one.body, Confirm)}
    if any(one.digest in confirmed for one in grants):
        return None
    turned_down = [one for one in case.evidence if isinstance(one.body, Verdict) and one.body.subject in asked]
    aborts = [one.body for one in case.evidence if isinstance(one.body, Abort)]
    given_up = {one.grant for one in aborts if one.reason not in UNANSWERED}
    if turned_down:
        said = turned_down[0].body
        return refuse(Reason.TERMS, "fallback.granted", f"refused as {said.reason}", "granted and confirmed")
    if any(one.digest in given_up for one in grants):
        return refuse(Reason.TERMS, "fallback.granted", "aborted", "granted and confirmed")
    return None


# -- credential invalid at signing ---------------------------------------------------------------------------------


def _invalid(case: DisputeCase) -> DisputeFinding:
    accused = case.accused
    signed = (case.settled.grant if accused is case.settled.holder else case.settled.accept).frame.attestation
    life = accused.valid_at(_clock(signed))
    if life is not None:
        return _broken(case, life.clause, life.measured, life.required)
    above = [one for one in map(case.sources.subject, _above(case, accused)) if one is not None]
    named = [(one, who) for one in case.cited(Revocation) for who in above if _takes_back(case, one, who)]
    before = [(one, who) for one, who in named if one.frame.attestation.latest_ns < signed.earliest_ns]
    if before:
        taken, who = min(before, key=lambda pair: pair[0].frame.attestation.latest_ns)
        measured = f"{who.name} taken back at {taken.frame.attestation.latest_ns} ns"
        return _broken(case, "credential.revoked", measured, f"not before {signed.earliest_ns} ns, when it signed")
    measured = "taken back only after it had signed" if named else "no list that takes it back is cited"
    return _kept(case, "credential.revoked", measured, f"a list signed before {signed.earliest_ns} ns")


def _clock(signed: Attestation) -> TimeFix:
    source = TimeSource(signed.time_source)
    return TimeFix(earliest_ns=signed.earliest_ns, latest_ns=signed.latest_ns, source=source, trusted=True)


def _above(case: DisputeCase, who: Subject) -> list[bytes]:
    """Return a credential and every one above it."""
    found, at = [who.hash], who
    while at.issuer is not None:
        found.append(at.issuer)
        higher = case.sources.subject(at.issuer)
        if higher is None:
            break
        at = higher
    return found


def _takes_back(case: DisputeCase, taken: Record, who: Subject) -> bool:
    """Whether a credential is revoked by a list of its own issuer."""
    author, bits = taken.frame.author or b"", taken.body.bits
    if who.issuer is None or who.status_index is None or who.issuer not in case.sources.line(author):
        return False
    return who.status_index < 8 * len(bits) and is_set(bits, who.status_index)


# -- interference measured -----------------------------------------------------------------------------------------


def _interfered(case: DisputeCase) -> DisputeFinding:
    cell, rule, total = case.settled.given.cell, case.settled.rule, 0
    authors: set[bytes] = set()
    for one in [one for one in case.evidence if isinstance(one.body, Envelope)]:
        body, author = one.body, case.sources.subject(one.frame.author or b"")
        busy = any(c.band.overlaps(cell.band) and c.state == BUSY for c in body.channels)
        inside = cell.window.holds(body.observed)
        if author is None or author.hash in authors or body.kind != PLACE or not busy or not inside:
            continue
        authors.add(author.hash)
        total += observation_weight_ppm(rule, level=author.level, modality=body.modality, consistency_ppm=PPM)
    mine = {*case.sources.line(case.injured.hash)}
    others = authors - mine - {*case.sources.line(case.accused.hash)}
    if total >= ENOUGH_PPM and others:
        return _broken(case, "interference.weight", f"{total} ppm by {len(authors)}", f"< {ENOUGH_PPM} ppm")
    if not others:
        measured = f"{len(authors)} measured the cell busy, none but the parties"
        return _kept(case, "interference.others", measured, "one at least who is no party")
    return _kept(case, "interference.weight", f"{total} ppm by {len(authors)}", f">= {ENOUGH_PPM} ppm")


# -- usage misreported ---------------------------------------------------------------------------------------------


def _misreported(case: DisputeCase) -> DisputeFinding:
    s, window = case.settled, case.settled.given.cell.window
    cuts = [one.body.vacate_by_ns for one in case.cited(Preempt) if case.of(one, s.holder)]
    ends_ns = min([window.end_ns, *cuts])
    reports = [one.body for one in case.cited(Usage) if case.of(one, s.user)]
    if not reports:
        return _kept(case, "usage.cited", "no USAGE is cited", "the report that is disputed")
    for said in reports:
        most_ns = max(0, ends_ns - window.start_ns)
        used_ns = said.used.end_ns - said.used.start_ns if said.used is not None else 0
        outside = said.used is not None and not (window.start_ns <= said.used.start_ns and said.used.end_ns <= ends_ns)
        checks = (
            (not outside, "usage.window", f"{said.used}", f"inside {window.start_ns} to {ends_ns} ns"),
            (said.airtime_ns <= most_ns, "usage.airtime", f"{said.airtime_ns} ns", f"<= {most_ns} ns"),
            (said.airtime_ns <= used_ns, "usage.airtime", f"{said.airtime_ns} ns in {used_ns} ns", f"<= {used_ns} ns"),
            (said.bursts > 0 or said.airtime_ns == 0, "usage.bursts", "air time in no burst", "a burst at least"),
        )
        for held, clause, measured, required in checks:
            if not held:
                return _broken(case, clause, measured, required)
    return _kept(case, "usage", "nothing in it contradicts itself or the settlement", "a figure that cannot be")


# -- compensation not paid -----------------------------------------------------------------------------------------


def _unpaid(case: DisputeCase) -> DisputeFinding:
    due = [
        *((one.digest, one.body.owed or 0) for one in case.cited(Preempt) if case.of(one, case.accused)),
        *((one.digest, one.body.owed or 0) for one in case.cited(Fallback) if case.of(one, case.accused)),
        *((one.digest, one.body.compensation) for one in case.cited(Ruling) if _ordered(case, one)),
    ]
    owed = sum(amount for _, amount in due)
    names = {name for name, _ in due} | {one.body.by for one in case.cited(Preempt)}
    paid = sum(
        one.body.amount
        for one in case.cited(Compensation)
        if one.body.currency == case.settled.terms.currency
        and case.of(one, case.accused)
        and {one.body.ruling, one.body.moved, one.body.request} & names
    )
    if not owed:
        return _kept(case, "compensation.named", "nothing cited names what is owed", "a PREEMPT, FALLBACK or ruling")
    if paid >= owed:
        return _kept(case, "compensation.paid", f"{paid} of {owed}", f"< {owed}")
    ends_ns = case.settled.given.cell.window.end_ns
    return _broken(case, "compensation.paid", f"{paid} of {owed}", f">= {owed}", from_ns=ends_ns, unpaid=owed - paid)


def _ordered(case: DisputeCase, one: Record) -> bool:
    """Whether a ruling orders the accused to pay, and that was due when the dispute was raised."""
    terms, ruling = case.terms, one.body
    pays = ruling.pays is not None and ruling.pays in {*case.sources.line(case.accused.hash), case.accused.hash}
    due_ns = one.frame.attestation.latest_ns + (terms.pay_ns if terms is not None else 0)
    return pays and case.dispute.frame.attestation.earliest_ns > due_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedGround:
    """How one ground is judged, and against whom it may be raised."""

    judge: Callable[[DisputeCase], DisputeFinding]
    against: tuple[str, ...] = ("holder", "user")


GROUNDS_JUDGED = {
    MISAPPLIED: JudgedGround(judge=_misapplied, against=("holder",)),
    NOT_KEPT: JudgedGround(judge=_not_kept, against=("holder",)),
    INVALID: JudgedGround(judge=_invalid),
    INTERFERENCE: JudgedGround(judge=_interfered, against=("holder",)),
    MISREPORTED: JudgedGround(judge=_misreported, against=("user",)),
    UNPAID: JudgedGround(judge=_unpaid),
}
