"""Absolute levels inside the calibration table, an explained refusal outside."""

import pytest

from hw_profiles.calibration import CalibrationPoint, CalibrationTable, OutsideTable, Scale

YEAR_NS = 31_557_600 * 10**9


def point(frequency_hz: float, gain_db: float, full_scale_dbm: float) -> CalibrationPoint:
    return CalibrationPoint(
        frequency_hz=frequency_hz, sample_rate_hz=30.72e6, gain_db=gain_db, full_scale_dbm=full_scale_dbm, sd_db=0.4
    )


TABLE = CalibrationTable(
    points=(point(3.5e9, 30, -40), point(3.7e9, 30, -38), point(3.5e9, 50, -60), point(3.7e9, 50, -58)),
    reference_plane="antenna connector",
    measured_ns=0,
    valid_until_ns=2 * YEAR_NS,
)


def asked(**changes: float) -> Scale | OutsideTable:
    values = {"frequency_hz": 3.6e9, "sample_rate_hz": 30.72e6, "gain_db": 40, "temperature_c": 25, "now_ns": 0}
    return TABLE.scale(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.feature("R5")
def test_between_points_it_is_linear_and_less_certain() -> None:
    middle, corner = asked(), asked(frequency_hz=3.5e9, gain_db=30)
    assert isinstance(middle, Scale)
    assert isinstance(corner, Scale)
    assert middle.offset_db == pytest.approx(-49.0)
    assert corner == Scale(offset_db=-40, sd_db=0.4)
    assert middle.sd_db > corner.sd_db


def test_age_and_temperature_widen() -> None:
    old, warm = asked(now_ns=YEAR_NS), asked(temperature_c=45)
    assert isinstance(old, Scale)
    assert isinstance(warm, Scale)
    fresh = asked()
    assert isinstance(fresh, Scale)
    assert old.sd_db > fresh.sd_db
    assert warm.sd_db > fresh.sd_db


@pytest.mark.feature("R5")
@pytest.mark.parametrize(
    ("changes", "axis"),
    [
        ({"frequency_hz": 3.4e9}, "frequency"),
        ({"frequency_hz": 3.71e9}, "frequency"),
        ({"sample_rate_hz": 20e6}, "sample rate"),
        ({"gain_db": 51}, "gain"),
        ({"temperature_c": 60}, "temperature"),
        ({"now_ns": 3 * YEAR_NS}, "time"),
    ],
)
def test_outside_the_table_is_refused_by_axis(changes: dict[str, float], axis: str) -> None:
    refusal = asked(**changes)
    assert isinstance(refusal, OutsideTable)
    assert refusal.axis.startswith(axis)
    assert "measure there or change the setting" in str(refusal)
