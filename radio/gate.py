"""The gate: may this radio radiate right now, and until when? One pure decision, one state table.

Conditions, all of which must surely hold; the first that does not names the reason:

    (1) the driver is healthy            (2) nothing is latched           (3) the operator armed it, for a bounded time
    (4) a permit verified by this warden (5) it is this device's          (6) not suspended, preempted or revoked
    (7) the clock is trusted, its bound inside the rule's                 (8) window, credentials and rule in force
    (9) the transmit lease is fresh      (10) position trusted and inside the area
    (11) the band tuned is the permit's  (12) heartbeat fresh             (13) sensing fresh, no incumbent
    (14) outside authorisation where the rule asks for it

What runs out by itself (window, lease, arming, authorisation) counts as over `lead_ns` early: the time this host may
need to silence, longer when its loop was seen to run late.

Unknown is closed. What is to be sent is judged on its own samples, in `waveform`.
"""

from dataclasses import dataclass, replace
from enum import Enum

from settlement.chain.scope import Band
from settlement.core.fixes import Fix, TimeFix, deadline_open, time_inside
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import VerifiedPermit


class GateState(Enum):
    """The state of one radio's gate."""

    LOCKED = "LOCKED"
    ARMED = "ARMED"
    OPEN = "OPEN"
    LATCHED = "LATCHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensed:
    """What sensing last found in the permit's band: when it listened (monotonic ns), and about incumbents."""

    listened_ns: int
    incumbent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything the decision rests on. Monotonic times are ns of the host's clock; None is unknown, and closed."""

    now: Fix
    mono_ns: int
    driver_fault: str | None
    latched: Refusal | None
    armed_until_mono_ns: int | None
    permit: VerifiedPermit | None
    device: str
    credential: bytes
    suspended: Refusal | None
    tuned: Band | None
    heartbeat_mono_ns: int | None
    heartbeat_limit_ns: int
    sensed: Sensed | None
    outside_until_mono_ns: int | None
    lead_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """RF is allowed for at most `for_ns` from the instant of the decision."""

    for_ns: int


def _operator(i: Inputs) -> Refusal | None:
    if i.driver_fault is not None:  # (1)
        return refuse(Reason.DRIVER, "gate.1", i.driver_fault, "a healthy driver")
    if i.latched is not None:  # (2)
        return refuse(Reason.LATCHED, "gate.2", i.latched, "cleared by the operator")
    if i.armed_until_mono_ns is None or i.mono_ns >= i.armed_until_mono_ns:  # (3)
        return refuse(Reason.NOT_ARMED, "gate.3", "not armed", "armed by the operator, for a bounded time")
    return None


def _permitted(i: Inputs, permit: VerifiedPermit) -> Refusal | None:
    mine = permit.user.hash == i.credential and permit.user.device == i.device
    if not mine:  # (5)
        return refuse(Reason.BINDING, "gate.5", f"{permit.user.name} on {permit.user.device}", f"{i.device}")
    if i.suspended is None and permit.suspended_for is not None:
        return refuse(Reason.SUSPENDED, "gate.6", permit.suspended_for, "a RESUME by its holder")
    return i.suspended  # (6)


def _here_and_now(i: Inputs, permit: VerifiedPermit) -> Refusal | None:
    time, rule, window = i.now.time, permit.rule, permit.cell.window
    if not time.trusted or time.bound_ns > rule.time_bound_ns_max:  # (7)
        measured = f"{time.status}, bound {time.bound_ns} ns"
        return refuse(Reason.TIME_UNTRUSTED, "gate.7", measured, f"trusted, <= {rule.time_bound_ns_max} ns")
    return (
        time_inside(time, window.start_ns, window.end_ns, "gate.8")
        or _still_entitled(time, permit)
        or _lease(i, permit)
        or permit.cell.area.place(i.now.position, "gate.10")
    )


def _still_entitled(time: TimeFix, permit: VerifiedPermit) -> Refusal | None:
    """Refuse unless both credentials and the rule are in force now, not only when the settlement was signed."""
    effective = permit.rule.effective
    return (
        permit.user.valid_at(time)
        or permit.holder.valid_at(time)
        or time_inside(time, effective.start_ns, effective.end_ns, "gate.8.rule")
    )


def _lease(i: Inputs, permit: VerifiedPermit) -> Refusal | None:
    late = deadline_open(i.now.time, permit.transmit_until_ns, "gate.9")
    if late is None:
        return None
    return replace(late, reason=Reason.LEASE, required=f"lease until {permit.transmit_until_ns} ns")


