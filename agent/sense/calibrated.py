"""Applies a unit's calibration table to the tunings of a run."""

import time
from collections.abc import Callable
from pathlib import Path

from agent.sense.header import LevelBasis
from agent.sense.sources import Tuning
from hw_profiles.calibration import OutsideTable, Scale
from hw_profiles.calibrationfile import load_calibration
from radio.errors import SourceError


def scale_by_table(
    path: Path, device: str, *, temperature_c: float | None = None, now_ns: int | None = None
) -> Callable[[Tuning], Scale | None]:
    """Return a function from tuning to calibration by the unit's table.

    Args: device: the unit's own name, "" without one; temperature_c: None takes that of the table's measurement.

    Raises: ProfileError for a table that cannot be read or is another unit's; the function raises SourceError for a
    tuning the table does not cover.
    """
    table = load_calibration(path, device=device or None).table()
    at_ns = time.time_ns() if now_ns is None else now_ns
    at_c = table.measured_temperature_c if temperature_c is None else temperature_c

    def scale(tuning: Tuning) -> Scale | None:
        if tuning.gain_db is None:
            raise SourceError(f"{path}: the source does not say its gain, so no point of it can be chosen")
        found = table.scale(
            frequency_hz=tuning.center_hz,
            sample_rate_hz=tuning.sample_rate_hz,
            gain_db=tuning.gain_db,
            temperature_c=at_c,
            now_ns=at_ns,
        )
        if isinstance(found, OutsideTable):
            raise SourceError(f"{path}: {found}")
        return found

    return scale


def measured_by_table(
    path: Path, device: str, tuning: Tuning, *, temperature_c: float | None = None
) -> LevelBasis | None:
    """Return the calibration that a recording at one tuning states. Raises as `scale_by_table`."""
    held = load_calibration(path, device=device or None)
    scale = scale_by_table(path, device, temperature_c=temperature_c)(tuning)
    if scale is None:
        return None
    near = min(
        held.points, key=lambda p: (abs(p.frequency_hz - tuning.center_hz), abs(p.gain_db - (tuning.gain_db or 0)))
    )
    return LevelBasis(
        scale=scale,
        reference=held.reference_plane,
        utc_ns=held.measured_ns,
        temperature_c=held.measured_temperature_c if temperature_c is None else temperature_c,
        noise_figure_db=near.noise_figure_db,
        enbw_hz=near.enbw_hz,
    )
