"""The transition tables of a settlement: every state on either side, and every move between states.

The holder decides: CONFIRM is the only commit point. From ACCEPT to the decision the user is in doubt and only asks
again, for as long as a CONFIRM could still allow it anything. A pair (state, event) that is not in the table is
refused and changes nothing. Only the two tables yield a state: `HolderPairs.move` and `UserPairs.move` look it up, and
no other code writes one.
"""

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Any

from settlement.core.reasons import Reason, Refusal, refuse


class HolderState(IntEnum):
    """State of a settlement at the holder; part of the stored form."""

    NONE = 0
    RESERVED = 1
    CONFIRMED = 2
    ABORTED = 3
    ENDED = 4
    SUSPENDED = 5
    COORDINATING = 6


class UserState(IntEnum):
    """State of a settlement at the user; part of the stored form."""

    NONE = 0
    REQUESTED = 1
    ACCEPTED = 2
    SETTLED = 3
    REFUSED = 4
    ABORTED = 5
    ENDED = 6
    SUSPENDED = 7


class Event(Enum):
    """Events that move a settlement to another state."""

    REQUEST = "request"
    GRANT = "grant"
    VERDICT = "verdict"
    COUNTER = "counter"
    PRICED = "price taken or declined"
    HELD = "grant held for the whole"
    ACCEPT = "accept"
    ASKING = "accept and ask others"
    COORDINATION = "coordination"
    COORDINATED = "all have co-signed"
    CONFIRM = "confirm"
    ABORT = "abort"
    RENEW = "renew"
    SUSPEND = "suspend"
    RESUME = "resume"
    RELINQUISH = "relinquish"
    PREEMPT = "preempt"
    FALLBACK = "fallback"
    MOVED = "moved to its fallback"
    USAGE = "usage"
    DEADLINE = "deadline"
    BARRED = "may not be confirmed"
    WINDOW_END = "window end"


HOLDER = {
    (HolderState.NONE, Event.REQUEST): HolderState.RESERVED,
    (HolderState.RESERVED, Event.ACCEPT): HolderState.CONFIRMED,
    (HolderState.RESERVED, Event.ASKING): HolderState.COORDINATING,
    (HolderState.RESERVED, Event.DEADLINE): HolderState.ABORTED,
    (HolderState.RESERVED, Event.PREEMPT): HolderState.ABORTED,
    (HolderState.RESERVED, Event.BARRED): HolderState.ABORTED,
    (HolderState.COORDINATING, Event.COORDINATION): HolderState.COORDINATING,
    (HolderState.COORDINATING, Event.COORDINATED): HolderState.CONFIRMED,
    (HolderState.COORDINATING, Event.VERDICT): HolderState.ABORTED,
    (HolderState.COORDINATING, Event.DEADLINE): HolderState.ABORTED,
    (HolderState.COORDINATING, Event.PREEMPT): HolderState.ABORTED,
    (HolderState.COORDINATING, Event.BARRED): HolderState.ABORTED,
    # More co-signatures than were needed.
    (HolderState.CONFIRMED, Event.COORDINATION): HolderState.CONFIRMED,
    (HolderState.CONFIRMED, Event.RENEW): HolderState.CONFIRMED,
    (HolderState.CONFIRMED, Event.USAGE): HolderState.CONFIRMED,
    (HolderState.CONFIRMED, Event.SUSPEND): HolderState.SUSPENDED,
    # A RESUME resent with a new lease, until the user acknowledges it.
    (HolderState.CONFIRMED, Event.RESUME): HolderState.CONFIRMED,
    (HolderState.CONFIRMED, Event.RELINQUISH): HolderState.ENDED,
    (HolderState.CONFIRMED, Event.PREEMPT): HolderState.ENDED,
    (HolderState.CONFIRMED, Event.FALLBACK): HolderState.CONFIRMED,
    (HolderState.CONFIRMED, Event.MOVED): HolderState.ENDED,
    (HolderState.CONFIRMED, Event.WINDOW_END): HolderState.ENDED,
    (HolderState.SUSPENDED, Event.RESUME): HolderState.CONFIRMED,
    (HolderState.SUSPENDED, Event.USAGE): HolderState.SUSPENDED,
    (HolderState.SUSPENDED, Event.RELINQUISH): HolderState.ENDED,
    (HolderState.SUSPENDED, Event.PREEMPT): HolderState.ENDED,
    (HolderState.SUSPENDED, Event.FALLBACK): HolderState.SUSPENDED,
    (HolderState.SUSPENDED, Event.MOVED): HolderState.ENDED,
    (HolderState.SUSPENDED, Event.WINDOW_END): HolderState.ENDED,
    (HolderState.ENDED, Event.USAGE): HolderState.ENDED,
    # A RELINQUISH and a PREEMPT may cross on the way: neither is an error.
    (HolderState.ENDED, Event.RELINQUISH): HolderState.ENDED,
}

