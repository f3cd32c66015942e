"""The CBSD's state machine (WINNF-TS-0016 clause 7, and 47 CFR 96.39(c)): one grant's states and events, as a table.

                      grant 0             heartbeat 0
    IDLE ------------------> GRANTED -------------------> AUTHORIZED      RF may be on in AUTHORIZED only, and only
      ^                        ^  ^                           |           before transmitExpireTime
      |                        |  +--- 501, time is up -------+
      |    500, grant is over  |  +--- no answer that counts -+
      +------------------------+------------------------------+
      |                                                       |
      +<--- relinquished --- ENDING <--- 502, no more wanted -+

105 and 101 end the registration and with it every grant; so does any code that no table knows.
"""

from dataclasses import dataclass
from enum import Enum

from radio.cbrs.codes import Code


class State(Enum):
    """Where one grant stands."""

    IDLE = "IDLE"
    GRANTED = "GRANTED"
    AUTHORIZED = "AUTHORIZED"
    ENDING = "ENDING"


class Event(Enum):
    """What happens to a grant. UNUSABLE: an answer that is none (wrong ids, NULL or past expiry, half a body)."""

    GIVEN = "grant given"
    BEAT = "heartbeat: 0 with a time ahead"
    SUSPENDED = "heartbeat: 501"
    UNSYNC = "heartbeat: 502"
    TERMINATED = "heartbeat: 500"
    UNREGISTERED = "105, 101, 103 to its cbsdId, or an unknown code"
    UNUSABLE = "an answer that does not count"
    TIME_UP = "transmitExpireTime passed"
    OVER = "grantExpireTime passed, or kept too long without contact"
    UNWANTED = "no more wanted"
    RELINQUISHED = "relinquishment answered"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.IDLE, Event.GIVEN): State.GRANTED,
    (State.IDLE, Event.UNREGISTERED): State.IDLE,
    (State.GRANTED, Event.BEAT): State.AUTHORIZED,
    (State.GRANTED, Event.SUSPENDED): State.GRANTED,
    (State.GRANTED, Event.UNSYNC): State.ENDING,
    (State.GRANTED, Event.TERMINATED): State.IDLE,
    (State.GRANTED, Event.UNREGISTERED): State.IDLE,
    (State.GRANTED, Event.UNUSABLE): State.GRANTED,
    (State.GRANTED, Event.TIME_UP): State.GRANTED,
    (State.GRANTED, Event.OVER): State.IDLE,
    (State.GRANTED, Event.UNWANTED): State.ENDING,
    (State.AUTHORIZED, Event.BEAT): State.AUTHORIZED,
    (State.AUTHORIZED, Event.SUSPENDED): State.GRANTED,
    (State.AUTHORIZED, Event.UNSYNC): State.ENDING,
    (State.AUTHORIZED, Event.TERMINATED): State.IDLE,
    (State.AUTHORIZED, Event.UNREGISTERED): State.IDLE,
    (State.AUTHORIZED, Event.UNUSABLE): State.GRANTED,
    (State.AUTHORIZED, Event.TIME_UP): State.GRANTED,
    (State.AUTHORIZED, Event.OVER): State.IDLE,
    (State.AUTHORIZED, Event.UNWANTED): State.ENDING,
    (State.ENDING, Event.RELINQUISHED): State.IDLE,
    (State.ENDING, Event.UNREGISTERED): State.IDLE,
    (State.ENDING, Event.UNWANTED): State.ENDING,
    (State.ENDING, Event.OVER): State.IDLE,
}
"""The whole machine; a pair that is not here is refused and changes nothing."""

HEARTBEAT_EVENTS: dict[Code, Event] = {
    Code.SUCCESS: Event.BEAT,
    Code.SUSPENDED_GRANT: Event.SUSPENDED,
    Code.UNSYNC_OP_PARAM: Event.UNSYNC,
    Code.TERMINATED_GRANT: Event.TERMINATED,
    Code.INVALID_VALUE: Event.TERMINATED,
    Code.MISSING_PARAM: Event.TERMINATED,
    Code.VERSION: Event.UNREGISTERED,
    Code.BLACKLISTED: Event.UNREGISTERED,
    Code.CERT_ERROR: Event.UNREGISTERED,
    Code.DEREGISTER: Event.UNREGISTERED,
}
"""What a heartbeat's answer comes to; a code that is not here is unknown there, and ends the registration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchStep:
    """An event that a grant in that state cannot have."""

    state: State
    event: Event


def after(state: State, event: Event) -> State | NoSuchStep:
    """The state after an event."""
    return TRANSITIONS.get((state, event)) or NoSuchStep(state=state, event=event)


def heartbeat_event(code: Code | None) -> Event:
    """What an answered heartbeat comes to, by its code; None is a code that nobody knows."""
    return Event.UNREGISTERED if code is None else HEARTBEAT_EVENTS.get(code, Event.UNREGISTERED)
