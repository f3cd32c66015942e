"""A device behind SoapySDR in a node's configuration, `driver = "soapy"`, and on the command line, `soapy:driver=…`."""

from contextlib import suppress
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import model_validator

from hw_profiles.loader import radios
from hw_profiles.profile import RadioProfile
from hw_profiles.switch import Switch
from radio.drivers.section import RadioSection
from radio.errors import LibraryMissing
from radio.ports import Radio, RfState
from radio.receivers import Opened

PLACES: Final = ("hostname", "uri", "remote")
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
WIDEST_RATE_HZ: Final = 30_720_000
WIDEST_HZ: Final = 20_000_000
SIMULATED: Final = "bandpact_air"
"""The Soapy module through which other programs use the simulated air, which has no antenna."""


class SoapySection(RadioSection):
    """A device by its arguments as SoapySDR writes them: `driver=hackrf,serial=…`.

    `simulated`: it is on loopback or on the simulated air, and no antenna stands behind it.
    """

    written: ClassVar[str] = "soapy:driver=NAME[,KEY=VALUE…]"

    driver: Literal["soapy"] = "soapy"
    simulated: Switch = False
    uri: str
    serial: str | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        arguments = parsed(self.uri)
        if not arguments.get("driver"):
            raise ValueError('driver "soapy" needs uri = "driver=NAME…", as `SoapySDRUtil --find` prints it')
        if self.simulated and not _near(arguments):
            raise ValueError("only a radio on loopback can be simulated; for a real one leave `simulated` out")
        return self

    @property
    def real(self) -> bool:
        """Whether a real antenna is connected: then no simulated time or place counts."""
        return not self.simulated

    @property
    def where(self) -> str:
        """The arguments by which the device is opened."""
        return self.uri if self.serial is None else f"{self.uri},serial={self.serial}"

    @classmethod
    def at(cls, rest: str, serial: str | None = None) -> Self:
        """The device that is written `soapy:ARGUMENTS`. Raises ValueError."""
        return cls(uri=rest, serial=serial, rx_center_hz=0, sample_rate_hz=0, rx_bandwidth_hz=0)

    @classmethod
    def draft(cls, rest: str, *, center_hz: int, simulated: bool) -> dict[str, Any]:
        """A configuration table from the shipped profile whose device arguments these begin with. Raises ValueError."""
        asked = parsed(rest)
        profile = next((one for one in radios() if _family(one) == asked.get("driver", "")), None)
        if profile is None:
            raise ValueError(
                f"no profile for soapy:{rest}; write one and the table by hand, see docs/adding-a-radio.md"
            )
        if simulated and not _near(asked):
            raise ValueError("only a radio on loopback can be simulated")
        rate_hz = min(WIDEST_RATE_HZ, profile.rx.rate_hz.high, round(profile.sustained_msps * 1e6))
        table: dict[str, Any] = {
            "driver": "soapy",
            "profile": profile.id,
            "uri": rest,
            "rx_center_hz": center_hz,
            "sample_rate_hz": rate_hz,
            "rx_bandwidth_hz": min(WIDEST_HZ, profile.rx.bw_hz.high, rate_hz * 3 // 4),
            "adc_full_scale": profile.rx.full_scale,
            "tx_full_scale": profile.tx.full_scale,
        }
        return table | ({"simulated": True} if simulated else {})

    @classmethod
    def open_receiver(cls, rest: str) -> Opened:
        """Open the device as receiver, which never transmits. Raises LibraryMissing, SourceError, HardwareError."""
        from radio.drivers.soapy.radio import SoapyRadio

        radio = SoapyRadio(rest)
        return Opened(receiver=radio, full_scale=radio.full_scale, device_id=radio.device_id, close=radio.close)

    def open(self, profile: RadioProfile) -> Radio:
        """Open the device. Raises HardwareError until it answers, LocalError where it never can."""
        from radio.drivers.soapy.radio import SoapyRadio

        return SoapyRadio(self.where, profile=profile, burst_samples=self.samples(self.burst_us))

    def silence(self) -> RfState:
        """Set every transmit channel to its least gain over a separate handle, and read back. Raises RadioError.

        Disconnected where the family lets one process alone have the device; then its owner does not transmit either.
        """
        from radio.drivers.soapy.handle import quiet

        return quiet(self.where)

    def make_ready_to_silence(self) -> None:
        """Import SoapySDR now, if it is installed."""
        from radio.drivers.soapy.bindings import soapy

        with suppress(LibraryMissing):
            soapy()

    def rf_state(self) -> RfState:
        """Whether a transmit channel reads back above its least gain, over a separate handle. Raises RadioError."""
        from radio.drivers.soapy.handle import state

        return state(self.where)

    def identity(self) -> str | None:
        """The device name that the device reports, over a separate handle; changes no setting. Raises RadioError."""
        from radio.drivers.soapy.handle import Handle
        from radio.drivers.soapy.unit import SoapyUnit

        handle = Handle(self.where)
        try:
            return SoapyUnit.of(handle, profile=None).identity
        finally:
            handle.close()

    def same_unit(self, other: RadioSection) -> bool:
        """Whether another section means the same unit: by driver and serial number, or else by the arguments."""
        if not isinstance(other, SoapySection):
            return False
        mine, theirs = parsed(self.where), parsed(other.where)
        if mine.get("driver") == theirs.get("driver") and "serial" in mine and "serial" in theirs:
            return mine["serial"] == theirs["serial"]
        return mine == theirs


def _near(arguments: dict[str, str]) -> bool:
    near = any(place in arguments.get(key, "") for key in PLACES for place in LOOPBACK)
    return near or arguments.get("driver") == SIMULATED


def _family(profile: RadioProfile) -> str | None:
    """The SoapySDR driver of a profile's units; None for units that do not use SoapySDR."""
    kind, _, arguments = profile.connection.uri.partition(":")
    return parsed(arguments).get("driver") if kind == "soapy" else None


def parsed(arguments: str) -> dict[str, str]:
    """Parse SoapySDR arguments, `key=value` between commas."""
    pairs = (part.partition("=") for part in arguments.split(",") if part.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}
