"""The transmit chain: tunes at the lowest output with readback, sends bursts, and mutes.

A fault in it latches: nothing is sent again until an operator clears it, for nobody can say what the device does. A
single question that a busy host or cable left unanswered is less: the device is muted at once, and may be tuned afresh
when it read back as silent, has rested for a second, and answers again by then.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from hw_profiles.profile import RadioProfile
from radio.devicewatch import DeviceWatch
from radio.errors import RadioError
from radio.ports import Iq16, Questioned, Radio, RfState, Sent, TxSettings, Watched
from radio.wakeup import unheard
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import VerifiedPermit

UNANSWERED_MAX: Final = 3
"""Number of unanswered questions within `UNANSWERED_WITHIN_NS` that latches the radio until an operator clears it."""
UNANSWERED_WITHIN_NS: Final = 60_000_000_000
REST_NS: Final = 1_000_000_000
"""Time in ns that a device stays muted after an unanswered question; latched if it does not answer by then."""
NEVER_NS: Final = 1 << 62


class TransmitChain:
    """Tunes, sends and mutes one radio; `latched` is the reason why it may not transmit any more.

    `slowest_mute_ns` is the longest that silencing and its readback have taken since the start or the last `clear`:
    whoever has to be silent by an instant begins that much before it.
    """

    def __init__(
        self,
        radio: Radio,
        *,
        profile: RadioProfile,
        sample_rate_hz: int,
        attenuation_mdb: int,
        monotonic_ns: Callable[[], int],
        rouse: Callable[[], None] = unheard,
    ) -> None:
        self._radio, self._profile, self._monotonic_ns = radio, profile, monotonic_ns
        self._sample_rate_hz, self._attenuation_mdb = sample_rate_hz, attenuation_mdb
        self._tuned: TxSettings | None = None
        self._tuned_to: tuple[TxSettings, Band] | None = None
        self.latched: Refusal | None = None
        self.slowest_mute_ns = 0
        self._next_beat_ns = 0
        self._tuned_ns = 0
        self._unanswered_ns: deque[int] = deque(maxlen=UNANSWERED_MAX)
        self._unheard: Refusal | None = None
        self._unheard_ns = 0
        self._rests = False
        self._watch = DeviceWatch(radio, rouse=rouse) if isinstance(radio, Questioned) else None
        self._dead_man: Watched | None = radio if isinstance(radio, Watched) else None

    def start(self) -> None:
        """Mute the device, whatever its state, and start the check of its settings."""
        self.mute()
        if self._watch is not None:
            self._watch.start()

    def check(self) -> Refusal | None:
        """The difference found since the last call between the device and its settings; the device is then muted.

        Latched, with what was read and what had been set, unless all that happened is that somebody else muted it, or
        that it left a question unanswered for the first or second time within a minute.
        """
        unheard_beat, self._unheard = self._unheard, None
        silent = self._rest()
        if self._watch is None or silent is not None:
            return unheard_beat or silent
        found = self._watch.take()
        if found is None:
            failure = self._watch.failure_since(self._tuned_ns) if self._tuned is not None else ""
            return self._unanswered(f"readback failed: {failure}") if failure else unheard_beat
        if found.silenced or self.latched is not None:
            self.mute()
            return refuse(Reason.DRIVER, "gate.2", f"muted by another: {found.read}", found.wanted)
        self._latch(found.read, f"as set: {found.wanted}")
        return self.latched

    @property
    def uneasy(self) -> bool:
        """Whether `check` has a refusal or may soon: the chain is latched, or rests after an unanswered question."""
        watched = self._watch is not None and self._watch.waits(self._tuned_ns)
        return watched or self._rests or self._unheard is not None or self.latched is not None

    @property
    def resting(self) -> str | None:
        """Why the radio may not be tuned yet: a question was unanswered, and the device's rest has not ended."""
        return "the device left a question unanswered; it rests a second, and until it answers" if self._rests else None

    def _rest(self) -> Refusal | None:
        """End the rest of a device that answers again; latch where the rest is over and the device does not answer."""
        if not self._rests or self._monotonic_ns() - self._unanswered_ns[-1] < REST_NS:
            return None
        if self._watch is None or self._watch.answered_since(self._unheard_ns):
            self._rests = False
            return None
        failure = self._watch.failure_since(self._unheard_ns)
        if not failure:
            return None  # the question still hangs; the device's own timeout ends it
        self._rests = False
        self._latch(f"unanswered for a second and still: {failure}")
        return self.latched

    def band(self, permit: VerifiedPermit | None) -> Band | None:
        """The band the transmitter is tuned to, or would be tuned to when off; None where this radio cannot be."""
        if self._tuned is not None:
            if self._tuned_to is None or self._tuned_to[0] is not self._tuned:
                low_hz = self._tuned.center_hz - self._tuned.bandwidth_hz // 2
                self._tuned_to = self._tuned, Band(low_hz=low_hz, high_hz=low_hz + self._tuned.bandwidth_hz)
            return self._tuned_to[1]
        if permit is None:
            return None
        wanted = self._settings(permit.cell.band)
        outside = self._profile.check_tx(
            center_hz=wanted.center_hz,
            sample_rate_hz=wanted.sample_rate_hz,
            bandwidth_hz=wanted.bandwidth_hz,
            attenuation_db=wanted.attenuation_mdb / 1000,
        )
        return permit.cell.band if outside is None else None

    def _settings(self, band: Band) -> TxSettings:
        return TxSettings(
            center_hz=(band.low_hz + band.high_hz) // 2,
            sample_rate_hz=self._sample_rate_hz,
            bandwidth_hz=band.high_hz - band.low_hz,
            attenuation_mdb=self._attenuation_mdb,
        )

    def tune(self, permit: VerifiedPermit) -> bool:
        """Tune to a permit's band; False, muted and latched, when the device fails or reads back otherwise."""
        wanted = self._settings(permit.cell.band)
        try:
            self._tuned = self._radio.tune_tx(wanted)
        except RadioError as exc:
            self._latch(f"tuning failed: {exc}")
            return False
        if self._tuned != wanted:
            self._latch(f"readback {self._tuned}")
            return False
        self._tuned_ns = time.monotonic_ns()
        return True

    def send(self, iq: Iq16) -> Sent | None:
        """Send a burst once; None, muted and latched, when the device fails."""
        try:
            return self._radio.send(iq)
        except RadioError as exc:
            self._latch(f"sending failed: {exc}")
            return None

    @property
    def tuned(self) -> bool:
        """Whether the transmitter is tuned to a band: neither muted nor latched since."""
        return self._tuned is not None

    @property
    def beat_due_ns(self) -> int:
        """When the next heartbeat to the device's dead-man is due, monotonic ns; never where it has none."""
        return NEVER_NS if self._dead_man is None else self._next_beat_ns

    def beat(self) -> None:
        """Send a heartbeat to the device's dead-man, where it can have one; a failure while tuned mutes."""
        now_ns = self._monotonic_ns()
        if self._dead_man is None or now_ns < self._next_beat_ns:
            return
        self._next_beat_ns = now_ns + self._profile.watchdog.heartbeat_ms * 1_000_000
        try:
            self._dead_man.heartbeat()
        except RadioError as exc:
            if self._tuned is not None:
                self._unheard = self._unanswered(f"heartbeat failed: {exc}")

    def mute(self) -> int:
        """Mute and verify by readback; returns when it was done, monotonic ns. Latches when not read back as silent."""
        self._tuned = None
        began_ns = self._monotonic_ns()
        try:
            state = self._radio.mute()
        except RadioError:
            state = RfState.UNKNOWN
        if state is not RfState.OFF:
            self.latched = refuse(Reason.DRIVER, "gate.2", f"mute reads back {state.value}", "off")
        done_ns = self._monotonic_ns()
        self.slowest_mute_ns = max(self.slowest_mute_ns, done_ns - began_ns)
        return done_ns

    def clear(self) -> RfState:
        """Unlatch when the device surely is silent now; returns what it reads back."""
        fault, self.latched, self.slowest_mute_ns = self.latched, None, 0
        self._unanswered_ns.clear()
        self._rests = False
        self.mute()
        if self._watch is not None:
            self._watch.take()
        if self.latched is None:
            return RfState.OFF
        self.latched = fault or self.latched
        return RfState.UNKNOWN

    def stop(self) -> None:
        """The operator's stop: mute, and latch until cleared."""
        self.latched = None
        self.mute()
        unmuted = f"; {self.latched.measured}" if self.latched is not None else ""
        self.latched = refuse(Reason.LATCHED, "operator.stop", f"stopped{unmuted}", "bandpact tx clear")

    def close(self) -> None:
        """Mute, then close the device."""
        if self._watch is not None:
            self._watch.stop()
        self.mute()
        self._radio.close()

    def _unanswered(self, what: str) -> Refusal:
        """Mute a device that left a question unanswered; latch where it does not read back as silent.

        A device that did so `UNANSWERED_MAX` times within `UNANSWERED_WITHIN_NS` is latched, too.
        """
        now_ns = self._monotonic_ns()
        self._unanswered_ns.append(now_ns)
        self._unheard_ns = time.monotonic_ns()
        often = len(self._unanswered_ns) == UNANSWERED_MAX
        if often and now_ns - self._unanswered_ns[0] <= UNANSWERED_WITHIN_NS:
            what = f"{what}; {UNANSWERED_MAX} times within {UNANSWERED_WITHIN_NS // 1_000_000_000} s"
        else:
            self.mute()
            if self.latched is None:
                self._rests = True
                return refuse(Reason.DRIVER, "gate.1", f"{what}; muted, to be tuned afresh", "an answer")
        self._latch(what)
        return self.latched or refuse(Reason.DRIVER, "gate.2", what, "an answer")

    def _latch(self, what: str, wanted: str = "the settings that were asked for, silence when muted") -> None:
        self.latched = None
        self.mute()
        unmuted = f"; {self.latched.measured}" if self.latched is not None else ""
        self.latched = refuse(Reason.DRIVER, "gate.2", what + unmuted, wanted)
