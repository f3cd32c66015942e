"""Market results from signed records: parts filled and unfilled, displacements, bargains, group decisions.

The figures are the same for every run; what did not happen is 0, or an empty list.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.audit.auctionpoints import Named, approvals_shown, auctions_shown
from agent.audit.disputepoints import broken_points, dispute_points, moved_points
from agent.audit.handedpoints import handed_by_records, reconciled
from agent.audit.leases import LogRead, logs_at
from settlement.chain.bodies import Confirm, Declaration, Grant, Preempt, Resume, Suspend
from settlement.chain.checkpoint import origin_of
from settlement.chain.records import Record
from settlement.core.reasons import Reason
from settlement.market.residual import unfilled
from settlement.records.endings import Compensation
from settlement.records.market import Counter, Request
from settlement.records.verdict import Verdict


def market_points(
    name: Named, parties: Mapping[str, tuple[bytes, ...]], found: list[Record], owners: Container[bytes] = ()
) -> dict[str, Any]:
    """Return all market results of `found`, which holds each record once.

    Args: name: returns a credential's name. parties: each name's chain of credentials, for who represents whom. owners:
    credentials whose whole logs are in `found`.
    """
    confirmed = {r.body.sid for r in found if isinstance(r.body, Confirm)}
    grants = [r for r in found if isinstance(r.body, Grant) and r.body.sid in confirmed]
    return {
        "wishes": [_wish(name, wish, grants, found) for wish in sorted(_wishes(found))],
        "displaced": _displaced(name, found),
        "handed_on": handed_by_records(name, found),
        "jurisdictions": reconciled(name, parties, found),
        "auctions": auctions_shown(name, found, grants),
        "approvals": approvals_shown(name, found, grants),
        "moved": moved_points(name, found),
        "broken": broken_points(name, found, owners),
        "disputes": dispute_points(name, found),
        "counters": sum(isinstance(r.body, Counter) for r in found),
        "suspended": sum(isinstance(r.body, Suspend) for r in found),
        "resumed": sum(isinstance(r.body, Resume) for r in found),
        "prices": {
            "forms": sorted({r.body.price_form for r in found if isinstance(r.body, Declaration)}),
            "settled": sum(r.body.price for r in grants),
        },
    }


def market_of(path: Path, anchors: Sequence[str] | None, network: str | None) -> dict[str, Any]:
    """Return the same for the lineages or the bundle at `path`, verified by the anchors. Raises AuditError."""
    logs = list(logs_at(path, anchors=anchors, network=network).values())
    entries = (entry for log in logs for entry in log.entries)
    found = {one.record.digest: one.record for one in entries if one.record is not None and one.leaf.admitted}
    parties = {subject.hash: subject for log in logs for subject in log.registry.subjects()}

    def name(credential: bytes) -> str:
        party = parties.get(credential)
        return credential.hex()[:8] if party is None else party.name

    chains = {one.name: one.chain for one in parties.values()}
    return market_points(name, chains, list(found.values()), {one for log in logs for one in _owners(log)})


def _owners(log: LogRead) -> Iterator[bytes]:
    """Yield the credentials of a log's owner, by the name in its newest head."""
    origin = log.head[1].partition("\n")[0] if log.head is not None else ""
    registry = log.registry
    for subject in registry.subjects():
        if origin_of(registry.network, subject.public) == origin:
            yield from registry.line(subject.hash)


def _wishes(found: list[Record]) -> set[bytes]:
    return {r.body.part.wish for r in found if isinstance(r.body, Request) and r.body.part is not None}


def _wish(name: Named, wish: bytes, grants: list[Record], found: list[Record]) -> dict[str, Any]:
    """Return one wish that several holders filled: requested and filled (Hz s), by which holders, and the rest."""
    asked = [r for r in found if isinstance(r.body, Request) and r.body.part is not None and r.body.part.wish == wish]
    first = min(asked, key=lambda r: r.frame.seq)
    parts = [r for r in grants if r.body.wish == wish]
    left = unfilled(first.body.part.whole, [r.body.cell for r in parts])
    recorded = [
        r.body.measured
        for r in found
        if isinstance(r.body, Verdict) and r.body.reason == Reason.RESIDUAL.value and r.body.subject == first.digest
    ]
    return {
        "user": name(first.frame.author or b""),
        "asked_hz_s": left.asked_hz_ns / 1e9,
        "filled_hz_s": left.filled_hz_ns / 1e9,
        "parts": [
            {
                "index": r.body.index,
                "holder": name(r.frame.author or b""),
                "low_hz": r.body.cell.band.low_hz,
                "high_hz": r.body.cell.band.high_hz,
                "price": r.body.price,
            }
            for r in sorted(parts, key=lambda r: r.body.index or 0)
        ],
        "residual_hz": [[cell.band.low_hz, cell.band.high_hz] for cell in left.residual],
        "recorded": recorded[0] if recorded else None,
    }


def _displaced(name: Named, found: list[Record]) -> list[dict[str, Any]]:
    """Return each settlement taken back: holder, reason, compensation owed, and what of it both sides signed."""
    heard = {r.body.subject for r in found if isinstance(r.body, Verdict) and r.body.clause == "compensation.received"}
    said = {r.digest: r for r in found if isinstance(r.body, Compensation)}
    return [
        {
            "sid": r.body.sid.hex(),
            "holder": name(r.frame.author or b""),
            "reason": r.body.reason,
            "tier": r.body.tier,
            "owed": r.body.owed or 0,
            "settled": said[r.body.compensation].body.amount
            if r.body.compensation in said and r.body.compensation in heard
            else 0,
        }
        for r in found
        if isinstance(r.body, Preempt)
    ]
