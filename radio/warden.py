"""The warden: owns the radio, the gate and the way to silence, in a process of its own.

It believes nobody: artifacts and leases are verified from bytes here, time and place come from its own clock, and
silence of the agent mutes. Everything the loop does is short; nothing in it waits for the agent or for the air. What
takes longer (an artifact, a burst to measure) is done one at a time after the turn's decision, however much is offered.

Order up: decide, tune with the output at its quietest, check the readback, send finite bursts. Order down: mute first,
then tell. A mute that does not read back as silent latches the gate until an operator clears it.

Long because one loop owns gate, radio and mute, and what may block it is seen only with all its turns in view.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from hw_profiles.profile import RadioProfile
from radio import gate, waveform
from radio.authorisation import NoAuthority, OutsideAuthorisation
from radio.gate import Allow, GateState, Sensed
from radio.link import (
    AgentBeat,
    BandVacated,
    Burst,
    DoorBeat,
    GateChange,
    LinkMessage,
    LookTaken,
    NewHanding,
    NewKey,
    NewLease,
    NewPermit,
    NewRule,
    PowerMeasured,
    StationCleared,
    StationHeard,
    TimedBurst,
    Used,
    WardenBeat,
    Withdraw,
)
from radio.mask import Service
from radio.pace import Pace
from radio.permits import HeldPermit, Permits
from radio.ports import Iq16, Radio, RfState
from radio.ring import SampleRing
from radio.sampledoor import LATE_NS, SampleDoor
from radio.transmit import TransmitChain
from radio.wakeup import Rouser, unheard
from settlement.chain.records import parse
from settlement.chain.scope import Band
from settlement.core.fixes import Fix, TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import VerifiedPermit

if TYPE_CHECKING:  # base stations, a SAS and a calendar are loaded where a configuration has them
    from radio.cbrs.calendar import Calendar
    from radio.cbrs.wardenside import CbsdDesk

NS = 1_000_000_000
BEAT_NS = 50_000_000
POLL_MS = 1
IDLE_POLL_MS = 5
REST_NS = 5_000_000
"""The longest wait in ns of a loop that is woken by every message and thread.

Only the clock can change without waking it: the clock extrapolates its last verdict for about as long.
"""
IDLE_REST_NS = 20_000_000
"""The longest wait in ns while no permit is held, so that the gate cannot open."""
PENDING_MAX = 4
RECORDS_MAX = 64
BURSTS_MAX = 4
CALENDAR_LEAD_NS = NS
"""The radio is silent that long, in ns, before a reservation of the incumbents' calendar begins."""
FROM_AGENT = (Reason.INCUMBENT, Reason.PREEMPTED, Reason.RELINQUISHED, Reason.REVOKED)


def no_calendar() -> None:
    """The calendar of a node without one: None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WardenPlan:
    """How a warden works: identity, bounds, the transmit chain's calibration; `former` are keys that were rotated."""

    device: str
    credential: bytes
    profile: RadioProfile
    service: Service
    heartbeat_limit_ns: int
    armed_for_ns: int
    frame_ns: int
    close_lead_ns: int
    sample_rate_hz: int
    full_scale: int
    full_scale_eirp_mdbm: int
    full_scale_sd_mdb: int
    attenuation_mdb: int
    former: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A burst whose waveform was checked against that settlement's permit; it begins at `at_ns` where that is said.

    `band` is the permit's as it was then: the samples fit around its middle, and around no other.
    """

    sid: bytes
    band: Band
    iq: Iq16
    at_ns: int | None = None

    def under(self, permit: VerifiedPermit) -> bool:
        """Whether the burst was checked against this permit, over the band that the permit has now."""
        return (self.sid, self.band) == (permit.sid, permit.cell.band)

    def late(self, mono_ns: int) -> bool:
        """Whether the burst's start time is past."""
        return self.at_ns is not None and mono_ns > self.at_ns + LATE_NS

    def early(self, mono_ns: int) -> bool:
        """Whether the burst's start time has not come."""
        return self.at_ns is not None and mono_ns < self.at_ns


@dataclass(frozen=True, slots=True)
class DecidedOn:
    """What an open gate's last decision depends on that the clock alone can change, with the margins used."""

    now: Fix
    mono_ns: int
    bound_ns_max: int
    lead_ns: int


