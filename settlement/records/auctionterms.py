"""The terms of a sealed-bid auction: what a rule demands, what one auction states, and how its bids are counted."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, blob, nested, text, uint
from settlement.chain.quantities import WINDOW_MAX_NS, count, instant_ns, length_ns
from settlement.chain.scope import Cell, ordered
from settlement.records.sizes import HASH

FIRST_PRICE, SECOND_PRICE = "first price", "second price"
PRICE_FUNCTIONS = (FIRST_PRICE, SECOND_PRICE)
UNANIMOUS, K_OF_N, WEIGHTED = "unanimous", "k of n", "weighted"
APPROVALS = (UNANIMOUS, K_OF_N, WEIGHTED)
DEPOSIT, PRICE = "deposit", "price"
FORFEITS = (DEPOSIT, PRICE)
"""What a winner owes if it never requests the cell that it won: the deposit, or the price that it won at."""
FUNCTIONS = (*APPROVALS, *PRICE_FUNCTIONS)
"""Functions by which a group reaches an outcome."""
BIDDERS_MAX = 31
"""Most bids of one auction: all bids and their reveals travel beside the tally, in one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionRule:
    """What a rule demands of auctions in a class.

    `members` names the list of members that certifies them; `functions` are the permitted outcome functions (first
    price, second price). Bids are taken for at least `bids_ns_min`, reveals for at least `reveals_ns_min`; the tally is
    made `settle_ns` after the reveals close, and the vote closes after that. `deposit_min`: the least deposit, which a
    bidder owes if it does not reveal its bid. `forfeit`: what a winner owes that has sent no REQUEST by the end of the
    window it won; nothing where absent.
    """

    members: str = text(1, 64)
    functions: tuple[str, ...] = array(2, text(0, 32), 2, low=1)
    bids_ns_min: int = length_ns(3, least=1)
    reveals_ns_min: int = length_ns(4, least=1)
    settle_ns: int = length_ns(5)
    deposit_min: int = count(6)
    bidders_max: int = uint(7, high=BIDDERS_MAX)
    forfeit: str | None = text(8, 16, optional=True)

    def forfeited(self, *, deposit: int, price: int) -> int:
        """Return what a winner owes that never sends a REQUEST: the deposit, the price it won at, or 0."""
        return {DEPOSIT: deposit, PRICE: price}.get(self.forfeit or "", 0)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless functions and forfeit exist, both phases exceed `settle_ns`, and two may bid."""
        unknown = [one for one in self.functions if one not in PRICE_FUNCTIONS]
        if unknown:
            return ".functions", unknown[0], f"of {', '.join(PRICE_FUNCTIONS)}"
        if self.forfeit is not None and self.forfeit not in FORFEITS:
            return ".forfeit", self.forfeit, f"{' or '.join(FORFEITS)}, or absent: nothing is owed"
        shortest_ns = min(self.bids_ns_min, self.reveals_ns_min)
        if self.settle_ns >= shortest_ns:
            return ".settle_ns", self.settle_ns, f"< {shortest_ns}, the shorter of bids_ns_min and reveals_ns_min"
        return None if self.bidders_max >= 2 else (".bidders_max", self.bidders_max, ">= 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionTerms:
    """One auction: the offer and the cell that are sold, the deposit of a bid, and the deadlines (UTC, ns).

    A bid below `reserve` does not count; a bidder that does not reveal owes `deposit`. Prices are millionths of the
    class's currency.
    """

    declaration: bytes = blob(1, HASH)
    cell: Cell = nested(2, Cell)
    commodity: str = text(3, 64)
    reserve: int = count(4)
    deposit: int = count(5)
    bids_by_ns: int = instant_ns(6)
    reveals_by_ns: int = instant_ns(7)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless bids close before reveals, and reveals before the window that is sold begins."""
        if not self.bids_by_ns < self.reveals_by_ns:
            return ".reveals_by_ns", self.reveals_by_ns, f"> bids_by_ns, {self.bids_by_ns}"
        if self.reveals_by_ns >= self.cell.window.start_ns:
            return ".reveals_by_ns", self.reveals_by_ns, f"< the window's start, {self.cell.window.start_ns}"
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedBid:
    """One bid as the tally counts it, by the hashes of its BID and its REVEAL; without a REVEAL it owes its deposit."""

    bid: bytes = blob(1, HASH)
    reveal: bytes | None = blob(2, HASH, optional=True)
