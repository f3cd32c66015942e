"""What a node stores of group decisions beside its log: the kinds of state, and the proposals still open."""

from dataclasses import dataclass

from settlement.chain.scope import Cell
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Refusal
from settlement.quorum.table import OVER, ProposalEvent, ProposalState, next_state
from settlement.records.quorum import Proposal

MEMBERS = "members"
"""State kind: the newest list of members of each name; the record's hash, by the name."""
PROPOSED = "proposed"
"""State kind: open proposals by their hash; value: the offer auctioned, or the record to be approved.

A row is deleted once its proposal is decided or void and its window is over; votes and outcomes stay.
"""
WITHDRAWN = "withdrawn"
"""State kind: approvals that their holder withdrew, by PROPOSAL; value: the hash of the VERDICT that says so."""
AUCTIONED = "auctioned"
"""State kind: the auction of each offer; the hash of the PROPOSAL, by the hash of the DECLARATION."""
APPROVING = "approving"
"""State kind: the PROPOSAL for a REQUEST that a holder asks its members to approve; by REQUEST and holder."""
BIDS, REVEALS = "bid", "reveal"
"""State kinds: BIDs and REVEALs by proposal and bidder; the record's hash, and its latest arrival (8 bytes, UTC ns)."""
TALLIES, OUTCOMES = "tally", "outcome"
"""State kinds: the hash of the one TALLY and of the one OUTCOME of each proposal, by the proposal's hash."""
VOTES = "ballot"
"""State kind: the one vote of each member on each proposal, by both hashes; stored in the step that signs it."""
SEALED = "sealed"
"""State kind: this node's own bids by proposal, kept secret: price, nonce, and whether it will reveal the bid."""
HASH, INSTANT = 32, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A record that arrived: its hash, and the latest instant at which it may have arrived (UTC, ns)."""

    name: bytes
    at_ns: int

    def stored(self) -> bytes:
        """Return the arrival as it is stored."""
        return self.name + self.at_ns.to_bytes(INSTANT, "big")

    @classmethod
    def of(cls, raw: bytes) -> "Arrival":
        """Decode a stored arrival."""
        return cls(name=raw[:HASH], at_ns=int.from_bytes(raw[HASH:], "big"))


def arrived(name: bytes, now: TimeFix) -> bytes:
    """Return a record that arrives now, as it is stored."""
    return Arrival(name=name, at_ns=now.latest_ns).stored()


def proposal_over_ns(body: Proposal) -> int:
    """Return when (UTC, ns) a proposal can have no effect any more: its vote is closed and its window is over."""
    about = body.auction or body.approval
    return max(body.vote_by_ns, about.cell.window.end_ns if about is not None else 0)


class Assembly:
    """The open proposals, and the state of each at this node.

    `approvals` are the cells that members were asked to approve, by proposal. `shown` are the proposals that came,
    since this node started, with their REQUEST beside them: only these are approved, as a user has really asked for
    them. `withdrawn` are the proposals whose approval the holder withdrew: their cells are free.
    """

    def __init__(self) -> None:
        self.states: dict[bytes, ProposalState] = {}
        self.approvals: dict[bytes, Cell] = {}
        self.shown: set[bytes] = set()
        self.withdrawn: set[bytes] = set()
        self._by: dict[bytes, bytes | None] = {}
        self._over_ns: dict[bytes, int] = {}

    def begin(self, name: bytes, body: Proposal, author: bytes | None) -> None:
        """Add a proposal that arrived or was made here."""
        self._by[name] = author
        sold = body.auction is not None
        self.states.setdefault(name, ProposalState.BIDDING if sold else ProposalState.VOTING)
        self._over_ns[name] = proposal_over_ns(body)
        if body.approval is not None:
            self.approvals[name] = body.approval.cell

    def over(self, now: TimeFix) -> list[bytes]:
        """Return the proposals that are decided or void and whose windows are surely over."""
        return [name for name, at in self._over_ns.items() if now.after(at) and self.states[name] in OVER]

    def forget(self, name: bytes) -> None:
        """Delete a proposal that can have no effect any more."""
        for held in (self.states, self.approvals, self._over_ns, self._by):
            held.pop(name, None)
        self.shown.discard(name)
        self.withdrawn.discard(name)

    def move(self, name: bytes, event: ProposalEvent) -> ProposalState | Refusal:
        """Move a proposal to its next state by the transition table: the only way to do so."""
        moved = next_state(self.states[name], event)
        if not isinstance(moved, Refusal):
            self.states[name] = moved
        return moved

    def kept_of(self, author: bytes) -> list[bytes]:
        """Return one author's stored proposals, decided ones included: they are kept until their windows are over."""
        return [name for name, by in self._by.items() if by == author]

    @property
    def live(self) -> list[bytes]:
        """Return the proposals that time or a record may still move."""
        return [name for name, state in self.states.items() if state not in OVER]
