"""Quorum approval: what a rule demands before a GRANT in a class, and what the members are asked to approve."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, blob, nested, text, uint
from settlement.chain.quantities import DAY_NS, WINDOW_MAX_NS, count, length_ns, millidecibel
from settlement.chain.scope import Cell, ordered
from settlement.records.auctionterms import APPROVALS
from settlement.records.sizes import HASH

NEED_MAX = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRule:
    """In such a class a REQUEST is granted only after the members of a list have approved it.

    `members` names the list. `function` is unanimous, k of n (`need` members) or weighted (members whose weights add up
    to `need`). They have `vote_ns` to vote, which is less than the class's `accept_ns`, the time that a user waits for
    its GRANT.
    """

    members: str = text(1, 64)
    function: str = text(2, 32)
    need: int = uint(3, high=NEED_MAX)
    vote_ns: int = length_ns(4, least=1, most=DAY_NS)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the function is one for approvals."""
        return None if self.function in APPROVALS else (".function", self.function, f"one of {', '.join(APPROVALS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTerms:
    """What a REQUEST asks for, as its holder puts it to the members."""

    user: bytes = blob(1, HASH)
    cell: Cell = nested(2, Cell)
    commodity: str = text(3, 64)
    tier: int = uint(4, high=255)
    eirp_mdbm: int = millidecibel(5)
    price: int = count(6)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the cell's window has a length from 1 ns to WINDOW_MAX_NS."""
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")
