"""Checks over a separate connection whether a Pluto's transmitter still has the settings this program made.

Another program, a firmware or a fault can move the oscillator, raise the gain or switch the tone generators on at any
time, and nothing tells. The connection is not the one that mutes: a question that hangs delays no silence.
"""

import threading
from typing import Any

from radio.drivers.pluto.attributes import Attributes
from radio.drivers.pluto.layout import CRYSTAL, Attribute
from radio.drivers.pluto.libiio import connect
from radio.drivers.pluto.wishes import (
    KEPT,
    KEPT_MUTED,
    Readings,
    Wish,
    muted,
    silenced,
    transmitter,
    unlike,
)
from radio.errors import Disconnected, HardwareError
from radio.ports import Drift, TxSettings


class Watch:
    """The expected readback of the transmitter, and a connection to check it. Checked by one thread; set from any."""

    def __init__(self, uri: str, *, serial: str, timeout_ms: int) -> None:
        """Set up without connecting; `serial` is the serial number that the unit must report."""
        self._uri, self._serial, self._timeout_ms = uri, serial, timeout_ms
        self._lock = threading.Lock()
        self._context: Any = None
        self._at: Attributes | None = None
        self._settings: TxSettings | None = None
        self._moving = 0
        self._moves = 0
        self._tunings = 0
        self._kept: dict[Attribute, Wish] = {}
        self._kept_of = -1

    # -- called by the driver when it changes the transmitter ----------------------------------------------------

    def begin(self) -> None:
        """The driver is about to change the transmitter: differences from now on do not count."""
        with self._lock:
            self._moving += 1
            self._moves += 1

    def end(self, settings: TxSettings | None) -> None:
        """The driver has made its change: the transmitter's settings now, None when it is muted."""
        with self._lock:
            self._moving -= 1
            self._moves += 1
            self._tunings += settings is None or settings != self._settings
            self._settings = settings

    def moved_to(self, uri: str) -> None:
        """Use another address of the unit from now on."""
        self._uri = uri

    @property
    def connected(self) -> bool:
        """Whether a connection is open; after a lost one the device may have been off in between."""
        return self._at is not None

    # -- called by the warden's device watch ---------------------------------------------------------------------

    def connect(self) -> None:
        """Open the connection to the unit; raises HardwareError."""
        context = connect(self._uri, timeout_ms=self._timeout_ms)
        found = str(context.attrs.get("hw_serial", ""))
        if found != self._serial:
            raise Disconnected(f"{self._uri}: serial {found or 'unknown'} answers, not {self._serial}")
        self._context, self._at, self._kept_of = context, Attributes(context, self._uri), -1

    def drift(self) -> Drift | None:
        """What reads otherwise than set; None when nothing does or a change is in progress. Raises HardwareError."""
        with self._lock:
            moves, moving, tunings, settings = self._moves, self._moving, self._tunings, self._settings
        if moving:
            return None
        if self._at is None:
            self.connect()
        try:
            found = self._compared(tunings, settings)
        except HardwareError:
            self.drop()
            raise
        with self._lock:
            return found if moves == self._moves else None

    def _compared(self, tunings: int, settings: TxSettings | None) -> Drift | None:
        at = self._at
        if at is None:
            raise Disconnected(f"{self._uri}: not connected")
        attenuations, tones = at.attenuations, at.tones
        wishes = muted(attenuations, tones) if settings is None else transmitter(settings, attenuations, tones)
        kept = at.existing(KEPT_MUTED if settings is None else KEPT)
        read: Readings = {one: at.read_or_error(one) for one in (*at.existing(tuple(wishes)), *kept)}
        if self._kept_of != tunings:
            # Values without a prescribed setting stay as first read after the change; the crystal's as first ever.
            crystal = {one: wish for one, wish in self._kept.items() if one == CRYSTAL}
            self._kept, self._kept_of = {one: Wish(read[one]) for one in kept} | crystal, tunings
        wishes |= {one: self._kept[one] for one in kept}
        wrong = unlike(read, wishes)
        if not wrong:
            return None
        return Drift(
            read="; ".join(f"{one} reads {read[one]}" for one in wrong),
            wanted="; ".join(f"{one} {wishes[one].text}" for one in wrong),
            silenced=settings is not None and silenced(read, wishes, attenuations),
        )

    def drop(self) -> None:
        """Close the connection."""
        self._context = self._at = None
