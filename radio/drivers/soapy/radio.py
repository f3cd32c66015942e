"""A device behind SoapySDR, as radio port.

It is silenced before anything else is done with it and whenever anything fails. It transmits only where a second
process can have the device too, to mute it whatever this one does: most families let one process alone have a device on
USB, and those receive only. Times are the host's: when a stream is switched on, its samples are younger.

Long because one device has one life, from opening to closing, under one lock.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import numpy as np

from hw_profiles.profile import RadioProfile
from radio.drivers.soapy import settings as held_settings
from radio.drivers.soapy.doubts import ReceiverDoubts
from radio.drivers.soapy.handle import Handle, family
from radio.drivers.soapy.silencer import ANSWER_S, SilencerProcess
from radio.drivers.soapy.streams import CODES, NS, SoapyReceive, SoapyTransmit
from radio.drivers.soapy.unit import SoapyUnit
from radio.drivers.soapy.watch import TransmitterWatch
from radio.errors import Disconnected, HardwareError, SettingRefused
from radio.ports import Drift, Iq16, RfState, RxBlock, RxFlag, RxSettings, Sent, Span, TxSettings

PATIENCE_NS: Final = 2 * NS
BLOCK_MOST: Final = 16_777_216
LOSSES_MOST: Final = 8
SPARE_S: Final = 0.4
"""Time, beyond the profile's deadline, that a busy host may take to learn of a mute that was done in time, s."""
TELLS_OVERFLOWS: Final = frozenset({"hackrf", "lime", "uhd", "bladerf", "rtlsdr", "bandpact_air"})
"""Families whose modules report lost samples; of other families it is not known."""


