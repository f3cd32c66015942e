"""ADALM-Pluto behind the radio port: adi.Pluto for control, raw int16 buffers, a separate connection to mute.

The device is muted before anything else is done with it, and again whenever anything fails: a failed context is thrown
away, a new one made when it is next needed. Times are the host's: nothing in stock firmware stamps samples.

Long because one device has one life, from connecting to closing, under one lock.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np

from hw_profiles.profile import RadioProfile
from radio.drivers.pluto.beats import Beats
from radio.drivers.pluto.buffers import NS, TransmitBuffer
from radio.drivers.pluto.control import Control
from radio.drivers.pluto.layout import (
    ECHO,
    HEARTBEAT,
    ChipRanges,
    PlutoOptions,
    Ranges,
    on_rx_steps,
    on_tx_steps,
)
from radio.drivers.pluto.libiio import serials
from radio.drivers.pluto.mute import Silencer
from radio.drivers.pluto.receive import Reception
from radio.drivers.pluto.unit import Unit
from radio.drivers.pluto.watch import Watch
from radio.errors import Disconnected, HardwareError, SettingRefused
from radio.ports import Drift, Iq16, RfState, RxBlock, RxSettings, Sent, Span, TxSettings

ANSWERED_NS: Final = 2 * NS
"""Age up to which a heartbeat repeated by the dead-man counts: it looks ten times a second, the host writes on."""


DEAD_MAN_S: Final = 1.0
DEAD_MAN_POLL_S: Final = 0.02


class PlutoRadio:
    """One Pluto. Receiving, transmitting and muting may each be used from a separate thread."""

    def __init__(
        self,
        uri: str,
        *,
        serial: str | None = None,
        profile: RadioProfile | None = None,
        ranges: Ranges | None = None,
        options: PlutoOptions | None = None,
    ) -> None:
        """Connect and mute, whatever the unit is; then check its identity.

        Args:
            uri: as libiio writes it, `ip:ADDRESS[:PORT]` or `usb:…`; "" to search for `serial`.
            serial: refuse any other unit.
            profile: what the unit has to be, by its model, firmware and libiio; where none is given, a unit that none
                of the package's profiles is for receives and does not transmit.
            ranges: what this kind of unit may be set to; the profile's, or a stock one's, if not given.
            options: limits of time and size.

        Raises:
            LibraryMissing: libiio is not installed.
            Disconnected: nothing answers; the transmitter's state is unknown.
            HardwareError: the firmware cannot be muted, or does not read back as muted.
            SettingRefused: it is another unit, or not what the profile is for; it was muted.
        """
        self._serial = serial
        self._searched = not uri
        self._uri = uri or _found(serial)
        self._ranges: Ranges = ranges or profile or ChipRanges()
        self._options = options if options is not None else PlutoOptions()
        self._control: Control | None = None
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._mutes = 0
        self._tx: TxSettings | None = None
        self._transmit: TransmitBuffer | None = None
        self._own: deque[Span] = deque(maxlen=64)
        self._beats = Beats()
        self._reception = Reception(
            self._uri,
            self._options,
            control=self._controlled,
            fail=self._fail,
            closing=self._closing,
            own=self._own,
        )
        self._silencer = Silencer(
            self._uri,
            timeout_ms=self._options.mute_timeout_ms,
            find=self._search if self._searched else None,
        )
        about, version = self._silencer.context_attributes, self._silencer.version
        self._watch = Watch(self._uri, serial=about.get("hw_serial", ""), timeout_ms=self._options.mute_timeout_ms)
        self._must_be_silent()
        try:
            refuse_other(self._uri, about, serial)
            self._unit = Unit.of(about, version, profile=profile)
        except SettingRefused as exc:
            self._silencer.close()
            raise SettingRefused(f"{self._uri}: {exc}") from exc
        try:
            self._control = Control(self._uri, timeout_ms=self._options.timeout_ms)
        except Disconnected:
            self._silencer.close()
            self._share()

    def _search(self) -> str:
        """The unit's present address: a USB device comes back under another number. Raises HardwareError."""
        self._uri = _found(self._serial)
        self._watch.moved_to(self._uri)
        return self._uri

    def _share(self) -> None:
        """Mute through the control connection, where a device allows one connection only. Raises HardwareError."""
        self._control = Control(self._uri, timeout_ms=self._options.timeout_ms)
        limit_ms = self._options.mute_timeout_ms
        self._silencer = Silencer(self._uri, timeout_ms=limit_ms, shared=self._control.context)
        self._must_be_silent()

    def _must_be_silent(self) -> None:
        state = self.mute()
        if state is not RfState.OFF:
            raise Disconnected(f"{self._uri}: mute reads back {state.value}; switch the device off by hand")

    @property
    def device_id(self) -> str:
        """Model and serial of the unit; without a serial number, a name that is unique to this opening."""
        return self._unit.identity

    @property
    def model(self) -> str:
        """The model name that the unit reports."""
        return self._unit.hw_model

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
                self._tune_receiver(held)
            self._reception.retuned(held)
        with self._failing_silent():
            self._reception.test_hearing()
        return held

    def _tune_receiver(self, settings: RxSettings) -> None:
        """Tune the receiver, and mute again a transmitter that was muted before. Raises HardwareError."""
        if self._tx is not None:
            # Same sample rate: the write changes no transmitter setting, and the transmitter stays watched.
            self._controlled().tune_rx(settings, still_silent=lambda: None)
            return
        self._watch.begin()
        try:
            self._controlled().tune_rx(settings, still_silent=self._silent_still)
        finally:
            self._watch.end(self._tx)

    def _silent_still(self) -> None:
        """Mute again where a write to the receiver unmuted the transmitter; raises HardwareError."""
        if self._silencer.rf_state() is not RfState.OFF:
            self._must_be_silent()

    def receive(self, samples: int) -> RxBlock:
        """Take `samples` that are all younger than the call, from a buffer opened for them.

        Raises: as `Reception.receive`.
        """
        return self._reception.receive(samples)

    def stream(self, samples: int) -> Iterator[RxBlock]:
        """Yield block after block without a break, every loss flagged; raises SettingRefused, HardwareError."""
        return self._reception.stream(samples)

    # -- transmitting --------------------------------------------------------------------------------------------

    def tune_tx(self, settings: TxSettings) -> TxSettings:
        """Tune the transmitter: quiet, tuned, oscillator on, a buffer of zeros, gain last; each step is read back.

        Raises:
            SettingRefused: outside the ranges, another rate than the receiver's, or no independent way to mute.
            HardwareError: it failed or read back otherwise; it was muted.
        """
        held = on_tx_steps(settings, self._ranges)
        if not self._silencer.independent:
            raise SettingRefused(f"{self._uri}: allows no second connection to mute it by; use its ip: address")
        if self._unit.silent_because:
            raise SettingRefused(f"{self._uri}: does not transmit: {self._unit.silent_because}")
        with self._lock:
            receiving = self._reception.settings
            if receiving is not None and receiving.sample_rate_hz != held.sample_rate_hz:
                raise SettingRefused(
                    f"sample_rate_hz {held.sample_rate_hz}: receiving at {receiving.sample_rate_hz}, and both "
                    "directions share one rate; use it"
                )
            with self._failing_silent():
                self._up(held)
        return held

    def _up(self, settings: TxSettings) -> None:
        control = self._controlled()
        mutes = self._mutes
        self._watch.begin()
        try:
            control.prepare_tx(settings)
            if self._transmit is not None and self._transmit.rate_hz != settings.sample_rate_hz:
                self._close_transmit()
            if self._transmit is None:
                burst = self._options.burst_samples
                self._transmit = TransmitBuffer(
                    control,
                    burst,
                    rate_hz=settings.sample_rate_hz,
                    kernel_buffers=self._options.kernel_buffers,
                )
            if mutes == self._mutes:
                control.raise_gain(settings)
                self._tx = settings
        finally:
            self._watch.end(self._tx)
        if mutes != self._mutes:
            raise HardwareError(f"{self._uri}: muted while it was being tuned")

    def send(self, iq: Iq16) -> Sent:
        """Send samples of shape (n, 2) once, zeros after them; once muted, they are discarded.

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
        """Mute at once over a separate connection, and read back on a fresh one; treat UNKNOWN like ON."""
        self._mutes += 1
        failures = self._silencer.failures
        self._watch.begin()
        try:
            state = self._silencer.mute(self._close_transmit)
        finally:
            self._watch.end(None)
        if self._silencer.failures != failures:
            # A fault that cut one connection has most likely cut the other; a new one begins with muting again.
            self._control = None
        return state

    def rf_state(self) -> RfState:
        """Read back whether the output can radiate; UNKNOWN when the device does not answer."""
        return self._silencer.rf_state()

    def drift(self) -> Drift | None:
        """The transmitter settings that read otherwise than set; raises HardwareError when the device cannot be asked.

        While it is muted and the connection was lost, the device may have been off and on again: it is muted anew.
        """
        if not self._silencer.independent:
            return None
        if not self._watch.connected:
            if self._tx is None and self.mute() is not RfState.OFF:
                raise Disconnected(f"{self._uri}: cannot be muted anew; switch the device off by hand")
            self._watch.connect()
        return self._watch.drift()

    @property
    def receiver_moved(self) -> str:
        """The receiver settings that read otherwise than tuned at the last check; "" if none."""
        return self._reception.moved

    def _close_transmit(self) -> None:
        buffer, self._transmit, self._tx = self._transmit, None, None
        if buffer is not None:
            buffer.close()

    def heartbeat(self) -> None:
        """Send a heartbeat to the dead-man as the phase of a tone generator that is off; raises HardwareError."""
        self._silencer.write(HEARTBEAT, self._beats.next(time.monotonic_ns()))

    def guarded(self) -> bool:
        """Whether the device's dead-man repeats a heartbeat of the last two seconds; raises HardwareError."""
        return self._beats.answered(self._silencer.read(ECHO), since_ns=time.monotonic_ns() - ANSWERED_NS)

    def close(self) -> None:
        """Mute and close the device. Raises HardwareError if it does not read back as muted."""
        if self._closing.is_set():
            return
        self._closing.set()
        state = self.mute()
        self._silencer.close()
        self._watch.drop()
        self._control = None
        if state is not RfState.OFF:
            raise HardwareError(f"{self._uri}: mute reads back {state.value}; switch the device off by hand")

    # -- failing -------------------------------------------------------------------------------------------------

    def _controlled(self) -> Control:
        """The control connection; reopened, muting first, if the last one failed."""
        with self._lock:
            if self._control is None and not self._silencer.independent:
                self._share()
            if self._control is None:
                self._must_be_silent()
                self._control = Control(self._uri, timeout_ms=self._options.timeout_ms)
            return self._control

    def _fail(self) -> None:
        """Drop the control connection and mute."""
        self._control = None
        self.mute()

    @contextmanager
    def _failing_silent(self) -> Iterator[None]:
        """Mute and drop the control connection if any device call inside the context fails."""
        try:
            yield
        except HardwareError:
            self._fail()
            raise


