"""ADALM-Pluto behind the radio port: adi.Pluto for control, raw int16 buffers, muting on a connection of its own.

The device is muted before anything else is done with it, and again whenever anything fails: a failed context is thrown
away, a new one made when it is next needed. Times are the host's: nothing in stock firmware stamps samples.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from radio.drivers.libiio import serials
from radio.drivers.plutobuffers import KERNEL_BUFFERS, NS, ReceiveBuffer, TransmitBuffer
from radio.drivers.plutocontrol import Control
from radio.drivers.plutomap import (
    ADC_FULL_SCALE,
    ECHO,
    HEARTBEAT,
    ChipRanges,
    Ranges,
    on_rx_steps,
    on_tx_steps,
)
from radio.drivers.plutomute import MUTE_TIMEOUT_MS, Silencer
from radio.errors import Disconnected, HardwareError, ReceiveTimeout, SettingRefused
from radio.ports import Iq16, RfState, RxBlock, RxFlag, RxSettings, Sent, Span, TxSettings

ALIKE: Final = 64
"""So many first samples equal to the block before's are a buffer that was given twice: noise does not repeat."""
BEATS: Final = 360
BEAT_STEP: Final = 1000
"""Phases are thousandths of a degree; the device rounds them by a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlutoOptions:
    """How the driver deals with a device.

    `burst_samples`: the longest burst. `overflow_register`: whether this firmware's is to be believed.
    """

    timeout_ms: int = 1000
    mute_timeout_ms: int = MUTE_TIMEOUT_MS
    burst_samples: int = 262_144
    block_samples_max: int = 4_194_304
    overflow_register: bool = True


class PlutoRadio:
    """One Pluto. Receiving, transmitting and muting may each be used from a thread of their own."""

    def __init__(
        self,
        uri: str,
        *,
        serial: str | None = None,
        ranges: Ranges | None = None,
        options: PlutoOptions | None = None,
    ) -> None:
        """Connect and mute.

        Args:
            uri: as libiio writes it, `ip:ADDRESS[:PORT]` or `usb:…`; "" to search for `serial`.
            serial: refuse any other unit.
            ranges: what this kind of unit may be set to; a stock one's if not given.
            options: limits of time and size.

        Raises:
            LibraryMissing: libiio is not installed.
            Disconnected: nothing answers; the transmitter's state is unknown.
            HardwareError: the firmware cannot be muted, or does not read back as muted.
            SettingRefused: it is another unit.
        """
        self._uri = uri or _found(serial)
        self._ranges: Ranges = ranges if ranges is not None else ChipRanges()
        self._options = options if options is not None else PlutoOptions()
        self._control: Control | None = None
        self._lock = threading.RLock()
        self._receiving = threading.Lock()
        self._closing = threading.Event()
        self._mutes = 0
        self._tunings = 0
        self._sequence = -1
        self._rx: RxSettings | None = None
        self._tx: TxSettings | None = None
        self._transmit: TransmitBuffer | None = None
        self._own: deque[Span] = deque(maxlen=64)
        self._beat = 0
        self._silencer = self._open()
        about = self._silencer.context_attributes
        self._serial = about.get("hw_serial", "")
        self._model = about.get("hw_model", "")
        if serial is not None and self._serial != serial:
            raise SettingRefused(
                f"{self._uri}: serial {self._serial or 'unknown'}, not {serial}; choose that unit's URI"
            )

    def _open(self) -> Silencer:
        """Mute first, by a connection of its own; where a device allows only one, by the one that controls."""
        limit_ms = self._options.mute_timeout_ms
        silencer = Silencer(self._uri, timeout_ms=limit_ms)
        self._must_be_silent(silencer)
        try:
            self._control = Control(self._uri, timeout_ms=self._options.timeout_ms)
        except Disconnected:
            silencer.close()
            self._control = Control(self._uri, timeout_ms=self._options.timeout_ms)
            silencer = Silencer(self._uri, timeout_ms=limit_ms, shared=self._control.context)
            self._must_be_silent(silencer)
        return silencer

    def _must_be_silent(self, silencer: Silencer) -> None:
        state = silencer.mute()
        if state is not RfState.OFF:
            silencer.close()
            raise HardwareError(f"{self._uri}: mute reads back {state.value}; switch the device off by hand")

    @property
    def device_id(self) -> str:
        """Model and serial of the unit."""
        return f"pluto {self._serial}"

    @property
    def model(self) -> str:
        """What the unit calls itself."""
        return self._model

    # -- receiving -----------------------------------------------------------------------------------------------

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        """Set the receiver and verify it by readback; raises SettingRefused, HardwareError (and is muted then).

        A readback within the synthesizer's step of what was asked counts as that.
        """
        held = on_rx_steps(settings, self._ranges)
        with self._lock:
            if self._tx is not None and self._tx.sample_rate_hz != held.sample_rate_hz:
                raise SettingRefused(
                    f"sample_rate_hz {held.sample_rate_hz}: transmitting at {self._tx.sample_rate_hz}, and both "
                    "directions share one rate; use it, or mute first"
                )
            with self._failing_silent():
                self._controlled().tune_rx(held)
            self._rx = held
            self._tunings += 1
        return held

    def receive(self, samples: int) -> RxBlock:
        """Take `samples` that are all younger than the call, from a buffer opened for them.

        A cut connection or a time-out of the device is met once by another buffer, and flagged as a gap.

        Raises:
            SettingRefused: not tuned, or a number of samples the radio does not take.
            ReceiveTimeout: nothing came in time.
            HardwareError: the device failed; it was muted, or could not be.
        """
        settings = self._checked(samples)
        with self._receiving:
            flags = RxFlag.NONE
            for last in (False, True):
                before_ns = time.monotonic_ns()
                try:
                    iq = self._one_block(samples, settings)
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
            after_ns = time.monotonic_ns()
        length_ns = len(iq) * NS // settings.sample_rate_hz
        start = Span(earliest_ns=before_ns, latest_ns=max(before_ns, after_ns - length_ns))
        return self._block(iq, samples, settings, start, flags)

    def _patience_ns(self, samples: int, settings: RxSettings) -> int:
        """Longer than this is no cut but a device that hangs."""
        return self._options.timeout_ms * 1_000_000 + samples * NS // settings.sample_rate_hz

    def _checked(self, samples: int) -> RxSettings:
        if not 1 <= samples <= self._options.block_samples_max:
            raise SettingRefused(f"samples {samples} is outside 1 to {self._options.block_samples_max}; ask for fewer")
        if self._rx is None:
            raise SettingRefused(f"{self._uri}: the receiver is not tuned; call tune_rx first")
        return self._rx

    def _one_block(self, samples: int, settings: RxSettings) -> Iq16:
        buffer = self._opened(self._controlled(), samples, settings)
        try:
            return buffer.refill()
        finally:
            buffer.close()

    def _opened(self, control: Control, samples: int, settings: RxSettings) -> ReceiveBuffer:
        """A receive buffer whose limit leaves a block the time it takes."""
        control.allow(block_ms=samples * 1000 // settings.sample_rate_hz)
        return ReceiveBuffer(control, samples)

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
        """Give block after block without a break; a loss, a repeated block or a reopened buffer is flagged.

        After a retune the buffer is opened anew, so that nothing of the old setting is given as new. Raises
        SettingRefused, HardwareError.
        """
        settings, reopened = self._checked(samples), False
        while not self._closing.is_set():
            settings, tunings = self._checked(samples), self._tunings
            try:
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
        """Blocks of one open buffer, until the receiver is retuned."""
        length_ns = samples * NS // settings.sample_rate_hz
        opened_ns = time.monotonic_ns()
        control = self._controlled()
        buffer = self._opened(control, samples, settings)
        flags = RxFlag.GAP if after_gap else RxFlag.NONE
        timing = _Timing(opened_ns=opened_ns, length_ns=length_ns)
        head = np.zeros(0, dtype=np.int16)
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
                yield self._block(iq, samples, settings, start, flags)
                flags = RxFlag.NONE
        finally:
            buffer.close()

    # -- transmitting --------------------------------------------------------------------------------------------

    def tune_tx(self, settings: TxSettings) -> TxSettings:
        """The order up: quiet, tuned, oscillator on, a buffer of zeros, gain last; each step read back.

        Raises:
            SettingRefused: outside the ranges, another rate than the receiver's, or no independent way to mute.
            HardwareError: it failed or read back otherwise; it was muted.
        """
        held = on_tx_steps(settings, self._ranges)
        if not self._silencer.independent:
            raise SettingRefused(f"{self._uri}: allows no second connection to mute it by; use its ip: address")
        with self._lock:
            if self._rx is not None and self._rx.sample_rate_hz != held.sample_rate_hz:
                raise SettingRefused(
                    f"sample_rate_hz {held.sample_rate_hz}: receiving at {self._rx.sample_rate_hz}, and both "
                    "directions share one rate; use it"
                )
            with self._failing_silent():
                self._up(held)
        return held

    def _up(self, settings: TxSettings) -> None:
        control = self._controlled()
        mutes = self._mutes
        control.prepare_tx(settings)
        if self._transmit is not None and self._transmit.rate_hz != settings.sample_rate_hz:
            self._close_transmit()
        if self._transmit is None:
            burst = self._options.burst_samples
            self._transmit = TransmitBuffer(control, burst, rate_hz=settings.sample_rate_hz)
        if mutes == self._mutes:
            control.raise_gain(settings)
            self._tx = settings
        if mutes != self._mutes:
            raise HardwareError(f"{self._uri}: muted while it was being tuned")

    def send(self, iq: Iq16) -> Sent:
        """Play samples of shape (n, 2) once, zeros after them; after a mute they play to nowhere.

        Raises:
            SettingRefused: no burst, longer than `burst_samples`, or too much is queued already.
            HardwareError: the device failed; it was muted.
        """
        limit = self._options.burst_samples
        if iq.dtype != np.int16 or iq.ndim != 2 or iq.shape[1] != 2 or not 1 <= len(iq) <= limit:
            raise SettingRefused(f"{iq.dtype} of shape {iq.shape}: give int16 of shape (n, 2), n from 1 to {limit}")
        with self._lock:
            if self._transmit is None:
                raise SettingRefused(f"{self._uri}: the transmitter is off; call tune_tx first")
            with self._failing_silent():
                sent = self._transmit.send(iq)
            length_ns = len(iq) * NS // self._transmit.rate_hz
            self._own.append(Span(earliest_ns=sent.start.earliest_ns, latest_ns=sent.start.latest_ns + length_ns))
            return sent

    # -- silence -------------------------------------------------------------------------------------------------

    def mute(self) -> RfState:
        """Silence at once on a connection of its own, and read back on a fresh one; UNKNOWN is as bad as ON."""
        self._mutes += 1
        failures = self._silencer.failures
        state = self._silencer.mute(self._close_transmit)
        if self._silencer.failures != failures:
            # What cut one connection has most likely cut the other; a new one begins with muting again.
            self._control = None
        return state

    def rf_state(self) -> RfState:
        """Read back whether the output can radiate; UNKNOWN when the device does not answer."""
        return self._silencer.rf_state()

    def _close_transmit(self) -> None:
        buffer, self._transmit, self._tx = self._transmit, None, None
        if buffer is not None:
            buffer.close()

    def heartbeat(self) -> None:
        """Tell the device's own dead-man, by the phase of a tone generator that is off; raises HardwareError."""
        self._beat = self._beat % (BEATS - 1) + 1
        self._silencer.write(HEARTBEAT, str(self._beat * BEAT_STEP))

    def guarded(self) -> bool:
        """Whether the device's dead-man answered the last heartbeat; raises HardwareError."""
        answered = self._silencer.read(ECHO)
        return self._beat > 0 and answered.isdigit() and abs(int(answered) - self._beat * BEAT_STEP) < BEAT_STEP // 2

    def close(self) -> None:
        """Mute and let go of the device. Raises HardwareError if it does not read back as muted."""
        if self._closing.is_set():
            return
        self._closing.set()
        state = self.mute()
        self._silencer.close()
        self._control = None
        if state is not RfState.OFF:
            raise HardwareError(f"{self._uri}: mute reads back {state.value}; switch the device off by hand")

    # -- failing -------------------------------------------------------------------------------------------------

    def _controlled(self) -> Control:
        """The control connection; made anew, muting first, if the last one failed."""
        with self._lock:
            if self._control is None:
                if self._silencer.independent:
                    self._must_be_silent_again()
                self._control = Control(self._uri, timeout_ms=self._options.timeout_ms)
            return self._control

    def _must_be_silent_again(self) -> None:
        state = self.mute()
        if state is not RfState.OFF:
            raise Disconnected(f"{self._uri}: mute reads back {state.value}; switch the device off by hand")

    def _fail(self) -> None:
        """Throw the control connection away and mute."""
        self._control = None
        self.mute()

    @contextmanager
    def _failing_silent(self) -> Iterator[None]:
        """Whatever of the device's fails inside leaves it muted and the connection discarded."""
        try:
            yield
        except HardwareError:
            self._fail()
            raise


