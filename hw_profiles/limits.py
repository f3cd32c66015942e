"""Emission limits of a radio service: power by category, and the mask outside the channel."""

import math
from typing import Literal

from pydantic import Field

from hw_profiles.values import Span, Table

MHZ = 1_000_000


class MaskStep(Table):
    """A mask step: from `from_hz` beyond either channel edge until the next step, the limit in any 1 MHz."""

    from_hz: int = Field(ge=0)
    dbm_per_mhz: float


class Guarded(Table):
    """A frequency range with a limit of its own, at any distance from the channel."""

    range_hz: Span
    dbm_per_mhz: float


class ServiceLimits(Table):
    """Limits of one category of a service; `source` names the clause that each number comes from."""

    kind: Literal["limits"]
    schema_version: Literal[1]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    source: str = Field(min_length=1)
    bands_hz: list[Span] = Field(min_length=1)
    max_eirp_dbm_per_10mhz: float
    max_psd_dbm_per_mhz: float
    peak_to_average_db: float = Field(gt=0)
    outside: list[MaskStep] = Field(min_length=1)
    guarded: list[Guarded] = Field(default=[])

    def max_eirp_mdbm(self, bandwidth_hz: int) -> int:
        """Highest EIRP in mdBm of a channel `bandwidth_hz` wide, by the limits in any 10 MHz and in any 1 MHz."""
        by_density = self.max_psd_dbm_per_mhz + 10 * math.log10(bandwidth_hz / MHZ)
        by_power = self.max_eirp_dbm_per_10mhz + 10 * math.log10(max(1.0, bandwidth_hz / (10 * MHZ)))
        return round(1000 * min(by_density, by_power))
