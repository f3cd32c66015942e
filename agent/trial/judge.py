"""Judges what the oracle saw against what the lineages prove: every emission lies inside a live settlement, or not.

Pure. The nodes' own belief about their gates plays no part: only signed records on one side, antennas on the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from settlement.chain.records import Record
from settlement.chain.scope import Band, Window
from sim.oracle import Burst


@dataclass(slots=True)
class Live:
    """One confirmed settlement: who may radiate where, until when, by the holder's signed records (UTC ns)."""

    sid: bytes
    user: bytes
    band: Band
    window: Window
    max_eirp_mdbm: int
    accepted: bool = False
    confirmed_ns: int | None = None
    leases: list[tuple[int, int]] = field(default_factory=list)
    ended_ns: int | None = None
    outcome: str = ""

    def leased_until(self, start_ns: int) -> int:
        """How far leases reach without a break: each must be signed before the one before ran out."""
        reach_ns = start_ns
        while True:
            further_ns = max((until for signed, until in self.leases if signed <= reach_ns), default=0)
            if further_ns <= reach_ns:
                return reach_ns
            reach_ns = further_ns


def settlements(records: Iterable[Record]) -> dict[bytes, Live]:
    """What a holder's admitted records say of each settlement, in the order of its log."""
    found: dict[bytes, Live] = {}
    for record in records:
        body, sid = record.body, record.sid
        signed = record.frame.attestation
        if record.typ == "grant":
            found[body.sid] = Live(
                sid=body.sid,
                user=body.user,
                band=body.cell.band,
                window=body.cell.window,
                max_eirp_mdbm=body.max_eirp_mdbm,
            )
        live = found.get(sid) if sid is not None else None
        if live is not None:
            _apply(live, record.typ, body, signed.earliest_ns, signed.latest_ns)
    return found


def _apply(live: Live, typ: str, body: object, earliest_ns: int, latest_ns: int) -> None:
    match typ:
        case "accept":
            live.accepted = True
        case "confirm":
            live.confirmed_ns = earliest_ns
            live.leases.append((earliest_ns, getattr(body, "transmit_until_ns", 0)))
        case "renew":
            live.leases.append((earliest_ns, getattr(body, "transmit_until_ns", 0)))
        case "abort":
            live.ended_ns = 0
            live.outcome = f"aborted: {getattr(body, 'reason', '')}"
        case "preempt":
            live.ended_ns = min(live.ended_ns or live.window.end_ns, getattr(body, "vacate_by_ns", 0))
            live.outcome = live.outcome or f"preempted: {getattr(body, 'reason', '')}"
        case "relinquish":
            live.ended_ns = min(live.ended_ns or live.window.end_ns, latest_ns)
            live.outcome = live.outcome or f"relinquished: {getattr(body, 'reason', '')}"
        case _:
            pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One emission (UTC ns): the settlement that covers it, or why none does."""

    burst: Burst
    start_ns: int
    end_ns: int
    sid: bytes | None
    why: str


def _uncovered(live: Live, burst: Burst, start_ns: int, end_ns: int) -> str:
    """Why a settlement does not cover an emission; "" when it does."""
    if not live.accepted:
        return "under a settlement nobody accepted"
    if live.confirmed_ns is None or start_ns < live.confirmed_ns:
        return "before it was confirmed"
    if start_ns < live.window.start_ns or end_ns > live.window.end_ns:
        return "outside its window"
    if end_ns > live.leased_until(start_ns):
        return "after its transmit lease"
    if live.ended_ns is not None and end_ns > live.ended_ns:
        return f"after it ended ({live.outcome})"
    if burst.low_hz < live.band.low_hz or burst.high_hz > live.band.high_hz:
        return "outside its band"
    if burst.eirp_dbm * 1000 > live.max_eirp_mdbm:
        return f"hotter than its {live.max_eirp_mdbm / 1000:g} dBm"
    return ""


def judge(
    bursts: Iterable[Burst], lives: Sequence[Live], *, stations: dict[str, bytes], utc_at_zero_ns: int
) -> list[Judged]:
    """Find for each emission the settlement that covers it.

    Args: stations: credential hash by radio name. utc_at_zero_ns: true UTC at monotonic zero.
    """
    judged: list[Judged] = []
    for burst in bursts:
        start_ns, end_ns = burst.start_ns + utc_at_zero_ns, burst.end_ns + utc_at_zero_ns
        own = [live for live in lives if live.user == stations.get(burst.radio)]
        reasons = {live.sid: _uncovered(live, burst, start_ns, end_ns) for live in own}
        sid = next((sid for sid, why in reasons.items() if not why), None)
        why = "" if sid is not None else "; ".join(sorted(set(reasons.values()))) or "no settlement at all"
        judged.append(Judged(burst=burst, start_ns=start_ns, end_ns=end_ns, sid=sid, why=why))
    return judged


def seconds(judged: Iterable[Judged]) -> float:
    """Time on the air; where emissions of one radio overlap (its carrier under its samples) it counts once."""
    total_ns = 0
    reached: dict[str, int] = {}
    for one in sorted(judged, key=lambda j: j.start_ns):
        start_ns = max(one.start_ns, reached.get(one.burst.radio, one.start_ns))
        total_ns += max(0, one.end_ns - start_ns)
        reached[one.burst.radio] = max(one.end_ns, reached.get(one.burst.radio, 0))
    return total_ns / 1e9
