"""`bandpact calibrate`: tunes a receiver to a known source, measures, and adds the point to the unit's table."""

import importlib
import importlib.util
import time
from dataclasses import dataclass
from pathlib import Path

from agent.sense.sources import LIVE_SOURCES
from hw_profiles.calibrationfile import CalibrationFile, Point, load_calibration, save_calibration
from hw_profiles.loader import load_radio
from radio.errors import SettingRefused, SourceError
from radio.knownsource import Known, point
from radio.ports import RxSettings
from settlement.reasons import Refusal

NS_PER_DAY = 86_400 * 10**9
LOOKS = 8
SAMPLES = 65_536


class NotCalibrated(Exception):
    """What was heard does not make a point; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where a point is taken."""

    frequency_hz: int
    sample_rate_hz: int
    bandwidth_hz: int
    gain_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Whose table it is: the device (None: as it names itself), its profile, the temperature it has."""

    device: str | None
    profile: str
    temperature_c: float


def calibrate(source: str, setting: Setting, known: Known, unit: Unit, path: Path) -> tuple[CalibrationFile, Point]:
    """Measure one point and write it into the unit's file.

    Raises: ProfileError, SettingRefused outside the profile, RadioError from the device, NotCalibrated.
    """
    profile = load_radio(unit.profile)
    wanted = RxSettings(
        center_hz=setting.frequency_hz,
        sample_rate_hz=setting.sample_rate_hz,
        bandwidth_hz=setting.bandwidth_hz,
        gain_mdb=round(1000 * setting.gain_db),
    )
    outside = profile.check_rx(
        center_hz=wanted.center_hz,
        sample_rate_hz=wanted.sample_rate_hz,
        bandwidth_hz=wanted.bandwidth_hz,
        gain_db=setting.gain_db,
    )
    if outside is not None:
        raise SettingRefused(str(outside))
    kind = source.partition(":")[0]
    if kind not in LIVE_SOURCES or importlib.util.find_spec(LIVE_SOURCES[kind]) is None:
        raise SourceError(f"source {source!r} is no receiver that can be tuned here; use sim: or pluto:URI")
    receiver, _, _ = importlib.import_module(LIVE_SOURCES[kind]).open_receiver(source)
    held = receiver.tune_rx(wanted)
    if held != wanted:
        raise SettingRefused(f"the receiver holds {held}, not {wanted}; ask for what it can hold")
    found = point([receiver.receive(SAMPLES) for _ in range(LOOKS)], known)
    if isinstance(found, Refusal):
        raise NotCalibrated(str(found))
    device = unit.device or getattr(receiver, "device_id", None)
    if device is None:
        raise NotCalibrated("the receiver does not say which unit it is; name it with --device")
    table = _table(path, device, unit, found, validity_days=profile.calibration.validity_days)
    save_calibration(path, table)
    return table, found


def _table(path: Path, device: str, unit: Unit, found: Point, *, validity_days: int) -> CalibrationFile:
    """The unit's table with the point; an existing file keeps its plane and the oldest of its dates."""
    if path.exists():
        return load_calibration(path, device=device).with_point(found)
    profile, now_ns = load_radio(unit.profile), time.time_ns()
    return CalibrationFile(
        device=device,
        profile=profile.id,
        reference_plane=profile.calibration.plane,
        measured_ns=now_ns,
        valid_until_ns=now_ns + validity_days * NS_PER_DAY,
        measured_temperature_c=unit.temperature_c,
        temperature_min_c=float(profile.calibration.temp_range_c.low),
        temperature_max_c=float(profile.calibration.temp_range_c.high),
        points=[found],
    )
