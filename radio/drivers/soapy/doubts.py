"""Checks whether a Soapy device's receiver still has its tuned settings, and whether it hears at all.

Several programs may have such a device, over a network or by a server, and each can retune it or switch its oscillator
off: SoapyPlutoSDR, for one, powers the receive oscillator down whenever any of its clients closes a stream. A module
tells nobody. So what the device reads back is compared after every look with what it read after tuning, and the noise
of the receiver is compared at two gains: samples of a receiver that does not hear look like those of a quiet band.
"""

import time
from collections.abc import Callable
from typing import Final, TypeAlias

from radio.drivers.deafness import gains_to_try_db, hears, still
from radio.drivers.soapy.handle import Handle
from radio.drivers.soapy.settings import NEAR, set_gain
from radio.drivers.soapy.streams import NS
from radio.errors import HardwareError
from radio.ports import Iq16, RxFlag, RxSettings

TEST_SAMPLES: Final = 4096
TEST_EVERY_NS: Final = 60 * NS
TEST_AGAIN_NS: Final = 5 * NS
"""Time after which a receiver that was found deaf, or seems still for the first time, is tested again."""
ASK_EVERY_NS: Final = NS // 25
GAIN_NEAR_DB: Final = 0.05
GROWS_DB: Final = 12.0
"""Least range of a gain table for the test: with less, a deaf device cannot be told from one that hears."""
LESS_DB: Final = (0, 2, 5, 11)
STEPS: Final = 2048
"""Converter codes up to full scale that are assumed where a module does not state its own format."""
Taking: TypeAlias = Callable[[int], Iq16]
"""Takes that many samples, all younger than the call."""


class ReceiverDoubts:
    """The checks of one device's receiver. Used only by the thread that holds the receiver's lock."""

    def __init__(self, handle: Handle, *, full_scale: int) -> None:
        """Read the device's gain range and native format, and test nothing yet. Raises HardwareError.

        Args: full_scale: that of the samples, in codes.
        """
        self._handle, self._full_scale = handle, full_scale
        self._step = full_scale / _native(handle)
        gains = handle.call("getGainRange", handle.rx, 0)
        self._gains_db = (float(gains.minimum()), float(gains.maximum()))
        self._tuned: tuple[float, ...] = ()
        self._deaf = self._still = self._moved = False
        self._still_when_hearing: bool | None = None
        self._tested_ns = self._asked_ns = -TEST_EVERY_NS

    def tuned(self) -> None:
        """Note that the receiver was just tuned: its readback now is the expected one. Raises HardwareError."""
        self._tuned = self._read()
        self._moved, self._tested_ns, self._asked_ns = False, -TEST_EVERY_NS, -ASK_EVERY_NS
        self._still_when_hearing = None

    @property
    def due(self) -> bool:
        """Whether the receiver has to be tested before its samples are believed."""
        waited_ns = time.monotonic_ns() - self._tested_ns
        return waited_ns >= TEST_EVERY_NS or self.suspect

    @property
    def suspect(self) -> bool:
        """Whether there is a reason to test, and the last test is long enough ago."""
        return (self._still or self._deaf) and time.monotonic_ns() - self._tested_ns > TEST_AGAIN_NS

    def test(self, settings: RxSettings, take: Taking) -> None:
        """Compare the noise at two gains, then restore the tuned gain. Raises HardwareError."""
        low_db, _ = gains_to_try_db(*map(round, self._gains_db))
        taken: list[Iq16] = []
        try:
            held_db = [self._set(low_db)]
            taken.append(take(2 * TEST_SAMPLES)[TEST_SAMPLES:])
            held_db.append(self._highest())
            taken.append(take(2 * TEST_SAMPLES)[TEST_SAMPLES:])
        finally:
            self._set(settings.gain_mdb / 1000)
        as_tuned = still(take(TEST_SAMPLES), step=self._step)
        if held_db[1] - held_db[0] >= GROWS_DB:
            self._deaf = not hears(*taken, full_scale=self._full_scale, step=self._step)
            if not self._deaf:
                self._still_when_hearing = as_tuned
        elif self._still_when_hearing is None:
            self._still_when_hearing = as_tuned
        self._tested_ns, self._still = time.monotonic_ns(), False

    def _set(self, gain_db: float) -> float:
        return set_gain(self._handle, self._handle.rx, gain_db)

    def _highest(self) -> float:
        """Set the highest gain that the device accepts; a module may claim more than its device has at a frequency."""
        held_db = 0.0
        for less_db in LESS_DB:
            held_db = self._set(self._gains_db[1] - less_db)
            if abs(held_db - (self._gains_db[1] - less_db)) <= 1:
                break
        return held_db

    def of(self, iq: Iq16, *, every: bool) -> RxFlag:
        """Flags for receiver faults in a new block; `every` asks the device now, else only from time to time.

        A block that is still, of a receiver that was not when it was heard to hear, is not believed before the next
        test. Raises HardwareError.
        """
        now_ns = time.monotonic_ns()
        if every or now_ns - self._asked_ns >= ASK_EVERY_NS:
            self._moved = not _alike(self._read(), self._tuned)
            self._asked_ns = now_ns
        self._still = not self._still_when_hearing and still(iq, step=self._step)
        flags = RxFlag.MOVED if self._moved else RxFlag.NONE
        return flags | (RxFlag.DEAF if self._deaf or self._still else RxFlag.NONE)

    def _read(self) -> tuple[float, ...]:
        """Read frequency, rate, filter, gain, and whether automatic gain control is on; raises HardwareError."""
        handle = self._handle
        asked = ["getFrequency", "getSampleRate", "getBandwidth", "getGain"]
        asked += ["getGainMode"] if handle.call("hasGainMode", handle.rx, 0) else []

        def work() -> tuple[float, ...]:
            return tuple(float(getattr(handle.device, name)(handle.rx, 0)) for name in asked)

        return handle.bounded(work, "reading the receiver back")


def _alike(read: tuple[float, ...], tuned: tuple[float, ...]) -> bool:
    near = [abs(one - other) <= max(10.0, NEAR * other) for one, other in zip(read[:3], tuned[:3], strict=True)]
    gains = zip(read[3:], tuned[3:], strict=True)
    return all(near) and all(abs(one - other) <= GAIN_NEAR_DB for one, other in gains)


def _native(handle: Handle) -> float:
    """Full scale of a module's native format, in codes of the converter, as far as the module states it."""
    try:
        _, full = handle.call("getNativeStreamFormat", handle.rx, 0)
    except (HardwareError, TypeError, ValueError):
        return STEPS
    return float(full) if float(full) > 1 else STEPS
