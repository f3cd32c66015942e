"""Tunes a Pluto through adi.Pluto, and reads every value back. After an error the context must not be used any more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from radio.drivers.bounded import bounded
from radio.drivers.pluto.attributes import Attributes
from radio.drivers.pluto.layout import (
    ADC,
    ADC_RATE,
    DAC,
    DAC_RATE,
    OVERFLOW,
    POWERDOWN,
    RX_GAIN,
    RX_GAINS,
    SILENT_DB,
    STATUS_REGISTER,
)
from radio.drivers.pluto.libiio import binding, translated
from radio.drivers.pluto.wishes import (
    GAIN_STEP_DB,
    PLAIN,
    PLAIN_RX,
    PLAIN_TX,
    QUICK,
    RATE_STEP_HZ,
    Wish,
    Wishes,
    receiver,
    transmitter,
    unlike,
)
from radio.errors import Disconnected, HardwareError
from radio.ports import RxSettings, TxSettings

SPANS_LATE: Final = 2
SURE_GAINS_DB: Final = (0, 62)
"""Gains in dB that every table of these chips has."""


class Mismatch(HardwareError):
    """A setting that the device accepted reads back as another value."""


class Control:
    """One `adi.Pluto`. After any error but a refused value it must be replaced by a new one."""

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
        self.attributes = Attributes(self._board.ctx, uri)

    def allow(self, *, block_ms: int) -> None:
        """Add the duration of a block to the timeout of buffers opened from now on; raises HardwareError."""
        wanted_ms = self._timeout_ms + SPANS_LATE * block_ms
        if wanted_ms != self._allowed_ms:
            with self._translated("timeout"):
                self.context.set_timeout(wanted_ms)
            self._allowed_ms = wanted_ms

    @property
    def timeout_ms(self) -> int:
        """The read timeout of a buffer opened now, ms."""
        return self._allowed_ms

    @property
    def context(self) -> Any:
        """The libiio context, for opening buffers."""
        return self._board.ctx

    def tune_rx(self, settings: RxSettings, *, still_silent: Callable[[], None]) -> None:
        """Set and read back the receiver with all that can make it deaf, gain by hand; raises HardwareError, Mismatch.

        `still_silent` is called after what some firmware answers by unmuting its transmitter.
        """
        board, wishes = self._board, receiver(settings)
        with self._translated("receiver"):
            if self._set_rate(settings.sample_rate_hz):
                still_silent()
            self._make_so({**PLAIN, **PLAIN_RX, ADC_RATE: wishes[ADC_RATE]})
            board.rx_rf_bandwidth = settings.bandwidth_hz
            board.rx_lo = settings.center_hz
            board.rx_hardwaregain_chan0 = settings.gain_mdb / 1000
            self._require(wishes)
        still_silent()

    def receiver_astray(self, settings: RxSettings, *, wholly: bool) -> str:
        """The receiver's settings that read back otherwise than tuned, "" if none; raises HardwareError.

        Args: wholly: read all of them; else only the few in `QUICK`.
        """
        wishes = receiver(settings)
        asked = self.attributes.existing(tuple(wishes) if wholly else QUICK)
        read = {one: self.attributes.read_or_error(one) for one in asked}
        return "; ".join(f"{one} reads {read[one]}, not {wishes[one].text}" for one in unlike(read, wishes))

    def receive_gains_db(self) -> tuple[int, int]:
        """The lowest and highest gain, dB, of the gain table in use; raises HardwareError."""
        if self.attributes.has(RX_GAINS):
            words = self.attributes.read_or_error(RX_GAINS).strip("[] ").split()
            if len(words) == 3 and words[0].lstrip("-").isdigit() and words[2].isdigit():
                return int(words[0]), int(words[2])
        return SURE_GAINS_DB

    def set_receive_gain(self, gain_db: float) -> None:
        """Set the receiver's gain and nothing else; raises HardwareError, Mismatch."""
        with self._translated("rx_hardwaregain"):
            self._board.rx_hardwaregain_chan0 = gain_db
        self._require({RX_GAIN: Wish(f"{gain_db:g}", GAIN_STEP_DB)})

    def prepare_tx(self, settings: TxSettings) -> None:
        """Set everything of the transmitter but the gain, kept at its least after every step. Raises HardwareError."""
        board, at = self._board, self.attributes
        wishes = transmitter(settings, at.attenuations, at.tones)
        quiet = {one: Wish(str(SILENT_DB), GAIN_STEP_DB) for one in at.attenuations}
        with self._translated("transmitter"):
            self._hold(quiet)
            if self._set_rate(settings.sample_rate_hz):
                self._hold(quiet)
            self._make_so({**PLAIN, **PLAIN_TX, DAC_RATE: wishes[DAC_RATE], **{one: wishes[one] for one in at.tones}})
            board.tx_rf_bandwidth = settings.bandwidth_hz
            board.tx_lo = settings.center_hz
            self._hold(quiet)
            at.write(POWERDOWN, "0")
            self._require({**wishes, **quiet})

    def raise_gain(self, settings: TxSettings) -> None:
        """Set the transmit gain, the last step, and read everything back once more; raises HardwareError, Mismatch."""
        with self._translated("tx_hardwaregain"):
            self._board.tx_hardwaregain_chan0 = -settings.attenuation_mdb / 1000
        self._require(transmitter(settings, self.attributes.attenuations, self.attributes.tones))

    def _hold(self, quiet: Wishes) -> None:
        """Set the transmit gain to its least again where the last step changed it; raises HardwareError."""
        for one in quiet:
            self.attributes.write(one, str(SILENT_DB))
        self._require(quiet)

    def _make_so(self, wishes: Wishes) -> None:
        """Write what does not read as wished, where this firmware has it; raises HardwareError, Mismatch."""
        there = self.attributes.existing(tuple(wishes))
        for one in there:
            if not wishes[one].holds(self.attributes.read_or_error(one)):
                self.attributes.write(one, wishes[one].text)
        self._require({one: wishes[one] for one in there})

    def _require(self, wishes: Wishes) -> None:
        """Raise Mismatch for the first attribute of this firmware that does not read as wished."""
        for one in self.attributes.existing(tuple(wishes)):
            read = self.attributes.read_or_error(one)
            if not wishes[one].holds(read):
                raise Mismatch(
                    f"{self._uri}: {one} reads back {read}, not {wishes[one].text}: the device does not do what it says"
                )

    def overflowed(self) -> bool:
        """Whether samples were lost since the last call, by the status register; raises HardwareError."""
        with self._translated("status register"):
            device = self.context.find_device(ADC)
            lost = bool(device.reg_read(STATUS_REGISTER) & OVERFLOW)
            if lost:
                device.reg_write(STATUS_REGISTER, OVERFLOW)
            return lost

    def device(self, name: str) -> Any:
        """A device of the context with its two sample channels enabled; raises HardwareError."""
        with self._translated(name):
            device = self.context.find_device(name)
            if device is None:
                raise HardwareError(f"{self._uri}: this firmware has no {name}; install the maker's own firmware")
            for channel in ("voltage0", "voltage1"):
                device.find_channel(channel, name == DAC).enabled = True
            return device

    def _set_rate(self, rate_hz: int) -> bool:
        """Set the sample rate if it differs, as that rewrites a filter of both directions. True if it was set."""
        if abs(int(self._board.sample_rate) - rate_hz) <= RATE_STEP_HZ:
            return False
        self._board.sample_rate = rate_hz
        return True

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except HardwareError:
            raise
        except Exception as exc:
            # adi.Pluto raises bare exceptions for missing channels, KeyError for missing attributes.
            raise translated(exc, f"{self._uri}: {what}") from exc
