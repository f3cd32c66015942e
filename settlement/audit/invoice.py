"""Invoices from logs alone: what settlements cost, summed by payer, payee, class and day. Pure.

A line is made from CONFIRMs (the price in the GRANT that the ACCEPT is over), from the air time in USAGE, and from
COMPENSATIONs that their payees acknowledged. A deposit is owed by a bidder whose bid was counted but not revealed, in
an auction with a certified outcome. A forfeit, where the rule has one, is owed by a winner that had sent no REQUEST
when the window it won was over. Payment itself is outside: the price is owed even if nothing was transmitted.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from settlement.audit.lease import LogEntry
from settlement.chain.bodies import Accept, Compensation, Confirm, Grant, Rule, Usage
from settlement.chain.records import Record
from settlement.core.reasons import Reason
from settlement.records.auction import AuctionTally, Bid
from settlement.records.authority import ClassTerms
from settlement.records.market import Request
from settlement.records.quorum import GroupOutcome, Proposal
from settlement.records.verdict import Verdict

NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """What one party owes another for a class on a day (UTC); amounts are millionths of the currency."""

    day: str
    payer: str
    payee: str
    commodity: str
    currency: str
    settlements: int = 0
    price: int = 0
    airtime_ns: int = 0
    compensation: int = 0
    deposits: int = 0
    forfeits: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the line as plain values for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deal:
    """The basis of an invoice line: its class, its parties by name, the day; `price` for a confirmed settlement."""

    commodity: str
    holder: str
    user: str
    day: str
    currency: str
    price: int = 0


def _day(record: Record) -> str:
    return datetime.fromtimestamp(record.frame.attestation.latest_ns // NS, UTC).date().isoformat()


def invoice(logs: Mapping[str, Iterable[LogEntry]]) -> list[InvoiceLine]:
    """Sum several logs; a record in many logs counts once, an unacknowledged COMPENSATION not at all."""
    found: dict[bytes, tuple[Record, str]] = {}
    asked, until_ns = set[tuple[bytes, str]](), 0
    for entry in chain.from_iterable(logs.values()):
        until_ns = max(until_ns, entry.leaf.arrived_earliest_ns)
        if entry.record is None:
            continue
        if entry.leaf.admitted:
            found[entry.record.digest] = entry.record, entry.actor
        if isinstance(entry.record.body, Request):
            asked.add((entry.record.body.declaration, entry.actor))
    deals = _deals(found)
    receipted = {r.body.subject for r, _ in found.values() if isinstance(r.body, Verdict) and _received(r.body)}
    lines: dict[tuple[str, ...], InvoiceLine] = {}
    for made in deals.values():
        _add(lines, made, payer=made.user, payee=made.holder, settlements=1, price=made.price)
    for record, _ in found.values():
        deal = deals.get(record.sid or b"")
        if deal is None:
            continue
        if isinstance(record.body, Usage):
            _add(lines, deal, payer=deal.user, payee=deal.holder, airtime_ns=record.body.airtime_ns)
        elif isinstance(record.body, Compensation) and record.digest in receipted:
            _add(lines, deal, payer=deal.holder, payee=deal.user, compensation=record.body.amount)
    for lost, deposit in lost_deposits(found):
        _add(lines, lost, payer=lost.user, payee=lost.holder, deposits=deposit)
    for lost, forfeit in forfeits(found, asked, until_ns):
        _add(lines, lost, payer=lost.user, payee=lost.holder, forfeits=forfeit)
    return [lines[key] for key in sorted(lines)]


def forfeits(
    found: Mapping[bytes, tuple[Record, str]], asked: Collection[tuple[bytes, str]], until_ns: int
) -> list[tuple["_Deal", int]]:
    """Return what winners owe, by the rule's term `forfeit`, that never sent a REQUEST; once for each auction.

    Args:
            found: admitted records by hash, each with its author's name.
            asked: pairs of an offer's hash and the name of a party that sent a REQUEST for it, refused ones too.
            until_ns: the latest arrival in the logs (UTC): a window that is not over by then does not count yet.
    """
    owed = {}
    for record, _ in found.values():
        sold = found.get(record.body.proposal) if isinstance(record.body, GroupOutcome) else None
        tally = found.get(record.body.tally or b"") if sold is not None else None
        if sold is None or tally is None or not isinstance(tally[0].body, AuctionTally):
            continue
        proposal, winner = sold[0].body, record.body.winner
        won = next((bid for bid in _bids(found, tally[0].body) if bid[0].frame.author == winner), None)
        terms = _terms(found, proposal.rule, proposal.auction.commodity) if proposal.auction is not None else None
        if won is None or terms is None or terms.auction is None or proposal.auction.cell.window.end_ns >= until_ns:
            continue
        amount = terms.auction.forfeited(deposit=proposal.auction.deposit, price=record.body.price or 0)
        if amount and (proposal.auction.declaration, won[1]) not in asked:
            owed[sold[0].digest] = _bidding(found, proposal, won, sold[1], _day(record)), amount
    return [owed[name] for name in sorted(owed)]


def _bids(found: Mapping[bytes, tuple[Record, str]], tally: AuctionTally) -> Iterator[tuple[Record, str]]:
    """Return the bids of a TALLY that are in the logs."""
    known = (found.get(one.bid) for one in tally.bids)
    return (one for one in known if one is not None and isinstance(one[0].body, Bid))


def lost_deposits(found: Mapping[bytes, tuple[Record, str]]) -> list[tuple["_Deal", int]]:
    """Return the deposits of bids that a certified TALLY counts without a reveal, once for each bid."""
    owed = {}
    for record, _ in found.values():
        tally = found.get(record.body.tally or b"") if isinstance(record.body, GroupOutcome) else None
        asked = found.get(record.body.proposal) if tally is not None else None
        if tally is None or asked is None or not isinstance(tally[0].body, AuctionTally):
            continue
        for counted in tally[0].body.bids:
            bid = found.get(counted.bid) if counted.reveal is None else None
            if bid is None or not isinstance(bid[0].body, Bid) or asked[0].body.auction is None:
                continue
            owed[counted.bid] = _bidding(found, asked[0].body, bid, asked[1], _day(record)), bid[0].body.deposit
    return [owed[name] for name in sorted(owed)]


def _bidding(
    found: Mapping[bytes, tuple[Record, str]], asked: Proposal, bid: tuple[Record, str], holder: str, day: str
) -> "_Deal":
    commodity = asked.auction.commodity if asked.auction is not None else ""
    return _Deal(
        commodity=commodity, holder=holder, user=bid[1], day=day, currency=_currency(found, asked.rule, commodity)
    )


def _currency(found: Mapping[bytes, tuple[Record, str]], rule: bytes, commodity: str) -> str:
    terms = _terms(found, rule, commodity)
    return (terms.currency or "") if terms is not None else ""


def _terms(found: Mapping[bytes, tuple[Record, str]], rule: bytes, commodity: str) -> ClassTerms | None:
    """Return the class terms of a logged rule."""
    ruled = found.get(rule)
    body = ruled[0].body if ruled is not None else None
    return body.terms(commodity) if isinstance(body, Rule) else None


def _received(body: Verdict) -> bool:
    return body.reason == Reason.RECEIVED.value


def _deals(found: Mapping[bytes, tuple[Record, str]]) -> dict[bytes, _Deal]:
    """Return the confirmed settlements by their ids."""
    grants = {r.body.sid: r.body for r, _ in found.values() if isinstance(r.body, Grant)}
    users = {r.body.sid: actor for r, actor in found.values() if isinstance(r.body, Accept)}
    made = {}
    for record, actor in found.values():
        grant = grants.get(record.sid or b"")
        if not isinstance(record.body, Confirm) or grant is None:
            continue
        made[grant.sid] = _Deal(
            commodity=grant.commodity,
            holder=actor,
            user=users.get(grant.sid, "unknown"),
            day=_day(record),
            currency=_currency(found, grant.rule, grant.commodity),
            price=grant.price,
        )
    return made


def _add(lines: dict[tuple[str, ...], InvoiceLine], deal: _Deal, *, payer: str, payee: str, **amounts: int) -> None:
    key = (deal.day, payer, payee, deal.commodity, deal.currency)
    day, _, _, commodity, currency = key
    old = lines.get(key) or InvoiceLine(day=day, payer=payer, payee=payee, commodity=commodity, currency=currency)
    lines[key] = replace(old, **{name: getattr(old, name) + amount for name, amount in amounts.items()})