def mute_uri(uri: str, *, serial: str | None = None) -> RfState:
    """Mute a Pluto given only its address, and read back; UNKNOWN when it cannot be told.

    Raises: LibraryMissing, Disconnected, HardwareError (the firmware cannot be muted), SettingRefused (another unit).
    """
    address = uri or _found(serial)
    silencer = Silencer(address)
    try:
        refuse_other(address, silencer.context_attributes, serial)
        return silencer.mute()
    finally:
        silencer.close()


def rf_state_of(uri: str, *, serial: str | None = None) -> RfState:
    """Read back whether a Pluto can radiate, given only its address; UNKNOWN when it cannot be told.

    Raises: as `mute_uri`.
    """
    address = uri or _found(serial)
    silencer = Silencer(address)
    try:
        refuse_other(address, silencer.context_attributes, serial)
        return silencer.rf_state()
    finally:
        silencer.close()


def identity_of(uri: str, *, serial: str | None = None) -> str:
    """The device name of a Pluto in a credential, read from the unit; changes no setting.

    Raises: as `mute_uri`.
    """
    address = uri or _found(serial)
    silencer = Silencer(address)
    try:
        about = silencer.context_attributes
        refuse_other(address, about, serial)
        return Unit.of(about, silencer.version, profile=None).identity
    finally:
        silencer.close()


