"""The warden: owns the radio, the gate and the way to silence, in a process of its own.

It believes nobody: artifacts and leases are verified from bytes here, time and place come from its own clock, and
silence of the agent mutes. Everything the loop does is short; nothing in it waits for the agent or for the air.

Order up: decide, tune with the output at its quietest, check the readback, send finite bursts. Order down: mute first,
then tell. A mute that does not read back as silent latches the gate until an operator clears it.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from radio import gate, waveform
from radio.gate import Allow, GateState, Sensed
from radio.link import (
    AgentBeat,
    Burst,
    GateChange,
    Link,
    NewLease,
    NewPermit,
    Suspend,
    Used,
    WardenBeat,
)
from radio.listener import Listener
from radio.pace import Pace
from radio.permits import Held, Permits
from radio.ports import Iq16, Radio
from radio.ring import SampleRing
from radio.transmit import TransmitChain
from settlement.chain.bodies import Renew
from settlement.chain.records import parse
from settlement.chain.scope import Band
from settlement.fixes import Fix
from settlement.reasons import Reason, Refusal, refuse

BEAT_NS = 50_000_000
POLL_MS = 1
IDLE_POLL_MS = 5
PENDING_MAX = 4
FROM_AGENT = (Reason.INCUMBENT, Reason.PREEMPTED, Reason.RELINQUISHED, Reason.REVOKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class WardenPlan:
    """How a warden works: identity, bounds and the transmit chain's calibration."""

    device: str
    credential: bytes
    heartbeat_limit_ns: int
    armed_for_ns: int
    frame_ns: int
    close_lead_ns: int
    sample_rate_hz: int
    full_scale: int
    full_scale_eirp_mdbm: int
    attenuation_mdb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A burst whose waveform was checked against the permit of that settlement."""

    sid: bytes
    iq: Iq16


class Warden:
    """One radio's gate. `step` is one turn of the loop."""

    def __init__(
        self,
        plan: WardenPlan,
        *,
        radio: Radio,
        link: Link,
        transmit_ring: SampleRing,
        listener: Listener,
        permits: Permits,
        fix: Callable[[], Fix],
        pace: Pace | None = None,
    ) -> None:
        self._plan, self._link = plan, link
        self._chain = TransmitChain(radio, sample_rate_hz=plan.sample_rate_hz, attenuation_mdb=plan.attenuation_mdb)
        self._ring, self._listener, self._permits, self._fix = transmit_ring, listener, permits, fix
        self._armed_until_ns = time.monotonic_ns() + plan.armed_for_ns
        self._beat: AgentBeat | None = None
        self._beat_ns: int | None = None
        self._cause_ns: int | None = None
        self._state, self._reason = GateState.LOCKED, ""
        self._sid: bytes | None = None
        self._pending: deque[Ready] = deque(maxlen=PENDING_MAX)
        self._next_frame_ns = self._next_beat_ns = 0
        self._bursts = 0
        self._pace = pace if pace is not None else Pace()
        self._silent_by_ns: int | None = None

    def start(self) -> None:
        """Silence whatever the device was left doing, then listen."""
        self._chain.mute()
        self._listener.start()

    def close(self) -> None:
        """Silence, then let go."""
        self._chain.mute()
        self._listener.stop()
        self._chain.close()

    # -- one turn ------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Take what the agent says, decide, act on the decision, send what is due."""
        began_ns = time.monotonic_ns()
        busy = self._state is GateState.OPEN
        if self._link.socket.poll(POLL_MS if busy else IDLE_POLL_MS):
            for message in self._link.receive():
                self._hear(message)
        mono_ns, now = time.monotonic_ns(), self._fix()
        held = self._permits.current(now.time)
        inputs = self._inputs(now, mono_ns, held)
        decision = gate.decide(inputs)
        self._settle(gate.state_after(inputs, decision), decision, held, mono_ns)
        self._silent_by_ns = None
        if self._state is GateState.OPEN and isinstance(decision, Allow) and held is not None:
            self._silent_by_ns = mono_ns + decision.for_ns + self._plan.close_lead_ns
            self._send(held, decision, mono_ns)
        for look in self._listener.take():
            self._link.send(look)
        self._account(now)
        self._say_alive(mono_ns)
        self._pace.turn(began_ns, time.monotonic_ns())

    def _inputs(self, now: Fix, mono_ns: int, held: Held | None) -> gate.Inputs:
        permit = held.permit if held else None
        return gate.Inputs(
            now=now,
            mono_ns=mono_ns,
            driver_fault=self._listener.fault,
            latched=self._chain.latched,
            armed_until_mono_ns=self._armed_until_ns,
            permit=permit,
            device=self._plan.device,
            credential=self._plan.credential,
            suspended=held.suspended if held else None,
            tuned=self._chain.band(permit.cell.band if permit else None),
            heartbeat_mono_ns=self._beat_ns,
            heartbeat_limit_ns=self._plan.heartbeat_limit_ns,
            sensed=self._sensed(permit.cell.band) if permit else None,
            outside_authorised=None,
            lead_ns=self._plan.close_lead_ns + self._pace.worst_ns,
        )

    def _sensed(self, band: Band) -> Sensed | None:
        if self._beat is None or self._beat.listened_ns is None:
            return None
        found = any(band.overlaps(Band(low_hz=low, high_hz=high)) for low, high in self._beat.incumbents_hz)
        return Sensed(listened_ns=self._beat.listened_ns, incumbent=found)

    # -- what the agent says -------------------------------------------------------------------------------------

    def _hear(self, message: object) -> None:
        match message:
            case AgentBeat():
                self._beat, self._beat_ns = message, time.monotonic_ns()
                self._cause_ns = message.cause_ns
            case NewPermit():
                self._answer(self._permits.take(message.artifact), None)
            case NewLease():
                self._renew(message.record)
            case Suspend():
                self._suspend(message)
            case Burst():
                self._prepare(message)
            case _:
                pass

    def _renew(self, record: bytes) -> None:
        unproven = parse(record)
        body = None if isinstance(unproven, Refusal) else unproven.payload.get(6)
        sid = body.get(1) if isinstance(body, dict) else None
        if isinstance(sid, bytes):
            self._answer(self._permits.renew(record, sid, self._fix().time), sid)
        else:
            self._answer(refuse(Reason.MALFORMED, "permits.renew", "no settlement", Renew.__name__), None)

    def _answer(self, outcome: Held | Refusal, sid: bytes | None) -> None:
        if isinstance(outcome, Refusal):
            self._tell(self._state, outcome, sid, at_ns=time.monotonic_ns(), asked=True)

    def _suspend(self, message: Suspend) -> None:
        known = Reason(message.reason) if message.reason in Reason.__members__ else Reason.PREEMPTED
        self._cause_ns = message.cause_ns
        self._permits.suspend(message.sid, refuse(known, "gate.6", message.detail, "an undisturbed settlement"))

    def _prepare(self, message: Burst) -> None:
        """Check a burst as it comes, so that sending it is short."""
        held, iq = self._permits.get(message.sid), self._ring.read(message.ticket)
        if iq is None or len(iq) == 0:
            return
        if held is None:
            self._answer(refuse(Reason.NO_PERMIT, "gate.4", "none", "a settlement verified by this warden"), None)
            return
        permit = held.permit
        measured = waveform.measure(
            iq,
            center_hz=(permit.cell.band.low_hz + permit.cell.band.high_hz) // 2,
            sample_rate_hz=self._plan.sample_rate_hz,
            band=permit.cell.band,
            calibration=self._calibration(),
        )
        limit = permit.terms.out_of_band_mdbm_per_mhz
        refusal = waveform.check(measured, max_eirp_mdbm=permit.max_eirp_mdbm, outside_limit_mdbm_per_mhz=limit)
        if refusal is not None:
            self._answer(refusal, message.sid)
            return
        self._pending.append(Ready(sid=message.sid, iq=iq))

    def _calibration(self) -> waveform.Calibration:
        eirp = self._plan.full_scale_eirp_mdbm - self._plan.attenuation_mdb
        return waveform.Calibration(full_scale=self._plan.full_scale, eirp_mdbm=eirp)

    # -- acting --------------------------------------------------------------------------------------------------

    def _settle(self, state: GateState, decision: Allow | Refusal, held: Held | None, mono_ns: int) -> None:
        """Make the radio agree with the gate; on the way down mute first and speak afterwards."""
        sid = held.permit.sid if held else None
        reason = decision.reason.value if isinstance(decision, Refusal) else ""
        if (state, reason, sid) == (self._state, self._reason, self._sid):
            return
        muted_ns = None
        if self._state is GateState.OPEN:
            muted_ns = self._chain.mute()
            self._pending.clear()
            # Another settlement opens on the next turn, tuned and checked afresh.
            state = GateState.ARMED if state is GateState.OPEN else state
        elif state is GateState.OPEN and held is not None and not self._chain.tune(held.permit.cell.band):
            return
        if self._chain.latched is not None:
            state, decision = GateState.LATCHED, self._chain.latched
            reason = decision.reason.value
        self._tell(state, decision, sid, at_ns=mono_ns, muted_ns=muted_ns)
        self._state, self._reason, self._sid = state, reason, sid

    def _send(self, held: Held, allowed: Allow, mono_ns: int) -> None:
        if mono_ns < self._next_frame_ns:
            return
        self._next_frame_ns = (mono_ns // self._plan.frame_ns + 1) * self._plan.frame_ns
        while self._pending and self._pending[0].sid != held.permit.sid:
            self._pending.popleft()
        if not self._pending:
            return
        iq = self._pending.popleft().iq
        # This process may have been held up since it decided: what is left counts from now.
        left_ns = allowed.for_ns - (time.monotonic_ns() - mono_ns)
        room = left_ns * self._plan.sample_rate_hz // 1_000_000_000
        if room <= 0:
            return
        sent = self._chain.send(iq[:room])
        if sent is None:
            return
        length_ns = sent.samples * 1_000_000_000 // self._plan.sample_rate_hz
        held.bursts, held.airtime_ns = held.bursts + 1, held.airtime_ns + length_ns
        held.first_ns = sent.start.earliest_ns if held.first_ns is None else held.first_ns
        held.last_ns = sent.start.latest_ns + length_ns
        self._bursts += 1

    # -- telling -------------------------------------------------------------------------------------------------

    def _tell(
        self,
        state: GateState,
        decision: Allow | Refusal,
        sid: bytes | None,
        *,
        at_ns: int,
        muted_ns: int | None = None,
        asked: bool = False,
    ) -> None:
        refusal = decision if isinstance(decision, Refusal) else None
        self._link.send(
            GateChange(
                state=state.value,
                previous=self._state.value,
                reason=refusal.reason.value if refusal else "",
                clause=refusal.clause if refusal else "",
                measured=refusal.measured[:256] if refusal else "",
                required=refusal.required[:256] if refusal else "",
                sid=sid,
                at_ns=at_ns,
                cause_ns=self._cause_of(refusal, at_ns),
                muted_ns=muted_ns,
                asked=asked,
            )
        )

    def _cause_of(self, refusal: Refusal | None, at_ns: int) -> int:
        """When the cause was known: for what the agent found or was told, its own time; else now."""
        from_agent = refusal is not None and refusal.reason in FROM_AGENT
        return self._cause_ns if from_agent and self._cause_ns is not None else at_ns

    def _account(self, now: Fix) -> None:
        for held in self._permits.finished(now.time):
            self._link.send(
                Used(
                    sid=held.permit.sid,
                    bursts=held.bursts,
                    airtime_ns=held.airtime_ns,
                    first_ns=held.first_ns,
                    last_ns=held.last_ns,
                )
            )

    def _say_alive(self, mono_ns: int) -> None:
        if mono_ns < self._next_beat_ns:
            return
        self._next_beat_ns = mono_ns + BEAT_NS
        self._link.send(
            WardenBeat(
                state=self._state.value,
                reason=self._reason,
                sid=self._sid,
                bursts=self._bursts,
                silent_by_ns=self._silent_by_ns,
                worst_turn_ns=self._pace.worst_ns,
            )
        )
