"""The body classes of all record types in one import; each is defined in its module of `settlement/records`.

Integers carry their unit in the name: hz, mdb(m) milli-decibel, ns since the Unix epoch (UTC), e7 degrees x 1e7, mm,
ppm millionths of a ratio.
"""

from settlement.chain.scope import Window
from settlement.records.auction import AuctionTally, Bid, Reveal
from settlement.records.auctionterms import AuctionRule, AuctionTerms, CountedBid
from settlement.records.authority import (
    Admission,
    Budget,
    ClassTerms,
    Credential,
    DeskTerms,
    Level,
    LongLeases,
    Modality,
    Recognition,
    Revocation,
    Rotation,
    Rule,
    Shard,
    StockWitness,
)
from settlement.records.classterms import Axis, Schema
from settlement.records.complaint import Dispute, DisputeAnswer, Fallback, Ruling
from settlement.records.decision import Abort, Confirm
from settlement.records.endings import Compensation, Preempt, Relinquish, Usage
from settlement.records.grant import Accept, Coordination, Grant
from settlement.records.lease import Renew, Resume, Suspend
from settlement.records.market import Counter, Declaration, Intent, PartOf, Request, ShownPart
from settlement.records.observation import ChannelObservation, Envelope, Gate, Quantity
from settlement.records.quorum import Ballot, GroupMember, GroupOutcome, MemberList, Proposal
from settlement.records.registry import BODIES, TYPE_OF
from settlement.records.sizes import HASH, PPM
from settlement.records.verdict import Verdict
from settlement.records.witness import Checkpoint, Cosignature, Evidence

__all__ = [
    "BODIES",
    "HASH",
    "PPM",
    "TYPE_OF",
    "Abort",
    "Accept",
    "Admission",
    "AuctionRule",
    "AuctionTally",
    "AuctionTerms",
    "Axis",
    "Ballot",
    "Bid",
    "Budget",
    "ChannelObservation",
    "Checkpoint",
    "ClassTerms",
    "Compensation",
    "Confirm",
    "Coordination",
    "Cosignature",
    "CountedBid",
    "Counter",
    "Credential",
    "Declaration",
    "DeskTerms",
    "Dispute",
    "DisputeAnswer",
    "Envelope",
    "Evidence",
    "Fallback",
    "Gate",
    "Grant",
    "GroupMember",
    "GroupOutcome",
    "Intent",
    "Level",
    "LongLeases",
    "MemberList",
    "Modality",
    "PartOf",
    "Preempt",
    "Proposal",
    "Quantity",
    "Recognition",
    "Relinquish",
    "Renew",
    "Request",
    "Resume",
    "Reveal",
    "Revocation",
    "Rotation",
    "Rule",
    "Ruling",
    "Schema",
    "Shard",
    "ShownPart",
    "StockWitness",
    "Suspend",
    "Usage",
    "Verdict",
    "Window",
]
