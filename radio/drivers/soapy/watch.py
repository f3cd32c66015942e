"""Checks whether a Soapy device's transmitter still has the settings this program made.

A device that a second process can have, to mute it by, is one that any other process can have too: it may move the
frequency or raise the gain at any time, and nothing tells. What reads back is compared with what read back after
tuning; of a muted one only the gain counts.
"""

import threading
from typing import Final

from radio.drivers.soapy.handle import GAIN_STEP_DB, Handle
from radio.drivers.soapy.settings import NEAR
from radio.ports import Drift, RfState

READ: Final = {"frequency": "getFrequency", "sample rate": "getSampleRate", "filter": "getBandwidth", "gain": "getGain"}
GAIN: Final = "gain"


class TransmitterWatch:
    """The expected readback of the first transmit channel. Set by the driver; checked by a separate thread."""

    def __init__(self, handle: Handle) -> None:
        """Expect a muted transmitter, until `end` is called."""
        self._handle = handle
        self._lock = threading.Lock()
        self._moving = self._moves = 0
        self._held: dict[str, float] | None = None

    def begin(self) -> None:
        """The driver is about to change the transmitter: differences from now on do not count."""
        with self._lock:
            self._moving += 1
            self._moves += 1

    def end(self, held: dict[str, float] | None) -> None:
        """The driver has made its change: the readback of the transmitter now, None when it is muted."""
        with self._lock:
            self._moving -= 1
            self._moves += 1
            self._held = held

    def read(self) -> dict[str, float]:
        """Read the transmitter's settings from the device; raises HardwareError."""
        handle = self._handle

        def work() -> dict[str, float]:
            return {name: float(getattr(handle.device, asked)(handle.tx, 0)) for name, asked in READ.items()}

        return handle.bounded(work, "reading the transmitter back")

    def drift(self) -> Drift | None:
        """What reads otherwise than set; None when nothing does or a change is in progress. Raises HardwareError."""
        with self._lock:
            moves, moving, held = self._moves, self._moving, self._held
        if moving:
            return None
        found = self._muted() if held is None else self._compared(held)
        with self._lock:
            return found if moves == self._moves else None

    def _muted(self) -> Drift | None:
        if self._handle.state() is not RfState.ON:
            return None
        return Drift(read="a transmit gain above its least", wanted="muted: every transmit gain at its least")

    def _compared(self, held: dict[str, float]) -> Drift | None:
        read = self.read()
        wrong = [name for name in held if not _near(name, read[name], held[name])]
        if not wrong:
            return None
        quieter = wrong == [GAIN] and read[GAIN] <= self._handle.least_gain(0) + GAIN_STEP_DB
        return Drift(
            read="; ".join(f"{name} reads {read[name]:.12g}" for name in wrong),
            wanted="; ".join(f"{name} {held[name]:.12g}" for name in wrong),
            silenced=quieter,
        )


def _near(name: str, read: float, held: float) -> bool:
    return abs(read - held) <= (GAIN_STEP_DB if name == GAIN else max(10.0, NEAR * held))
