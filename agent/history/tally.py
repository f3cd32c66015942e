"""Accumulates looks and returns one Row per second. Pure: time is an argument."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.history.rows import BASE_DB, STEP_DB, ChannelRow, HeardIncumbent, Row

if TYPE_CHECKING:
    from sensing.results import ChannelReport, LookResult
    from sensing.values import Channel

BINS = 256
Codes = NDArray[np.uint8]


def coded(psd: NDArray[np.float32], bins: int | None = None) -> Codes:
    """Encode a density in linear units per Hz, one byte per bin: 1 to 255 are BASE_DB + STEP_DB * code; 0: not sensed.

    Args: psd shape (n,); for fewer `bins` the strongest of each group of bins is kept.
    """
    if bins is not None and len(psd) > bins:
        edges = np.arange(bins) * len(psd) // bins
        psd = np.maximum.reduceat(psd, edges)
    level = 10 * np.log10(np.maximum(psd, np.float32(1e-30)))
    codes = np.clip(np.rint((level - BASE_DB) / STEP_DB), 1, 255)
    return np.where(np.isfinite(psd), codes, 0).astype(np.uint8)


@dataclass(slots=True)
class _Sums:
    looks: int = 0
    unsure: int = 0
    busy: float = 0.0
    squares: float = 0.0
    pairs: int = 0
    products: float = 0.0
    power_max_db: float | None = None
    unit: str = "dBFS"
    before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """The node's state at the end of a second."""

    start_ns: int
    time_trusted: bool
    clock_bound_ns: int | None
    clock_budget_ns: int | None
    clock_reason: str
    gate: str
    reason: str
    clause: str
    measured: str
    required: str
    open_ms: int
    bursts: int


@dataclass(slots=True)
class LookTally:
    """The looks since the last Row. `edges_hz` are the edges of the spectrum."""

    channels: "tuple[Channel, ...]"
    edges_hz: tuple[int, int]
    _sums: list[_Sums] = field(default_factory=list)
    _hold: Codes | None = None
    _heard: set[HeardIncumbent] = field(default_factory=set)
    _looks: int = 0

    def __post_init__(self) -> None:
        self._sums = [_Sums() for _ in self.channels]

    def add(self, result: "LookResult", *, usable: bool = True) -> None:
        """Add one look; one that is not `usable` shows nothing of the band."""
        self._looks += 1
        for sums, look in zip(self._sums, result.channels, strict=True):
            if look.busy is None or not usable:
                sums.unsure, sums.before = sums.unsure + 1, None
                continue
            share = look.busy_fraction
            sums.looks, sums.busy, sums.squares = sums.looks + 1, sums.busy + share, sums.squares + share * share
            if sums.before is not None:
                sums.pairs, sums.products = sums.pairs + 1, sums.products + share * sums.before
            sums.before = share
            power = look.power.value
            if np.isfinite(power) and (sums.power_max_db is None or power > sums.power_max_db):
                sums.power_max_db, sums.unit = power, look.power.unit
        if usable:
            codes = coded(result.psd, BINS)
            self._hold = codes if self._hold is None else np.maximum(self._hold, codes)
            self._heard.update(
                HeardIncumbent(low_hz=int(i.low_hz), high_hz=int(i.high_hz), kind=str(i.kind))
                for i in result.incumbents
            )

    def take(self, now: Instant, reports: "Sequence[ChannelReport]") -> Row:
        """Return the second that ends now, and begin the next."""
        rows = []
        for number, (channel, sums) in enumerate(zip(self.channels, self._sums, strict=True)):
            report = reports[number] if number < len(reports) else None
            floor = None if report is None or not np.isfinite(report.noise_floor.value) else report.noise_floor
            rows.append(
                ChannelRow(
                    low_hz=int(channel.low_hz),
                    high_hz=int(channel.high_hz),
                    # A channel that was not sensed in this second is unknown in this second, whatever was known before.
                    state="unknown" if report is None or sums.looks == 0 else report.state.value,
                    looks=sums.looks,
                    unsure=sums.unsure,
                    busy=sums.busy,
                    squares=sums.squares,
                    pairs=sums.pairs,
                    products=sums.products,
                    floor_db=None if floor is None else round(float(floor.value), 2),
                    floor_sd_db=None if floor is None or not np.isfinite(floor.sd) else round(float(floor.sd), 2),
                    power_max_db=None if sums.power_max_db is None else round(float(sums.power_max_db), 2),
                    unit=sums.unit,
                )
            )
        row = Row(
            start_ns=now.start_ns,
            length_ns=1_000_000_000,
            time_trusted=now.time_trusted,
            clock_bound_ns=now.clock_bound_ns,
            clock_budget_ns=now.clock_budget_ns,
            clock_reason=now.clock_reason,
            gate=now.gate,
            reason=now.reason,
            clause=now.clause,
            measured=now.measured,
            required=now.required,
            open_ms=now.open_ms,
            bursts=now.bursts,
            looks=self._looks,
            low_hz=self.edges_hz[0],
            high_hz=self.edges_hz[1],
            max_hold=b"" if self._hold is None else self._hold.tobytes(),
            channels=tuple(rows),
            incumbents=tuple(sorted(self._heard)),
        )
        self._sums = [_Sums() for _ in self.channels]
        self._hold, self._heard, self._looks = None, set(), 0
        return row
