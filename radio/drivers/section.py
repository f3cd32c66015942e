"""The radio section of a node's configuration: the settings that every driver has, and the operations on a unit.

Each driver adds its own keys in a class of its own and says how its units are opened, silenced and looked at. Nothing
outside a driver asks which driver it is. A method imports the driver's library when it is called, never before: a
configuration can be checked on a host that has no radio at all.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from hw_profiles.profile import RadioProfile
from radio.ports import Radio, RfState
from radio.receivers import Opened


class RadioSection(BaseModel, ABC):
    """The radio and how it is set.

    `rx_full_scale_mdbm` is the carrier at the antenna port that fills the converter at this gain, as
    `bandpact calibrate` finds it, give or take `rx_full_scale_sd_mdb`; with `noise_figure_mdb` it tells the
    receiver's own noise from a band that somebody fills.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    written: ClassVar[str]
    """How a unit is named on the command line, such as `pluto:URI`."""

    driver: str
    rx_center_hz: int
    sample_rate_hz: int
    rx_bandwidth_hz: int
    rx_gain_mdb: int = 30_000
    adc_full_scale: int = 2048
    tx_full_scale: int = 16384
    rx_full_scale_mdbm: int | None = None
    rx_full_scale_sd_mdb: int = Field(default=1_000, ge=0)
    noise_figure_mdb: int | None = Field(default=None, ge=0, le=60_000)
    full_scale_eirp_mdbm: int = 20_000
    full_scale_sd_mdb: int = Field(default=0, ge=0)
    attenuation_mdb: int = 0
    profile: str = "simulated"
    limits: str | None = None
    close_lead_us: int = 15_000
    arm_for_s: float = Field(default=0.0, ge=0, le=86_400)
    frame_us: int = 20_000
    burst_us: int = 2_000
    look_offset_us: int = 9_000
    look_dither_us: int = Field(default=1_500, ge=0)
    look_us: int = 2_250
    look_every: int = Field(default=1, ge=1)

    @property
    def real(self) -> bool:
        """Whether a real antenna is connected: then no simulated time or place counts."""
        return True

    @property
    @abstractmethod
    def where(self) -> str:
        """The unit's address, for people."""

    @classmethod
    @abstractmethod
    def at(cls, rest: str, serial: str | None = None) -> Self:
        """The section for the unit DRIVER:REST, and no other than `serial`, to mute or check it. Raises ValueError."""

    @classmethod
    def draft(cls, rest: str, *, center_hz: int, simulated: bool) -> dict[str, Any]:
        """A first configuration table for the unit DRIVER:REST, receiving at `center_hz`; real units start disarmed.

        Raises ValueError where a unit of this driver has to be described by hand.
        """
        del rest, center_hz, simulated
        raise ValueError(f"{cls.written} has no draft; describe the radio by hand, see docs/configuration.md")

    @classmethod
    def named(cls, serial: str) -> str | None:
        """The device name that the unit of that serial number will report; None where only the unit can tell."""
        del serial
        return None

    @classmethod
    @abstractmethod
    def open_receiver(cls, rest: str) -> Opened:
        """Open the unit DRIVER:REST as receiver, without tuning it. Raises SourceError, RadioError."""

    @abstractmethod
    def open(self, profile: RadioProfile) -> Radio:
        """Open the device. Raises HardwareError until it answers, LocalError where it never can."""

    @abstractmethod
    def silence(self) -> RfState:
        """Mute over a separate connection, without any process of the node, and read back. Raises RadioError."""

    @abstractmethod
    def rf_state(self) -> RfState:
        """Whether its transmitter is on, over a connection that only reads. Raises RadioError."""

    @abstractmethod
    def same_unit(self, other: "RadioSection") -> bool:
        """Whether another section means the same unit."""

    def make_ready_to_silence(self) -> None:
        """Load now the libraries that muting needs, to mute without delay; the warden reports what cannot be loaded."""

    def identity(self) -> str | None:
        """The unit's device name in a credential; None where only its owning process can read it. Raises RadioError."""
        return None

    def dead_man(self) -> bool | None:
        """Whether the device's own dead-man answers; None for a kind that has none. Raises RadioError."""
        return None

    def network_address(self) -> tuple[str, int] | None:
        """Host and port of a real unit on a network, where others might reach it too; None for any other."""
        return None

    def samples(self, microseconds: int) -> int:
        """The number of samples in so many microseconds."""
        return self.sample_rate_hz * microseconds // 1_000_000
