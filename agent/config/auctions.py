"""`[[auctions]]` and `[[bids]]`: what a node auctions, and what it bids in auctions, by itself."""

from typing import Literal

from pydantic import Field, model_validator

from agent.config.section import Section
from hw_profiles.switch import Switch


class AuctionSection(Section):
    """What a holder auctions once it has sensed that the band is free, `after_s` after the start signal.

    Times are seconds from the opening on: bids for `bids_s`, then reveals for `reveals_s`, then the members vote for
    `vote_s`; what is sold begins `in_s` after the opening and lasts `for_s`. `price` is the reserve.
    """

    low_hz: int
    high_hz: int
    commodity: str
    price: int = Field(default=0, ge=0)
    deposit: int = Field(default=0, ge=0)
    function: Literal["first price", "second price"] = "second price"
    max_eirp_mdbm: int
    after_s: float = 0.0
    bids_s: float = Field(gt=0)
    reveals_s: float = Field(gt=0)
    vote_s: float = Field(gt=0)
    in_s: float = Field(gt=0)
    for_s: float = Field(gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> "AuctionSection":
        busy_s = self.bids_s + self.reveals_s + self.vote_s
        if self.in_s < busy_s:
            raise ValueError(f"in_s = {self.in_s:g} is before the vote ends, {busy_s:g} s after the opening")
        return self


class BidSection(Section):
    """A user's sealed bid, `after_s` after the start signal, in the first auction of a band inside these edges.

    With `reveal = false` it is not shown, and its deposit is lost. What is won is asked for at the auction's price.
    """

    low_hz: int
    high_hz: int
    price: int = Field(ge=0)
    after_s: float = 0.0
    reveal: Switch = True
