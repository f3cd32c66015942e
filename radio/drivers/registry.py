"""The table of all drivers. To add one (docs/adding-a-radio.md): its section's file, a profile, and a line here."""

from typing import Final

from pydantic import ValidationError

from hw_profiles.misfit import first_misfit
from radio.drivers.pluto.section import PlutoSection
from radio.drivers.section import RadioSection
from radio.drivers.simulated import SimSection
from radio.drivers.soapy.section import SoapySection

DRIVERS: Final[dict[str, type[RadioSection]]] = {
    "sim": SimSection,
    "pluto": PlutoSection,
    "soapy": SoapySection,
}
USUAL: Final = "pluto"
"""The driver of an address that names none."""


def parted(text: str) -> tuple[str, str]:
    """Split a unit's address DRIVER:REST into both; the default driver where it is REST alone."""
    driver, _, rest = text.partition(":")
    return (driver, rest) if driver in DRIVERS else (USUAL, text)


def unit_at(text: str, serial: str | None = None) -> RadioSection:
    """The radio section for a unit's address, DRIVER:REST or REST alone, and for no other unit than `serial`.

    Raises ValueError.
    """
    driver, rest = parted(text)
    try:
        return DRIVERS[driver].at(rest, serial)
    except ValidationError as exc:
        raise ValueError(first_misfit(exc).said) from exc
