"""Every driver there is. Adding one (docs/adding-a-radio.md): a file with its section, a profile, and a line here."""

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
"""Whose unit is meant by an address that names no driver."""


def parted(text: str) -> tuple[str, str]:
    """The driver and the rest of a unit written DRIVER:REST, or REST alone for the usual driver's."""
    driver, _, rest = text.partition(":")
    return (driver, rest) if driver in DRIVERS else (USUAL, text)


def unit_at(text: str, serial: str | None = None) -> RadioSection:
    """The unit written DRIVER:REST, or REST alone for the usual driver's, and no other than `serial`.

    Raises ValueError.
    """
    driver, rest = parted(text)
    try:
        return DRIVERS[driver].at(rest, serial)
    except ValidationError as exc:
        raise ValueError(first_misfit(exc).said) from exc
