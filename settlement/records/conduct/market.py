"""Handles offers, which a user stores, and REQUESTs, which a holder grants, refuses, or answers by a COUNTER.

A REQUEST that needs approval is first put to the members of a list.
"""

from dataclasses import dataclass

from settlement.chain.admission import prove
from settlement.chain.codec import encode
from settlement.chain.records import digest
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.envelopes import Bound
from settlement.pair.holder import OFFERS, GrantableRequest
from settlement.pair.parts import judge_part
from settlement.pair.table import UserState
from settlement.pair.user import HEARD, offers_again
from settlement.pair.user import STORE as USER
from settlement.pair.work import settlement_id
from settlement.quorum.decided import GroupDecisions
from settlement.records.conduct import envelopes
from settlement.records.conduct.admission import judge_taking_part
from settlement.records.conduct.alarms import verdict_on
from settlement.records.conduct.approval import SeekingApproval, judge_approved, judge_promised, seek_approval
from settlement.records.conduct.auction import judge_auctioned
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.counter import Haggling, judge_opening, put_down
from settlement.records.conduct.decided import judge_own
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.market import Declaration, Request
from settlement.state import budget

OFFERS_MAX = 32
"""Most stored offers of one holder; the limit is for each holder, so that none takes the place of another's."""
BUDGET_EXCEEDED = "budget.amount"

# -- declaration -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferHeard:
    """An offer to store, and the hashes of its holder's older offers that it replaces."""

    superseded: tuple[bytes, ...]


def _judge_declaration(case: RecordCase) -> OfferHeard | Refusal:
    """Judge an offer: fewer than OFFERS_MAX of its holder, its author may take part, its envelope covers it.

    Offers whose window is over, and those that this one replaces, do not count.
    """
    user, holder = case.state.user, case.author.hash
    theirs = [offer for offer in user.offers.values() if offer.holder == holder]
    again = tuple(user.superseded(holder, case.body))
    held = sum(1 for one in theirs if one.declaration not in again and not case.now.after(one.body.cell.window.end_ns))
    if held >= OFFERS_MAX:
        return refuse(Reason.BUDGET, "declaration.held", held, f"< {OFFERS_MAX} of one holder")
    return (
        judge_taking_part(case, case.body.commodity)
        or envelopes.judge_offer(case.state, case.admitted)
        or OfferHeard(superseded=again)
    )


def _hear(case: RecordCase, decided: OfferHeard) -> None:
    for name in decided.superseded:
        del case.state.user.offers[name]
        case.step.lineage.drop(HEARD, name)
    case.state.user.hear(case.admitted)
    case.step.put(HEARD, case.record.digest, case.record.raw)
    case.step.event("offer", holder=case.author.name, band=case.body.cell.band)


def _declared(told: Retelling, said: Said) -> None:
    told.rows[OFFERS, said.digest] = encode(said.body)


def _heard(told: Retelling, said: Said) -> None:
    """Store an offer in a replay of the log; it replaces the older ones of its holder for the same thing."""
    for old in [told.said[name] for kind, name in told.rows if kind == HEARD]:
        if old.author == said.author and offers_again(said.body, old.body):
            del told.rows[HEARD, old.digest]
    told.rows[HEARD, said.digest] = said.raw


# -- request -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Granting:
    """A REQUEST to grant: the reservation, its envelopes if any, the budgets that it draws on, the group decisions."""

    reservation: GrantableRequest
    bound: Bound | None
    drawn: tuple[budget.Account, ...]
    decided: GroupDecisions


def _judge_request(case: RecordCase) -> Granting | Haggling | SeekingApproval | Refusal:
    state = case.state
    reservation = state.holder.judge_request(case.admitted, case.now)
    if isinstance(reservation, Refusal):
        return reservation
    barred = judge_auctioned(case) or judge_promised(state, case.record) or judge_taking_part(case, case.body.commodity)
    if barred is not None:
        return barred
    bargain = judge_opening(case)
    if bargain is not None:
        return bargain
    line = state.registry.line(case.author.hash)
    part = judge_part(case.body, line, lambda raw: prove(raw, state.registry)) or _granted_here(case, line)
    if part is not None:
        return part
    bound = envelopes.bound_of(state, case.admitted, case.now)
    if isinstance(bound, Refusal):
        return bound
    drawn = budget.judge(state.lineage, state.rule.rule, case.admitted, case.now, line)
    if isinstance(drawn, Refusal):
        return drawn
    unapproved = judge_approved(case)
    if unapproved is not None:
        return unapproved
    decided = judge_own(state, case.record, case.now.earliest_ns)
    if isinstance(decided, Refusal):
        return decided
    return Granting(reservation=reservation, bound=bound, drawn=drawn, decided=decided)


