"""`[[trial.auctions]]`, `[[trial.bids]]`, `[trial.group]`: auctions of a scenario, their bids, who certifies them."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from agent.config.auctions import AuctionSection, BidSection
from agent.config.section import Section
from hw_profiles.switch import Switch


class AuctionPlan(Section):
    """A holder's auction; all times but `after_s` count from its opening."""

    node: str
    low_hz: int
    high_hz: int
    price: int = Field(default=0, ge=0)
    deposit: int = Field(default=0, ge=0)
    function: Literal["first price", "second price"] = "second price"
    max_eirp_dbm: float = 30.0
    after_s: float = 0.5
    bids_s: float = Field(gt=0)
    reveals_s: float = Field(gt=0)
    vote_s: float = Field(gt=0)
    in_s: float = Field(gt=0)
    for_s: float = Field(gt=0)


class BidPlan(Section):
    """A user's sealed bid in the first auction of a band inside these edges; not shown with `reveal = false`."""

    node: str
    low_hz: int
    high_hz: int
    price: int = Field(ge=0)
    after_s: float = 0.0
    reveal: Switch = True


class AuctionRulePlan(Section):
    """What the rule asks of auctions; see `settlement.records.auctionterms.AuctionRule`."""

    bids_s_min: float = Field(default=1.0, gt=0)
    reveals_s_min: float = Field(default=1.0, gt=0)
    settle_s: float = Field(default=0.5, ge=0)
    deposit_min: int = Field(default=0, ge=0)
    bidders_max: int = Field(default=16, ge=2, le=31)
    forfeit: Literal["deposit", "price"] | None = None


class ConsentPlan(Section):
    """Who has to agree before a GRANT, of `[trial.group]`; see `settlement.records.approvalterms.ApprovalRule`."""

    function: Literal["unanimous", "k of n", "weighted"] = "k of n"
    need: int = Field(default=0, ge=0)
    vote_s: float = Field(gt=0)


class MemberPlan(Section):
    """A member of the group that decides together: the node, its role and its weight."""

    node: str
    role: Literal["holder", "bidder", "user", "regulator", "operator", "authority", "witness"]
    weight: int = Field(default=1, ge=1)


class GroupPlan(Section):
    """The list of members that the trial's authority signs, and how many of them may be faulty."""

    name: str = "members"
    faulty: int = Field(default=1, ge=0)
    members: list[MemberPlan] = Field(min_length=1)

    @model_validator(mode="after")
    def _enough(self) -> "GroupPlan":
        least = 3 * self.faulty + 1
        if len({one.node for one in self.members}) < least:
            raise ValueError(
                f"{len(self.members)} members with faulty = {self.faulty}; {least} different ones at least"
            )
        return self


def _auctions_of(plans: Sequence[AuctionPlan], commodity: str, scale: float) -> list[AuctionSection]:
    timed = ("after_s", "bids_s", "reveals_s", "vote_s", "in_s", "for_s")
    return [
        AuctionSection(
            low_hz=one.low_hz,
            high_hz=one.high_hz,
            commodity=commodity,
            price=one.price,
            deposit=one.deposit,
            function=one.function,
            max_eirp_mdbm=round(one.max_eirp_dbm * 1000),
            **{name: getattr(one, name) * scale for name in timed},
        )
        for one in plans
    ]


def auction_tables(
    auctions: Sequence[AuctionPlan], plans: Sequence[BidPlan], node: str, *, commodity: str, scale: float
) -> dict[str, list[dict[str, Any]]]:
    """Return a node's auctions and bids as configuration tables, with times scaled to the run's length."""
    bids = [
        BidSection(
            low_hz=one.low_hz,
            high_hz=one.high_hz,
            price=one.price,
            after_s=one.after_s * scale,
            reveal=one.reveal,
        )
        for one in plans
        if one.node == node
    ]
    found = {
        "auctions": [
            one.model_dump() for one in _auctions_of([one for one in auctions if one.node == node], commodity, scale)
        ],
        "bids": [one.model_dump() for one in bids],
    }
    return {key: made for key, made in found.items() if made}
