"""Receives from a Pluto: single looks younger than the call, and streams in which every loss is flagged.

After every block the receiver is asked whether it is still set as it was tuned, and from time to time whether it hears
at all; what is not sure is flagged, so that it is never taken for a quiet band.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from radio.drivers.deafness import gains_to_try_db, hears, still
from radio.drivers.pluto.buffers import NS, ReceiveBuffer
from radio.drivers.pluto.control import Control
from radio.drivers.pluto.layout import ADC_FULL_SCALE, PlutoOptions
from radio.errors import Disconnected, HardwareError, ReceiveTimeout, SettingRefused
from radio.ports import Iq16, RxBlock, RxFlag, RxSettings, Span

ALIKE: Final = 64
"""A block whose first samples, this many, equal the previous block's is a repeated buffer: noise does not repeat."""
TEST_SAMPLES: Final = 4096
TEST_EVERY_NS: Final = 60 * NS
TEST_AGAIN_NS: Final = 5 * NS
"""Time after which a receiver that seems still, or was found deaf, is tested again."""
WHOLLY_NS: Final = NS // 10
QUICKLY_NS: Final = NS // 25


class Reception:
    """The receiving half of a Pluto. Looks and stream blocks share one sequence number."""

    def __init__(
        self,
        uri: str,
        options: PlutoOptions,
        *,
        control: Callable[[], Control],
        fail: Callable[[], None],
        closing: threading.Event,
        own: "deque[Span]",
    ) -> None:
        """Set up; receives nothing yet.

        Args:
            uri: for messages.
            options: limits of time and size.
            control: gives the control connection, made anew if it has to be; raises HardwareError.
            fail: throws the control connection away and mutes.
            closing: set when the radio is let go of.
            own: when the radio itself transmitted.
        """
        self._uri, self._options, self._control, self._fail = uri, options, control, fail
        self._closing, self._own = closing, own
        self._lock = threading.Lock()
        self._settings: RxSettings | None = None
        self._tunings = 0
        self._sequence = -1
        self._deaf = self._testing = self._still = False
        self._tested_ns = self._asked_ns = self._asked_wholly_ns = 0
        self._streaming = False
        self._moved = ""

    @property
    def settings(self) -> RxSettings | None:
        """The receiver's settings; None before it is tuned."""
        return self._settings

    def retuned(self, settings: RxSettings) -> None:
        """Note new settings of the receiver."""
        self._settings = settings
        self._tunings += 1
        self._moved, self._asked_ns, self._asked_wholly_ns, self._tested_ns = "", 0, 0, 0

    @property
    def moved(self) -> str:
        """The receiver settings that read otherwise than tuned at the last check; "" if none."""
        return self._moved

    def test_hearing(self) -> bool:
        """Compare the noise at two gains: whether the receiver hears. Restores the tuned gain. Raises HardwareError.

        Takes about 20 ms. While a stream has the device's buffer, the stream tests as soon as it opens another.
        """
        with self._lock:
            return self._test() if not self._streaming else not self._deaf

    def _test(self) -> bool:
        settings = self._settings
        if settings is None:
            raise SettingRefused(f"{self._uri}: the receiver is not tuned; call tune_rx first")
        control = self._control()
        samples = min(TEST_SAMPLES, self._options.block_samples_max)
        taken: list[Iq16] = []
        self._testing = True
        try:
            for gain_db in gains_to_try_db(*control.receive_gains_db()):
                control.set_receive_gain(gain_db)
                taken.append(self._one_block(samples, settings)[samples // 2 :])
        finally:
            control.set_receive_gain(settings.gain_mdb / 1000)
            self._testing = False
        self._deaf = not hears(*taken, full_scale=ADC_FULL_SCALE)
        self._tested_ns, self._still = time.monotonic_ns(), False
        return not self._deaf

    def _test_if_due(self) -> None:
        """Test the receiver when the last test is old, or a block looks deaf; raises HardwareError."""
        waited_ns = time.monotonic_ns() - self._tested_ns
        if waited_ns > TEST_EVERY_NS or (waited_ns > TEST_AGAIN_NS and (self._still or self._deaf)):
            self._test()

    def _doubts(self, control: Control, settings: RxSettings, iq: Iq16, *, after_ns: int = 0) -> RxFlag:
        """Flags for receiver faults; asks the device if the last check is `after_ns` old. Raises HardwareError."""
        now_ns = time.monotonic_ns()
        if not self._testing and now_ns - self._asked_ns > after_ns:
            self._still = still(iq)
            wholly = bool(self._moved) or now_ns - self._asked_wholly_ns > WHOLLY_NS
            self._moved = control.receiver_astray(settings, wholly=wholly)
            self._asked_ns = now_ns
            if wholly:
                self._asked_wholly_ns = now_ns
        flags = RxFlag.GAIN_CHANGED if self._testing else RxFlag.NONE
        flags |= RxFlag.MOVED if self._moved else RxFlag.NONE
        return flags | (RxFlag.DEAF if self._deaf else RxFlag.NONE)

    def receive(self, samples: int) -> RxBlock:
        """Take `samples` that are all younger than the call, from a buffer opened for them.

        A cut connection or a time-out of the device is met once by another buffer, and flagged as a gap.

        Raises:
            SettingRefused: not tuned, or a number of samples the radio does not take.
            ReceiveTimeout: nothing came in time.
            HardwareError: the device failed; it was muted, or could not be.
        """
        settings = self._checked(samples)
        with self._lock:
            flags = RxFlag.NONE
            for last in (False, True):
                before_ns = time.monotonic_ns()
                try:
                    self._test_if_due()
                    before_ns = time.monotonic_ns()
                    iq = self._one_block(samples, settings)
                    after_ns = time.monotonic_ns()
                    flags |= self._doubts(self._control(), settings, iq)
                    break
                except (Disconnected, ReceiveTimeout) as exc:
                    flags |= RxFlag.GAP
                    if time.monotonic_ns() - before_ns > self._patience_ns(samples, settings):
                        self._fail()
                        raise ReceiveTimeout(f"{self._uri}: no samples in time ({exc})") from exc
                    if last or self._closing.is_set():
                        self._fail()
                        raise
                except HardwareError:
                    self._fail()
                    raise
        length_ns = len(iq) * NS // settings.sample_rate_hz
        start = Span(earliest_ns=before_ns, latest_ns=max(before_ns, after_ns - length_ns))
        return self._block(iq, samples, settings, start, flags)

    def _patience_ns(self, samples: int, settings: RxSettings) -> int:
        """The longest wait for a block, ns; a longer one is a device that hangs, not a cut connection."""
        return self._options.timeout_ms * 1_000_000 + samples * NS // settings.sample_rate_hz

    def _checked(self, samples: int) -> RxSettings:
        if not 1 <= samples <= self._options.block_samples_max:
            raise SettingRefused(f"samples {samples} is outside 1 to {self._options.block_samples_max}; ask for fewer")
        if self._settings is None:
            raise SettingRefused(f"{self._uri}: the receiver is not tuned; call tune_rx first")
        return self._settings

    def _one_block(self, samples: int, settings: RxSettings) -> Iq16:
        buffer = self._opened(self._control(), samples, settings)
        try:
            return buffer.refill()
        finally:
            buffer.close()

    def _opened(self, control: Control, samples: int, settings: RxSettings) -> ReceiveBuffer:
        """Open a receive buffer whose timeout includes the duration of a block."""
        control.allow(block_ms=samples * 1000 // settings.sample_rate_hz)
        return ReceiveBuffer(control, samples, kernel_buffers=self._options.kernel_buffers)

    def _block(self, iq: Iq16, samples: int, settings: RxSettings, start: Span, flags: RxFlag) -> RxBlock:
        self._sequence += 1
        if len(iq) < samples:
            flags |= RxFlag.SHORT
        if len(iq) and (int(iq.max()) >= ADC_FULL_SCALE - 1 or int(iq.min()) <= -ADC_FULL_SCALE):
            flags |= RxFlag.CLIPPED
        end_ns = start.latest_ns + len(iq) * NS // settings.sample_rate_hz
        if any(span.earliest_ns < end_ns and span.latest_ns > start.earliest_ns for span in tuple(self._own)):
            flags |= RxFlag.OWN_TX
        return RxBlock(
            iq=iq,
            sequence=self._sequence,
            start=start,
            settings=settings,
            full_scale=ADC_FULL_SCALE,
            flags=flags,
        )

    def stream(self, samples: int) -> Iterator[RxBlock]:
        """Yield block after block without a break; a loss, a repeated block or a reopened buffer is flagged.

        After a retune the buffer is opened anew, so that nothing of the old setting is given as new. Raises
        SettingRefused, HardwareError.
        """
        settings, reopened = self._checked(samples), False
        while not self._closing.is_set():
            settings, tunings = self._checked(samples), self._tunings
            try:
                with self._lock:
                    self._test_if_due()
                for block in self._unbroken(samples, settings, tunings, after_gap=reopened):
                    yield block
                    reopened = False
            except Disconnected:
                if reopened or self._closing.is_set():
                    self._fail()
                    raise
            except HardwareError:
                self._fail()
                raise
            reopened = True

    def _unbroken(self, samples: int, settings: RxSettings, tunings: int, *, after_gap: bool) -> Iterator[RxBlock]:
        """Yield the blocks of one open buffer, until the receiver is retuned."""
        length_ns = samples * NS // settings.sample_rate_hz
        opened_ns = time.monotonic_ns()
        control = self._control()
        buffer = self._opened(control, samples, settings)
        flags = RxFlag.GAP if after_gap else RxFlag.NONE
        timing = _Timing(opened_ns=opened_ns, length_ns=length_ns, kernel_buffers=self._options.kernel_buffers)
        head = np.zeros(0, dtype=np.int16)
        self._streaming = True
        try:
            while tunings == self._tunings and not self._closing.is_set():
                iq, late = _with_one_retry(buffer)
                flags |= RxFlag.GAP if late else RxFlag.NONE
                if tunings != self._tunings:
                    return
                if len(head) and np.array_equal(head, iq[:ALIKE].reshape(-1)) and np.ptp(head):
                    flags |= RxFlag.GAP | RxFlag.STALE
                if not self._options.overflow_register:
                    flags |= RxFlag.OVERFLOW_UNKNOWN
                elif control.overflowed():
                    flags |= RxFlag.GAP
                    timing.lost()
                head = iq[:ALIKE].reshape(-1).copy()
                start = timing.next(time.monotonic_ns())
                flags |= self._doubts(control, settings, iq, after_ns=QUICKLY_NS)
                yield self._block(iq, samples, settings, start, flags)
                flags = RxFlag.NONE
        finally:
            buffer.close()
            self._streaming = False


class _Timing:
    """Start times of the blocks of an unbroken stream: not before the opening, not after their arrival."""

    def __init__(self, *, opened_ns: int, length_ns: int, kernel_buffers: int) -> None:
        self._kernel_buffers = kernel_buffers
        self._length_ns = length_ns
        self._first = Span(earliest_ns=opened_ns, latest_ns=2**62)
        self._count = 0
        self._lost = False

    def lost(self) -> None:
        """Note that samples before the next block were lost."""
        self._lost = True

    def next(self, now_ns: int) -> Span:
        """The start of the block that has just arrived."""
        newest_ns = now_ns - self._length_ns
        if self._lost:
            oldest_ns = now_ns - (self._kernel_buffers + 1) * self._length_ns
            self._first, self._count, self._lost = Span(earliest_ns=oldest_ns, latest_ns=newest_ns), 0, False
        passed_ns = self._count * self._length_ns
        self._first = replace(self._first, latest_ns=min(self._first.latest_ns, newest_ns - passed_ns))
        self._count += 1
        drift_ns = passed_ns * 50 // 1_000_000
        return Span(
            earliest_ns=min(self._first.earliest_ns + passed_ns - drift_ns, newest_ns),
            latest_ns=min(self._first.latest_ns + passed_ns + drift_ns, newest_ns),
        )


def _with_one_retry(buffer: ReceiveBuffer) -> tuple[Iq16, bool]:
    """The next block, and whether the device timed out once before it; raises HardwareError."""
    try:
        return buffer.refill(), False
    except ReceiveTimeout:
        return buffer.refill(), True
