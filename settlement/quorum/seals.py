"""Sealed bids: a commitment that hides a bidder's price, and the check that a reveal shows that price. Pure."""

import hashlib
from typing import Final

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.auction import Bid, Reveal

_DOMAIN: Final = b"bandpact/1/bid"
PRICE_BYTES: Final = 8


def commitment(proposal: bytes, bidder: bytes, price: int, nonce: bytes) -> bytes:
    """Return SHA-256 over the PROPOSAL's hash, the bidder's credential, the price and a nonce of 16 random bytes.

    The bidder is included so that nobody can copy another's commitment; the nonce, so that nobody can guess the price.
    """
    return hashlib.sha256(_DOMAIN + proposal + bidder + price.to_bytes(PRICE_BYTES, "big") + nonce).digest()


def judge_reveal(bid: Bid, bidder: bytes, body: Reveal) -> Refusal | None:
    """Refuse a REVEAL that does not match its BID's commitment; None where it does."""
    found = commitment(body.proposal, bidder, body.price, body.nonce)
    if found != bid.commitment:
        return refuse(Reason.PROOF, "reveal.commitment", found.hex()[:16], bid.commitment.hex()[:16])
    return None
