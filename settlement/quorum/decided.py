"""Whether a GRANT has the group decision that its rule requires: of an auction, offices or a coalition. Pure.

Holder (before the GRANT), user (before the ACCEPT), co-signers, warden and auditor all use `judge_decided`, each on the
records that it has or is shown.

    auction     in a class with auctions, REQUEST and offer must be shown; if the offer is auctioned, the GRANT names
                the OUTCOME (`award`), certified by the rule's list, for this offer, cell and user, at this price
    approval    in a class with `approval` the GRANT names the OUTCOME (`approval`), certified by the rule's list, of
                exactly this REQUEST with these terms, in time
    coalition   in a class with `coalition` as for `approval`; a member's vote counts only if the member is a holder
                whose credential holds the cell, and the GRANT's author must be a member
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.quorum.certificate import Certificate, verify
from settlement.quorum.group import in_epoch, member_of, membership_of
from settlement.quorum.outcome import approving, judge_approval
from settlement.records.approvalterms import ApprovalRule, ApprovalTerms
from settlement.records.auction import AuctionTally
from settlement.records.auctionterms import PRICE_FUNCTIONS, AuctionRule
from settlement.records.authority import ClassTerms
from settlement.records.grant import Grant
from settlement.records.market import Declaration, Request
from settlement.records.quorum import GroupOutcome, MemberList, Proposal

T = TypeVar("T")
HOLDER = "holder"
AUCTION = "auction"
"""The form of price of an auctioned offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedDeal:
    """The terms of a GRANT, signed or intended: parties, price, the group decisions it names, time of signing (UTC)."""

    holder: bytes
    user: bytes
    request: bytes
    terms: ApprovalTerms
    award: bytes | None
    approval: bytes | None
    handover: bytes | None
    earliest_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDecisions:
    """The hashes of the OUTCOMEs that a GRANT is to name, and the records behind them to send beside it."""

    award: bytes | None = None
    approval: bytes | None = None
    beside: tuple[bytes, ...] = ()