class AgentSide(Protocol):
    """The warden's end of the link to the agent."""

    def wait(self, timeout_ms: float, /) -> bool:
        """Wait until a message has arrived, `timeout_ms` at most."""
        ...

    def send(self, message: LinkMessage) -> bool:
        """Send a message; returns False when the other side's queue is full. Never blocks."""
        ...

    def receive(self) -> list[LinkMessage]:
        """Receive the messages that have arrived; never blocks."""
        ...

    def close(self) -> None:
        """Close this end."""
        ...


class AirSide(Protocol):
    """What receives beside the warden: a listener, or a stream listener."""

    fault: str | None

    def start(self) -> None:
        """Start receiving."""
        ...

    def stop(self) -> None:
        """Stop receiving."""
        ...

    def take(self) -> list[LookTaken]:
        """Looks taken since the last call."""
        ...


class Warden:
    """One radio's gate. `step` is one turn of the loop."""

    def __init__(
        self,
        plan: WardenPlan,
        *,
        radio: Radio,
        link: AgentSide,
        transmit_ring: SampleRing,
        listener: AirSide,
        permits: Permits,
        fix: Callable[[], Fix],
        outside: OutsideAuthorisation | None = None,
        pace: Pace | None = None,
        stations: "CbsdDesk | None" = None,
        calendar: "Callable[[], Calendar | None]" = no_calendar,
        door: SampleDoor | None = None,
        rouse: Rouser | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Args: rouse ends the link's wait when a thread of the radio has a finding; without it the loop polls."""
        self._plan, self._link, self._monotonic_ns = plan, link, monotonic_ns
        self._mine = {plan.credential, *plan.former}
        self._chain = TransmitChain(
            radio,
            profile=plan.profile,
            sample_rate_hz=plan.sample_rate_hz,
            attenuation_mdb=plan.attenuation_mdb,
            monotonic_ns=monotonic_ns,
            rouse=unheard if rouse is None else rouse,
        )
        self._rouse = rouse
        # Base stations and a SAS client do not wake the loop: then it polls.
        self._woken = rouse is not None and stations is None and outside is None
        self._decided_until_ns = self._term_ns = 0
        self._decided_on: DecidedOn | None = None
        self._open_permit: VerifiedPermit | None = None
        self._ring, self._listener, self._permits, self._fix = transmit_ring, listener, permits, fix
        self._outside = NoAuthority() if outside is None else outside
        self._stations, self._calendar = stations, calendar
        self._armed_until_ns = monotonic_ns() + plan.armed_for_ns if plan.armed_for_ns > 0 else None
        self._beat: AgentBeat | None = None
        self._beat_ns: int | None = None
        self._cause_ns: int | None = None
        self._state, self._reason = GateState.LOCKED, ""
        self._sid: bytes | None = None
        self._pending: deque[Ready] = deque(maxlen=PENDING_MAX)
        self._measured = waveform.MeasuredBursts()
        self._door = door
        self._records: deque[NewPermit | NewLease | NewHanding | NewRule | NewKey] = deque(maxlen=RECORDS_MAX)
        self._bursts_offered: deque[Burst | TimedBurst] = deque(maxlen=BURSTS_MAX)
        self._next_frame_ns = self._next_beat_ns = self._busy_until_ns = 0
        self._bursts = 0
        self._pace = pace if pace is not None else Pace()
        self._silent_by_ns: int | None = None
        self._silent_for: Refusal | None = None

    def start(self) -> None:
        """Mute the device, whatever its state, then start receiving."""
        self._chain.start()
        self._listener.start()

    def silence(self) -> RfState:
        """Mute for good; returns what the output reads back; the caller retries unless that is OFF."""
        self._armed_until_ns = None
        return self._chain.clear()

    def close(self) -> None:
        """Mute, then close everything."""
        self._chain.mute()
        self._listener.stop()
        self._chain.close()
        self._permits.close()
        if self._stations is not None:
            self._stations.close()
        if self._rouse is not None:
            self._rouse.close()
        if self._door is not None:
            self._door.close()
        self._link.close()

    # -- one turn ------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One turn: take the agent's messages, decide, act, send due bursts; then do one longer piece of work."""
        began_ns = self._wait()
        if self._door is not None:
            self._bursts_offered.extend(self._door.offers())
        self._check_device()
        # Monotonic clock before UTC: time that passes between the two makes the deadlines earlier, never later.
        mono_ns, now = self._monotonic_ns(), self._fix()
        held = self._permits.current(now.time, self._mine if self._stations is not None else None)
        inputs = self._inputs(now, mono_ns, held)
        decision = gate.decide(inputs)
        self._settle(gate.state_after(self._state, inputs, decision), decision, held, mono_ns)
        self._say_vacated(now.time)
        self._silent_for = self._chain.latched or (decision if isinstance(decision, Refusal) else None)
        self._silent_by_ns, self._decided_on = None, None
        self._term_ns = mono_ns + decision.for_ns if isinstance(decision, Allow) else mono_ns
        self._open_permit = held.permit if isinstance(decision, Allow) and held is not None else None
        self._decided_until_ns = min(self._term_ns, self._heard_until_ns(self._open_permit))
        if self._state is GateState.OPEN and isinstance(decision, Allow) and held is not None:
            if held.whole is None and len(self._permits.all()) == 1 and self._calendar is no_calendar:
                self._decided_on = DecidedOn(now, mono_ns, held.permit.rule.time_bound_ns_max, inputs.lead_ns)
            self._silent_by_ns = mono_ns + decision.for_ns + self._silencing_ns
            self._send(held, mono_ns, mono_ns + decision.for_ns)
        for look in self._listener.take():
            self._link.send(look)
        if self._door is not None:
            self._door.hand_out()
        self._account(now)
        if self._stations is not None:
            self._tell_of_stations(now, mono_ns)
        self._say_alive(mono_ns)
        if self._listener.fault is None:  # a device that does not answer would block the loop
            self._chain.beat()
        self._work()
        self._answer_stations()
        self._pace.turn(began_ns, self._monotonic_ns())

    def _wait(self) -> int:
        """Take the agent's messages, waiting while nothing is due; returns when the turn began, monotonic ns.

        That is when a message came, or when the loop meant to go on: time by which it wakes late belongs to the turn.
        """
        began_ns = self._monotonic_ns()
        busy = self._state is GateState.OPEN or bool(self._records or self._bursts_offered)
        busy = busy or (self._stations is not None and self._stations.waiting)
        if self._woken:
            heard, began_ns = self._rest(began_ns)
        else:
            heard = self._link.wait(POLL_MS if busy else IDLE_POLL_MS)
        if self._rouse is not None:
            self._rouse.heed()
        if heard:
            for message in self._link.receive():
                self._hear(message)
        return began_ns

    def _rest(self, began_ns: int) -> tuple[bool, int]:
        """Wait for a message or for what is due: whether a message waits, and when the turn began (see `_wait`).

        A wait that ends without either goes on while the clock, which alone may have changed, supports the decision.
        A wait that is ended by messages on which no decision depends (`_passing`) goes on once they are handled.
        """
        until_ns = began_ns + self._rest_ns
        while True:
            due_ns = self._due_ns(began_ns)
            rested_ns = min(due_ns, until_ns)
            heard = self._link.wait(max(0, rested_ns - began_ns) / 1e6)
            now_ns = self._monotonic_ns()
            began_ns = max(began_ns, min(rested_ns, now_ns))
            if now_ns >= due_ns:
                return heard, began_ns
            if heard or now_ns < rested_ns:
                if not self._settled:
                    return heard, began_ns
                if not self._passing(now_ns, heard=heard):
                    return False, began_ns
                now_ns = self._monotonic_ns()
            if now_ns >= until_ns:  # also while messages keep coming
                if not self._borne_out(now_ns):
                    return False, began_ns
                until_ns = now_ns + self._rest_ns
            self._pace.turn(began_ns, self._monotonic_ns())
            began_ns = now_ns

    @property
    def _settled(self) -> bool:
        """Whether the gate is open and the clock still supports that, or is closed without any permit."""
        if self._rouse is None or self._door is not None:
            return False
        if self._state is not GateState.OPEN:
            return not self._permits.all()
        return self._decided_on is not None and self._chain.tuned

    def _passing(self, now_ns: int, *, heard: bool) -> bool:
        """Take messages and pass on looks; returns whether no decision depends on any of them.

        A look says nothing until the agent has searched it, a heartbeat like the one before makes what the gate rests
        on last longer, and a burst is measured before it is sent. What else is said, or found by a thread of the radio,
        is decided on in a turn.
        """
        if self._rouse is not None:
            self._rouse.heed()  # first: a finding from here on wakes the loop again
        looks = self._listener.take()
        for look in looks:
            self._link.send(look)
        messages, passing = self._link.receive() if heard else [], bool(looks or heard)
        for message in messages:
            passing = passing and self._passes(message, now_ns)
            self._hear(message)
        if not passing or self._listener.fault is not None or self._chain.uneasy:
            return False
        if self._state is GateState.OPEN:
            self._decided_until_ns = min(self._term_ns, self._heard_until_ns(self._open_permit))
            if not self._pending:
                self._begin_frame(now_ns)
            if self._bursts_offered and not self._records:
                self._prepare(self._bursts_offered.popleft())
        return True

    def _passes(self, message: object, now_ns: int) -> bool:
        """Whether no decision depends on a message: a burst for an open gate, or a heartbeat without a change."""
        if isinstance(message, Burst):
            return self._state is GateState.OPEN
        if not isinstance(message, AgentBeat) or self._beat is None:
            return False
        same = (message.incumbents_hz, message.cause_ns) == (self._beat.incumbents_hz, self._beat.cause_ns)
        return same and message.listened_ns is not None and message.listened_ns <= now_ns

    def _begin_frame(self, mono_ns: int) -> bool:
        """Whether a frame has begun in which nothing was sent; marks it, so that the next frame is waited for."""
        if mono_ns < self._next_frame_ns:
            return False
        self._next_frame_ns = (mono_ns // self._plan.frame_ns + 1) * self._plan.frame_ns
        return True

    @property
    def _rest_ns(self) -> int:
        """The longest wait in ns, for changes that only time shows."""
        return IDLE_REST_NS if self._state is not GateState.OPEN and not self._permits.all() else REST_NS

    def _due_ns(self, now_ns: int) -> int:
        """When the loop next acts without a message: waiting work, a burst, a heartbeat, or the end of a term."""
        if self._records or self._bursts_offered or (self._door is not None and self._door.waiting):
            return now_ns
        due_ns = self._next_beat_ns
        if self._listener.fault is None:  # while the device does not answer, no heartbeat is sent to it: see `step`
            due_ns = min(due_ns, self._chain.beat_due_ns)
        if self._state is GateState.OPEN:
            due_ns = min(due_ns, self._decided_until_ns, self._next_burst_ns if self._pending else due_ns)
        return due_ns

    @property
    def _next_burst_ns(self) -> int:
        """When the first waiting burst may be sent: with the next frame, a program's at its own time."""
        return self._next_frame_ns if self._door is None else self._pending[0].at_ns or 0

    def _borne_out(self, mono_ns: int) -> bool:
        """Whether the clock, read after the instant `mono_ns`, still supports the decision of an open gate.

        That is the same place, a trusted time within the rule's bound, and every term that ends by UTC still to come:
        they come nearer by what UTC is now less sure of. A loop that was seen to run later since decides anew.
        """
        on = self._decided_on
        if on is None or self._state is not GateState.OPEN or not self._chain.tuned:
            return False
        if self._silencing_ns + self._pace.worst_ns > on.lead_ns:
            return False
        now = self._fix()
        if not now.time.trusted or now.time.bound_ns > on.bound_ns_max or now.position != on.now.position:
            return False
        self._term_ns -= max(0, now.time.latest_ns - mono_ns - (on.now.time.latest_ns - on.mono_ns))
        self._decided_until_ns = min(self._term_ns, self._decided_until_ns)
        self._decided_on = DecidedOn(now, mono_ns, on.bound_ns_max, on.lead_ns)
        return mono_ns < self._decided_until_ns

    def _heard_until_ns(self, permit: VerifiedPermit | None) -> int:
        """Until when the last sensing is fresh enough for a permit, monotonic ns; long past without either."""
        if permit is None or self._beat is None or self._beat.listened_ns is None:
            return 0
        fresh_ns = self._beat.said_ns + self._plan.heartbeat_limit_ns
        return min(fresh_ns, self._beat.listened_ns + permit.rule.sensing_age_ns_max) + 1

    def _tell_of_stations(self, now: Fix, mono_ns: int) -> None:
        """Tell the receiver when base stations may be on, and when they have to be silent."""
        if self._stations is not None and mono_ns >= self._next_beat_ns:
            for told in self._stations.listen(now.time, mono_ns):
                if not self._link.send(told):
                    self._stations.not_taken(told)

    def _answer_stations(self) -> None:
        """Answer the base stations' requests from the state of this instant, never an older one."""
        if self._stations is None or not self._stations.waiting:
            return
        from radio.cbrs.wardenside import WardenView  # noqa: PLC0415 - loaded already, with the desk

        mono_ns, now = self._monotonic_ns(), self._fix()
        inputs = self._inputs(now, mono_ns, None)
        view = WardenView(inputs=inputs, held=self._permits.all(), mine=frozenset(self._mine), sensed=self._sensed)
        self._stations.turn(view)

    def _inputs(self, now: Fix, mono_ns: int, held: HeldPermit | None) -> gate.Inputs:
        permit = held.permit if held else None
        return gate.Inputs(
            now=now,
            mono_ns=mono_ns,
            driver_fault=self._listener.fault or self._chain.resting,
            latched=self._chain.latched,
            armed_until_mono_ns=self._armed_until_ns,
            permit=permit,
            device=self._plan.device,
            credential=permit.user.hash if permit and permit.user.hash in self._mine else self._plan.credential,
            suspended=held.withdrawn if held else None,
            tuned=self._chain.band(permit),
            heartbeat_mono_ns=self._beat_ns,
            heartbeat_limit_ns=self._plan.heartbeat_limit_ns,
            sensed=self._sensed_by_calendar(permit, now) if permit else None,
            outside_until_mono_ns=self._authorised_until(permit),
            lead_ns=self._silencing_ns + self._pace.worst_ns,
        )

    @property
    def _silencing_ns(self) -> int:
        """Time in ns to mute: the configured one, or the longest measured on this device."""
        return max(self._plan.close_lead_ns, self._chain.slowest_mute_ns)

    def _authorised_until(self, permit: VerifiedPermit | None) -> int | None:
        if permit is None or not permit.rule.outside_authorisation:
            return None
        return self._outside.authorised_until_ns(permit.cell.band, permit.max_eirp_mdbm)

    def _sensed_by_calendar(self, permit: VerifiedPermit, now: Fix) -> Sensed | None:
        """The sensing result for a permit; a reservation of the incumbents' calendar counts as an incumbent heard."""
        sensed, needed = self._sensed(permit.cell.band), bool(permit.rule.incumbent_calendar)
        calendar = self._calendar()
        if sensed is None or (calendar is None and not needed):
            return sensed
        from radio.cbrs.calendar import reserved  # noqa: PLC0415 - most rules ask for no calendar

        lead_ns = CALENDAR_LEAD_NS + self._silencing_ns
        if reserved(calendar, permit.cell.band, now, ahead_ns=lead_ns, needed=needed) is None:
            return sensed
        return Sensed(listened_ns=sensed.listened_ns, incumbent=True)

    def _sensed(self, band: Band) -> Sensed | None:
        if self._beat is None or self._beat.listened_ns is None:
            return None
        found = any(band.overlaps(Band(low_hz=low, high_hz=high)) for low, high in self._beat.incumbents_hz)
        return Sensed(listened_ns=self._beat.listened_ns, incumbent=found)

    # -- messages of the agent ------------------------------------------------------------------------------------

    def _hear(self, message: object) -> None:
        match message:
            case AgentBeat():
                self._heartbeat(message)
            case Withdraw():
                self._withdraw(message)
            case NewPermit() | NewLease() | NewHanding() | NewRule() | NewKey():
                self._records.append(message)
            case Burst():
                self._bursts_offered.append(message)
            case StationHeard() if self._stations is not None:
                self._stations.heard(message, self._monotonic_ns())
            case PowerMeasured() if not isinstance(self._outside, NoAuthority):
                self._measured_above(message)
            case _:
                pass

    def _measured_above(self, message: PowerMeasured) -> None:
        """Pass the receiver's measurement to the SAS above, where there is one."""
        from radio.cbrs.above import SasAbove  # noqa: PLC0415 - loaded already, with the SAS
        from radio.cbrs.measured import ReceivedPower  # noqa: PLC0415

        if isinstance(self._outside, SasAbove):
            self._outside.received(ReceivedPower(**asdict(message)), self._monotonic_ns())

    def _heartbeat(self, beat: AgentBeat) -> None:
        """Take the agent's heartbeat at the time it was made, not read: one that waited in a queue is not fresh."""
        if beat.said_ns > self._monotonic_ns() or (self._beat_ns is not None and beat.said_ns < self._beat_ns):
            return
        self._beat, self._beat_ns, self._cause_ns = beat, beat.said_ns, beat.cause_ns

    def _work(self) -> None:
        """Do one piece of work that takes longer than a decision."""
        if self._records:
            record = self._records.popleft()
            if isinstance(record, NewPermit):
                self._answer(self._permits.take(record.artifact, self._fix().time), None)
            elif isinstance(record, NewLease):
                self._change(record.record)
            elif isinstance(record, NewHanding):
                outcome = self._permits.hand_on(record.record, record.sid, self._fix().time)
                self._answer(outcome, record.sid)
            elif isinstance(record, NewRule):
                self._rule(record)
            else:
                self._succeed(record.record)
        elif self._bursts_offered:
            self._prepare(self._bursts_offered.popleft())

    def _change(self, record: bytes) -> None:
        unproven = parse(record)
        body = None if isinstance(unproven, Refusal) else unproven.payload.get(6)
        sid = body.get(1) if isinstance(body, dict) else None
        if isinstance(sid, bytes):
            self._answer(self._permits.change(record, sid, self._fix().time), sid)
        else:
            self._answer(
                refuse(Reason.MALFORMED, "permits.change", "no settlement", "a RENEW, SUSPEND or RESUME"), None
            )

    def _rule(self, record: NewRule) -> None:
        refusal = self._permits.rule(record.record, record.chain)
        if refusal is not None:
            self._answer(refusal, None)

    def _succeed(self, record: bytes) -> None:
        new = self._permits.succeed(record)
        if isinstance(new, Refusal):
            self._answer(new, None)
        else:
            self._mine.add(new.hash)

    def _answer(self, outcome: HeldPermit | Refusal, sid: bytes | None) -> None:
        if isinstance(outcome, Refusal):
            self._tell(self._state, outcome, sid, at_ns=self._monotonic_ns(), asked=True)

    def _withdraw(self, message: Withdraw) -> None:
        known = Reason(message.reason) if message.reason in Reason.__members__ else Reason.PREEMPTED
        self._cause_ns = message.cause_ns
        self._permits.withdraw(message.sid, refuse(known, "gate.6", message.detail, "an undisturbed settlement"))

    def _prepare(self, message: Burst | TimedBurst) -> None:
        """Measure a burst when it arrives, so that sending it takes little time."""
        timed = message if isinstance(message, TimedBurst) else None
        held, iq = self._permits.get(message.sid), self._samples(message)
        if iq is None or len(iq) == 0:
            return
        refusal = refuse(Reason.NO_PERMIT, "gate.4", "none", "a settlement verified by this warden")
        if held is not None:
            measure = waveform.measure if timed else self._measured.measure
            found = self._unfit(held.permit, iq, measure)
            if found is None:
                at_ns = timed.at_ns if timed else None
                self._pending.append(Ready(sid=message.sid, band=held.permit.cell.band, iq=iq, at_ns=at_ns))
                return
            refusal = found
        if timed is None or (self._door is not None and self._door.refuse(refusal, self._monotonic_ns())):
            self._answer(refusal, message.sid if held is not None else None)

    def _samples(self, message: Burst | TimedBurst) -> Iq16 | None:
        if isinstance(message, TimedBurst):
            return self._door.read(message) if self._door is not None else None
        return self._ring.read(message.ticket)

    def _unfit(self, permit: VerifiedPermit, iq: Iq16, measure: Callable[..., waveform.Measured]) -> Refusal | None:
        """Why samples may not be sent under a permit, by a measurement of them; None when they may."""
        band = permit.cell.band
        allowed = waveform.Allowed(
            band=band,
            max_eirp_mdbm=permit.max_eirp_mdbm,
            outside_mdbm_per_mhz=permit.terms.out_of_band_mdbm_per_mhz,
            service=self._plan.service,
        )
        measured = measure(
            iq,
            center_hz=(band.low_hz + band.high_hz) // 2,
            sample_rate_hz=self._plan.sample_rate_hz,
            allowed=allowed,
            calibration=self._calibration(),
        )
        return waveform.check(measured, allowed)

    def _calibration(self) -> waveform.Calibration:
        eirp = self._plan.full_scale_eirp_mdbm - self._plan.attenuation_mdb
        return waveform.Calibration(
            full_scale=self._plan.full_scale, eirp_mdbm=eirp, sd_mdb=self._plan.full_scale_sd_mdb
        )

    # -- acting --------------------------------------------------------------------------------------------------

    def _settle(self, state: GateState, decision: Allow | Refusal, held: HeldPermit | None, mono_ns: int) -> None:
        """Make the radio follow the gate; when it closes, mute first and report afterwards."""
        sid = held.permit.sid if held else None
        if self._chain.latched is not None:
            decision = self._chain.latched  # report the fault, not that it latched
        reason = decision.reason.value if isinstance(decision, Refusal) else ""
        if (state, reason, sid) == (self._state, self._reason, self._sid):
            return
        muted_ns = None
        if self._state is GateState.OPEN:
            muted_ns = self._chain.mute()
            self._pending.clear()
            self._busy_until_ns = 0
            # Another settlement opens on the next turn, after tuning and checking for it.
            state = GateState.ARMED if state is GateState.OPEN else state
        elif state is GateState.OPEN and held is not None and not self._chain.tune(held.permit):
            state = GateState.LATCHED
        if self._chain.latched is not None:
            state, decision = GateState.LATCHED, self._chain.latched
            reason = decision.reason.value
        self._tell(state, decision, sid, at_ns=mono_ns, muted_ns=muted_ns)
        if sid != self._sid:
            self._measured.forget()
        self._state, self._reason, self._sid = state, reason, sid

    def _send(self, held: HeldPermit, mono_ns: int, until_ns: int) -> None:
        """Send the next burst, cut to surely end before `until_ns`, monotonic; a late turn sends less."""
        if self._door is None and not self._begin_frame(mono_ns):
            return
        while self._pending and (not self._pending[0].under(held.permit) or self._pending[0].late(mono_ns)):
            self._passed_over(self._pending.popleft(), mono_ns)
        if not self._pending or self._pending[0].early(mono_ns):
            return
        iq = self._fitting(held, self._pending.popleft().iq, until_ns)
        sent = self._chain.send(iq) if iq is not None else None
        if sent is None:
            return
        length_ns = sent.samples * NS // self._plan.sample_rate_hz
        self._busy_until_ns = sent.start.latest_ns + length_ns
        held.bursts, held.airtime_ns = held.bursts + 1, held.airtime_ns + length_ns
        held.first_ns = sent.start.earliest_ns if held.first_ns is None else held.first_ns
        held.last_ns = self._busy_until_ns
        self._bursts += 1
        if self._door is not None:
            self._door.sent += 1
        if self._busy_until_ns > until_ns:
            self._overran(held, until_ns)

    def _passed_over(self, ready: Ready, mono_ns: int) -> None:
        if self._door is not None and ready.late(mono_ns):
            self._door.late += 1

    def _overran(self, held: HeldPermit, until_ns: int) -> None:
        """Mute where a burst was sent too late to end in time, for whatever reason."""
        muted_ns = self._chain.mute()
        late = refuse(Reason.EXPIRED, "gate.8", f"a burst until {self._busy_until_ns} ns", f"<= {until_ns} ns")
        self._tell(GateState.ARMED, late, held.permit.sid, at_ns=self._monotonic_ns(), muted_ns=muted_ns)
        self._state, self._reason, self._busy_until_ns = GateState.ARMED, late.reason.value, 0
        self._pending.clear()

    def _check_device(self) -> None:
        """Check the device: one not as set is muted by now; one muted by others, or unanswering, is tuned again."""
        found = self._chain.check()
        if found is None or self._state is not GateState.OPEN or self._chain.latched is not None:
            return
        now_ns = self._monotonic_ns()
        self._tell(GateState.ARMED, found, self._sid, at_ns=now_ns, muted_ns=now_ns)
        self._state, self._reason, self._busy_until_ns = GateState.ARMED, found.reason.value, 0
        self._pending.clear()

    def _fitting(self, held: HeldPermit, iq: Iq16, until_ns: int) -> Iq16 | None:
        """The part of a burst for which there is time from now, or from the end of the one being sent."""
        start_ns = max(self._monotonic_ns(), self._busy_until_ns)
        room = (until_ns - start_ns) * self._plan.sample_rate_hz // NS
        if room >= len(iq):
            return iq
        cut = waveform.shortened(iq, room)
        if len(cut) == 0 or self._unfit(held.permit, cut, waveform.measure) is not None:
            return None
        return cut

    # -- the operator --------------------------------------------------------------------------------------------

    def arm(self, for_ns: int) -> None:
        """Arm the transmitter for so many ns from now; 0 disarms it."""
        self._armed_until_ns = self._monotonic_ns() + for_ns if for_ns > 0 else None
        self._decided_on = None

    def stop(self) -> None:
        """The operator's stop: silent now, disarmed, and latched until the operator clears it."""
        self._armed_until_ns = None
        self._chain.stop()
        self.step()

    def clear(self) -> RfState:
        """Clear a fault when the device surely is silent: unlatch, disarmed. Returns what the output reads back."""
        self._armed_until_ns = self._decided_on = None
        return self._chain.clear()

    def clear_station(self, device: str) -> bool:
        """Clear a base station's latch after an operator looked into it; returns False where it had none."""
        known = self._stations is not None and self._stations.clear(device)
        if known:
            self._link.send(StationCleared(device=device))
        return known

    def status(self) -> dict[str, str | int | None]:
        """The warden's state, for the operator."""
        until_ns = self._armed_until_ns
        left_ns = 0 if until_ns is None else max(0, until_ns - self._monotonic_ns())
        return {"state": self._state.value, "reason": self._reason, "armed_for_s": left_ns // NS}

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
        """When the cause of a refusal was known, monotonic ns: the agent's own time for its findings; else now."""
        from_agent = refusal is not None and refusal.reason in FROM_AGENT
        return self._cause_ns if from_agent and self._cause_ns is not None else at_ns

    def _say_vacated(self, now: TimeFix) -> None:
        """Report that the radio is silent in bands handed on: by now the gate has decided without them.

        Grants of base stations in such a band cannot be called back: the report waits until all of them must be silent.
        """
        for held in (one for one in self._permits.all() if one.untold):
            tuned = self._chain.band(held.permit) if self._state is GateState.OPEN else None
            inside = tuned is None or self._sid != held.permit.sid or held.permit.cell.band.holds(tuned)
            quiet = [name for name in held.untold if inside and not self._given_out(held, name, now)]
            for name in quiet:
                held.untold.remove(name)
                self._link.send(BandVacated(sid=held.permit.sid, handover=name, at_ns=self._monotonic_ns()))

    def _given_out(self, held: HeldPermit, name: bytes, now: TimeFix) -> bool:
        """Whether a base station's grant may still use a part of what a HANDOVER hands on."""
        body, stations = held.handed.get(name), self._stations
        if body is None or stations is None:
            return False
        return any(
            out.low_hz < body.cell.band.high_hz and body.cell.band.low_hz < out.high_hz
            for out in stations.outlet.book.under(held.permit.sid)
            if not now.after(out.silent_by_ns)
        )

    def _account(self, now: Fix) -> None:
        for held in self._permits.finished(now.time):
            if self._stations is not None and held.permit.user.hash not in self._mine:
                continue  # leased to others: their use is theirs to report
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
        why = self._silent_for
        self._link.send(
            WardenBeat(
                state=self._state.value,
                reason=self._reason,
                sid=self._sid,
                bursts=self._bursts,
                silent_by_ns=self._silent_by_ns,
                worst_turn_ns=self._pace.worst_ns,
                armed_until_ns=self._armed_until_ns,
                clause=why.clause if why else "",
                measured=why.measured[:256] if why else "",
                required=why.required[:256] if why else "",
            )
        )
        self._tell_door()

    def _tell_door(self) -> None:
        if self._door is None:
            return
        held = self._permits.get(self._sid) if self._sid is not None else None
        band = held.permit.cell.band if held is not None else None
        self._door.tell(
            DoorBeat(
                state=self._state.value,
                reason=self._reason,
                sid=self._sid,
                low_hz=band.low_hz if band is not None else None,
                high_hz=band.high_hz if band is not None else None,
                eirp_mdbm=held.permit.max_eirp_mdbm if held is not None else None,
                sent=self._door.sent,
                late=self._door.late,
                refused=self._door.refused,
                why=self._door.why,
            )
        )
