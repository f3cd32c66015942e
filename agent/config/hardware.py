"""Checks a node's radio section against its hardware profile and the limits of its service."""

from agent.config.settings import ConfigError
from hw_profiles.loader import ProfileError, load_limits, load_radio
from hw_profiles.profile import RadioProfile
from radio.drivers.section import RadioSection
from radio.mask import NO_SERVICE, Service
from radio.ports import RxSettings


def profile_of(section: RadioSection) -> RadioProfile:
    """Return the profile of the node's hardware; raises ConfigError."""
    try:
        return load_radio(section.profile)
    except ProfileError as exc:
        raise ConfigError(str(exc)) from exc


def hardware_of(section: RadioSection, receive: RxSettings) -> tuple[RadioProfile, Service]:
    """Return the profile and the service's limits; raises ConfigError for settings the hardware does not support."""
    profile = profile_of(section)
    try:
        limits = load_limits(section.limits) if section.limits else None
    except ProfileError as exc:
        raise ConfigError(str(exc)) from exc
    if limits is not None and not any(band.holds(receive.center_hz) for band in limits.bands_hz):
        bands = " or ".join(map(str, limits.bands_hz))
        said = f"rx_center_hz {receive.center_hz} is outside {bands}, the bands of {limits.id} ({limits.source})"
        raise ConfigError(f"radio: {said}; choose one inside, or the limits of another service")
    outside = profile.check_rx(
        center_hz=receive.center_hz,
        sample_rate_hz=receive.sample_rate_hz,
        bandwidth_hz=receive.bandwidth_hz,
        gain_db=receive.gain_mdb / 1000,
    )
    if outside is not None:
        raise ConfigError(f"radio: {outside}")
    full_scales = (section.adc_full_scale, profile.rx.full_scale), (section.tx_full_scale, profile.tx.full_scale)
    if any(given != known for given, known in full_scales):
        raise ConfigError(f"radio: full scales {full_scales[0][0]} and {full_scales[1][0]} are not {profile.id}'s")
    if not profile.tx.atten_db.holds(section.attenuation_mdb / 1000):
        raise ConfigError(
            f"radio: profile {profile.id}: tx.atten_db {section.attenuation_mdb / 1000:g} is outside "
            f"{profile.tx.atten_db}; choose a value inside"
        )
    return profile, NO_SERVICE if limits is None else Service.of(limits)
