"""The control plane: adi.Pluto for tuning, every value read back. After an error the context is not to be trusted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from radio.drivers.libiio import binding, bounded, translated
from radio.drivers.plutomap import (
    ADC,
    DAC,
    OVERFLOW,
    POWERDOWN,
    SILENT_DB,
    STATUS_REGISTER,
    channel_attribute,
)
from radio.errors import Disconnected, HardwareError
from radio.ports import RxSettings, TxSettings

LO_STEP_HZ: Final = 8
"""What a synthesizer's readback may be away from what was asked, rounding both ways."""
RATE_STEP_HZ: Final = 4
SPANS_LATE: Final = 2
BAND_STEP: Final = 0.02
GAIN_STEP_DB: Final = 0.01


class Mismatch(HardwareError):
    """The device took a value and holds another."""


class Control:
    """One `adi.Pluto`. After any error but a refused value it is of no use any more: make another."""

    def __init__(self, uri: str, *, timeout_ms: int) -> None:
        """Connect; raises Disconnected."""
        self._uri = uri
        self._timeout_ms = self._allowed_ms = timeout_ms
        adi = binding("adi")

        def make() -> Any:
            board = adi.Pluto(uri)
            board.ctx.set_timeout(timeout_ms)
            return board

        try:
            self._board: Any = bounded(make, seconds=timeout_ms / 1000 + 0.5, what=uri)
        except HardwareError:
            raise
        except Exception as exc:
            # The class raises bare exceptions, "No device found" for everything that goes wrong here.
            raise Disconnected(f"{uri}: {exc}; is the device on, and this its address?") from exc

    def allow(self, *, block_ms: int) -> None:
        """Give buffers opened from now on the time a block takes besides the ordinary limit; raises HardwareError."""
        wanted_ms = self._timeout_ms + SPANS_LATE * block_ms
        if wanted_ms != self._allowed_ms:
            with self._translated("timeout"):
                self.context.set_timeout(wanted_ms)
            self._allowed_ms = wanted_ms

    @property
    def timeout_ms(self) -> int:
        """How long a buffer opened now may keep its reader waiting."""
        return self._allowed_ms

    @property
    def context(self) -> Any:
        """The library's context, for buffers."""
        return self._board.ctx

    @property
    def rate_hz(self) -> int:
        """The one sample rate of both directions, read back; raises HardwareError."""
        with self._translated("sample_rate"):
            return int(self._board.sample_rate)

    def tune_rx(self, settings: RxSettings) -> None:
        """Set and read back the receiver, gain by hand; raises HardwareError, Mismatch."""
        board = self._board
        with self._translated("receiver"):
            self._set_rate(settings.sample_rate_hz)
            board.rx_rf_bandwidth = settings.bandwidth_hz
            board.rx_lo = settings.center_hz
            board.gain_control_mode_chan0 = "manual"
            board.rx_hardwaregain_chan0 = settings.gain_mdb / 1000
            _same("sample_rate", board.sample_rate, settings.sample_rate_hz, RATE_STEP_HZ)
            _same("rx_rf_bandwidth", board.rx_rf_bandwidth, settings.bandwidth_hz, settings.bandwidth_hz * BAND_STEP)
            _same("rx_lo", board.rx_lo, settings.center_hz, LO_STEP_HZ)
            if board.gain_control_mode_chan0 != "manual":
                raise Mismatch(f"{self._uri}: gain_control_mode reads back {board.gain_control_mode_chan0}")
            _same("rx_hardwaregain", board.rx_hardwaregain_chan0, settings.gain_mdb / 1000, GAIN_STEP_DB)

    def prepare_tx(self, settings: TxSettings) -> None:
        """Everything of the order up but the gain: quiet, tuned, oscillator on; raises HardwareError, Mismatch."""
        board = self._board
        with self._translated("transmitter"):
            board.tx_hardwaregain_chan0 = SILENT_DB
            _same("tx_hardwaregain", board.tx_hardwaregain_chan0, SILENT_DB, GAIN_STEP_DB)
            self._set_rate(settings.sample_rate_hz)
            board.tx_rf_bandwidth = settings.bandwidth_hz
            board.tx_lo = settings.center_hz
            _same("sample_rate", board.sample_rate, settings.sample_rate_hz, RATE_STEP_HZ)
            _same("tx_rf_bandwidth", board.tx_rf_bandwidth, settings.bandwidth_hz, settings.bandwidth_hz * BAND_STEP)
            _same("tx_lo", board.tx_lo, settings.center_hz, LO_STEP_HZ)
            down = channel_attribute(self.context, POWERDOWN)
            down.value = "0"
            if down.value != "0":
                raise Mismatch(f"{self._uri}: powerdown reads back {down.value}")

    def raise_gain(self, settings: TxSettings) -> None:
        """The last step up; raises HardwareError, Mismatch."""
        wanted_db = -settings.attenuation_mdb / 1000
        with self._translated("tx_hardwaregain"):
            self._board.tx_hardwaregain_chan0 = wanted_db
            _same("tx_hardwaregain", self._board.tx_hardwaregain_chan0, wanted_db, GAIN_STEP_DB)

    def overflowed(self) -> bool:
        """Whether samples were lost since the last call, by the status register; raises HardwareError."""
        with self._translated("status register"):
            device = self.context.find_device(ADC)
            lost = bool(device.reg_read(STATUS_REGISTER) & OVERFLOW)
            if lost:
                device.reg_write(STATUS_REGISTER, OVERFLOW)
            return lost

    def device(self, name: str) -> Any:
        """A device with its two sample channels enabled; raises HardwareError."""
        with self._translated(name):
            device = self.context.find_device(name)
            if device is None:
                raise HardwareError(f"{self._uri}: this firmware has no {name}; install the maker's own firmware")
            for channel in ("voltage0", "voltage1"):
                device.find_channel(channel, name == DAC).enabled = True
            return device

    def _set_rate(self, rate_hz: int) -> None:
        """Change the rate only where it differs: changing it rewrites a filter that both directions share."""
        if abs(int(self._board.sample_rate) - rate_hz) > RATE_STEP_HZ:
            self._board.sample_rate = rate_hz

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except HardwareError:
            raise
        except Exception as exc:
            # The class raises bare exceptions for channels it does not find, KeyError for attributes.
            raise translated(exc, f"{self._uri}: {what}") from exc


def _same(name: str, held: object, wanted: float, step: float) -> None:
    if not isinstance(held, int | float) or abs(held - wanted) > step:
        raise Mismatch(f"{name} reads back {held}, not {wanted:.12g}: the device does not do what it says")