def _radio(i: Inputs, permit: VerifiedPermit) -> Refusal | None:
    if i.tuned != permit.cell.band:  # (11)
        return refuse(Reason.BAND, "gate.11", i.tuned, permit.cell.band)
    if i.heartbeat_mono_ns is None or i.mono_ns - i.heartbeat_mono_ns > i.heartbeat_limit_ns:  # (12)
        age = "never" if i.heartbeat_mono_ns is None else f"{i.mono_ns - i.heartbeat_mono_ns} ns ago"
        return refuse(Reason.HEARTBEAT, "gate.12", age, f"<= {i.heartbeat_limit_ns} ns")
    limit_ns = permit.rule.sensing_age_ns_max
    if i.sensed is None or not 0 <= i.mono_ns - i.sensed.listened_ns <= limit_ns:  # (13)
        age = "never" if i.sensed is None else f"{i.mono_ns - i.sensed.listened_ns} ns ago"
        return refuse(Reason.SENSING_STALE, "gate.13", age, f"<= {limit_ns} ns")
    if i.sensed.incumbent:
        return refuse(Reason.INCUMBENT, "gate.13", "incumbent in the band", "none")
    if permit.rule.outside_authorisation and not _authorised(i):  # (14)
        return refuse(Reason.OUTSIDE_AUTHORISATION, "gate.14", i.outside_until_mono_ns, f"granted past {i.mono_ns} ns")
    return None


def _authorised(i: Inputs) -> bool:
    return i.outside_until_mono_ns is not None and i.mono_ns < i.outside_until_mono_ns


def decide(i: Inputs) -> Allow | Refusal:
    """Conditions (1) to (14), in order. Pure: the same inputs give the same decision."""
    refusal = _operator(i)
    if refusal is not None:
        return refusal
    if i.permit is None:  # (4)
        return refuse(Reason.NO_PERMIT, "gate.4", "none", "a settlement verified by this warden")
    refusal = _permitted(i, i.permit) or _here_and_now(i, i.permit) or _radio(i, i.permit)
    if refusal is not None:
        return refusal
    left_ns = _remaining_ns(i, i.permit) - i.lead_ns
    if left_ns <= 0:
        return refuse(Reason.EXPIRED, "gate.8", f"{left_ns + i.lead_ns} ns left", f"> {i.lead_ns} ns to fall silent in")
    return Allow(for_ns=left_ns)


def _remaining_ns(i: Inputs, permit: VerifiedPermit) -> int:
    """The time in ns for which every term that expires surely still holds; zero or less when one does not."""
    until_utc_ns = min(
        permit.cell.window.end_ns,
        permit.transmit_until_ns,
        permit.user.expires_ns,
        permit.holder.expires_ns,
        permit.rule.effective.end_ns,
    )
    until_mono_ns = [i.armed_until_mono_ns]
    if permit.rule.outside_authorisation:
        until_mono_ns.append(i.outside_until_mono_ns)
    left_ns = (i.mono_ns if until is None else until for until in until_mono_ns)
    return min(until_utc_ns - i.now.time.latest_ns, min(left_ns) - i.mono_ns)


class Finding(Enum):
    """The event that a decision means for the gate's state machine."""

    FAULT = "fault"
    UNARMED = "unarmed"
    REFUSED = "refused"
    ALLOWED = "allowed"


TRANSITIONS: dict[tuple[GateState, Finding], GateState] = {
    (GateState.LOCKED, Finding.FAULT): GateState.LATCHED,
    (GateState.LOCKED, Finding.UNARMED): GateState.LOCKED,
    (GateState.LOCKED, Finding.REFUSED): GateState.ARMED,
    (GateState.LOCKED, Finding.ALLOWED): GateState.ARMED,
    (GateState.ARMED, Finding.FAULT): GateState.LATCHED,
    (GateState.ARMED, Finding.UNARMED): GateState.LOCKED,
    (GateState.ARMED, Finding.REFUSED): GateState.ARMED,
    (GateState.ARMED, Finding.ALLOWED): GateState.OPEN,
    (GateState.OPEN, Finding.FAULT): GateState.LATCHED,
    (GateState.OPEN, Finding.UNARMED): GateState.LOCKED,
    (GateState.OPEN, Finding.REFUSED): GateState.ARMED,
    (GateState.OPEN, Finding.ALLOWED): GateState.OPEN,
    (GateState.LATCHED, Finding.FAULT): GateState.LATCHED,
    (GateState.LATCHED, Finding.UNARMED): GateState.LOCKED,
    (GateState.LATCHED, Finding.REFUSED): GateState.LOCKED,
    (GateState.LATCHED, Finding.ALLOWED): GateState.LOCKED,
}
"""All transitions. Only ARMED opens, so that the gate never opens in the turn in which it was armed or cleared."""


def finding(i: Inputs, decision: Allow | Refusal) -> Finding:
    """The event of a decision on these inputs."""
    if i.latched is not None:
        return Finding.FAULT
    if isinstance(decision, Allow):
        return Finding.ALLOWED
    return Finding.UNARMED if decision.reason in (Reason.NOT_ARMED, Reason.DRIVER) else Finding.REFUSED


def state_after(state: GateState, i: Inputs, decision: Allow | Refusal) -> GateState:
    """The gate's next state."""
    return TRANSITIONS[state, finding(i, decision)]
