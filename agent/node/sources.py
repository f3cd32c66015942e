"""What a node sends of its own making: the registry of built-in sources, by their name in `[samples] source`."""

from collections.abc import Callable
from typing import Protocol

from agent.config.settings import NodeConfig
from agent.node.traffic import Traffic
from radio.ports import Iq16


class BurstSource(Protocol):
    """Makes bursts for one settlement."""

    def burst(self) -> Iq16:
        """The next burst, int16 of shape (n, 2)."""
        ...


def _ofdm(config: NodeConfig, eirp_mdbm: int, bandwidth_hz: int, seed: int) -> BurstSource:
    return Traffic(config, eirp_mdbm=eirp_mdbm, bandwidth_hz=bandwidth_hz, seed=seed)


SOURCES: dict[str, Callable[[NodeConfig, int, int, int], BurstSource]] = {"ofdm": _ofdm}
"""By name: from configuration, permitted EIRP (mdBm), bandwidth (Hz) and seed. A program's samples take another way."""


def source_of(config: NodeConfig, *, eirp_mdbm: int, bandwidth_hz: int, seed: int) -> BurstSource | None:
    """The built-in source that the configuration names; None where it names none."""
    make = SOURCES.get(config.samples.source)
    return None if make is None else make(config, eirp_mdbm, bandwidth_hz, seed)
