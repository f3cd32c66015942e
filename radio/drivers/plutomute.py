"""The way to silence a Pluto: a context of its own, the steps in their one order, a readback on a fresh connection.

Order: attenuation to the end · oscillator powered down · transmit buffer closed · tone generators to zero. The first
two are tried both, whatever the other does. Any failure throws the connection away and tries once more on a new one;
what then cannot be told is unknown, which is to be taken as transmitting.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from radio.drivers.libiio import connect, translated
from radio.drivers.plutomap import (
    ATTENUATION,
    DDS_RAW,
    DDS_SCALE,
    MUTE,
    MUTE_TIMEOUT_MS,
    POWERDOWN,
    SILENT_DB,
    Attribute,
    channel_attribute,
)
from radio.errors import HardwareError
from radio.ports import RfState

TRIES = 2
FIRST = ((ATTENUATION, str(SILENT_DB)), (POWERDOWN, "1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Readback:
    """What a device says of its transmitter."""

    attenuation_db: float
    powered_down: bool
    tones: bool

    @property
    def state(self) -> RfState:
        """Off only when attenuation, oscillator and tone generators all say so."""
        silent = self.attenuation_db <= SILENT_DB + 0.01 and self.powered_down and not self.tones
        return RfState.OFF if silent else RfState.ON


class Silencer:
    """Mutes one device. Safe to use from any thread; each use is bounded."""

    def __init__(self, uri: str, *, timeout_ms: int = MUTE_TIMEOUT_MS, shared: Any = None) -> None:
        """Connect and check that the firmware has everything muting needs.

        Args: shared: a context to use instead of own ones, where the device allows only one.
        Raises: Disconnected, HardwareError.
        """
        self._uri, self._timeout_ms, self._shared = uri, timeout_ms, shared
        self._lock = threading.Lock()
        self.failures = 0
        self._context: Any = None
        self._attributes: dict[Attribute, Any] = {}
        self._take(shared if shared is not None else self._fresh())

    @property
    def independent(self) -> bool:
        """Whether it has a connection that nothing else can block."""
        return self._shared is None

    @property
    def context_attributes(self) -> dict[str, str]:
        """What the device says of itself: model, serial, firmware."""
        return dict(self._context.attrs) if self._context is not None else {}

    def mute(self, close_buffer: Callable[[], None] = lambda: None) -> RfState:
        """Silence and read back on a fresh connection; UNKNOWN when that cannot be done in two tries."""
        with self._lock:
            for _ in range(TRIES):
                try:
                    return self._mute(close_buffer)
                except HardwareError:
                    self.failures += 1
                    self._drop()
            return RfState.UNKNOWN

    def rf_state(self) -> RfState:
        """Read back; UNKNOWN when that cannot be done in two tries."""
        with self._lock:
            for _ in range(TRIES):
                try:
                    return self._read().state
                except HardwareError:
                    self._drop()
            return RfState.UNKNOWN

    def write(self, attribute: Attribute, text: str) -> None:
        """Write one attribute; raises HardwareError, and the next use is of a new connection."""
        with self._lock, self._dropping():
            self._write(attribute, text)

    def read(self, attribute: Attribute) -> str:
        """Read one attribute; raises HardwareError, and the next use is of a new connection."""
        with self._lock, self._dropping():
            return self._text(attribute)

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        """An answer that comes too late would be taken for the next one's."""
        try:
            yield
        except HardwareError:
            self._drop()
            raise

    def _mute(self, close_buffer: Callable[[], None]) -> RfState:
        failures = []
        for attribute, text in FIRST:
            try:
                self._write(attribute, text)
            except HardwareError as exc:
                failures.append(exc)
        if failures:
            raise failures[0]
        close_buffer()
        for raw, scale in zip(DDS_RAW, DDS_SCALE, strict=True):
            self._write(raw, "0")
            self._write(scale, "0")
        if self._shared is None:
            self._drop()
        return self._read().state

    def _read(self) -> Readback:
        try:
            attenuation_db = float(self._text(ATTENUATION).split()[0])
            powered_down = {"0": False, "1": True}[self._text(POWERDOWN)]
            scales = [float(self._text(scale)) for scale in DDS_SCALE]
            raws = [self._text(raw) != "0" for raw in DDS_RAW]
        except (ValueError, KeyError, IndexError) as exc:
            raise HardwareError(f"{self._uri}: the readback makes no sense ({exc})") from exc
        tones = any(on and scale > 0 for on, scale in zip(raws, scales, strict=True))
        return Readback(attenuation_db=attenuation_db, powered_down=powered_down, tones=tones)

    def _write(self, attribute: Attribute, text: str) -> None:
        try:
            self._found(attribute).value = text
        except OSError as exc:
            raise translated(exc, f"{self._uri}: {attribute}") from exc

    def _text(self, attribute: Attribute) -> str:
        try:
            return str(self._found(attribute).value)
        except (OSError, UnicodeDecodeError) as exc:
            raise translated(exc, f"{self._uri}: {attribute}") from exc

    def _found(self, attribute: Attribute) -> Any:
        if self._context is None:
            self._take(self._shared if self._shared is not None else self._fresh())
        if attribute not in self._attributes:
            self._attributes[attribute] = channel_attribute(self._context, attribute)
        return self._attributes[attribute]

    def _fresh(self) -> Any:
        return connect(self._uri, timeout_ms=self._timeout_ms)

    def _take(self, context: Any) -> None:
        """Use a context from now on, if it has all that muting needs."""
        found: dict[Attribute, Any] = {}
        missing: list[HardwareError] = []
        for attribute in MUTE:
            try:
                found[attribute] = channel_attribute(context, attribute)
            except HardwareError as exc:
                missing.append(exc)
        self._attributes, self._context = found, context
        if missing:
            # It cannot be muted for certain; what there is, is used all the same.
            for attribute, text in FIRST:
                if attribute in found:
                    self._write(attribute, text)
            self._drop()
            raise missing[0]

    def _drop(self) -> None:
        self._attributes = {}
        self._context = None

    def close(self) -> None:
        """Let go of the connection; says nothing of the transmitter: mute first."""
        with self._lock:
            self._drop()
