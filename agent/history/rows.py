"""One stretch of time in the history, kept as sums that can be added, so that minutes are exact sums of seconds.

A stretch of a channel keeps the sums behind its occupancy, not only the occupancy: looks that could tell, their busy
shares, squares and neighbouring products. So the interval of a minute is found from the minute's own looks, as that of
a second is from the second's, and a stretch in which no look could tell has no occupancy: it was not sensed.

Source of the interval: Wilson's score interval at the number of independent looks that the variance of the mean and the
correlation of consecutive looks leave; SM.1880 and SM.2256 name the quantity (FCO).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from statistics import NormalDist
from typing import Any, Final

LEVEL: Final = 0.95
_Z: Final = NormalDist().inv_cdf((1 + LEVEL) / 2)
_Z_ONE_SIDED: Final = NormalDist().inv_cdf(LEVEL)
UNKNOWN_CORRELATION: Final = 0.9
"""Correlation of consecutive looks assumed where all looks are alike, which says nothing about the other state."""
STEP_DB: Final = 0.5
BASE_DB: Final = -200.0
NOT_SENSED: Final = 0
"""Code in a max hold: no look reached this frequency in this stretch."""
COUNT_MAX: Final = (1 << 31) - 1
ORDER: Final = ("busy", "free", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Share of the time a channel was in use, with the bounds that hold it with probability LEVEL."""

    low: float
    value: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """One channel over one stretch. Levels in dB of `unit`, None where nothing was measured.

    `looks` could tell whether the channel was busy, `unsure` could not; `busy`, `squares` are sums of the busy share of
    each look and of its square, `pairs` and `products` count consecutive looks and sum the products of their shares.
    """

    low_hz: int
    high_hz: int
    state: str = "unknown"
    looks: int = 0
    unsure: int = 0
    busy: float = 0.0
    squares: float = 0.0
    pairs: int = 0
    products: float = 0.0
    floor_db: float | None = None
    floor_sd_db: float | None = None
    power_max_db: float | None = None
    unit: str = "dBFS/Hz"

    @property
    def occupancy(self) -> Occupancy | None:
        """The channel's occupancy; None where no look could tell."""
        if self.looks == 0:
            return None
        mean = min(1.0, max(0.0, self.busy / self.looks))
        return _wilson(mean, self._independent(mean))

    def _independent(self, mean: float) -> float:
        """Return the number of independent looks, each all busy or all idle, that this stretch's looks are worth."""
        n = self.looks
        spread = max(0.0, self.squares - n * mean * mean) / max(1, n - 1)
        if spread <= 1e-12 or mean in (0.0, 1.0):
            return max(1.0, n * (1 - UNKNOWN_CORRELATION) / (1 + UNKNOWN_CORRELATION))
        alike = (self.products / self.pairs - mean * mean) / spread if self.pairs else UNKNOWN_CORRELATION
        alike = min(max(0.0, alike), 1 - 2 / (n + 1))
        of_mean = spread / n * (1 + alike) / (1 - alike)
        return max(1.0, mean * (1 - mean) / of_mean)


