"""State of one client command under way (an errand), what it needs of the node, and its refusal as text."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.config.auctions import AuctionSection
from agent.config.settings import OfferSection
from agent.node.commands import AnyCommand
from agent.node.partialfill import Filling
from agent.words.units import band_text
from sensing.survey import SurveyReport
from settlement.core.reasons import Refusal
from settlement.state.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an errand needs of the node at one instant (monotonic ns)."""

    now_ns: int
    open_sid: bytes | None
    warden_heard_ns: int
    report: Callable[[], SurveyReport]
    closed: Callable[[], list[tuple[int, int]]]
    withdraw: Callable[[bytes], None]
    declare: Callable[[Step, OfferSection], str | None]
    rotate: Callable[[Step], Refusal | None]
    may_offer: Callable[[Step, OfferSection], Refusal | None]
    is_free: Callable[[AuctionSection], bool]


@dataclass(slots=True)
class Errand:
    """One command and its progress; all times monotonic ns."""

    client: bytes
    command: AnyCommand
    began_ns: int
    sid: bytes | None = None
    withdrawn_ns: int | None = None
    cancelled: bool = False
    held: bool = False
    filling: Filling | None = None
    whole: bytes | None = None
    handover: bytes | None = None
    auction: bytes | None = None
    over: bool = False
    told: set[str] = field(default_factory=set)


def refused_text(refusal: Refusal) -> str:
    """Return a refusal of this node's own record as text for the client that asked for it."""
    required = f" (required: {refusal.required})" if refusal.required else ""
    clause = refusal.clause.removeprefix("own.")
    return f"refused before anything was signed: {refusal.reason.value} [{clause}] {refusal.measured}{required}"


def heard_text(report: SurveyReport) -> str:
    """Return the state of each channel as text, from a survey report."""
    channels = ((band_text(c.channel.low_hz, c.channel.high_hz), c.state.name.lower()) for c in report.channels)
    return ", ".join(f"{band} {state}" for band, state in channels) or "nothing was heard yet"
