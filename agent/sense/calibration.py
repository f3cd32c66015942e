"""`bandpact calibrate`: measures a known source or a noise diode, and adds the point to the unit's table."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.sense.receivers import FILE, driver_of, open_receiver
from hw_profiles.calibrationfile import CalibrationFile, Point, load_calibration, save_calibration
from hw_profiles.loader import load_radio
from hw_profiles.profile import RadioProfile
from radio.errors import EndOfRecording, SettingRefused, SourceError
from radio.knownsource import Known, point
from radio.noisediode import Diode, point_of, y_factor
from radio.ports import RxBlock, RxSettings
from radio.receivers import Opened
from settlement.core.reasons import Refusal

NS_PER_DAY = 86_400 * 10**9
LOOKS = 8
SAMPLES = 65_536
REFERENCE = "full-scale sine"
ROUNDS = 3
"""Times that the diode is switched: gain drift between them spreads the looks, which shows in the uncertainty."""


class NotCalibrated(Exception):
    """The measurement gives no calibration point; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Tuning of a point; None keeps the source's own setting."""

    frequency_hz: int | None = None
    sample_rate_hz: int | None = None
    bandwidth_hz: int | None = None
    gain_db: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedUnit:
    """The unit whose table it is: device (None: its own name), profile, temperature."""

    device: str | None
    profile: str
    temperature_c: float


def calibrate(
    source: str, setting: Setting, known: Known, unit: CalibratedUnit, path: Path
) -> tuple[CalibrationFile, Point]:
    """Measure one point from a tone of known power and write it into the unit's file.

    Raises: ProfileError, SettingRefused outside the profile, RadioError from the device, NotCalibrated.
    """
    profile = load_radio(unit.profile)
    opened = _tuned(source, setting, profile)
    try:
        found = point(_heard(opened, LOOKS), known)
    finally:
        opened.close()
    return _kept(found, opened, unit, profile, path)


def calibrate_by_diode(
    source: str, setting: Setting, diode: Diode, unit: CalibratedUnit, path: Path, *, switch: Callable[[bool], None]
) -> tuple[CalibrationFile, Point]:
    """Measure one point with a noise diode that `switch` turns on and off.

    Raises: as `calibrate`, and whatever `switch` raises; the diode is switched off at the end.
    """
    profile = load_radio(unit.profile)
    opened = _tuned(source, setting, profile)
    on: list[RxBlock] = []
    off: list[RxBlock] = []
    lit = False
    try:
        for _ in range(ROUNDS):
            for wanted, heard in ((True, on), (False, off)):
                switch(wanted)
                lit = wanted
                heard.extend(_heard(opened, LOOKS // 2))
    finally:
        opened.close()
        if lit:
            switch(False)
    return _kept(_diode_point(on, off, diode), opened, unit, profile, path)


def calibrate_by_recordings(
    sources: tuple[str, str], setting: Setting, diode: Diode, unit: CalibratedUnit, path: Path
) -> tuple[CalibrationFile, Point]:
    """Measure one point from two sources, the first with the diode on, the second off. Raises as `calibrate`."""
    on, off = sources
    profile = load_radio(unit.profile)
    lit, dark = _tuned(on, setting, profile), _tuned(off, setting, profile)
    try:
        heard = _heard(lit, LOOKS), _heard(dark, LOOKS)
    finally:
        lit.close()
        dark.close()
    if lit.device_id != dark.device_id:
        raise NotCalibrated(f"{on} is of {lit.device_id or 'no unit'}, {off} of {dark.device_id or 'no unit'}")
    return _kept(_diode_point(*heard, diode), lit, unit, profile, path)


def _diode_point(on: list[RxBlock], off: list[RxBlock], diode: Diode) -> Point | Refusal:
    found = y_factor(on, off, diode)
    return found if isinstance(found, Refusal) else point_of(found, on[0])


def _tuned(source: str, setting: Setting, profile: RadioProfile) -> Opened:
    """Open the source's receiver, set within the profile. Raises as `calibrate`."""
    recorded = driver_of(source)[0] == FILE
    opened = open_receiver(source)
    try:
        wanted = _settings(source, opened, setting)
        outside = profile.check_rx(
            center_hz=wanted.center_hz,
            sample_rate_hz=wanted.sample_rate_hz,
            bandwidth_hz=wanted.bandwidth_hz,
            gain_db=wanted.gain_mdb / 1000,
        )
        _hold(opened, wanted, None if recorded or outside is None else str(outside))
    except BaseException:
        opened.close()
        raise
    return opened


def _hold(opened: Opened, wanted: RxSettings, refused: str | None) -> None:
    """Tune the receiver, unless the profile refuses it. Raises SettingRefused, RadioError."""
    if refused is not None:
        raise SettingRefused(refused)
    held = opened.receiver.tune_rx(wanted)
    if held != wanted:
        raise SettingRefused(f"the receiver holds {held}, not {wanted}; ask for what it can hold")


def _settings(source: str, opened: Opened, setting: Setting) -> RxSettings:
    held = opened.settings
    if held is None and None in {setting.frequency_hz, setting.sample_rate_hz, setting.gain_db}:
        raise SourceError(f"source {source!r} is tuned to nothing; give --frequency, --rate and --gain-db")
    rate = setting.sample_rate_hz or (held.sample_rate_hz if held else 0)
    width = held.bandwidth_hz if held is not None and rate == held.sample_rate_hz else rate
    gain_mdb = held.gain_mdb if held is not None else 0
    return RxSettings(
        center_hz=setting.frequency_hz or (held.center_hz if held else 0),
        sample_rate_hz=rate,
        bandwidth_hz=setting.bandwidth_hz or width,
        gain_mdb=gain_mdb if setting.gain_db is None else round(1000 * setting.gain_db),
    )


def _heard(opened: Opened, looks: int) -> list[RxBlock]:
    """Take `looks` looks; raises NotCalibrated where a recording is too short."""
    try:
        return [opened.receiver.receive(SAMPLES) for _ in range(looks)]
    except EndOfRecording as exc:
        raise NotCalibrated(f"{exc}; {looks} looks of {SAMPLES} samples are needed") from exc


def _kept(
    found: Point | Refusal, opened: Opened, unit: CalibratedUnit, profile: RadioProfile, path: Path
) -> tuple[CalibrationFile, Point]:
    """Write the point into the unit's file. Raises NotCalibrated, ProfileError."""
    if isinstance(found, Refusal):
        raise NotCalibrated(str(found))
    device = unit.device or opened.device_id or None
    if device is None:
        raise NotCalibrated("the receiver does not say which unit it is; name it with --device")
    if profile.calibration.ref != REFERENCE:
        raise NotCalibrated(f"profile {profile.id}: calibration.ref is not {REFERENCE!r}, which points are of")
    table = _table(path, device, unit, found, profile)
    save_calibration(path, table)
    return table, found


def _table(path: Path, device: str, unit: CalibratedUnit, found: Point, profile: RadioProfile) -> CalibrationFile:
    """Return the unit's table with the point added; an existing file keeps its plane and the oldest of its dates."""
    if path.exists():
        return load_calibration(path, device=device).with_point(found)
    now_ns = time.time_ns()
    return CalibrationFile(
        device=device,
        profile=profile.id,
        reference_plane=profile.calibration.plane,
        measured_ns=now_ns,
        valid_until_ns=now_ns + profile.calibration.validity_days * NS_PER_DAY,
        measured_temperature_c=unit.temperature_c,
        temperature_min_c=float(profile.calibration.temp_range_c.low),
        temperature_max_c=float(profile.calibration.temp_range_c.high),
        points=[found],
    )