class _Timing:
    """When the blocks of an unbroken stream begin: never before the opening, never after they could have come."""

    def __init__(self, *, opened_ns: int, length_ns: int) -> None:
        self._length_ns = length_ns
        self._first = Span(earliest_ns=opened_ns, latest_ns=2**62)
        self._count = 0
        self._lost = False

    def lost(self) -> None:
        """Samples before the next block were lost."""
        self._lost = True

    def next(self, now_ns: int) -> Span:
        """The start of a block that has just come."""
        newest_ns = now_ns - self._length_ns
        if self._lost:
            oldest_ns = now_ns - (KERNEL_BUFFERS + 1) * self._length_ns
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


def mute_uri(uri: str, *, serial: str | None = None) -> RfState:
    """Silence a Pluto and read back, with nothing but its address; UNKNOWN when it cannot be told.

    Raises: LibraryMissing, Disconnected, HardwareError (the firmware cannot be muted), SettingRefused (another unit).
    """
    silencer = Silencer(uri or _found(serial))
    try:
        found = silencer.context_attributes.get("hw_serial", "")
        if serial is not None and found != serial:
            raise SettingRefused(f"{uri}: serial {found or 'unknown'}, not {serial}; choose that unit's URI")
        return silencer.mute()
    finally:
        silencer.close()


def _found(serial: str | None) -> str:
    if serial is None:
        raise SettingRefused("no Pluto named: give its URI or its serial number")
    known = serials()
    if serial not in known:
        seen = ", ".join(known) or "none"
        raise Disconnected(f"no device with serial {serial} found; there are: {seen}; give its ip: address")
    return known[serial]
