"""What settlements cost, from lineages alone: summed by who pays whom, for which class, on which day. Pure.

A line rests on CONFIRMs (the price that both signed in GRANT and ACCEPT), on the air time that USAGE reports, and on
COMPENSATIONs that their payees receipted. Payment itself is outside: a price is a price also where nothing was sent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from settlement.audit.lease import LogEntry
from settlement.chain.bodies import Accept, Compensation, Confirm, Grant, Rule, Usage
from settlement.chain.records import Record
from settlement.core.reasons import Reason
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

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deal:
    """A confirmed settlement: its records, and who its parties are by name."""

    grant: Grant
    holder: str
    user: str
    day: str
    currency: str


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
        _add(lines, made, payer=made.user, payee=made.holder, settlements=1, price=made.grant.price)
    for record, _ in found.values():
        deal = deals.get(record.sid or b"")
        if deal is None:
            continue
        if isinstance(record.body, Usage):
            _add(lines, deal, payer=deal.user, payee=deal.holder, airtime_ns=record.body.airtime_ns)
        elif isinstance(record.body, Compensation) and record.digest in receipted:
            _add(lines, deal, payer=deal.holder, payee=deal.user, compensation=record.body.amount)
    return [lines[key] for key in sorted(lines)]


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
        ruled = found.get(grant.rule)
        rule = ruled[0].body if ruled is not None else None
        terms = rule.terms(grant.commodity) if isinstance(rule, Rule) else None
        made[grant.sid] = _Deal(
            grant=grant,
            holder=actor,
            user=users.get(grant.sid, "unknown"),
            day=_day(record),
            currency=(terms.currency or "") if terms is not None else "",
        )
    return made


def _add(lines: dict[tuple[str, ...], InvoiceLine], deal: _Deal, *, payer: str, payee: str, **amounts: int) -> None:
    key = (deal.day, payer, payee, deal.grant.commodity, deal.currency)
    day, _, _, commodity, currency = key
    old = lines.get(key) or InvoiceLine(day=day, payer=payer, payee=payee, commodity=commodity, currency=currency)
    lines[key] = replace(old, **{name: getattr(old, name) + amount for name, amount in amounts.items()})