UNDECIDED = GroupDecisions()
"""The decisions of a GRANT that needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionGrounds:
    """Functions that look up the verified records behind a group decision, and credentials.

    `find` returns a record by its hash, `subject` a credential, `line` a credential and those that it replaced.
    `naming` returns why an author, by its credential, may not sign a list of members under the rule of the GRANT, or
    None.
    """

    network: str
    find: Callable[[bytes], Record | None]
    subject: Callable[[bytes], Subject | None]
    line: Callable[[bytes], tuple[bytes, ...]]
    naming: Callable[[bytes | None], Refusal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """An OUTCOME that enough members certified, with its PROPOSAL, its list of members and its certificate."""

    outcome: Record
    asked: Record
    group: MemberList
    certificate: Certificate


def deal_granted(grant: Record) -> GrantedDeal:
    """Return the terms of a GRANT."""
    body: Grant = grant.body
    terms = ApprovalTerms(
        user=body.user,
        cell=body.cell,
        commodity=body.commodity,
        tier=body.tier,
        eirp_mdbm=body.max_eirp_mdbm,
        price=body.price,
    )
    return GrantedDeal(
        holder=grant.frame.author or b"",
        user=body.user,
        request=body.request,
        terms=terms,
        award=body.award,
        approval=body.approval,
        handover=body.handover,
        earliest_ns=grant.frame.attestation.earliest_ns,
    )


def judge_decided(deal: GrantedDeal, terms: ClassTerms | None, grounds: DecisionGrounds) -> Refusal | None:
    """Refuse a GRANT that lacks a group decision its class requires; None where all were made about this GRANT."""
    if terms is None:
        return None
    asked = terms.consent
    return judge_award(deal, terms, grounds) or (
        None if asked is None else _judge_approval(deal, asked, terms, grounds)
    )


def _found(name: bytes | None, body: type[T], what: str, grounds: DecisionGrounds) -> Record | Refusal:
    record = grounds.find(name) if name is not None else None
    if record is None or not isinstance(record.body, body):
        found = "absent" if record is None else record.typ
        return refuse(Reason.PROOF, f"decided.{what}", found, f"the {what.upper()} that the GRANT rests on")
    return record


def _certified(name: bytes, members: str, deal: GrantedDeal, grounds: DecisionGrounds) -> _Decision | Refusal:
    """Return an OUTCOME with its PROPOSAL and list, or why they do not count.

    The list must be the one that the rule names, the PROPOSAL the holder's, and the votes enough.
    """
    outcome = _found(name, GroupOutcome, "outcome", grounds)
    if isinstance(outcome, Refusal):
        return outcome
    asked = _found(outcome.body.proposal, Proposal, "proposal", grounds)
    if isinstance(asked, Refusal):
        return asked
    listed = _found(asked.body.membership, MemberList, "members", grounds)
    if isinstance(listed, Refusal):
        return listed
    group: MemberList = listed.body
    unnamed = grounds.naming(listed.frame.author)
    if unnamed is not None:
        return unnamed
    if group.name != members or asked.body.members != members:
        return refuse(Reason.QUORUM, "decided.members", group.name, members)
    author = asked.frame.author or b""
    if author not in grounds.line(deal.holder):
        return refuse(Reason.BINDING, "decided.proposal", author.hex()[:16], f"{deal.holder.hex()[:16]}, who granted")
    signed = asked.frame.attestation
    when = TimeFix(
        earliest_ns=signed.earliest_ns,
        latest_ns=signed.latest_ns,
        source=TimeSource(signed.time_source),
        trusted=True,
    )
    refusal = in_epoch(group, asked.body.epoch, when, "decided")
    if refusal is not None:
        return refusal
    body: GroupOutcome = outcome.body
    certificate = verify(body.certificate, membership_of(grounds.network, group), body.choice)
    if isinstance(certificate, Refusal):
        return certificate
    return _Decision(outcome=outcome, asked=asked, group=group, certificate=certificate)


# -- auctions ----------------------------------------------------------------------------------------------------------


def judge_award(deal: GrantedDeal, terms: ClassTerms, grounds: DecisionGrounds) -> Refusal | None:
    """Refuse a GRANT unlike the certified outcome of its offer's auction; None where there was no auction."""
    asked = terms.auction
    if asked is None:
        return None
    request = _found(deal.request, Request, "request", grounds)
    if isinstance(request, Refusal):
        return request
    if deal.handover is not None and request.body.declaration == deal.handover:
        return None  # a lease is handed on: the artifact in the HANDOVER shows how it was obtained
    offer = grounds.find(request.body.declaration)
    if offer is None:
        return refuse(Reason.PROOF, "decided.declaration", "absent", "the offer that the REQUEST names")
    sold = isinstance(offer.body, Declaration) and offer.body.price_form == AUCTION
    if deal.award is None:
        return refuse(Reason.QUORUM, "decided.award", "none", "the OUTCOME of the offer's auction") if sold else None
    found = _certified(deal.award, asked.members, deal, grounds)
    if isinstance(found, Refusal):
        return found
    tally = _found(found.outcome.body.tally, AuctionTally, "tally", grounds)
    if isinstance(tally, Refusal):
        return tally
    return _judge_count(found, tally, asked) or judge_won(deal, found.asked.body, found.outcome.body, request, grounds)


def _judge_count(found: _Decision, tally: Record, asked: AuctionRule) -> Refusal | None:
    """Refuse an OUTCOME by a function that the rule does not allow, without votes for this TALLY, or unlike it."""
    body, function = found.outcome.body, found.asked.body.function
    if function not in asked.functions or function not in PRICE_FUNCTIONS:
        return refuse(Reason.TERMS, "decided.function", function, ", ".join(asked.functions))
    if tally.digest != body.choice or tally.body.proposal != body.proposal:
        return refuse(Reason.ENTRY_MISMATCH, "decided.tally", tally.digest.hex()[:16], body.choice.hex()[:16])
    if (tally.body.winner, tally.body.price) != (body.winner, body.price):
        return refuse(Reason.PRICE, "decided.tally", f"{body.price}", f"{tally.body.price}, by the TALLY")
    return None


def judge_won(
    deal: GrantedDeal, asked: Proposal, outcome: GroupOutcome, request: Record, grounds: DecisionGrounds
) -> Refusal | None:
    """Refuse a GRANT that is not of the auctioned cell, to the winner, at the price it was won at."""
    sold = asked.auction
    if sold is None or sold.declaration != request.body.declaration:
        named = "none" if sold is None else sold.declaration.hex()[:16]
        return refuse(Reason.TERMS, "decided.declaration", named, request.body.declaration.hex()[:16])
    if outcome.winner is None or outcome.winner not in grounds.line(deal.user):
        winner = "nobody: no winner" if outcome.winner is None else _name(outcome.winner, grounds)
        return refuse(Reason.TERMS, "decided.winner", _name(deal.user, grounds), winner)
    if deal.terms.cell != sold.cell or deal.terms.commodity != sold.commodity:
        required = f"{sold.cell.band}, the very cell of the auction"
        return refuse(Reason.TERMS, "decided.cell", deal.terms.cell.band, required)
    if deal.terms.price != outcome.price:
        return refuse(Reason.PRICE, "decided.price", deal.terms.price, f"{outcome.price}, the auction's")
    return None


