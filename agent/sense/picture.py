"""Collects the spectrum over time for a picture in bounded memory: rows are merged as they grow in number."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.sense.sources import NS, Look, Tuning
from sensing.flags import UNUSABLE, SampleFlag
from sensing.frontend import Float32s
from sensing.survey import LookResult

ROWS_MAX: Final = 400
COLUMNS_MAX: Final = 1024
JOINED_NS: Final = 1_000_000


@dataclass(slots=True)
class SpectrumRow:
    """Mean power density over some time, shape (columns,), linear; `doubtful` where no look in it was usable."""

    start_ns: int
    end_ns: int
    density: NDArray[np.float64]
    listened_ns: int
    doubtful: bool


@dataclass(slots=True)
class Spectrogram:
    """The rows of each tuning in time order."""

    rows: dict[Tuning, list[SpectrumRow]] = field(default_factory=dict)

    def add(self, look: Look, result: LookResult) -> None:
        """Add one look."""
        rows = self.rows.setdefault(look.tuning, [])
        length_ns = round(len(look.iq) / look.tuning.sample_rate_hz * NS)
        density = _columns(result.psd)
        doubtful = bool(result.flags & (UNUSABLE | SampleFlag.CLIPPED)) or not density.any()
        rows.append(
            SpectrumRow(
                start_ns=look.start_ns,
                end_ns=look.start_ns + length_ns,
                density=density,
                listened_ns=length_ns,
                doubtful=doubtful,
            )
        )
        if len(rows) > 2 * ROWS_MAX:
            self.rows[look.tuning] = _folded(rows)

    def cells(self, tuning: Tuning) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return edges in s (n + 1,), density of each row (n, columns), NaN between stretches; doubtful rows (n,)."""
        edges: list[float] = []
        lines: list[NDArray[np.float64]] = []
        doubts: list[bool] = []
        for row in self.rows.get(tuning, []):
            if edges and row.start_ns / NS > edges[-1] + JOINED_NS / NS:
                lines.append(np.full(len(row.density), np.nan))
                doubts.append(False)
                edges.append(row.start_ns / NS)
            if not edges:
                edges.append(row.start_ns / NS)
            lines.append(np.where(row.density > 0, row.density, np.nan))
            doubts.append(row.doubtful)
            edges.append(max(row.end_ns / NS, edges[-1] + 1e-9))
        return np.array(edges), np.array(lines), np.array(doubts, bool)


def _columns(psd: Float32s) -> NDArray[np.float64]:
    wide = psd.astype(np.float64)
    return wide if len(wide) <= COLUMNS_MAX else wide.reshape(COLUMNS_MAX, -1).mean(axis=1)


def _folded(rows: list[SpectrumRow]) -> list[SpectrumRow]:
    """Merge every two rows, weighted by duration; a doubtful row is dropped beside a usable one."""
    made: list[SpectrumRow] = []
    for i in range(0, len(rows) - 1, 2):
        a, b = rows[i], rows[i + 1]
        if a.doubtful != b.doubtful:
            density = b.density if a.doubtful else a.density
        else:
            density = (a.density * a.listened_ns + b.density * b.listened_ns) / max(1, a.listened_ns + b.listened_ns)
        made.append(
            SpectrumRow(
                start_ns=a.start_ns,
                end_ns=b.end_ns,
                density=density,
                listened_ns=a.listened_ns + b.listened_ns,
                doubtful=a.doubtful and b.doubtful,
            )
        )
    return made + rows[len(rows) - len(rows) % 2 :]
