"""A handle to a device behind SoapySDR: every call has a timeout, every failure is raised as HardwareError.

SoapySDR gives one process one device however often it is asked, so a second handle, which shall mute while the first
one hangs, is in a process of its own (`silencer`).
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from radio.drivers.bounded import bounded
from radio.drivers.soapy.bindings import soapy
from radio.errors import Disconnected, HardwareError
from radio.ports import RfState

OPEN_S: Final = 20.0
"""Timeout of opening, which may load a device's firmware, s."""
CALL_S: Final = 2.0
GAIN_STEP_DB: Final = 0.05
_T = TypeVar("_T")


class Handle:
    """A device by its arguments as SoapySDR writes them, such as `driver=hackrf,serial=…`."""

    def __init__(self, arguments: str) -> None:
        """Open the device; raises LibraryMissing, Disconnected."""
        self.arguments = arguments
        self.api = soapy()
        self.rx, self.tx = int(self.api.SOAPY_SDR_RX), int(self.api.SOAPY_SDR_TX)
        self.api.setLogLevel(self.api.SOAPY_SDR_ERROR)
        try:
            self.device: Any = bounded(lambda: self.api.Device(arguments), seconds=OPEN_S, what=f"soapy:{arguments}")
        except (RuntimeError, ValueError) as exc:
            raise Disconnected(f"soapy:{arguments}: {exc}; is the device on, its module installed, and free?") from exc
        self.transmits = int(self.call("getNumChannels", self.tx)) > 0
        self.receives = int(self.call("getNumChannels", self.rx)) > 0

    def call(self, name: str, *arguments: Any) -> Any:
        """Call one method of the device; raises HardwareError."""
        return self.bounded(lambda: getattr(self.device, name)(*arguments), name)

    def bounded(self, work: Callable[[], _T], what: str) -> _T:
        """Run `work` on the device with a timeout, as it may fail or hang in the module; raises HardwareError."""
        try:
            return bounded(work, seconds=CALL_S, what=f"soapy:{self.arguments}: {what}")
        except (RuntimeError, ValueError) as exc:
            raise HardwareError(f"soapy:{self.arguments}: {what}: {exc}") from exc

    def quiet(self) -> RfState:
        """Set every transmit channel to its least gain, and read back; raises HardwareError."""
        if self.transmits:
            for channel in range(int(self.call("getNumChannels", self.tx))):
                self.call("setGain", self.tx, channel, self.least_gain(channel))
        return self.state()

    def state(self) -> RfState:
        """Whether each transmit channel reads back at its least gain; raises HardwareError.

        UNKNOWN where no frequency reads back either: modules answer 0 to a reading that failed, which would pass for
        the least gain.
        """
        if not self.transmits:
            return RfState.OFF
        channels = range(int(self.call("getNumChannels", self.tx)))
        if not all(self.call("getFrequency", self.tx, one) > 0 for one in channels):
            return RfState.UNKNOWN
        quiet = (self.call("getGain", self.tx, one) <= self.least_gain(one) + GAIN_STEP_DB for one in channels)
        return RfState.OFF if all(quiet) else RfState.ON

    def least_gain(self, channel: int) -> float:
        """The least transmit gain, dB; raises HardwareError."""
        return float(self.call("getGainRange", self.tx, channel).minimum())

    def close(self) -> None:
        """Close the device."""
        device, self.device = self.device, None
        if device is not None:
            self.bounded(device.close, "closing")


def family(arguments: str) -> str:
    """The driver name in the arguments, in small letters."""
    pairs = (part.partition("=") for part in arguments.split(","))
    return next((value.strip().lower() for key, _, value in pairs if key.strip() == "driver"), "")


def quiet(arguments: str) -> RfState:
    """Mute a device over a separate handle, and read back; raises LibraryMissing, HardwareError."""
    handle = Handle(arguments)
    try:
        return handle.quiet()
    finally:
        handle.close()


def state(arguments: str) -> RfState:
    """Read a device's transmit state over a separate handle; raises LibraryMissing, HardwareError."""
    handle = Handle(arguments)
    try:
        return handle.state()
    finally:
        handle.close()
