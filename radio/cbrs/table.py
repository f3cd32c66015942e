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
    """The state of one grant."""

    IDLE = "IDLE"
    GRANTED = "GRANTED"
    AUTHORIZED = "AUTHORIZED"
    ENDING = "ENDING"


class CbsdEvent(Enum):
    """An event of a grant. UNUSABLE: a malformed response (wrong ids, expiry NULL or past, incomplete body)."""

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


TRANSITIONS: dict[tuple[State, CbsdEvent], State] = {
    (State.IDLE, CbsdEvent.GIVEN): State.GRANTED,
    (State.IDLE, CbsdEvent.UNREGISTERED): State.IDLE,
    (State.GRANTED, CbsdEvent.BEAT): State.AUTHORIZED,
    (State.GRANTED, CbsdEvent.SUSPENDED): State.GRANTED,
    (State.GRANTED, CbsdEvent.UNSYNC): State.ENDING,
    (State.GRANTED, CbsdEvent.TERMINATED): State.IDLE,
    (State.GRANTED, CbsdEvent.UNREGISTERED): State.IDLE,
    (State.GRANTED, CbsdEvent.UNUSABLE): State.GRANTED,
    (State.GRANTED, CbsdEvent.TIME_UP): State.GRANTED,
    (State.GRANTED, CbsdEvent.OVER): State.IDLE,
    (State.GRANTED, CbsdEvent.UNWANTED): State.ENDING,
    (State.AUTHORIZED, CbsdEvent.BEAT): State.AUTHORIZED,
    (State.AUTHORIZED, CbsdEvent.SUSPENDED): State.GRANTED,
    (State.AUTHORIZED, CbsdEvent.UNSYNC): State.ENDING,
    (State.AUTHORIZED, CbsdEvent.TERMINATED): State.IDLE,
    (State.AUTHORIZED, CbsdEvent.UNREGISTERED): State.IDLE,
    (State.AUTHORIZED, CbsdEvent.UNUSABLE): State.GRANTED,
    (State.AUTHORIZED, CbsdEvent.TIME_UP): State.GRANTED,
    (State.AUTHORIZED, CbsdEvent.OVER): State.IDLE,
    (State.AUTHORIZED, CbsdEvent.UNWANTED): State.ENDING,
    (State.ENDING, CbsdEvent.RELINQUISHED): State.IDLE,
    (State.ENDING, CbsdEvent.UNREGISTERED): State.IDLE,
    (State.ENDING, CbsdEvent.UNWANTED): State.ENDING,
    (State.ENDING, CbsdEvent.OVER): State.IDLE,
}
"""All transitions; a pair that is not here is refused and changes nothing."""

HEARTBEAT_EVENTS: dict[Code, CbsdEvent] = {
    Code.SUCCESS: CbsdEvent.BEAT,
    Code.SUSPENDED_GRANT: CbsdEvent.SUSPENDED,
    Code.UNSYNC_OP_PARAM: CbsdEvent.UNSYNC,
    Code.TERMINATED_GRANT: CbsdEvent.TERMINATED,
    Code.INVALID_VALUE: CbsdEvent.TERMINATED,
    Code.MISSING_PARAM: CbsdEvent.TERMINATED,
    Code.VERSION: CbsdEvent.UNREGISTERED,
    Code.BLACKLISTED: CbsdEvent.UNREGISTERED,
    Code.CERT_ERROR: CbsdEvent.UNREGISTERED,
    Code.DEREGISTER: CbsdEvent.UNREGISTERED,
}
"""The event of each heartbeat response code; a code that is not here is unknown, and ends the registration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchStep:
    """An event that the grant's state does not allow."""

    state: State
    event: CbsdEvent


def after(state: State, event: CbsdEvent) -> State | NoSuchStep:
    """The state after an event."""
    return TRANSITIONS.get((state, event)) or NoSuchStep(state=state, event=event)


def heartbeat_event(code: Code | None) -> CbsdEvent:
    """The event of a heartbeat response, by its code; None stands for an unknown code."""
    return CbsdEvent.UNREGISTERED if code is None else HEARTBEAT_EVENTS.get(code, CbsdEvent.UNREGISTERED)
