"""The base stations that a node answers, from its configuration, as device texts."""

from agent.config.cbrs import CbsdSection
from radio.cbrs.identity import identity


def members(section: CbsdSection) -> frozenset[str]:
    """Return the device texts of the configured base stations."""
    return frozenset(identity(one.fcc, one.serial) for one in section.devices)
