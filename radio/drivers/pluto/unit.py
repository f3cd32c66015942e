"""Checks what a Pluto reports of itself against the profile of its kind: only a known unit may transmit. Pure."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from hw_profiles.loader import ProfileError, UnknownHardware, find_radio
from hw_profiles.profile import RadioProfile
from radio.drivers.pluto.layout import PHY
from radio.errors import SettingRefused

NO_SERIAL = re.compile(r"[0fFxX]*|unknown|none|n/a", re.IGNORECASE)
"""Texts that are no serial number: empty, zeros, or the content of an erased memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit: its identity, and why it may not transmit, "" if it may."""

    identity: str
    hw_model: str
    silent_because: str = ""

    @staticmethod
    def of(about: Mapping[str, str], library: tuple[str, ...], *, profile: RadioProfile | None) -> "Unit":
        """Identify a unit, and check it against its profile.

        Args:
            about: what the device says of itself, the attributes of its context.
            library: versions of libiio that have to be right: this host's, and the device's own.
            profile: what it has to be; None to look for its kind among the package's profiles.

        Raises: SettingRefused if it is not what the profile is for.
        """
        serial, model = about.get("hw_serial", "").strip(), about.get("hw_model", "")
        nameless = NO_SERIAL.fullmatch(serial) is not None
        doubts = ["it has no serial number, so no permission can be bound to it; write one into its memory"] * nameless
        if profile is not None:
            wrong = unlike(about, library, profile)
            if wrong:
                raise SettingRefused(wrong)
        else:
            doubts += _unknown(about, library)
        return Unit(
            identity=f"pluto without serial number {secrets.token_hex(8)}" if nameless else f"pluto {serial}",
            hw_model=model,
            silent_because="; ".join(doubts),
        )


def _unknown(about: Mapping[str, str], library: tuple[str, ...]) -> list[str]:
    try:
        found = find_radio(hw_model=about.get("hw_model", ""), chip_model=about.get(f"{PHY},model", ""))
    except (UnknownHardware, ProfileError) as exc:
        return [str(exc)]
    wrong = unlike(about, library, found)
    return [wrong] if wrong else []


def unlike(about: Mapping[str, str], library: tuple[str, ...], profile: RadioProfile) -> str:
    """Why a unit is not what a profile is for, "" if it is: model, chip, firmware, libiio."""
    model, chip = about.get("hw_model", ""), about.get(f"{PHY},model", "")
    firmware = about.get("fw_version", "")
    if not profile.model_match.matches(hw_model=model, chip_model=chip):
        return (
            f"model {model or 'unknown'!r} with chip {chip or 'unknown'!r} is not what profile {profile.id} is for; "
            "name the profile of this unit in [radio]"
        )
    if not profile.firmware_known(firmware):
        known = f"profile {profile.id}; see its fw_allow and fw_deny"
        return f"firmware {firmware or 'unknown'!r} is not known to work with {known}"
    outside = next((one for one in library if not profile.libiio_known(one)), None)
    if outside is not None and profile.libiio_range is not None:
        least, below = profile.libiio_range
        return f"libiio {outside} is outside {least} to below {below} of profile {profile.id}; install one inside"
    return ""
