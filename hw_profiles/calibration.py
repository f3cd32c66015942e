"""Converts levels relative to full scale to absolute levels with uncertainty, only inside a measured table."""

from dataclasses import dataclass
from itertools import pairwise
from math import hypot


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPoint:
    """One measured setting: the level of a full-scale sine at the reference plane, and its standard uncertainty."""

    frequency_hz: float
    sample_rate_hz: float
    gain_db: float
    full_scale_dbm: float
    sd_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Offset from dBFS to dBm at one setting, and its standard uncertainty.

    `noise_dbm_hz` is what the receiver makes by itself at this setting, at the reference plane, where it is known.
    """

    offset_db: float
    sd_db: float
    noise_dbm_hz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideTable:
    """Why a setting has no absolute level: the axis, the value asked for, and the range of the table."""

    axis: str
    asked: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.axis} {self.asked:g} is outside the calibration, {self.low:g} to {self.high:g}: "
            "measure there or change the setting"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationTable:
    """Calibration points of one unit at one reference plane.

    `drift_db_per_year` and `drift_db_per_k` widen the uncertainty with age and with distance from the temperature it
    was measured at; outside `temperature_c` and after `valid_until_ns` there is no calibration.
    """

    points: tuple[CalibrationPoint, ...]
    reference_plane: str
    measured_ns: int
    valid_until_ns: int
    measured_temperature_c: float = 25.0
    temperature_c: tuple[float, float] = (0.0, 50.0)
    drift_db_per_year: float = 0.3
    drift_db_per_k: float = 0.02

    def scale(
        self, *, frequency_hz: float, sample_rate_hz: float, gain_db: float, temperature_c: float, now_ns: int
    ) -> Scale | OutsideTable:
        """The scale at a setting, linear between measured frequencies and gains at the same sample rate."""
        if not self.temperature_c[0] <= temperature_c <= self.temperature_c[1]:
            return OutsideTable(
                axis="temperature in C", asked=temperature_c, low=self.temperature_c[0], high=self.temperature_c[1]
            )
        if not self.measured_ns <= now_ns <= self.valid_until_ns:
            return OutsideTable(axis="time in ns", asked=now_ns, low=self.measured_ns, high=self.valid_until_ns)
        at_rate = [p for p in self.points if p.sample_rate_hz == sample_rate_hz]
        if not at_rate:
            rates = sorted(p.sample_rate_hz for p in self.points) or [0.0]
            return OutsideTable(axis="sample rate in S/s", asked=sample_rate_hz, low=rates[0], high=rates[-1])
        found = self._over_gain(at_rate, frequency_hz, gain_db)
        if isinstance(found, OutsideTable):
            return found
        years = (now_ns - self.measured_ns) / 31_557_600e9
        drift = hypot(
            self.drift_db_per_year * years, self.drift_db_per_k * abs(temperature_c - self.measured_temperature_c)
        )
        return Scale(offset_db=found.offset_db, sd_db=hypot(found.sd_db, drift))

    def _over_gain(self, points: list[CalibrationPoint], frequency_hz: float, gain_db: float) -> Scale | OutsideTable:
        gains = sorted({p.gain_db for p in points})
        near = _neighbours(gains, gain_db)
        if near is None:
            return OutsideTable(axis="gain in dB", asked=gain_db, low=gains[0], high=gains[-1])
        rows: list[Scale] = []
        for gain in near:
            row = _over_frequency([p for p in points if p.gain_db == gain], frequency_hz)
            if isinstance(row, OutsideTable):
                return row
            rows.append(row)
        return _between(rows[0], rows[1], _share(near, gain_db))


def _over_frequency(points: list[CalibrationPoint], frequency_hz: float) -> Scale | OutsideTable:
    by_frequency = {p.frequency_hz: Scale(offset_db=p.full_scale_dbm, sd_db=p.sd_db) for p in points}
    frequencies = sorted(by_frequency)
    near = _neighbours(frequencies, frequency_hz)
    if near is None:
        return OutsideTable(axis="frequency in Hz", asked=frequency_hz, low=frequencies[0], high=frequencies[-1])
    return _between(by_frequency[near[0]], by_frequency[near[1]], _share(near, frequency_hz))


def _neighbours(values: list[float], at: float) -> tuple[float, float] | None:
    if at in values:
        return at, at
    return next(((a, b) for a, b in pairwise(values) if a < at < b), None)


def _share(near: tuple[float, float], at: float) -> float:
    return 0.0 if near[0] == near[1] else (at - near[0]) / (near[1] - near[0])


def _between(a: Scale, b: Scale, share: float) -> Scale:
    """Interpolate linearly; up to a third of the points' difference, midway, joins the uncertainty in quadrature."""
    bend = abs(b.offset_db - a.offset_db) / 3 * 4 * share * (1 - share)
    return Scale(
        offset_db=a.offset_db + share * (b.offset_db - a.offset_db),
        sd_db=hypot(max(a.sd_db, b.sd_db), bend),
    )
