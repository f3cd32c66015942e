"""Checks what a Soapy device reports of itself against the profile of its kind: only a known unit may transmit."""

import re
import secrets
from dataclasses import dataclass
from typing import Final

from hw_profiles.profile import RadioProfile
from radio.drivers.soapy.handle import Handle
from radio.errors import SettingRefused

NO_SERIAL: Final = re.compile(r"[0fFxX]*|unknown|none|n/a", re.IGNORECASE)
SERIALS: Final = ("serial", "hw_serial", "mboard_serial", "device_serial")
"""The keys under which the modules report a unit's serial number."""
MUTE_STEPS: Final = frozenset({"tx_gain_min", "tx_stream_off"})
"""The steps by which this driver mutes, whatever the family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapyUnit:
    """One unit: its identity, and why it may not transmit, "" if it may."""

    identity: str
    silent_because: str = ""

    @staticmethod
    def of(handle: Handle, profile: RadioProfile | None) -> "SoapyUnit":
        """Identify a unit, and check it against its profile.

        Raises: SettingRefused if it is not what the profile is for, HardwareError.
        """
        family, model = str(handle.call("getDriverKey")), str(handle.call("getHardwareKey"))
        about = {str(key): str(value) for key, value in dict(handle.call("getHardwareInfo")).items()}
        serial = next((about[key] for key in SERIALS if about.get(key)), "") or _named_in(handle.arguments)
        nameless = NO_SERIAL.fullmatch(serial) is not None
        doubts = ["it has no serial number, so no permission can be bound to it"] * nameless
        if profile is None:
            doubts.append("no profile is named for it")
        elif not profile.model_match.matches(hw_model=model, chip_model=family):
            raise SettingRefused(
                f"soapy:{handle.arguments}: {model or 'unknown'!r} of driver {family!r} is not what profile "
                f"{profile.id} is for; name the profile of this unit in [radio]"
            )
        else:
            doubts += _unfit(profile)
        if not handle.transmits:
            doubts.append("it has no transmitter")
        return SoapyUnit(
            identity=f"soapy {family} without serial number {secrets.token_hex(8)}"
            if nameless
            else f"soapy {family} {serial}",
            silent_because="; ".join(doubts),
        )


def _named_in(arguments: str) -> str:
    return next((part.partition("=")[2] for part in arguments.split(",") if part.startswith("serial=")), "")


def _unfit(profile: RadioProfile) -> list[str]:
    """Reasons why this driver lets no unit of that profile transmit."""
    mute = profile.mute
    if mute.receive_only:
        return [mute.receive_only]
    strange = set(mute.steps) - MUTE_STEPS
    if strange:
        return [f"its profile mutes by {', '.join(sorted(strange))}, which SoapySDR cannot do"]
    return [] if mute.readback else ["what it is set to cannot be read back"]