def dead_man_of(uri: str, *, serial: str | None = None, wait_s: float = DEAD_MAN_S) -> bool:
    """Whether a Pluto's own dead-man answers two heartbeats; two, so that an old number is not taken for an answer.

    Raises: as `mute_uri`.
    """
    address = uri or _found(serial)
    silencer = Silencer(address)
    try:
        refuse_other(address, silencer.context_attributes, serial)
        beats = Beats(after=silencer.read(ECHO))
        return all(_repeated(silencer, beats, wait_s) for _ in range(2))
    finally:
        silencer.close()


def _repeated(silencer: Silencer, beats: Beats, wait_s: float) -> bool:
    """Whether one heartbeat is answered in time; raises HardwareError."""
    asked_ns = time.monotonic_ns()
    silencer.write(HEARTBEAT, beats.next(asked_ns))
    while time.monotonic_ns() < asked_ns + round(wait_s * NS):
        if beats.answered(silencer.read(ECHO), since_ns=asked_ns):
            return True
        time.sleep(DEAD_MAN_POLL_S)
    return False


def refuse_other(uri: str, about: dict[str, str], serial: str | None) -> None:
    """Raise SettingRefused if a serial number is asked for and this unit has another."""
    found = about.get("hw_serial", "")
    if serial is not None and not serial.strip():
        raise SettingRefused(f"{uri}: an empty serial number names no unit; give the unit's own, or none")
    if serial is not None and found != serial:
        raise SettingRefused(f"{uri}: serial {found or 'unknown'}, not {serial}; choose that unit's URI")


def _found(serial: str | None) -> str:
    if serial is None:
        raise SettingRefused("no Pluto named: give its URI or its serial number")
    known = serials()
    if serial not in known:
        seen = ", ".join(known) or "none"
        raise Disconnected(f"no device with serial {serial} found; there are: {seen}; give its ip: address")
    return known[serial]
