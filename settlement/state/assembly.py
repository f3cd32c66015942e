"""What a node keeps of proposals beside its log: which rows there are, and which proposals are still under way."""

from dataclasses import dataclass

from settlement.core.fixes import TimeFix
from settlement.core.reasons import Refusal
from settlement.quorum.table import OVER, ProposalEvent, ProposalState, next_state

MEMBERS = "members"
"""The newest list of members of each name: the hash of its record, by the name."""
PROPOSED = "proposed"
"""Proposals by their hash: the offer that is auctioned, or the record that is to be approved."""
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


class Assembly:
    """The proposals that are not over, and where each stands here."""

    def __init__(self) -> None:
        self.states: dict[bytes, ProposalState] = {}

    def begin(self, name: bytes, *, auction: bool) -> None:
        """A proposal came in, or was made here."""
        self.states.setdefault(name, ProposalState.BIDDING if auction else ProposalState.VOTING)

    def move(self, name: bytes, event: ProposalEvent) -> ProposalState | Refusal:
        """The only way from one state to another: the table's."""
        moved = next_state(self.states[name], event)
        if not isinstance(moved, Refusal):
            self.states[name] = moved
        return moved

    @property
    def live(self) -> list[bytes]:
        """Those that time or a record may still move."""
        return [name for name, state in self.states.items() if state not in OVER]
