"""What a trial's scenario came to, from signed records alone: parts and what was left, displacements, bargains, prices.

The same figures for every scenario; what did not happen in one is 0, or an empty list.
"""

from typing import Any

from agent.trial.auctionpoints import approvals_shown, auctions_shown, consent_missed
from agent.trial.collect import Collected
from agent.trial.disputepoints import broken_points, dispute_points, disputes_missed, moved_points
from agent.trial.handedpoints import handed_on, reconciled
from agent.trial.spec import TrialSpec
from settlement.chain.bodies import Confirm, Declaration, Grant, Preempt, Resume, Suspend
from settlement.chain.records import Record
from settlement.core.reasons import Reason
from settlement.market.residual import unfilled
from settlement.records.endings import Compensation
from settlement.records.market import Counter, Request
from settlement.records.verdict import Verdict


def points(c: Collected) -> dict[str, Any]:
    """The trial's `scenario` in JSON."""
    scenario = c.finished.layout.scenario
    all_records = {r.digest: r for records in c.records.values() for r in records}
    found = list(all_records.values())
    confirmed = {r.body.sid for r in found if isinstance(r.body, Confirm)}
    grants = [r for r in found if isinstance(r.body, Grant) and r.body.sid in confirmed]
    return {
        "name": scenario.name,
        "about": " ".join(scenario.about.split()),
        "wishes": [_wish(c, name, grants, found) for name in sorted(_wishes(found))],
        "displaced": _displaced(c, found),
        "handed_on": handed_on(c, found),
        "jurisdictions": reconciled(c, found),
        "auctions": auctions_shown(c, found, grants),
        "approvals": approvals_shown(c, found, grants),
        "moved": moved_points(c.name_of, found),
        "broken": broken_points(c.name_of, found),
        "disputes": dispute_points(c.name_of, found),
        "counters": sum(isinstance(r.body, Counter) for r in found),
        "suspended": sum(isinstance(r.body, Suspend) for r in found),
        "resumed": sum(isinstance(r.body, Resume) for r in found),
        "prices": {
            "forms": sorted({r.body.price_form for r in found if isinstance(r.body, Declaration)}),
            "settled": sum(r.body.price for r in grants),
        },
    }


def points_missed(spec: TrialSpec, shown: dict[str, Any]) -> list[str]:
    """What a scenario set out to show and did not: the reader must not take its passing for that."""
    said = []
    if any(want.partial for want in spec.wants) and not any(len(wish["parts"]) > 1 for wish in shown["wishes"]):
        said.append("no wish was filled by more than one holder: partial fill is not shown")
    if any(want.emergency for want in spec.wants) and not any(one["owed"] for one in shown["displaced"]):
        said.append("no weaker tier was displaced: tiers and compensation are not shown")
    if sum(one["owed"] for one in shown["displaced"]) > sum(one["settled"] for one in shown["displaced"]):
        said.append("not all that is owed to the displaced was heard of by them when the trial ended")
    several = [one for one in shown.get("jurisdictions", []) if len(one["clauses"]) > 1]
    if len(spec.jurisdictions) > 1 and not several:
        said.append("no settlement touched two jurisdictions: their reconciliation is not shown")
    handed = shown.get("handed_on", [])
    if len(handed) < len(spec.hands):
        said.append(f"{len(handed)} of {len(spec.hands)} leases changed hands: the rest is not shown")
    if not all(one["silent_before_open"] for one in handed):
        said.append("a lease changed hands and its new user was not on the air, or before the old one was silent")
    sold = [one for one in shown["auctions"] if one["settled"]]
    if spec.auctions and not all(one["settled"][0]["user"] == one["winner"] for one in sold):
        said.append("what was auctioned was settled with another than the winner")
    if len(sold) < len(spec.auctions):
        said.append("no winner of an auction settled what it had won: the auction is not shown")
    said += consent_missed(spec, shown)
    said += disputes_missed(spec, shown)
    if spec.terms.suspends and not shown["suspended"]:
        said.append("no lease was suspended: waiting an incumbent out is not shown")
    return said


def _wishes(found: list[Record]) -> set[bytes]:
    return {r.body.part.wish for r in found if isinstance(r.body, Request) and r.body.part is not None}


def _wish(c: Collected, name: bytes, grants: list[Record], found: list[Record]) -> dict[str, Any]:
    """One wish that several holders filled: what was asked and filled (Hz s), by whom, and what is left."""
    asked = [r for r in found if isinstance(r.body, Request) and r.body.part is not None and r.body.part.wish == name]
    first = min(asked, key=lambda r: r.frame.seq)
    parts = [r for r in grants if r.body.wish == name]
    left = unfilled(first.body.part.whole, [r.body.cell for r in parts])
    recorded = [
        r.body.measured
        for r in found
        if isinstance(r.body, Verdict) and r.body.reason == Reason.RESIDUAL.value and r.body.subject == first.digest
    ]
    return {
        "user": c.name_of(first.frame.author or b""),
        "asked_hz_s": left.asked_hz_ns / 1e9,
        "filled_hz_s": left.filled_hz_ns / 1e9,
        "parts": [
            {
                "index": r.body.index,
                "holder": c.name_of(r.frame.author or b""),
                "low_hz": r.body.cell.band.low_hz,
                "high_hz": r.body.cell.band.high_hz,
                "price": r.body.price,
            }
            for r in sorted(parts, key=lambda r: r.body.index or 0)
        ],
        "residual_hz": [[cell.band.low_hz, cell.band.high_hz] for cell in left.residual],
        "recorded": recorded[0] if recorded else None,
    }


def _displaced(c: Collected, found: list[Record]) -> list[dict[str, Any]]:
    """Every settlement that was taken back: by whom, why, what is owed for it, and what of that both have signed."""
    heard = {r.body.subject for r in found if isinstance(r.body, Verdict) and r.body.clause == "compensation.received"}
    said = {r.digest: r for r in found if isinstance(r.body, Compensation)}
    return [
        {
            "sid": r.body.sid.hex(),
            "holder": c.name_of(r.frame.author or b""),
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
