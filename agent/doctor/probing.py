"""What a node's radio says of itself, asked without owning it: nothing is muted, nothing that radiates is set."""

from agent.config.settings import NodeConfig, RadioSection
from radio.drivers.pluto.radio import dead_man_of, identity_of, rf_state_of
from radio.errors import Disconnected
from radio.ports import RfState
from sim.airclient import AirClient


def rf_state(config: NodeConfig) -> RfState:
    """Whether the node's transmitter is on, over a connection that only reads. Raises RadioError."""
    if config.radio.driver == "pluto":
        return rf_state_of(config.radio.uri, serial=config.radio.serial)
    return _simulated(config.radio)


def device_of(config: NodeConfig) -> str | None:
    """What the node's radio is called in a credential; None where only its driver, when it owns it, is told.

    Raises RadioError.
    """
    if config.radio.driver != "pluto":
        return None
    return identity_of(config.radio.uri, serial=config.radio.serial)


def dead_man(config: NodeConfig) -> bool | None:
    """Whether the device has a dead-man of its own that answers; None for one that has nothing of the kind.

    Sets nothing but the phase of a tone generator that is off. Raises RadioError.
    """
    if config.radio.driver != "pluto":
        return None
    return dead_man_of(config.radio.uri, serial=config.radio.serial)


def _simulated(radio: RadioSection) -> RfState:
    client = AirClient(radio.endpoint)
    try:
        radios = client.state()["radios"]
    finally:
        client.close()
    if radio.station not in radios:
        raise Disconnected(f"the air has no station {radio.station}; there are {', '.join(radios)}")
    return RfState(radios[radio.station]["rf"])