USER = {
    (UserState.NONE, Event.REQUEST): UserState.REQUESTED,
    (UserState.REQUESTED, Event.GRANT): UserState.ACCEPTED,
    (UserState.REQUESTED, Event.VERDICT): UserState.REFUSED,
    (UserState.REQUESTED, Event.COUNTER): UserState.REQUESTED,
    # One part of several is granted: none is accepted before all are granted.
    (UserState.REQUESTED, Event.HELD): UserState.REQUESTED,
    # A REQUEST at the agreed price replaces the first, under the same id.
    (UserState.REQUESTED, Event.PRICED): UserState.REFUSED,
    (UserState.REQUESTED, Event.DEADLINE): UserState.REFUSED,
    (UserState.ACCEPTED, Event.CONFIRM): UserState.SETTLED,
    (UserState.ACCEPTED, Event.ABORT): UserState.ABORTED,
    # No CONFIRM can allow anything any more: the window is over, or the holder's credential is no longer valid.
    (UserState.ACCEPTED, Event.DEADLINE): UserState.ABORTED,
    (UserState.ACCEPTED, Event.BARRED): UserState.ABORTED,
    (UserState.SETTLED, Event.RENEW): UserState.SETTLED,
    (UserState.SETTLED, Event.SUSPEND): UserState.SUSPENDED,
    # A RESUME that overtook its SUSPEND, or one resent; the SUSPEND then arrives with too low a fence.
    (UserState.SETTLED, Event.RESUME): UserState.SETTLED,
    (UserState.SETTLED, Event.RELINQUISH): UserState.ENDED,
    (UserState.SETTLED, Event.PREEMPT): UserState.ENDED,
    (UserState.SETTLED, Event.FALLBACK): UserState.SETTLED,
    (UserState.SETTLED, Event.MOVED): UserState.ENDED,
    (UserState.SETTLED, Event.WINDOW_END): UserState.ENDED,
    (UserState.SUSPENDED, Event.RESUME): UserState.SETTLED,
    # A new SUSPEND, from a holder whose RESUME was lost.
    (UserState.SUSPENDED, Event.SUSPEND): UserState.SUSPENDED,
    (UserState.SUSPENDED, Event.RELINQUISH): UserState.ENDED,
    (UserState.SUSPENDED, Event.PREEMPT): UserState.ENDED,
    (UserState.SUSPENDED, Event.FALLBACK): UserState.SUSPENDED,
    (UserState.SUSPENDED, Event.MOVED): UserState.ENDED,
    (UserState.SUSPENDED, Event.WINDOW_END): UserState.ENDED,
    (UserState.ENDED, Event.PREEMPT): UserState.ENDED,
}


def next_holder(state: HolderState, event: Event) -> HolderState | Refusal:
    """Return the holder's next state, or a refusal OUT_OF_ORDER."""
    found = HOLDER.get((state, event))
    return _out_of_order("pair.holder", HOLDER, state, event) if found is None else found


def next_user(state: UserState, event: Event) -> UserState | Refusal:
    """Return the user's next state, or a refusal OUT_OF_ORDER."""
    found = USER.get((state, event))
    return _out_of_order("pair.user", USER, state, event) if found is None else found


class IllegalMoveError(Exception):
    """A fault of this program: it tried a move that no table has; nothing was changed."""


def moved_holder(state: int, event: Event) -> HolderState:
    """Return the holder's next state. Raises IllegalMoveError where there is none."""
    found = next_holder(HolderState(state), event)
    if isinstance(found, Refusal):
        raise IllegalMoveError(str(found))
    return found


def moved_user(state: int, event: Event) -> UserState:
    """Return the user's next state. Raises IllegalMoveError where there is none."""
    found = next_user(UserState(state), event)
    if isinstance(found, Refusal):
        raise IllegalMoveError(str(found))
    return found


def _out_of_order(clause: str, table: Mapping[tuple[Any, Event], object], state: Enum, event: Event) -> Refusal:
    taken = [one.value for here, one in table if here is state]
    wanted = f"one of {', '.join(taken)}" if taken else f"nothing more: {state.name} is an end"
    return refuse(Reason.OUT_OF_ORDER, clause, f"{event.value} in {state.name}", wanted)
