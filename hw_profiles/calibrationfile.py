"""A unit's calibration table as a TOML file, written by `bandpact calibrate` and checked when read."""

import tomllib
from pathlib import Path
from typing import Literal

import tomli_w
from pydantic import Field, ValidationError

from hw_profiles.calibration import CalibrationPoint, CalibrationTable
from hw_profiles.loader import ProfileError
from hw_profiles.misfit import first_misfit
from hw_profiles.smallfile import read_small_text
from hw_profiles.tomltext import read_toml
from hw_profiles.values import Table


class Point(Table):
    """One measured setting."""

    frequency_hz: int = Field(gt=0)
    sample_rate_hz: int = Field(gt=0)
    gain_db: float
    full_scale_dbm: float
    sd_db: float = Field(ge=0)
    method: Literal["tone", "y-factor"] = "tone"
    noise_figure_db: float | None = None
    noise_figure_sd_db: float | None = Field(default=None, ge=0)
    enbw_hz: float | None = Field(default=None, gt=0)


class CalibrationFile(Table):
    """The file: the unit, its reference plane, and the measured points with time and temperature."""

    kind: Literal["calibration"] = "calibration"
    schema_version: Literal[1] = 1
    device: str = Field(min_length=1)
    profile: str
    reference_plane: str = Field(min_length=1)
    measured_ns: int = Field(gt=0)
    valid_until_ns: int = Field(gt=0)
    measured_temperature_c: float
    temperature_min_c: float
    temperature_max_c: float
    points: list[Point] = Field(min_length=1)

    def table(self) -> CalibrationTable:
        """The calibration table, which converts levels."""
        return CalibrationTable(
            points=tuple(
                CalibrationPoint(
                    frequency_hz=p.frequency_hz,
                    sample_rate_hz=p.sample_rate_hz,
                    gain_db=p.gain_db,
                    full_scale_dbm=p.full_scale_dbm,
                    sd_db=p.sd_db,
                )
                for p in self.points
            ),
            reference_plane=self.reference_plane,
            measured_ns=self.measured_ns,
            valid_until_ns=self.valid_until_ns,
            measured_temperature_c=self.measured_temperature_c,
            temperature_c=(self.temperature_min_c, self.temperature_max_c),
        )

    def with_point(self, point: Point) -> "CalibrationFile":
        """The file with a point added, which replaces an older point of the same setting."""
        same = (point.frequency_hz, point.sample_rate_hz, point.gain_db)
        kept = [p for p in self.points if (p.frequency_hz, p.sample_rate_hz, p.gain_db) != same]
        points = sorted([*kept, point], key=lambda p: (p.sample_rate_hz, p.gain_db, p.frequency_hz))
        return self.model_copy(update={"points": points})


def load_calibration(path: Path, *, device: str | None = None) -> CalibrationFile:
    """Read a unit's file; raises ProfileError, also where it belongs to another unit than `device`."""
    try:
        held = CalibrationFile.model_validate(read_toml(read_small_text(path)))
    except (OSError, UnicodeDecodeError) as exc:
        raise ProfileError(f"{path}: cannot be read ({exc}); write it with bandpact calibrate") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ProfileError(f"{path}: {exc}; a calibration is a TOML file") from exc
    except ValidationError as exc:
        first = first_misfit(exc)
        raise ProfileError(f"{path}: {first.key}: {first.said}; mend this key or calibrate again") from exc
    if device is not None and held.device != device:
        raise ProfileError(f"{path}: device: it is {held.device}'s, not {device}'s; calibrate this unit")
    return held


def save_calibration(path: Path, held: CalibrationFile) -> None:
    """Write a unit's file atomically; raises ProfileError."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(tomli_w.dumps(held.model_dump(exclude_none=True)), encoding="utf-8")
        fresh.replace(path)
    except OSError as exc:
        raise ProfileError(f"{path}: cannot be written ({exc.strerror}); choose another file") from exc
