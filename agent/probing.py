"""What a node's radio says of itself, asked without owning it: nothing is set, nothing is muted."""

from agent.config import NodeConfig
from radio.errors import Disconnected
from radio.ports import RfState
from sim.airclient import AirClient


def rf_state(config: NodeConfig) -> RfState:
    """Whether the node's transmitter is on, over a connection that only reads. Raises HardwareError."""
    client = AirClient(config.radio.endpoint)
    try:
        radios = client.state()["radios"]
    finally:
        client.close()
    if config.radio.station not in radios:
        raise Disconnected(f"the air has no station {config.radio.station}; there are {', '.join(radios)}")
    return RfState(radios[config.radio.station]["rf"])
