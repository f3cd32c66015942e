"""The transition table of a proposal: its states, and the events that move it. Pure; actions are elsewhere.

An auction begins with BIDDING, an approval with VOTING. Nothing leads out of DECIDED and VOID.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from settlement.core.reasons import Reason, Refusal, refuse


class ProposalState(StrEnum):
    """States of a proposal at one node."""

    BIDDING = "bidding"
    REVEALING = "revealing"
    COUNTING = "counting"
    VOTING = "voting"
    DECIDED = "decided"
    VOID = "void"


class ProposalEvent(StrEnum):
    """Events that move a proposal to another state."""

    BIDS_CLOSED = "bids closed"
    REVEALS_CLOSED = "reveals closed"
    TALLIED = "tallied"
    CERTIFIED = "certified"
    LAPSED = "lapsed"


S, E = ProposalState, ProposalEvent
TABLE: Final = MappingProxyType(
    {
        (S.BIDDING, E.BIDS_CLOSED): S.REVEALING,
        (S.REVEALING, E.REVEALS_CLOSED): S.COUNTING,
        (S.COUNTING, E.TALLIED): S.VOTING,
        (S.VOTING, E.CERTIFIED): S.DECIDED,
        (S.BIDDING, E.LAPSED): S.VOID,
        (S.REVEALING, E.LAPSED): S.VOID,
        (S.COUNTING, E.LAPSED): S.VOID,
        (S.VOTING, E.LAPSED): S.VOID,
        # An outcome is valid by its certificate, whatever events before it this node has seen.
        (S.BIDDING, E.CERTIFIED): S.DECIDED,
        (S.REVEALING, E.CERTIFIED): S.DECIDED,
        (S.COUNTING, E.CERTIFIED): S.DECIDED,
        (S.VOID, E.CERTIFIED): S.DECIDED,
    }
)
OVER = (S.DECIDED, S.VOID)


def next_state(state: ProposalState, event: ProposalEvent) -> ProposalState | Refusal:
    """Return the state that an event leads to; OUT_OF_ORDER where the table has no such move."""
    found = TABLE.get((state, event))
    return found or refuse(Reason.OUT_OF_ORDER, "proposal.state", f"{event.value} while {state.value}", _wanted(event))


def _wanted(event: ProposalEvent) -> str:
    return " or ".join(state.value for (state, one) in TABLE if one is event)
