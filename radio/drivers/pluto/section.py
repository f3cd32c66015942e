"""An ADALM-Pluto in a node's configuration, `driver = "pluto"`, and on the command line, `pluto:URI`."""

import re
from contextlib import suppress
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from hw_profiles.profile import RadioProfile
from hw_profiles.switch import Switch
from radio.drivers.section import RadioSection
from radio.errors import LibraryMissing
from radio.ports import Radio, RfState
from radio.receivers import Opened

_PORT = re.compile(r"[0-9]{1,5}")
LOOPBACK, NETWORK, SERIAL = "ip:127.0.0.1:", "ip:", "serial="
IIOD_PORT = 30_431


class PlutoSection(RadioSection):
    """A Pluto by `uri` or `serial`. `simulated`: it is on loopback, and no antenna stands behind it."""

    written: ClassVar[str] = "pluto:URI"

    driver: Literal["pluto"] = "pluto"
    simulated: Switch = False
    uri: str = ""
    serial: str | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not (self.uri or self.serial):
            raise ValueError('driver "pluto" needs uri or serial')
        if self.simulated and not self.uri.startswith(LOOPBACK):
            raise ValueError(f"only a radio at {LOOPBACK}PORT can be simulated; for a real one leave `simulated` out")
        return self

    @property
    def real(self) -> bool:
        """Whether a real antenna is connected: then no simulated time or place counts."""
        return not self.simulated

    @property
    def where(self) -> str:
        """The unit's address or serial number, for people."""
        return self.uri or str(self.serial)

    @classmethod
    def at(cls, rest: str, serial: str | None = None) -> Self:
        """The unit that is written `pluto:REST`: a libiio URI, or `serial=NUMBER`. Raises ValueError."""
        uri = rest
        if rest.startswith(SERIAL):
            uri, serial = "", rest.removeprefix(SERIAL)
        return cls(uri=uri, serial=serial, rx_center_hz=0, sample_rate_hz=0, rx_bandwidth_hz=0)

    @classmethod
    def draft(cls, rest: str, *, center_hz: int, simulated: bool) -> dict[str, Any]:
        """A first configuration table for a Pluto Rev C in factory settings. Raises ValueError."""
        table: dict[str, Any] = {
            "driver": "pluto",
            "profile": "pluto-ad9363",
            "uri": rest,
            "rx_center_hz": center_hz,
            "sample_rate_hz": 30_720_000,
            "rx_bandwidth_hz": 20_000_000,
            "rx_gain_mdb": 40_000,
        }
        if not simulated:
            return table
        if not rest.startswith(LOOPBACK):
            raise ValueError(f"only a radio at {LOOPBACK}PORT can be simulated")
        return table | {"simulated": True, "full_scale_eirp_mdbm": 31_000}

    @classmethod
    def named(cls, serial: str) -> str:
        """The device name that the unit of that serial number reports."""
        return f"pluto {serial}"

    @classmethod
    def open_receiver(cls, rest: str) -> Opened:
        """Open the unit to listen; see `radio.drivers.pluto.source`."""
        from radio.drivers.pluto.source import open_receiver

        return open_receiver(rest)

    def open(self, profile: RadioProfile) -> Radio:
        """Open the device. Raises HardwareError until it answers, LocalError where it never can."""
        from radio.drivers.pluto.layout import PlutoOptions
        from radio.drivers.pluto.radio import PlutoRadio

        options = PlutoOptions.of(profile, burst_samples=self.samples(self.burst_us))
        return PlutoRadio(self.uri, serial=self.serial, profile=profile, options=options)

    def silence(self) -> RfState:
        """Mute over a separate connection and read back. Raises RadioError."""
        from radio.drivers.pluto.radio import mute_uri

        return mute_uri(self.uri, serial=self.serial)

    def make_ready_to_silence(self) -> None:
        """Load libiio now, if it is installed."""
        from radio.drivers.pluto.libiio import binding

        with suppress(LibraryMissing):
            binding("iio")

    def rf_state(self) -> RfState:
        """Whether its transmitter is on, over a connection that only reads. Raises RadioError."""
        from radio.drivers.pluto.radio import rf_state_of

        return rf_state_of(self.uri, serial=self.serial)

    def identity(self) -> str | None:
        """The unit's device name as it reports it; changes no setting. Raises RadioError."""
        from radio.drivers.pluto.radio import identity_of

        return identity_of(self.uri, serial=self.serial)

    def dead_man(self) -> bool | None:
        """Whether its dead-man answers; changes only the phase of a tone generator that is off."""
        from radio.drivers.pluto.radio import dead_man_of

        return dead_man_of(self.uri, serial=self.serial)

    def same_unit(self, other: RadioSection) -> bool:
        """Whether another section means the same unit: by serial number where both have one, else by address."""
        if not isinstance(other, PlutoSection):
            return False
        if self.serial is not None and other.serial is not None:
            return self.serial == other.serial
        return bool(self.uri) and self.uri == other.uri

    def network_address(self) -> tuple[str, int] | None:
        """Host and port of its libiio daemon, which has no password; None for a simulated or USB one."""
        if self.simulated or not self.uri.startswith(NETWORK):
            return None
        host, _, port = self.uri.removeprefix(NETWORK).partition(":")
        return host, int(port) if _PORT.fullmatch(port) else IIOD_PORT
