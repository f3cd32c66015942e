"""Judges the oracle's emissions by the lineages: each one lies inside a live settlement, or is a violation.

Pure. The nodes' own view of their gates is not used: only signed records, and the antennas' emissions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from settlement.chain.bodies import Abort, Accept, Confirm, Grant, Preempt, Relinquish, Renew, Resume
from settlement.chain.records import Record
from settlement.chain.scope import Area, Band, Window
from settlement.core.fixes import PositionFix, PositionSource
from settlement.records.handover import Reclaim, Vacated
from sim.oracle import RadiatedBurst


@dataclass(slots=True)
class Live:
    """One confirmed settlement: its user, band, area and times by the holder's signed records (UTC ns)."""

    sid: bytes
    user: bytes
    band: Band
    window: Window
    max_eirp_mdbm: int
    area: Area
    holder: bytes = b""
    accepted: bool = False
    confirmed_ns: int | None = None
    leases: list[tuple[int, int]] = field(default_factory=list)
    ended_ns: int | None = None
    outcome: str = ""
    handed: list[tuple[Band, int, int]] = field(default_factory=list)
    """Bands that its user handed on, with start and end (UTC ns), in which it may not transmit."""

    def leased_until(self, start_ns: int) -> int:
        """Return the end of unbroken leases: each must be signed before the one before it ran out."""
        reach_ns = start_ns
        while True:
            further_ns = max((until for signed, until in self.leases if signed <= reach_ns), default=0)
            if further_ns <= reach_ns:
                return reach_ns
            reach_ns = further_ns


def settlements(records: Iterable[Record], holder: bytes | None = None) -> dict[bytes, Live]:
    """Return each settlement by a holder's admitted records, in the order of its log.

    A log also holds GRANTs that other holders asked it to co-sign: with `holder`, only that holder's count.
    """
    found: dict[bytes, Live] = {}
    for record in records:
        body, sid = record.body, record.sid
        signed = record.frame.attestation
        if isinstance(body, Grant) and holder in (None, record.frame.author):
            found[body.sid] = Live(
                sid=body.sid,
                user=body.user,
                band=body.cell.band,
                window=body.cell.window,
                max_eirp_mdbm=body.max_eirp_mdbm,
                area=body.cell.area,
                holder=record.frame.author or b"",
            )
        live = found.get(sid) if sid is not None else None
        if live is not None:
            _apply(live, body, signed.earliest_ns, signed.latest_ns)
    return found


def hand_on(lives: Iterable[Live], records: Iterable[Record]) -> None:
    """Exclude from each settlement what its user handed on: from the silence it reported to the end or return."""
    known, said = {live.sid: live for live in lives}, {record.digest: record for record in records}
    back = {r.body.handover: r.frame.attestation.earliest_ns for r in said.values() if isinstance(r.body, Reclaim)}
    for record in said.values():
        handover = said.get(record.body.handover) if isinstance(record.body, Vacated) else None
        live = known.get(record.body.sid) if handover is not None else None
        if handover is not None and live is not None and live.user == record.frame.author:
            cell = handover.body.cell
            until_ns = min(cell.window.end_ns, back.get(handover.digest, cell.window.end_ns))
            live.handed.append((cell.band, record.body.silent_latest_ns, until_ns))


def _apply(live: Live, body: object, earliest_ns: int, latest_ns: int) -> None:
    match body:
        case Accept():
            live.accepted = True
        case Confirm():
            live.confirmed_ns = earliest_ns
            live.leases.append((earliest_ns, body.transmit_until_ns))
        case Renew() | Resume():
            live.leases.append((earliest_ns, body.transmit_until_ns))
        case Abort():
            live.ended_ns = 0
            live.outcome = f"aborted: {body.reason}"
        case Preempt():
            live.ended_ns = min(live.ended_ns or live.window.end_ns, body.vacate_by_ns)
            live.outcome = live.outcome or f"preempted: {body.reason}"
        case Relinquish():
            live.ended_ns = min(live.ended_ns or live.window.end_ns, latest_ns)
            live.outcome = live.outcome or f"relinquished: {body.reason}"
        case _:
            pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One emission (UTC ns): the settlement that covers it, or why none does."""

    burst: RadiatedBurst
    start_ns: int
    end_ns: int
    sid: bytes | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRadio:
    """A radio's node, and its true position."""

    credential: bytes
    lat_e7: int
    lon_e7: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideLimits:
    """Limits of rule and service beside a channel: pairs of offset from the channel and highest level (mdBm per MHz).

    `guarded` are limits outside a fixed range: level (mdBm per MHz), lower and upper edge (Hz). `peak_mdb` is the most
    by which the strongest sample may exceed the permitted EIRP.
    """

    beside: tuple[tuple[int, int], ...]
    guarded: tuple[tuple[int, int, int], ...] = ()
    peak_mdb: int = 13_000


