"""Records of group decisions: the signed list of members, a proposal, votes, and the certified outcome."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, blob, nested, text, uint
from settlement.chain.quantities import LIFE_MAX_NS, WINDOW_MAX_NS, count, instant_ns
from settlement.chain.scope import Scope, Window, ordered
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.approvalterms import ApprovalTerms
from settlement.records.auctionterms import APPROVALS, FUNCTIONS, PRICE_FUNCTIONS, AuctionTerms
from settlement.records.authority import Rule
from settlement.records.row import CarriedBy, Charge, Kind, RecordType, WhenLate
from settlement.records.sizes import HASH

GROUP_MAX = 64
ROLES = ("holder", "bidder", "user", "regulator", "operator", "authority", "witness")
CERTIFICATE_MAX = 8192
SIGNATURE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """One member: its role, its credential, the key it votes with, and its weight."""

    role: str = text(1, 16)
    credential: bytes = blob(2, HASH)
    key: bytes = blob(3, HASH)
    weight: int = uint(4, high=1_000_000)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the role exists and the weight is at least 1."""
        if self.role not in ROLES:
            return ".role", self.role, f"one of {', '.join(ROLES)}"
        return None if self.weight else (".weight", 0, ">= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberList:
    """An authority's list of the members that decide in an epoch, and how many of them may be faulty.

    The list of the next epoch, with the same name, replaces it; a proposal stays with the list it was made under.
    """

    name: str = text(1, 64)
    epoch: int = uint(2, high=1 << 32)
    effective: Window = nested(3, Window)
    faulty: int = uint(4, high=GROUP_MAX // 3)
    members: tuple[GroupMember, ...] = array(5, GroupMember, GROUP_MAX, low=1)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless there are >= 3 x faulty + 1 members, no credential or key twice, and a valid window."""
        least = 3 * self.faulty + 1
        if len(self.members) < least:
            return ".members", f"{len(self.members)} members", f">= {least}, three times the faulty and one"
        for what in ("credential", "key"):
            if len({getattr(one, what) for one in self.members}) != len(self.members):
                return ".members", f"one {what} twice", f"each {what} once"
        return ordered(self.effective, most_ns=LIFE_MAX_NS, path=".effective")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A question to a list of members; `function` is the function from votes or bids to the outcome.

    With `auction` the question is who wins the cell, and at what price. Without it the question is whether to approve
    the REQUEST `subject`, whose content is in `approval`; `need` is the number of members (k of n) or the sum of their
    weights (weighted) that must agree. `membership` is the hash of the list of members.
    """

    members: str = text(1, 64)
    epoch: int = uint(2, high=1 << 32)
    membership: bytes = blob(3, HASH)
    function: str = text(4, 32)
    need: int = uint(5, high=GROUP_MAX * 1_000_000)
    vote_by_ns: int = instant_ns(6)
    rule: bytes = blob(7, HASH)
    subject: bytes | None = blob(8, HASH, optional=True)
    auction: AuctionTerms | None = nested(9, AuctionTerms, optional=True)
    approval: ApprovalTerms | None = nested(10, ApprovalTerms, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the function exists, with what it is about, and an auction's vote ends in time."""
        if self.function not in FUNCTIONS:
            return ".function", self.function, f"one of {', '.join(FUNCTIONS)}"
        if (self.auction is not None) is not (self.function in PRICE_FUNCTIONS):
            return ".auction", "absent" if self.auction is None else "present", f"with {' or '.join(PRICE_FUNCTIONS)}"
        for name, held in (("subject", self.subject), ("approval", self.approval)):
            if (held is not None) is not (self.function in APPROVALS):
                return f".{name}", "absent" if held is None else "present", f"with {', '.join(APPROVALS)}"
        auction = self.auction
        if auction is not None and not auction.reveals_by_ns < self.vote_by_ns <= auction.cell.window.start_ns:
            window_ns = auction.cell.window.start_ns
            return ".vote_by_ns", self.vote_by_ns, f"after reveals_by_ns, {auction.reveals_by_ns}, by {window_ns}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """A member's vote on a proposal, one in each epoch; `choice` names what it votes for.

    `signature` is over network, membership, epoch and choice; a certificate contains these signatures.
    """

    proposal: bytes = blob(1, HASH)
    epoch: int = uint(2, high=1 << 32)
    choice: bytes = blob(3, HASH)
    signature: bytes = blob(4, SIGNATURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOutcome:
    """The result of a proposal, with the certificate that enough members voted for it.

    For an auction: `tally` is the hash of the TALLY, `winner` the credential that may request the cell, at `price`.
    """

    proposal: bytes = blob(1, HASH)
    epoch: int = uint(2, high=1 << 32)
    choice: bytes = blob(3, HASH)
    certificate: bytes = blob(4, CERTIFICATE_MAX, least=1)
    tally: bytes | None = blob(5, HASH, optional=True)
    winner: bytes | None = blob(6, HASH, optional=True)
    price: int | None = count(7, optional=True)


def _in_scope(body: Proposal, scope: Scope) -> Refusal | None:
    """Clause (8) of admission: band, area and class of what is auctioned or approved lie in the author's scope."""
    about = body.auction or body.approval
    if about is None:
        return None
    cell, commodity = about.cell, about.commodity
    if not scope.holds_band(cell.band):
        return refuse(Reason.SCOPE, "capability.8.band", cell.band, ", ".join(str(b) for b in scope.bands))
    if not scope.area.holds(cell.area):
        return refuse(Reason.SCOPE, "capability.8.area", cell.area, scope.area)
    if commodity not in scope.classes:
        return refuse(Reason.SCOPE, "capability.8.class", commodity, ", ".join(scope.classes))
    return None


def _auctioned(body: Proposal, rule: Rule, signed_ns: int) -> Refusal | None:
    """Clause (13) of admission: the class has auctions and this one meets their terms; approvals go to `_as_ruled`."""
    auction = body.auction
    if auction is None:
        return _as_ruled(body, rule, signed_ns)
    terms = rule.terms(auction.commodity)
    if terms is None or terms.auction is None:
        held = ", ".join(c.name for c in rule.classes if c.auction is not None) or "no class"
        return refuse(Reason.TERMS, "disposition.13.auction", auction.commodity, f"{held}: the rule's auctions")
    asked = terms.auction
    bids_ns, reveals_ns = auction.bids_by_ns - signed_ns, auction.reveals_by_ns - auction.bids_by_ns
    vote_ns = body.vote_by_ns - auction.reveals_by_ns
    checks = (
        ("members", body.members == asked.members, body.members, asked.members, Reason.TERMS),
        ("function", body.function in asked.functions, body.function, ", ".join(asked.functions), Reason.TERMS),
        ("bids_by", bids_ns >= asked.bids_ns_min, f"{bids_ns} ns", f">= {asked.bids_ns_min} ns", Reason.TERMS),
        ("reveals_by", reveals_ns >= asked.reveals_ns_min, reveals_ns, f">= {asked.reveals_ns_min} ns", Reason.TERMS),
        ("vote_by", vote_ns > asked.settle_ns, f"{vote_ns} ns", f"> {asked.settle_ns} ns, settle_ns", Reason.TERMS),
        ("deposit", auction.deposit >= asked.deposit_min, auction.deposit, f">= {asked.deposit_min}", Reason.PRICE),
        (
            "reserve",
            terms.price_low <= auction.reserve <= terms.price_high,
            auction.reserve,
            f"{terms.price_low}-{terms.price_high}",
            Reason.PRICE,
        ),
    )
    for axis, held_to, measured, required, reason in checks:
        if not held_to:
            return refuse(reason, f"disposition.13.{axis}", measured, required)
    return None


def _as_ruled(body: Proposal, rule: Rule, signed_ns: int) -> Refusal | None:
    """Clause (13) of admission: the class demands approval by this list, function and `need`, voted in time."""
    terms = rule.terms(body.approval.commodity) if body.approval is not None else None
    asked = terms.consent if terms is not None else None
    if asked is None:
        return refuse(Reason.TERMS, "disposition.13.approval", body.function, "a class that asks for approval")
    said, due = (body.members, body.function, body.need), (asked.members, asked.function, asked.need)
    if said != due:
        return refuse(Reason.TERMS, "disposition.13.approval", said, due)
    latest_ns = signed_ns + asked.vote_ns
    return (
        None
        if body.vote_by_ns <= latest_ns
        else refuse(Reason.TERMS, "disposition.13.vote_by", f"{body.vote_by_ns} ns", f"<= {latest_ns} ns")
    )


TYPES = (
    RecordType(
        number=40,
        name="members",
        body=MemberList,
        kind=Kind.DIRECTIVE,
        actions=("rule",),
        carrier=CarriedBy.ANYONE,
        passed_on=True,
        beside=True,
    ),
    RecordType(
        number=41,
        name="proposal",
        body=Proposal,
        kind=Kind.DEALING,
        actions=("offer", "grant"),
        ahead=(("vote_by_ns", WINDOW_MAX_NS),),
        within_scope=_in_scope,
        within_terms=_auctioned,
        beside=True,
    ),
    RecordType(
        number=42,
        name="ballot",
        body=Ballot,
        kind=Kind.DEALING,
        actions=("observe",),
        carrier=CarriedBy.ANYONE,
        charge=Charge.MOVES,
        beside=True,
        passed_on=True,
    ),
    RecordType(
        number=43,
        name="outcome",
        body=GroupOutcome,
        kind=Kind.DEALING,
        actions=("observe",),
        late=WhenLate.COUNTS,
        charge=Charge.MOVES,
        beside=True,
    ),
)
