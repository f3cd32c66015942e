"""Group decisions behind a GRANT at a node: finds the records, shows them, and checks a GRANT against them."""

from collections.abc import Iterable
from functools import cache

from settlement.chain.admission import Admitted, prove
from settlement.chain.records import Record
from settlement.chain.ruling import judge_naming
from settlement.core.reasons import Refusal
from settlement.pair.artifact import GroupProof, Links
from settlement.quorum.decided import DecisionGrounds, GrantedDeal, GroupDecisions, deal_granted, judge_decided
from settlement.records.approvalterms import ApprovalTerms
from settlement.records.auction import AuctionTally
from settlement.records.market import Declaration, Request
from settlement.records.quorum import MemberList
from settlement.state.assembly import APPROVING, AUCTIONED, OUTCOMES
from settlement.state.messages import Message
from settlement.state.nodestate import NodeState


def grounds_of(state: NodeState, beside: Iterable[bytes] = ()) -> DecisionGrounds:
    """Return access to the records this node admitted, and to REQUESTs and offers among the raw records `beside`.

    A TALLY counts even if this node refused it: the OUTCOME names it by its hash, and the members may have heard bids
    that this node did not. The records beside are verified only when one is looked up, as most classes have no group
    decisions.
    """

    @cache
    def shown() -> dict[bytes, Record]:
        known = (prove(raw, state.registry) for raw in beside)
        found = [one.record for one in known if isinstance(one, Admitted)]
        return {one.digest: one for one in found if isinstance(one.body, Request | Declaration)}

    def find(name: bytes) -> Record | None:
        record = state.record_of(name, admitted=True)
        refused = state.record_of(name) if record is None else None
        if refused is not None and isinstance(refused.body, AuctionTally):
            return refused
        return record or shown().get(name)

    registry, seat = state.registry, state.rule.seat
    return DecisionGrounds(
        network=registry.network,
        find=find,
        subject=registry.get,
        line=registry.line,
        naming=lambda author: judge_naming(registry.get(author), seat, registry),
    )


def judge_grant(state: NodeState, grant: Record, message: Message) -> Refusal | None:
    """Refuse a GRANT, before this node accepts or co-signs it, that lacks a group decision that its rule requires."""
    held = state.rules.known(grant.body.rule)
    terms = held.rule.rule.terms(grant.body.commodity) if held is not None else None
    return judge_decided(deal_granted(grant), terms, grounds_of(state, message.beside or ()))


def deal_asked(state: NodeState, request: Record, earliest_ns: int) -> GrantedDeal:
    """Return the terms at which this node would grant a REQUEST, with the group decisions known here.

    Args: earliest_ns: the earliest that it may be now, UTC.
    """
    award, approval = decisions_on(state, request)
    named: bytes = request.body.declaration
    return GrantedDeal(
        holder=state.identity.credential,
        user=request.frame.author or b"",
        request=request.digest,
        terms=asked_terms(request),
        award=award,
        approval=approval,
        handover=named if named in state.holder.handings else None,
        earliest_ns=earliest_ns,
    )


def asked_terms(request: Record) -> ApprovalTerms:
    """Return the content of a REQUEST in the form in which members approve it."""
    body: Request = request.body
    return ApprovalTerms(
        user=request.frame.author or b"",
        cell=body.cell,
        commodity=body.commodity,
        tier=body.tier,
        eirp_mdbm=body.eirp_mdbm,
        price=body.price,
    )


def judge_own(state: NodeState, request: Record, earliest_ns: int) -> GroupDecisions | Refusal:
    """Judge this node's own GRANT before it is signed, by the function that others use; return its group decisions."""
    deal = deal_asked(state, request, earliest_ns)
    refusal = judge_decided(deal, state.rule.rule.terms(deal.terms.commodity), grounds_of(state, (request.raw,)))
    if refusal is not None:
        return refusal
    records = behind(state, (deal.award, deal.approval))
    return GroupDecisions(award=deal.award, approval=deal.approval, beside=tuple(one.raw for one in records))


def put_to_members(state: NodeState, request: bytes) -> bytes | None:
    """Return the hash of this node's own PROPOSAL for a REQUEST, or None; those of others do not count."""
    asked = (state.lineage.get(APPROVING, request + me) for me in state.own_line)
    return next((name for name in asked if name is not None), None)


def decisions_on(state: NodeState, request: Record) -> tuple[bytes | None, bytes | None]:
    """Return the hashes of two OUTCOMEs, None where not known here: of the offer's auction, and of the approval."""
    auction = state.lineage.get(AUCTIONED, request.body.declaration)
    approval = put_to_members(state, request.digest)
    award = state.lineage.get(OUTCOMES, auction) if auction is not None else None
    return award, state.lineage.get(OUTCOMES, approval) if approval is not None else None


def behind(state: NodeState, names: Iterable[bytes | None]) -> list[Record]:
    """Return the records on which OUTCOMEs rest, in the order list of members, PROPOSAL, TALLY, OUTCOME, each once."""
    found: dict[bytes, Record] = {}
    for name in names:
        outcome = state.record_of(name)
        asked = state.record_of(outcome.body.proposal) if outcome is not None else None
        if outcome is None or asked is None:
            continue
        rests = (asked.body.membership, asked.digest, outcome.body.tally, outcome.digest)
        records = (state.record_of(one) for one in rests)
        found |= {one.digest: one for one in records if one is not None}
    return list(found.values())


def asked_and_offered(state: NodeState, grant: Record) -> list[Record]:
    """Return the REQUEST and the offer of a GRANT if its class has auctions: they show the form of its price."""
    held = state.rules.known(grant.body.rule)
    terms = held.rule.rule.terms(grant.body.commodity) if held is not None else None
    request = state.record_of(grant.body.request)
    if terms is None or terms.auction is None or request is None:
        return []
    offer = state.record_of(request.body.declaration) if request.body.declaration != grant.body.handover else None
    return [request] if offer is None else [request, offer]


def shown(state: NodeState, grant: Record) -> GroupProof | None:
    """Return the records and credentials by which a verifier of an artifact checks the group decisions of its GRANT.

    None where the GRANT has no such decision and no auctions in its class.
    """
    decided = behind(state, (grant.body.award, grant.body.approval))
    records = [*asked_and_offered(state, grant), *decided]
    if not records:
        return None
    authors = {one.frame.author for one in records}
    for one in decided:
        if isinstance(one.body, MemberList):
            authors |= {member.credential for member in one.body.members}
    parties = {grant.frame.author, grant.body.user}
    known = (state.registry.get(author) for author in sorted(a for a in authors - parties if a is not None))
    return GroupProof(
        records=tuple(one.raw for one in records),
        chains=tuple(Links(credentials=one.chain) for one in known if one is not None) or None,
    )