class SoapyRadio:
    """One device behind SoapySDR. Receiving, transmitting and muting may each be used from a separate thread."""

    def __init__(self, arguments: str, *, profile: RadioProfile | None = None, burst_samples: int = 262_144) -> None:
        """Open and mute the device, whatever it is; then check its identity.

        Args:
            arguments: as SoapySDR writes them, `driver=hackrf,serial=…`.
            profile: what the unit has to be and may be set to; without, it receives within what it advertises.
            burst_samples: the longest burst.

        Raises: LibraryMissing, Disconnected, HardwareError, SettingRefused (another kind of unit than the profile's).
        """
        self._arguments, self._profile, self._burst = arguments, profile, burst_samples
        self._handle = Handle(arguments)
        self._watch = TransmitterWatch(self._handle)
        self._lock, self._receiving = threading.RLock(), threading.Lock()
        self._closing = threading.Event()
        self._mutes = self._sequence = 0
        self._silencer: SilencerProcess | None = None
        self._no_second = ""
        self._rx: RxSettings | None = None
        self._tx: TxSettings | None = None
        self._transmit: SoapyTransmit | None = None
        self._own: deque[Span] = deque(maxlen=64)
        try:
            self._must_be_silent()
            self._unit = SoapyUnit.of(self._handle, profile)
            self._receive = SoapyReceive(self._handle, full_scale=CODES if profile is None else profile.rx.full_scale)
            self._doubts = ReceiverDoubts(self._handle, full_scale=self._receive.full_scale)
            self._unknown = family(arguments) not in TELLS_OVERFLOWS
        except BaseException:
            self._handle.close()
            raise

    def _must_be_silent(self) -> None:
        if self._handle.quiet() is RfState.ON:
            raise Disconnected(f"soapy:{self._arguments}: does not read back as silent; switch it off by hand")

    @property
    def device_id(self) -> str:
        """Family and serial number; without a serial number, a name that is unique to this opening."""
        return self._unit.identity

    @property
    def full_scale(self) -> int:
        """The received samples' full scale, in codes."""
        return self._receive.full_scale

    # -- receiving -----------------------------------------------------------------------------------------------

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        """Set the receiver and read it back; raises SettingRefused, HardwareError."""
        held = held_settings.on_rx_steps(settings, self._handle, self._profile)
        with self._lock, self._receiving:
            if self._tx is not None and self._tx.sample_rate_hz != held.sample_rate_hz:
                raise SettingRefused(
                    f"sample_rate_hz {held.sample_rate_hz}: transmitting at {self._tx.sample_rate_hz}, and a family "
                    "may have one rate for both; use it, or mute first"
                )
            self._receive.switch(on=False)
            width = held_settings.tune(self._handle, self._handle.rx, held)
            gain_db = held_settings.set_gain(self._handle, self._handle.rx, held.gain_mdb / 1000)
            self._rx = replace(held, bandwidth_hz=width, gain_mdb=round(1000 * gain_db))
            self._doubts.tuned()
            return self._rx

    def receive(self, samples: int) -> RxBlock:
        """Take `samples` that are all younger than the call, from a stream switched on for them.

        Raises: SettingRefused before tuning or for an impossible number; ReceiveTimeout, HardwareError.
        """
        with self._receiving:
            settings = self._ready(samples)
            if self._doubts.due:
                self._test(settings)
            limit_ns = time.monotonic_ns() + PATIENCE_NS + 4 * samples * NS // settings.sample_rate_hz
            try:
                for _ in range(LOSSES_MOST):
                    begun_ns = self._begun(settings, limit_ns)
                    iq = self._whole(samples, limit_ns)
                    if iq is not None:
                        return self._block(iq, settings, begun_ns, self._doubts.of(iq, every=True))
                    self._receive.switch(on=False)
            finally:
                self._receive.switch(on=False)
            raise HardwareError(f"soapy:{self._arguments}: samples are lost at its rate; go slower")

    def stream(self, samples: int) -> Iterator[RxBlock]:
        """Yield block after block without a break, each loss flagged; raises SettingRefused, HardwareError."""
        with self._receiving:
            settings, lost, count = self._ready(samples), False, 0
            if self._doubts.due:
                self._test(settings)
            begun_ns = self._begun(settings, time.monotonic_ns() + PATIENCE_NS)
            patience_ns = PATIENCE_NS + 4 * samples * NS // settings.sample_rate_hz
            try:
                while not self._closing.is_set() and self._rx is settings:
                    iq = self._whole(samples, time.monotonic_ns() + patience_ns)
                    if iq is None:
                        begun_ns, count, lost = time.monotonic_ns(), 0, True
                        continue
                    flags = self._doubts.of(iq, every=False) | (RxFlag.GAP if lost else RxFlag.NONE)
                    block = self._block(iq, settings, begun_ns, flags, before=count)
                    lost, count = False, count + samples
                    yield block
                    if self._doubts.suspect and self._rx is settings:
                        self._test(settings)
                        begun_ns, count, lost = self._begun(settings, time.monotonic_ns() + patience_ns), 0, True
            finally:
                self._receive.switch(on=False)

    def _ready(self, samples: int) -> RxSettings:
        if self._rx is None:
            raise SettingRefused(f"soapy:{self._arguments}: the receiver is not tuned; call tune_rx first")
        most = BLOCK_MOST if self._profile is None else self._profile.stream.max_block
        if not 1 <= samples <= most:
            raise SettingRefused(f"samples {samples} is outside 1 to {most}; ask for fewer")
        return self._rx

    def _test(self, settings: RxSettings) -> None:
        """Test whether the receiver hears, with one stream for each of two gains; raises HardwareError."""

        def take(samples: int) -> Iq16:
            self._receive.switch(on=False)
            limit_ns = time.monotonic_ns() + PATIENCE_NS
            for _ in range(LOSSES_MOST):
                self._begun(settings, limit_ns)
                iq = self._whole(samples, limit_ns)
                if iq is not None:
                    return iq
                self._receive.switch(on=False)
            raise HardwareError(f"soapy:{self._arguments}: samples are lost at its rate; go slower")

        try:
            self._doubts.test(settings, take)
        finally:
            self._receive.switch(on=False)

    def _begun(self, settings: RxSettings, limit_ns: int) -> int:
        """Switch the stream on and discard a retuned device's first samples; returns when, monotonic ns."""
        begun_ns = time.monotonic_ns()
        self._receive.switch(on=True)
        if self._profile is not None:
            settle = self._profile.settle
            skipped = (settle.lo_us + settle.gain_us) * settings.sample_rate_hz // 1_000_000
            for _ in range(settle.discard_blocks):
                self._receive.read(BLOCK_MOST, limit_ns=limit_ns)
            while skipped > 0:
                skipped -= max(1, len(self._receive.read(skipped, limit_ns=limit_ns)[0]))
            begun_ns = begun_ns if not settle.discard_blocks else time.monotonic_ns()
        return begun_ns

    def _whole(self, samples: int, limit_ns: int) -> Iq16 | None:
        """Read that many consecutive samples; None where some were lost among them."""
        parts: list[Iq16] = []
        size = 0
        while size < samples:
            part, lost = self._receive.read(samples - size, limit_ns=limit_ns)
            if lost:
                return None
            parts.append(part)
            size += len(part)
        return np.concatenate(parts)

    def _block(self, iq: Iq16, settings: RxSettings, begun_ns: int, flags: RxFlag, *, before: int = 0) -> RxBlock:
        now_ns, rate = time.monotonic_ns(), settings.sample_rate_hz
        newest_ns = now_ns - len(iq) * NS // rate
        earliest_ns = min(begun_ns + before * NS // rate, newest_ns)
        end_ns = now_ns
        self._sequence += 1
        if any(one.earliest_ns < end_ns and one.latest_ns > earliest_ns for one in self._own):
            flags |= RxFlag.OWN_TX
        if self._unknown:
            flags |= RxFlag.OVERFLOW_UNKNOWN
        if int(np.abs(iq.astype(np.int32)).max()) >= self.full_scale - 1:
            flags |= RxFlag.CLIPPED
        iq.flags.writeable = False
        return RxBlock(
            iq=iq,
            sequence=self._sequence,
            start=Span(earliest_ns=earliest_ns, latest_ns=newest_ns),
            settings=settings,
            full_scale=self.full_scale,
            flags=flags,
        )

    # -- transmitting --------------------------------------------------------------------------------------------

    def tune_tx(self, settings: TxSettings) -> TxSettings:
        """Tune the transmitter: second handle, quiet, tuned, stream on, gain last; each step is read back.

        Raises:
            SettingRefused: outside the profile, another rate than the receiver's, or no independent way to mute.
            HardwareError: it failed or read back otherwise; it was muted.
        """
        if self._unit.silent_because or self._profile is None:
            raise SettingRefused(f"soapy:{self._arguments}: does not transmit: {self._unit.silent_because}")
        held = held_settings.on_tx_steps(settings, self._profile)
        with self._lock:
            if self._rx is not None and self._rx.sample_rate_hz != held.sample_rate_hz:
                raise SettingRefused(
                    f"sample_rate_hz {held.sample_rate_hz}: receiving at {self._rx.sample_rate_hz}, and a family may "
                    "have one rate for both; use it"
                )
            self._independent()
            self._watch.begin()
            read: dict[str, float] | None = None
            try:
                with self._failing_silent():
                    self._up(held, self._profile)
                    read = self._watch.read()
            finally:
                self._watch.end(read)
            return held

    def _independent(self) -> SilencerProcess:
        """The second handle, to mute over; raises SettingRefused where the family allows none."""
        if self._silencer is not None and not self._silencer.alive:
            self._silencer.close()
            self._silencer = None
        if self._silencer is None and not self._no_second:
            try:
                answer_s = ANSWER_S if self._profile is None else self._profile.mute.deadline_ms / 1000 + SPARE_S
                self._silencer = SilencerProcess(self._arguments, answer_s=answer_s)
            except HardwareError as exc:
                self._no_second = str(exc)
        if self._silencer is None:
            raise SettingRefused(
                f"soapy:{self._arguments}: does not transmit: no second process can have the device to mute it by "
                f"({self._no_second})"
            )
        return self._silencer

    def _up(self, settings: TxSettings, profile: RadioProfile) -> None:
        handle, mutes = self._handle, self._mutes
        retuned = self._tx is None or replace(self._tx, attenuation_mdb=0) != replace(settings, attenuation_mdb=0)
        if retuned:
            self._cut()
            self._must_be_silent()
            held_settings.tune(handle, handle.tx, settings)
            self._same_receiver()
        if self._transmit is None:
            timing = profile.timing
            self._transmit = SoapyTransmit(
                handle,
                rate_hz=settings.sample_rate_hz,
                full_scale=profile.tx.full_scale,
                uncertain_ns=0 if timing.hw_timestamp else timing.host_uncertainty_us * 1000,
            )
        if mutes == self._mutes:
            loudest_db = float(handle.call("getGainRange", handle.tx, 0).maximum())
            wanted_db = loudest_db - settings.attenuation_mdb / 1000
            read_db = held_settings.set_gain(handle, handle.tx, wanted_db)
            if read_db != wanted_db:
                raise HardwareError(f"soapy:{self._arguments}: gain {wanted_db:g} dB reads back as {read_db:g} dB")
            self._tx = settings
        if mutes != self._mutes:
            raise HardwareError(f"soapy:{self._arguments}: muted while it was being tuned")

    def _same_receiver(self) -> None:
        """Raise HardwareError where tuning the transmitter has changed the receiver's rate."""
        if self._rx is not None:
            read = float(self._handle.call("getSampleRate", self._handle.rx, 0))
            if abs(read - self._rx.sample_rate_hz) > 1:
                raise HardwareError(f"soapy:{self._arguments}: tuning to transmit moved the receiver to {read:g} S/s")

    def send(self, iq: Iq16) -> Sent:
        """Send samples of shape (n, 2) once.

        Raises:
            SettingRefused: no burst, longer than `burst_samples`, too much is queued, or the transmitter is off.
            HardwareError: the device failed; it was muted.
        """
        if iq.dtype != np.int16 or iq.ndim != 2 or iq.shape[1] != 2 or not 1 <= len(iq) <= self._burst:
            raise SettingRefused(f"{iq.dtype} of shape {iq.shape}: give int16 (n, 2), n from 1 to {self._burst}")
        with self._lock:
            if self._transmit is None:
                raise SettingRefused(f"soapy:{self._arguments}: the transmitter is off; call tune_tx first")
            rate_hz = self._transmit.rate_hz
            with self._failing_silent():
                sent = self._transmit.send(iq)
            length_ns = len(iq) * NS // rate_hz
            self._own.append(Span(earliest_ns=sent.start.earliest_ns, latest_ns=sent.start.latest_ns + length_ns))
            return sent

    # -- silence -------------------------------------------------------------------------------------------------

    def mute(self) -> RfState:
        """Mute at once, over the second handle first where there is one, and read back."""
        self._watch.begin()
        try:
            return self._silence()
        finally:
            self._watch.end(None)

    def _silence(self) -> RfState:
        self._mutes += 1
        silencer = self._silencer
        first = silencer.ask("mute") if silencer is not None else RfState.UNKNOWN
        try:
            self._cut()
            own = self._handle.quiet()
        except HardwareError:
            own = RfState.UNKNOWN
        if silencer is None:
            return own
        last = silencer.ask("state")
        return RfState.OFF if first is RfState.OFF and last is RfState.OFF else _worse(first, last)

    def rf_state(self) -> RfState:
        """Read back whether the output can radiate, on the second handle where there is one."""
        if self._silencer is not None:
            return self._silencer.ask("state")
        try:
            return self._handle.state()
        except HardwareError:
            return RfState.UNKNOWN

    def drift(self) -> Drift | None:
        """The transmitter settings that read otherwise than set; raises HardwareError when the device cannot be asked.

        None of a unit that this driver never has transmit.
        """
        if self._closing.is_set() or self._unit.silent_because or self._profile is None:
            return None
        return self._watch.drift()

    def _cut(self) -> None:
        """Switch the transmit stream off; raises HardwareError."""
        stream, self._transmit, self._tx = self._transmit, None, None
        if stream is not None:
            stream.close()

    @contextmanager
    def _failing_silent(self) -> Iterator[None]:
        """Mute the device if any of its calls inside the context fails."""
        try:
            yield
        except HardwareError:
            self.mute()
            raise

    def close(self) -> None:
        """Mute and close the device; raises HardwareError if it does not read back as muted."""
        if self._closing.is_set():
            return
        self._closing.set()
        state = self.mute()
        if self._silencer is not None:
            self._silencer.close()
        with self._receiving:
            self._receive.close()
        self._handle.close()
        if state is not RfState.OFF:
            raise HardwareError(f"soapy:{self._arguments}: mute reads back {state.value}; switch it off by hand")


def _worse(*states: RfState) -> RfState:
    return RfState.ON if RfState.ON in states else RfState.UNKNOWN
