"""Mutes a Pluto over a separate connection, in a fixed order of steps, and reads back over a fresh connection.

Order: attenuation of every path to the end · oscillator powered down · transmit buffer closed · tone generators to
zero. The first two are tried both, whatever the other does. Any failure throws the connection away and tries once more
on a new one; what then cannot be told is unknown, which is to be taken as transmitting.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from radio.drivers.pluto.attributes import Attributes
from radio.drivers.pluto.layout import (
    ATTENUATION,
    MUTE,
    MUTE_TIMEOUT_MS,
    POWERDOWN,
    SILENT_DB,
    TEST_TONE,
    Attribute,
)
from radio.drivers.pluto.libiio import connect, versions
from radio.errors import Disconnected, HardwareError
from radio.ports import RfState

TRIES = 2
FIRST = ((ATTENUATION, str(SILENT_DB)), (POWERDOWN, "1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Readback:
    """Transmitter state read from a device: the highest gain of any path, the oscillator, the tone generators."""

    gain_db: float
    powered_down: bool
    tones: bool

    @property
    def state(self) -> RfState:
        """Off only when attenuation, oscillator and tone generators all say so."""
        silent = self.gain_db <= SILENT_DB + 0.01 and self.powered_down and not self.tones
        return RfState.OFF if silent else RfState.ON


class Silencer:
    """Mutes one device. Safe to use from any thread; each call has a timeout."""

    def __init__(
        self,
        uri: str,
        *,
        timeout_ms: int = MUTE_TIMEOUT_MS,
        shared: Any = None,
        find: Callable[[], str] | None = None,
    ) -> None:
        """Connect and check that the firmware has everything muting needs.

        Args:
            uri: where the device is.
            timeout_ms: how long each question may take.
            shared: a context to use instead of own ones, where the device allows only one.
            find: gives the address a device has now that is nowhere to be found at the last one; raises HardwareError.

        Raises: Disconnected, HardwareError.
        """
        self._uri, self._timeout_ms, self._shared, self._find = uri, timeout_ms, shared, find
        self._lock = threading.Lock()
        self.failures = 0
        self._context: Any = None
        self._attributes: Attributes | None = None
        self._serial: str | None = None
        self._take(shared if shared is not None else self._fresh())

    @property
    def independent(self) -> bool:
        """Whether it has a connection of its own, which nothing else can block."""
        return self._shared is None

    @property
    def version(self) -> tuple[str, ...]:
        """Versions of libiio: this host's and the one that answers, where they can be told."""
        return versions(self._context) if self._context is not None else ()

    @property
    def context_attributes(self) -> dict[str, str]:
        """Context attributes of the device: model, serial, firmware."""
        return dict(self._context.attrs) if self._context is not None else {}

    def mute(self, close_buffer: Callable[[], None] = lambda: None) -> RfState:
        """Mute, then read back on a fresh connection; UNKNOWN when that fails in two tries."""
        with self._lock:
            for _ in range(TRIES):
                try:
                    return self._mute(close_buffer)
                except HardwareError:
                    self.failures += 1
                    self._drop()
            return RfState.UNKNOWN

    def rf_state(self) -> RfState:
        """Read back whether the output can radiate; UNKNOWN when that fails in two tries."""
        with self._lock:
            for _ in range(TRIES):
                try:
                    return self._read().state
                except HardwareError:
                    self._drop()
            return RfState.UNKNOWN

    def write(self, attribute: Attribute, text: str) -> None:
        """Write one attribute; raises HardwareError, and the next use opens a new connection."""
        with self._lock, self._dropping():
            self._at().write(attribute, text)

    def read(self, attribute: Attribute) -> str:
        """Read one attribute; raises HardwareError, and the next use opens a new connection."""
        with self._lock, self._dropping():
            return self._at().read(attribute)

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        """Drop the connection after a failure: a late answer would be taken for the answer to the next question."""
        try:
            yield
        except HardwareError:
            self._drop()
            raise

    def _mute(self, close_buffer: Callable[[], None]) -> RfState:
        self._quieten(close_buffer)
        if self._shared is None:
            self._drop()
        return self._read().state

    def _quieten(self, close_buffer: Callable[[], None]) -> None:
        """Take every step of muting, the first two even if one fails; raises HardwareError for the first failure."""
        at = self._at()
        failures = []
        for attribute, text in self._first(at):
            try:
                at.write(attribute, text)
            except HardwareError as exc:
                failures.append(exc)
        if failures:
            raise failures[0]
        close_buffer()
        for attribute in at.tones:
            at.write(attribute, "0")
        if at.has(TEST_TONE) and at.read_or_error(TEST_TONE) != "0":
            at.write(TEST_TONE, "0")

    def _first(self, at: Attributes) -> tuple[tuple[Attribute, str], ...]:
        """The attributes to write first: the first path's attenuation and the oscillator, then the other paths."""
        return (*FIRST, *((one, str(SILENT_DB)) for one in at.attenuations if one != ATTENUATION))

    def _read(self) -> Readback:
        at = self._at()
        try:
            gain_db = max(float(at.read(one).split()[0]) for one in at.attenuations)
            powered_down = {"0": False, "1": True}[at.read(POWERDOWN)]
            levels = {(one.channel, one.name): float(at.read(one)) for one in at.tones}
        except (ValueError, KeyError, IndexError) as exc:
            raise HardwareError(f"{self._uri}: the readback makes no sense ({exc})") from exc
        tones = any(levels.get((channel, "raw")) and levels.get((channel, "scale")) for channel, _ in levels)
        return Readback(gain_db=gain_db, powered_down=powered_down, tones=tones)

    def _at(self) -> Attributes:
        """The attributes, of a new connection where the last one was thrown away; raises HardwareError."""
        if self._attributes is None:
            return self._take(self._shared if self._shared is not None else self._fresh())
        return self._attributes

    def _fresh(self) -> Any:
        """Open a new connection; where nothing answers, search for a device known by its serial number."""
        try:
            return connect(self._uri, timeout_ms=self._timeout_ms)
        except Disconnected:
            if self._find is None:
                raise
        self._uri = self._find()
        return connect(self._uri, timeout_ms=self._timeout_ms)

    def _take(self, context: Any) -> Attributes:
        """Use a context from now on if it is the same unit and has all that muting needs; raises HardwareError."""
        at = Attributes(context, self._uri)
        missing = [one for one in MUTE if not at.has(one)]
        serial = str(context.attrs.get("hw_serial", ""))
        other = self._serial is not None and serial != self._serial
        if missing or other:
            # A wrong unit, or one that cannot be muted for certain, is still muted as far as possible.
            for attribute, text in FIRST:
                if attribute not in missing:
                    at.write(attribute, text)
            self._drop()
            if missing:
                raise HardwareError(
                    f"this firmware has no {missing[0]}; install the maker's own firmware on the device"
                )
            raise Disconnected(
                f"{self._uri}: serial {serial or 'unknown'} answers, where {self._serial} did; connect that unit again"
            )
        self._serial, self._attributes, self._context = serial, at, context
        return at

    def _drop(self) -> None:
        self._attributes = self._context = None

    def close(self) -> None:
        """Close the connection; this does not change the transmitter: mute first."""
        with self._lock:
            self._drop()
