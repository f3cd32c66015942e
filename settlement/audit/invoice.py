"""What settlements cost, from lineages alone: summed by who pays whom, for which class, on which day. Pure.

A line rests on CONFIRMs (the price that both signed in GRANT and ACCEPT), on the air time that USAGE reports, and on
COMPENSATIONs that their payees receipted. A deposit is owed by who bid in an auction whose outcome is certified, was
counted, and did not show its bid. Payment itself is outside: a price is a price also where nothing was sent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from settlement.audit.lease import LogEntry
from settlement.chain.bodies import Accept, Compensation, Confirm, Grant, Rule, Usage
from settlement.chain.records import Record
from settlement.core.reasons import Reason
from settlement.records.auction import AuctionTally, Bid
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

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deal:
    """What is owed for: its class, who its parties are by name, the day; `price` is a confirmed settlement's."""

    commodity: str
    holder: str
    user: str
    day: str
    currency: str
    price: int = 0


def _day(record: Record) -> str:
    return datetime.fromtimestamp(record.frame.attestation.latest_ns // NS, UTC).date().isoformat()


def invoice(logs: Mapping[str, Iterable[LogEntry]]) -> list[InvoiceLine]:
    """Sum several logs up; a record that stands in many counts once, an unreceipted COMPENSATION not at all."""
    found = {
        entry.record.digest: (entry.record, entry.actor)
        for entries in logs.values()
        for entry in entries
        if entry.leaf.admitted and entry.record is not None
    }
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
    return [lines[key] for key in sorted(lines)]


def lost_deposits(found: Mapping[bytes, tuple[Record, str]]) -> list[tuple["_Deal", int]]:
    """Deposits of bids that were counted and not shown, once for each bid; only where members certified the TALLY."""
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
    ruled = found.get(rule)
    body = ruled[0].body if ruled is not None else None
    terms = body.terms(commodity) if isinstance(body, Rule) else None
    return (terms.currency or "") if terms is not None else ""


def _received(body: Verdict) -> bool:
    return body.reason == Reason.RECEIVED.value


def _deals(found: Mapping[bytes, tuple[Record, str]]) -> dict[bytes, _Deal]:
    """Confirmed settlements, by their ids."""
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