def _wilson(share: float, trials: float) -> Occupancy:
    z = _Z_ONE_SIDED if share in (0.0, 1.0) else _Z
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if share == 0.0 else max(0.0, centre - half)
    high = 1.0 if share == 1.0 else min(1.0, centre + half)
    return Occupancy(low=min(low, share), value=share, high=max(high, share))


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class HeardIncumbent:
    """An incumbent, or a train of pulses like one, heard in a stretch."""

    low_hz: int
    high_hz: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One stretch of a node: [start_ns, start_ns + length_ns) in UTC by the node's own clock.

    `time_trusted` is whether that clock was trusted throughout, `clock_bound_ns` its worst bound. `gate`, `reason`,
    `clause`, `measured`, `required` are the gate's last word that kept the radio silent, or the last word; `open_ms` is
    how long it was open. `max_hold`: one byte a frequency bin over `low_hz` to `high_hz`, see `level_db`.
    """

    start_ns: int
    length_ns: int
    time_trusted: bool = False
    clock_bound_ns: int | None = None
    clock_budget_ns: int | None = None
    clock_reason: str = ""
    gate: str = "UNKNOWN"
    reason: str = ""
    clause: str = ""
    measured: str = ""
    required: str = ""
    open_ms: int = 0
    bursts: int = 0
    looks: int = 0
    low_hz: int = 0
    high_hz: int = 0
    max_hold: bytes = b""
    channels: tuple[ChannelRow, ...] = ()
    incumbents: tuple[HeardIncumbent, ...] = field(default=())


def level_db(code: int) -> float | None:
    """Convert a byte of a max hold to dBFS/Hz; None where nothing was sensed."""
    return None if code == NOT_SENSED else BASE_DB + STEP_DB * code


def _louder(one: bytes, other: bytes) -> bytes:
    if len(one) != len(other):
        return one or other
    return bytes(map(max, one, other))


def _total(counts: Iterable[int]) -> int:
    """Add counts, limited to what a history column can hold; real seconds add up to far less."""
    return min(sum(counts), COUNT_MAX)


def _merged_channel(parts: Sequence[ChannelRow]) -> ChannelRow:
    # Each look counts once, so that a quarter has one floor, whether made from its minutes or from its seconds.
    floors = [(p.floor_db, max(1, p.looks + p.unsure)) for p in parts if p.floor_db is not None]
    sds = [p.floor_sd_db for p in parts if p.floor_sd_db is not None]
    powers = [p.power_max_db for p in parts if p.power_max_db is not None]
    return replace(
        parts[-1],
        # The state of a stretch is the busiest of its parts; an unsensed part does not make it free.
        state=next((s for s in ("busy", "unknown", "free") if any(p.state == s for p in parts)), "unknown"),
        looks=_total(p.looks for p in parts),
        unsure=_total(p.unsure for p in parts),
        busy=sum(p.busy for p in parts),
        squares=sum(p.squares for p in parts),
        pairs=_total(p.pairs for p in parts),
        products=sum(p.products for p in parts),
        floor_db=sum(db * n for db, n in floors) / sum(n for _, n in floors) if floors else None,
        floor_sd_db=max(sds) if sds else None,  # the error is the same in each part, so it does not average out
        power_max_db=max(powers) if powers else None,
    )


def merged(rows: Sequence[Row], *, start_ns: int, length_ns: int) -> Row:
    """Merge stretches into one: a fault in any part is a fault of the whole, sums add, the loudest level stays."""
    channels: dict[tuple[int, int], list[ChannelRow]] = {}
    for row in rows:
        for one in row.channels:
            channels.setdefault((one.low_hz, one.high_hz), []).append(one)
    bounds = [row.clock_bound_ns for row in rows]
    hold = b""
    for row in rows:
        if (row.low_hz, row.high_hz) == (rows[-1].low_hz, rows[-1].high_hz):  # another tuning, another spectrum
            hold = _louder(hold, row.max_hold) if hold else row.max_hold
    said = next((r for r in reversed(rows) if r.gate != "OPEN"), rows[-1])
    unsound = next((r for r in reversed(rows) if not r.time_trusted), rows[-1])
    return replace(
        rows[-1],
        start_ns=start_ns,
        length_ns=length_ns,
        time_trusted=all(row.time_trusted for row in rows),
        clock_bound_ns=None if None in bounds else max(b for b in bounds if b is not None),
        clock_reason=unsound.clock_reason,
        gate=said.gate,
        reason=said.reason,
        clause=said.clause,
        measured=said.measured,
        required=said.required,
        open_ms=_total(row.open_ms for row in rows),
        bursts=_total(row.bursts for row in rows),
        looks=_total(row.looks for row in rows),
        max_hold=hold,
        channels=tuple(_merged_channel(parts) for parts in channels.values()),
        incumbents=tuple(sorted({one for row in rows for one in row.incumbents})),
    )


def rolled(rows: Iterable[Row], length_ns: int) -> list[Row]:
    """Merge rows into stretches of `length_ns` that begin at its multiples; ascending."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.start_ns // length_ns * length_ns, []).append(row)
    return [merged(parts, start_ns=start, length_ns=length_ns) for start, parts in sorted(groups.items())]


def row_of(fields: dict[str, Any]) -> Row:
    """Build a row from plain fields as `dataclasses.asdict` makes them. Raises TypeError, KeyError."""
    return Row(
        **{
            **fields,
            "channels": tuple(ChannelRow(**one) for one in fields["channels"]),
            "incumbents": tuple(HeardIncumbent(**one) for one in fields["incumbents"]),
        }
    )
