"""Data of a trial report: plain values, times in seconds from the start signal, no I/O."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterfallPicture:
    """A node's waterfall: `level_db` shape (rows, columns) in dBFS/Hz, a time for each row, the band's edges."""

    node: str
    level_db: NDArray[np.float32]
    times_s: NDArray[np.float64]
    low_hz: float
    high_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRow:
    """One settlement or attempt: `outcome` is "window end", "preempted: INCUMBENT", "aborted: TIMEOUT" and the like."""

    sid: str
    holder: str
    user: str
    low_hz: int
    high_hz: int
    start_s: float
    end_s: float
    confirmed_s: float | None
    ended_s: float | None
    outcome: str
    max_eirp_dbm: float
    grants: tuple[tuple[float, str], ...] = ()
    """Instants at which its user's grant became IDLE, GRANTED or AUTHORIZED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpan:
    """A time span in which a gate was in `state` (LOCKED, ARMED, OPEN, LATCHED), with the reason ("" when open)."""

    node: str
    state: str
    reason: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEmission:
    """An emission that the oracle recorded at an antenna; `inside`: whether a live settlement covered it."""

    node: str
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    eirp_dbm: float
    inside: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncumbentMark:
    """The instant at which a node found an incumbent, or (node "air") at which one truly began."""

    node: str
    at_s: float
    low_hz: float
    high_hz: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRow:
    """One refused record, or one refusal by a closed gate."""

    at_s: float
    node: str
    peer: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One verified lineage."""

    node: str
    records: int
    own: int
    received: int
    refused: int
    root: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceMark:
    """A node's position in degrees by its last signature, with its error radius."""

    node: str
    role: str
    lat_deg: float
    lon_deg: float
    radius_m: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaMark:
    """A circle on the map: its label, its centre in degrees and its radius."""

    what: str
    lat_deg: float
    lon_deg: float
    radius_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """A user's radio's own report on a settlement, which nobody else measured."""

    sid: str
    node: str
    airtime_s: float
    bursts: int
    first_s: float | None
    last_s: float | None
    ended: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything on the page; `summary` is the JSON result.

    `watched` tells whether an oracle recorded what each antenna emitted, as it does in a simulated trial; of a run with
    real radios nobody knows that, and the page says so. `zero_ns` is second 0 in UTC, None where it is a start signal.
    """

    title: str
    passed: bool
    seed: int
    duration_s: float
    low_hz: int
    high_hz: int
    nodes: tuple[tuple[str, str], ...]
    summary: dict[str, Any]
    waterfall: WaterfallPicture | None
    settlements: tuple[SettlementRow, ...]
    gates: tuple[GateSpan, ...]
    emissions: tuple[ShownEmission, ...]
    incumbents: tuple[IncumbentMark, ...]
    refusals: tuple[RefusalRow, ...]
    audit: tuple[AuditRow, ...]
    audit_problems: tuple[str, ...]
    watched: bool = True
    zero_ns: int | None = None
    places: tuple[PlaceMark, ...] = ()
    areas: tuple[AreaMark, ...] = ()
    usage: tuple[UsageRow, ...] = ()
    warnings: tuple[str, ...] = ()