def _uncovered(
    live: Live, burst: RadiatedBurst, span_ns: tuple[int, int], antenna: JudgedRadio, service: BesideLimits
) -> str:
    """Return why a settlement does not cover an emission; "" when it does."""
    return (
        _out_of_time(live, *span_ns)
        or _handed_on(live, burst, *span_ns)
        or _out_of_place(live, antenna)
        or _too_hot(live, burst, service)
        or _too_wide(live, burst, service)
    )


def _out_of_time(live: Live, start_ns: int, end_ns: int) -> str:
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
    return ""


def _handed_on(live: Live, burst: RadiatedBurst, start_ns: int, end_ns: int) -> str:
    for band, from_ns, until_ns in live.handed:
        if start_ns < until_ns and from_ns < end_ns and burst.low_hz < band.high_hz and band.low_hz < burst.high_hz:
            return "in what its user handed on"
    return ""


def _out_of_place(live: Live, antenna: JudgedRadio) -> str:
    there = PositionFix(
        lat_e7=antenna.lat_e7, lon_e7=antenna.lon_e7, radius_mm=0, source=PositionSource.SIMULATED, trusted=True
    )
    return "" if live.area.place(there, "judge") is None else "outside its area"


def _too_hot(live: Live, burst: RadiatedBurst, service: BesideLimits) -> str:
    limit_dbm = live.max_eirp_mdbm / 1000
    moment_dbm = burst.eirp_dbm if burst.moment_dbm is None else max(burst.eirp_dbm, burst.moment_dbm)
    if moment_dbm > limit_dbm:
        return f"hotter than its {limit_dbm:g} dBm"
    if burst.peak_dbm is not None and burst.peak_dbm > limit_dbm + service.peak_mdb / 1000:
        return f"with peaks {burst.peak_dbm - limit_dbm:.1f} dB above its {limit_dbm:g} dBm"
    return ""


def _too_wide(live: Live, burst: RadiatedBurst, service: BesideLimits) -> str:
    band = live.band
    if burst.low_hz < band.low_hz or burst.high_hz > band.high_hz:
        seen = f"{_mhz(burst.low_hz)}-{_mhz(burst.high_hz)} MHz"
        return f"at {seen}, outside its band {_mhz(band.low_hz)}-{_mhz(band.high_hz)} MHz"
    if burst.kind != "burst":
        return ""
    limits = [(level, band.low_hz - away_hz, band.high_hz + away_hz) for away_hz, level in service.beside]
    for level, low_hz, high_hz in (*limits, *service.guarded):
        reach = _reach(burst, level)
        if reach is None:
            continue
        if reach[0] < low_hz or reach[1] >= high_hz:
            return f"with more than {level / 1000:g} dBm/MHz outside {low_hz / 1e6:g}-{high_hz / 1e6:g} MHz"
    return ""


def _mhz(hz: float) -> str:
    return f"{hz / 1e6:.6f}".rstrip("0").rstrip(".")


def _reach(burst: RadiatedBurst, level_mdbm: int) -> tuple[int, int] | None:
    """Return an emission's band edges at a level, by the highest recorded level not above it; else everything."""
    told = max((level for level in burst.levels_mdbm if level <= level_mdbm), default=None)
    if told is None:
        return 0, 2**63
    return next(((low, high) for level, low, high in burst.reaches if level == told), None)


def judge(
    bursts: Iterable[RadiatedBurst],
    lives: Sequence[Live],
    *,
    stations: Mapping[str, JudgedRadio],
    utc_at_zero_ns: int,
    service: BesideLimits,
) -> list[Judged]:
    """Find for each emission the settlement that covers it.

    Args: stations: each radio's node and position, by name. utc_at_zero_ns: true UTC at monotonic zero. service: limits
        beside a channel.
    """
    judged: list[Judged] = []
    for burst in bursts:
        start_ns, end_ns = burst.start_ns + utc_at_zero_ns, burst.end_ns + utc_at_zero_ns
        antenna = stations.get(burst.radio)
        reasons = {
            live.sid: _uncovered(live, burst, (start_ns, end_ns), antenna, service)
            for live in lives
            if antenna is not None and live.user == antenna.credential
        }
        sid = next((sid for sid, why in reasons.items() if not why), None)
        why = "" if sid is not None else "; ".join(sorted(set(reasons.values()))) or "no settlement at all"
        judged.append(Judged(burst=burst, start_ns=start_ns, end_ns=end_ns, sid=sid, why=why))
    return judged


def seconds(judged: Iterable[Judged]) -> float:
    """Return time on the air; overlapping emissions of one radio (its carrier under its samples) count once."""
    total_ns = 0
    reached: dict[str, int] = {}
    for one in sorted(judged, key=lambda j: j.start_ns):
        start_ns = max(one.start_ns, reached.get(one.burst.radio, one.start_ns))
        total_ns += max(0, one.end_ns - start_ns)
        reached[one.burst.radio] = max(one.end_ns, reached.get(one.burst.radio, 0))
    return total_ns / 1e9
