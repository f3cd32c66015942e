"""Records of a sealed-bid auction: a BID that hides its price, the REVEAL of that price, the TALLY of all bids."""

from dataclasses import dataclass
from itertools import pairwise

from settlement.chain.codec import Flaw, array, blob
from settlement.chain.quantities import count
from settlement.records.auctionterms import BIDDERS_MAX, CountedBid
from settlement.records.row import CarriedBy, Charge, Kind, RecordType
from settlement.records.sizes import HASH

NONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """A bidder commits itself to a price that nobody can read yet; it owes `deposit` if it never reveals the price.

    `commitment` is the SHA-256 of proposal, bidder, price and a nonce (`settlement.quorum.seals`).
    """

    proposal: bytes = blob(1, HASH)
    commitment: bytes = blob(2, HASH)
    deposit: int = count(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """A bidder shows the price that its BID committed it to, and the nonce of the commitment."""

    proposal: bytes = blob(1, HASH)
    bid: bytes = blob(2, HASH)
    price: int = count(3)
    nonce: bytes = blob(4, NONCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionTally:
    """The auctioneer's count: every bid that came in time, the winner's credential, and the price that it pays."""

    proposal: bytes = blob(1, HASH)
    bids: tuple[CountedBid, ...] = array(2, CountedBid, BIDDERS_MAX)
    winner: bytes | None = blob(3, HASH, optional=True)
    price: int | None = count(4, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the bids ascend by hash, each once, and a price is there exactly if a winner is."""
        names = [one.bid for one in self.bids]
        if any(a >= b for a, b in pairwise(names)):
            return ".bids", "not in order", "ascending by hash, each once"
        if (self.winner is None) is not (self.price is None):
            return ".price", "absent" if self.price is None else "present", "with a winner, and only then"
        return None


TYPES = (
    RecordType(
        number=44,
        name="bid",
        body=Bid,
        kind=Kind.DEALING,
        actions=("request",),
        carrier=CarriedBy.ANYONE,
        charge=Charge.MOVES,
        beside=True,
        passed_on=True,
    ),
    RecordType(
        number=45,
        name="reveal",
        body=Reveal,
        kind=Kind.DEALING,
        actions=("request",),
        carrier=CarriedBy.ANYONE,
        charge=Charge.MOVES,
        beside=True,
        passed_on=True,
    ),
    RecordType(
        number=46,
        name="tally",
        body=AuctionTally,
        kind=Kind.DEALING,
        actions=("offer", "grant"),
        carrier=CarriedBy.ANYONE,
        charge=Charge.MOVES,
        signs=True,
        beside=True,
        passed_on=True,
    ),
)
