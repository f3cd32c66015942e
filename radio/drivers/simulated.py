"""A station of a running simulated air in a node's configuration, `driver = "sim"`.

The simulator is loaded by name and only when a configuration asks for it: a node has no simulation in it.
"""

import importlib
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from hw_profiles.profile import RadioProfile
from radio.drivers.section import RadioSection
from radio.errors import Disconnected
from radio.ports import Radio, RfState
from radio.receivers import Opened


class SimSection(RadioSection):
    """A station of the air at `endpoint`."""

    written: ClassVar[str] = "sim:"

    driver: Literal["sim"] = "sim"
    endpoint: str = ""
    station: str = ""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not (self.endpoint and self.station):
            raise ValueError('driver "sim" needs endpoint and station')
        return self

    @property
    def real(self) -> bool:
        """Always False: a simulated station has no antenna."""
        return False

    @property
    def where(self) -> str:
        """The station and the endpoint of its air, for people."""
        return f"{self.station} of {self.endpoint}"

    @classmethod
    def at(cls, rest: str, serial: str | None = None) -> Self:
        """The station that is written `sim:ENDPOINT#STATION`. Raises ValueError."""
        if serial is not None:
            raise ValueError("a simulated station has a name and no serial")
        endpoint, _, station = rest.rpartition("#")
        return cls(endpoint=endpoint, station=station, rx_center_hz=0, sample_rate_hz=0, rx_bandwidth_hz=0)

    @classmethod
    def open_receiver(cls, rest: str) -> Opened:
        """Open a receiver of a simulated air of its own: `sim:`, or `sim:SCENARIO`."""
        opened: Opened = importlib.import_module("sim.source").open_receiver(rest)
        return opened

    def open(self, profile: RadioProfile) -> Radio:
        """Open the station's radio. Raises HardwareError until the air answers, LocalError where it never can."""
        del profile  # the simulated air knows its hardware
        radio: Radio = importlib.import_module("sim.radio").SimRadio(self.endpoint, self.station)
        return radio

    def make_ready_to_silence(self) -> None:
        """Import the simulator's radio now."""
        importlib.import_module("sim.radio")

    def silence(self) -> RfState:
        """Mute over a separate connection and read back. Raises RadioError."""
        radio = importlib.import_module("sim.radio").SimRadio(self.endpoint, self.station)
        try:
            state: RfState = radio.mute()
        finally:
            radio.close()
        return state

    def rf_state(self) -> RfState:
        """Whether the station transmits, as the simulated air reports. Raises RadioError."""
        client = importlib.import_module("sim.airclient").AirClient(self.endpoint)
        try:
            radios: dict[str, Any] = client.state()["radios"]
        finally:
            client.close()
        if self.station not in radios:
            raise Disconnected(f"the air has no station {self.station}; there are {', '.join(radios)}")
        return RfState(radios[self.station]["rf"])

    def same_unit(self, other: RadioSection) -> bool:
        """Whether another section means the same station of the same air."""
        mine = (self.endpoint, self.station)
        return isinstance(other, SimSection) and (other.endpoint, other.station) == mine
