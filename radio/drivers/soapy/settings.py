"""Settings of a Soapy device: checked against its profile, or without a profile against what it advertises."""

from typing import Any, Final

from hw_profiles.profile import OutsideProfile, RadioProfile
from radio.drivers.soapy.handle import Handle
from radio.errors import HardwareError, SettingRefused
from radio.ports import RxSettings, TxSettings

FIELDS: Final = {
    "lo_hz": "center_hz",
    "rate_hz": "sample_rate_hz",
    "bw_hz": "bandwidth_hz",
    "gain_db": "gain_mdb",
    "atten_db": "attenuation_mdb",
}
NEAR: Final = 1e-6
"""Relative error within which a frequency or rate that reads back counts as the one asked for."""
GAIN_NEAR_DB: Final = 0.5
BAND_NEAR: Final = 0.02


def on_rx_steps(settings: RxSettings, handle: Handle, profile: RadioProfile | None) -> RxSettings:
    """A receive setting with its gain on a step; raises SettingRefused outside the radio's ranges, HardwareError."""
    gain_db = settings.gain_mdb / 1000
    if profile is None:
        _advertised(settings, handle)
        return settings
    for table in profile.rx.gain_tables:
        if table.lo_hz.holds(settings.center_hz) and table.gain_db.holds(gain_db):
            gain_db = table.gain_db.low + round((gain_db - table.gain_db.low) / table.step) * table.step
    _refuse(
        profile.check_rx(
            center_hz=settings.center_hz,
            sample_rate_hz=settings.sample_rate_hz,
            bandwidth_hz=settings.bandwidth_hz,
            gain_db=gain_db,
        )
    )
    return RxSettings(
        center_hz=settings.center_hz,
        sample_rate_hz=settings.sample_rate_hz,
        bandwidth_hz=settings.bandwidth_hz,
        gain_mdb=round(1000 * gain_db),
    )


def on_tx_steps(settings: TxSettings, profile: RadioProfile) -> TxSettings:
    """A transmit setting with its attenuation on the nearest step; raises SettingRefused outside the profile."""
    steps = profile.tx.atten_db
    wanted_db = settings.attenuation_mdb / 1000
    attenuation_db = wanted_db
    if steps.min <= wanted_db <= steps.max:
        attenuation_db = steps.min + round((wanted_db - steps.min) / steps.step) * steps.step
    _refuse(
        profile.check_tx(
            center_hz=settings.center_hz,
            sample_rate_hz=settings.sample_rate_hz,
            bandwidth_hz=settings.bandwidth_hz,
            attenuation_db=attenuation_db,
        )
    )
    return TxSettings(
        center_hz=settings.center_hz,
        sample_rate_hz=settings.sample_rate_hz,
        bandwidth_hz=settings.bandwidth_hz,
        attenuation_mdb=round(1000 * attenuation_db),
    )


def _refuse(outside: OutsideProfile | None) -> None:
    if outside is not None:
        raise SettingRefused(f"{FIELDS.get(outside.key.rpartition('.')[2], outside.key)}: {outside}")


def _advertised(settings: RxSettings, handle: Handle) -> None:
    """Refuse a setting outside the ranges that the device advertises; a range not stated refuses nothing."""
    for field, value, method in (
        ("center_hz", settings.center_hz, "getFrequencyRange"),
        ("sample_rate_hz", settings.sample_rate_hz, "getSampleRateRange"),
        ("bandwidth_hz", settings.bandwidth_hz, "getBandwidthRange"),
    ):
        ranges = [(one.minimum(), one.maximum()) for one in handle.call(method, handle.rx, 0)]
        least, most = min((low for low, _ in ranges), default=1), max((high for _, high in ranges), default=value)
        # A filter that cannot be as wide as asked is set as wide as it goes, and read back.
        if value <= 0 or (field != "bandwidth_hz" and not least * (1 - NEAR) <= value <= most * (1 + NEAR)):
            raise SettingRefused(f"{field} {value}: the device has {least:.12g} to {most:.12g}; choose a value inside")
    gains = handle.call("getGainRange", handle.rx, 0)
    if not gains.minimum() <= settings.gain_mdb / 1000 <= gains.maximum():
        raise SettingRefused(
            f"gain_mdb {settings.gain_mdb}: the device has {gains.minimum():g} to {gains.maximum():g} dB; "
            "choose a value inside"
        )


def tune(handle: Handle, direction: int, settings: RxSettings | TxSettings) -> int:
    """Set and read back rate, filter and frequency of one direction; returns the filter's bandwidth as read, Hz.

    Raises HardwareError where one reads back otherwise.
    """
    handle.call("setSampleRate", direction, 0, float(settings.sample_rate_hz))
    handle.call("setFrequency", direction, 0, float(settings.center_hz))
    held_hz: float = settings.bandwidth_hz
    if len(handle.call("getBandwidthRange", direction, 0)):
        handle.call("setBandwidth", direction, 0, float(settings.bandwidth_hz))
        held_hz = float(handle.call("getBandwidth", direction, 0)) or held_hz
    for name, wanted in (("SampleRate", settings.sample_rate_hz), ("Frequency", settings.center_hz)):
        read = float(handle.call(f"get{name}", direction, 0))
        if abs(read - wanted) > max(10.0, NEAR * wanted):
            raise HardwareError(f"soapy:{handle.arguments}: {name} was set to {wanted} and reads back {read:.12g}")
    near = abs(held_hz - settings.bandwidth_hz) <= BAND_NEAR * settings.bandwidth_hz
    return settings.bandwidth_hz if near else round(held_hz)


def set_gain(handle: Handle, direction: int, gain_db: float) -> float:
    """Set the whole gain of one direction, automatic control off; returns what reads back. Raises HardwareError."""
    automatic: Any = handle.call("hasGainMode", direction, 0)
    if automatic:
        handle.call("setGainMode", direction, 0, False)
    handle.call("setGain", direction, 0, float(gain_db))
    read = float(handle.call("getGain", direction, 0))
    return gain_db if abs(read - gain_db) <= GAIN_NEAR_DB else read
