"""The state of a settlement in CBRS terms: IDLE, GRANTED, AUTHORIZED; a transition table and its events. Pure.

    IDLE         nothing is settled, or it is over
    GRANTED      settled: the cell is reserved, nothing may radiate
    AUTHORIZED   inside the window with a fresh transmit lease: the gate may open, if all its other conditions hold

Source: WINNF-TS-0016, the CBSD grant state diagram; its heartbeat is RENEW here.
"""

from dataclasses import dataclass
from enum import Enum

from settlement.chain.scope import Window
from settlement.core.fixes import TimeFix, deadline_open, time_inside


class GrantState(Enum):
    """The three states of a grant."""

    IDLE = "IDLE"
    GRANTED = "GRANTED"
    AUTHORIZED = "AUTHORIZED"


class GrantEvent(Enum):
    """Events that change a grant's state."""

    SETTLED = "settled"
    FRESH = "lease fresh inside the window"
    LAPSED = "lease out, or outside the window"
    SUSPENDED = "suspended"
    OVER = "over"


GRANTS = {
    (GrantState.IDLE, GrantEvent.SETTLED): GrantState.GRANTED,
    (GrantState.GRANTED, GrantEvent.FRESH): GrantState.AUTHORIZED,
    (GrantState.GRANTED, GrantEvent.OVER): GrantState.IDLE,
    (GrantState.AUTHORIZED, GrantEvent.LAPSED): GrantState.GRANTED,
    (GrantState.AUTHORIZED, GrantEvent.SUSPENDED): GrantState.GRANTED,
    (GrantState.AUTHORIZED, GrantEvent.OVER): GrantState.IDLE,
}
"""The transition table; a pair that is not in it leaves the state unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The facts behind a grant's state: settlement in force or not, its window, its lease (UTC, ns)."""

    in_force: bool
    suspended: bool
    window: Window
    transmit_until_ns: int | None


def event_of(held: Held, now: TimeFix) -> GrantEvent:
    """Return the event that these facts imply now. Unknown or undecided time counts as an expired lease."""
    if not held.in_force:
        return GrantEvent.OVER
    if held.suspended:
        return GrantEvent.SUSPENDED
    inside = time_inside(now, held.window.start_ns, held.window.end_ns, "grant.window") is None
    fresh = held.transmit_until_ns is not None and deadline_open(now, held.transmit_until_ns, "grant.lease") is None
    return GrantEvent.FRESH if now.trusted and inside and fresh else GrantEvent.LAPSED


def grant_state(state: GrantState, held: Held, now: TimeFix) -> GrantState:
    """Return a grant's state from the previous one, applying all due transitions in order."""
    if state is GrantState.IDLE and held.in_force:
        state = GRANTS[state, GrantEvent.SETTLED]
    return GRANTS.get((state, event_of(held, now)), state)
