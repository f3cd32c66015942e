"""What a node keeps of proposals beside its log: which rows there are, and which proposals are still under way."""

from dataclasses import dataclass

from settlement.chain.scope import Cell
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Refusal
from settlement.quorum.table import OVER, ProposalEvent, ProposalState, next_state
from settlement.records.quorum import Proposal

MEMBERS = "members"
"""The newest list of members of each name: the hash of its record, by the name."""
PROPOSED = "proposed"
"""Proposals by their hash: the offer that is auctioned, or the record that is to be approved.

A row goes once its proposal is decided or void and the window it is about is over; votes and outcomes stay.
"""
WITHDRAWN = "withdrawn"
"""Approvals that their holder took back, by the PROPOSAL: the hash of the VERDICT that says so."""
AUCTIONED = "auctioned"
"""The auction of each offer: the hash of the PROPOSAL, by the hash of the DECLARATION."""
APPROVING = "approving"
"""The PROPOSAL by which a holder puts a REQUEST to its members: its hash, by the hash of the REQUEST and the holder."""
BIDS, REVEALS = "bid", "reveal"
"""BIDs and REVEALs by proposal and bidder: the hash of the record, and by when it was surely here (8 bytes, UTC ns)."""
TALLIES, OUTCOMES = "tally", "outcome"
"""The one TALLY and the one OUTCOME of each proposal, by its hash."""
VOTES = "ballot"
"""The one vote of each member on each proposal, by both hashes: written in the step that signs it, before it leaves."""
SEALED = "sealed"
"""What this node has bid, by proposal: price, nonce, and whether it is to be revealed. Nobody else is told."""
HASH, INSTANT = 32, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A record that came in: its hash, and by when it was surely here (UTC, ns)."""

    name: bytes
    at_ns: int

    def stored(self) -> bytes:
        """As it is kept."""
        return self.name + self.at_ns.to_bytes(INSTANT, "big")

    @classmethod
    def of(cls, raw: bytes) -> "Arrival":
        """What is kept, read back."""
        return cls(name=raw[:HASH], at_ns=int.from_bytes(raw[HASH:], "big"))


def arrived(name: bytes, now: TimeFix) -> bytes:
    """A record that comes in now, as it is kept."""
    return Arrival(name=name, at_ns=now.latest_ns).stored()


def proposal_over_ns(body: Proposal) -> int:
    """When nothing can come of a proposal any more (UTC, ns): its vote is closed, and so is the window it is about."""
    about = body.auction or body.approval
    return max(body.vote_by_ns, about.cell.window.end_ns if about is not None else 0)


class Assembly:
    """The proposals of which something may still come, and where each stands here.

    `approvals` are the cells that members were asked to approve, by the proposals that ask; of those in `shown` the
    REQUEST lay beside, since this node was started: nobody approves what no user has asked for. Of those in `withdrawn`
    nothing comes, or nothing more: their cells are free.
    """

    def __init__(self) -> None:
        self.states: dict[bytes, ProposalState] = {}
        self.approvals: dict[bytes, Cell] = {}
        self.shown: set[bytes] = set()
        self.withdrawn: set[bytes] = set()
        self._by: dict[bytes, bytes | None] = {}
        self._over_ns: dict[bytes, int] = {}

    def begin(self, name: bytes, body: Proposal, author: bytes | None) -> None:
        """A proposal came in, or was made here."""
        self._by[name] = author
        sold = body.auction is not None
        self.states.setdefault(name, ProposalState.BIDDING if sold else ProposalState.VOTING)
        self._over_ns[name] = proposal_over_ns(body)
        if body.approval is not None:
            self.approvals[name] = body.approval.cell

    def over(self, now: TimeFix) -> list[bytes]:
        """Those that are decided or void, and of whose windows nothing is surely left."""
        return [name for name, at in self._over_ns.items() if now.after(at) and self.states[name] in OVER]

    def forget(self, name: bytes) -> None:
        """Nothing can come of it any more."""
        for held in (self.states, self.approvals, self._over_ns, self._by):
            held.pop(name, None)
        self.shown.discard(name)
        self.withdrawn.discard(name)

    def move(self, name: bytes, event: ProposalEvent) -> ProposalState | Refusal:
        """The only way from one state to another: the table's."""
        moved = next_state(self.states[name], event)
        if not isinstance(moved, Refusal):
            self.states[name] = moved
        return moved

    def kept_of(self, author: bytes) -> list[bytes]:
        """One author's, those that are over included: as long as a window that they are about lasts, they are kept."""
        return [name for name, by in self._by.items() if by == author]

    @property
    def live(self) -> list[bytes]:
        """Those that time or a record may still move."""
        return [name for name, state in self.states.items() if state not in OVER]