def _name(credential: bytes, grounds: DecisionGrounds) -> str:
    subject = grounds.subject(credential)
    return subject.name if subject is not None else credential.hex()[:16]


# -- approvals ---------------------------------------------------------------------------------------------------------


def _judge_approval(
    deal: GrantedDeal, asked: ApprovalRule, terms: ClassTerms, grounds: DecisionGrounds
) -> Refusal | None:
    if deal.approval is None:
        required = f"approved by {asked.members}: {asked.function}, {asked.need}"
        return refuse(Reason.QUORUM, "decided.approval", "none", required)
    found = _certified(deal.approval, asked.members, deal, grounds)
    if isinstance(found, Refusal):
        return found
    body: Proposal = found.asked.body
    said, due = (body.members, body.function, body.need), (asked.members, asked.function, asked.need)
    if said != due:
        return refuse(Reason.TERMS, "decided.function", said, due)
    if body.subject != deal.request:
        named = (body.subject or b"").hex()[:16]
        return refuse(Reason.TERMS, "decided.subject", named, f"{deal.request.hex()[:16]}, the REQUEST granted")
    if body.approval != deal.terms:
        return refuse(Reason.TERMS, "decided.terms", _differing(body.approval, deal.terms), "granted as approved")
    if found.outcome.body.choice != approving(found.asked.digest):
        return refuse(Reason.QUORUM, "decided.choice", found.outcome.body.choice.hex()[:16], "approval")
    if deal.earliest_ns > body.vote_by_ns:
        return refuse(Reason.TIMEOUT, "decided.vote_by", f"{deal.earliest_ns} ns", f"<= {body.vote_by_ns} ns")
    voters = {one.member for one in found.certificate.votes}
    yes = {one.credential for one in found.group.members if one.key in voters}
    if terms.coalition is None:
        return judge_approval(asked.function, asked.need, found.group, yes)
    return judge_coalition(found.group, yes, deal, asked, grounds)


def _differing(approved: Any, granted: ApprovalTerms) -> str:
    fields = [name for name in granted.__dataclass_fields__ if getattr(approved, name, None) != getattr(granted, name)]
    return "another " + ", ".join(fields)


# -- coalitions --------------------------------------------------------------------------------------------------------


def judge_coalition(
    group: MemberList, yes: Iterable[bytes], deal: GrantedDeal, asked: ApprovalRule, grounds: DecisionGrounds
) -> Refusal | None:
    """Refuse a GRANT unless enough holders of the cell voted for it and its author is a member of the list."""
    if all(member_of(group, one) is None for one in grounds.line(deal.holder)):
        return refuse(Reason.QUORUM, "decided.coalition", _name(deal.holder, grounds), f"a member of {group.name}")
    barred, counted = None, set()
    for credential in sorted(yes):
        why = judge_coholder(group, credential, deal.terms.cell, deal.terms.commodity, grounds)
        barred = barred or why
        if why is None:
            counted.add(credential)
    lacking = judge_approval(asked.function, asked.need, group, counted)
    return None if lacking is None else barred or lacking


def judge_coholder(
    group: MemberList, credential: bytes, cell: Cell, commodity: str, grounds: DecisionGrounds
) -> Refusal | None:
    """Return why a member's vote does not count in a coalition: it is no holder, or its credential lacks the cell."""
    member, subject = member_of(group, credential), grounds.subject(credential)
    if member is None or subject is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "coalition.member", credential.hex()[:16], "a credential that is shown")
    scope = subject.scope
    checks = (
        ("role", member.role == HOLDER, member.role, HOLDER),
        ("key", member.key == subject.public, member.key.hex()[:16], subject.public.hex()[:16]),
        ("grant", "grant" in scope.actions, ", ".join(scope.actions), "grant"),
        ("band", scope.holds_band(cell.band), cell.band, ", ".join(map(str, scope.bands))),
        ("area", scope.area.holds(cell.area), cell.area, scope.area),
        ("class", commodity in scope.classes, commodity, ", ".join(scope.classes)),
        ("life", cell.window.end_ns <= subject.expires_ns, f"a window until {cell.window.end_ns} ns", "its life"),
    )
    for axis, held, measured, required in checks:
        if not held:
            return refuse(Reason.SCOPE, f"coalition.{axis}", f"{subject.name}: {measured}", required)
    return None
