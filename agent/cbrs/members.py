"""Which base stations a node answers: the list in its configuration, as the texts that stand for devices."""

from agent.config.cbrs import CbsdSection
from radio.cbrs.identity import identity


def members(section: CbsdSection) -> frozenset[str]:
    """The device texts of the base stations on the list."""
    return frozenset(identity(one.fcc, one.serial) for one in section.devices)
