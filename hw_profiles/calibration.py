"""From full-scale levels to absolute ones, with their uncertainty, inside a measured table and nowhere else."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPoint:
    """One measured setting: a full-scale sine at the reference plane is `full_scale_dbm`."""

    frequency_hz: float
    sample_rate_hz: float
    gain_db: float
    full_scale_dbm: float
    sd_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What to add to dBFS for dBm at one setting, and how well that is known."""

    offset_db: float
    sd_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideTable:
    """Why a setting has no absolute level: the axis, what was asked and what the table covers."""

    axis: str
    asked: float
    low: float
    high: float