def _granted_here(case: RecordCase, line: tuple[bytes, ...]) -> Refusal | None:
    """Refuse a REQUEST for a part of a wish that does not show every live part that this holder granted for it."""
    part, state = case.body.part, case.state
    if part is None:
        return None
    shown = {digest(one.grant) for one in part.shown}
    for pair in state.holder.pairs.values():
        granted = state.record_of(pair.grant) if pair.live and pair.user in line and pair.grant not in shown else None
        if granted is not None and granted.body.wish == part.wish:
            measured = f"part {granted.body.index} granted here as {pair.sid.hex()[:16]}, not shown"
            return refuse(Reason.TERMS, "fill.own", measured, "every part that this holder granted, shown")
    return None


def _grant(case: RecordCase, answer: Granting | Haggling | SeekingApproval) -> None:
    """Grant a REQUEST, answer it with a COUNTER, or put it to the members.

    In the last two cases nothing is reserved, and neither a budget nor the back-off bounds such REQUESTs; so the
    REQUEST counts in full against the user's share of this node.
    """
    match answer:
        case Granting(reservation=reservation, bound=bound, drawn=drawn, decided=decided):
            case.state.holder.grant(case.step, reservation, bound, decided)
            budget.spend(case.step, case.state.lineage, drawn, case.body.cell)
        case Haggling():
            case.step.whole = True
            put_down(case, answer)
        case SeekingApproval():
            case.step.whole = True
            seek_approval(case, answer)


def _refuse_request(case: RecordCase, refusal: Refusal) -> None:
    """Answer a refused REQUEST with a signed verdict; the same bytes get the same answer.

    A REQUEST for more than is left of a budget also suspends its author from that budget.
    """
    author = case.author.hash
    if case.step.send_again(author, case.record.digest):
        return  # it was answered before; that answer stands, whatever the time is now
    if refusal.reason is Reason.BUDGET and refusal.clause == BUDGET_EXCEEDED:
        budget.suspend(case.step, case.state.rule.rule, case.admitted)
    case.step.send(author, case.step.sign(verdict_on(case.record.digest, refusal)).raw)


def _asked(told: Retelling, said: Said) -> None:
    offer = told.said.get(said.body.declaration)
    holder = offer.author if offer is not None else b""
    sid = settlement_id(holder, said.author, said.body.nonce, said.body.cell)
    told.sids[sid] = said.digest
    told.pairs[USER, said.digest] = {
        "state": UserState.REQUESTED,
        "holder": holder,
        "sid": sid,
        "cell": said.body.cell,
        "grant": None,
        "accept": None,
        "decision": None,
        "transmit_until_ns": None,
        "renewals": 0,
        "fence": 0,
    }


def _turned_down(told: Retelling, said: Said, reason: str | None, clause: str | None) -> None:
    """Store, in a replay, the suspension of an author whose REQUEST exceeded a budget."""
    if (reason, clause) == (Reason.BUDGET.value, BUDGET_EXCEEDED):
        for account in told.accounts(said):
            told.rows[budget.SUSPENDED, account.own] = account.ends_ns.to_bytes(8, "big")


CONDUCT = (
    Conduct(
        body=Declaration,
        judge=_judge_declaration,
        act=_hear,
        keeps=(OFFERS, HEARD),
        own=_declared,
        heard=_heard,
    ),
    Conduct[Granting | Haggling | SeekingApproval](
        body=Request,
        judge=_judge_request,
        act=_grant,
        refused=_refuse_request,
        keeps=(budget.SPENT, budget.SUSPENDED),
        own=_asked,
        turned_down=_turned_down,
    ),
)
