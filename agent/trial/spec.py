"""The `[trial]` table of a scenario: what is offered, who wants what, and the terms of the rule."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.config.hands import HandSection
from agent.config.settings import OfferSection, WantSection
from agent.trial.auctionplans import AuctionPlan, AuctionRulePlan, BidPlan, ConsentPlan, GroupPlan
from hw_profiles.misfit import first_misfit
from hw_profiles.switch import Switch
from sim.scenario import ScenarioError


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OfferPlan(_Table):
    """A holder's offer."""

    node: str
    low_hz: int
    high_hz: int
    price: int = 0
    price_form: Literal["fixed", "negotiated", "parametric", "discovered", "dynamic"] = "fixed"
    least: int | None = None
    curve: tuple[tuple[float, int], ...] = ()
    max_eirp_dbm: float = 30.0
    after_s: float = 0.5


class Want(_Table):
    """A user's wish; bands in order of preference."""

    node: str
    bands_hz: list[tuple[int, int]] = Field(min_length=1)
    ask_s: float
    start_s: float
    end_s: float
    eirp_dbm: float
    partial: Switch = False
    bid: int | None = None
    price_max: int | None = None
    emergency: Switch = False
    handed: Switch = False
    fallback: int | None = None


class HandPlan(_Table):
    """A user hands on its lease, or a part of it, to another node; see `agent.config.hands.HandSection`."""

    node: str
    to: str
    kind: Literal["transfer", "sublease"]
    at_s: float
    band_hz: tuple[int, int]
    start_s: float | None = None
    end_s: float | None = None
    eirp_dbm: float | None = None
    price: int = 0


class HandingPlan(_Table):
    """Whether leases of the class change hands, how deep, and whether the holder must consent."""

    kinds: tuple[Literal["transfer", "sublease"], ...] = Field(min_length=1)
    depth: int = Field(default=1, ge=1, le=3)
    consent: Switch = False


class ActPlan(_Table):
    """Something that somebody does by command at a time: what the command line's command of that name would do.

    fallback   the holder moves the first settlement of `user` to `band_hz`, or without one ends it for nobody
    dispute    the node disputes its first settlement on `ground`, for `claim`
    answer     the node answers what it is accused of, `stance`
    ruling     the trial's authority rules on the case of the node's newest dispute, and the node is told
    """

    at_s: float = Field(ge=0)
    node: str
    do: Literal["fallback", "dispute", "answer", "ruling"]
    user: str | None = None
    band_hz: tuple[int, int] | None = None
    ground: str | None = None
    claim: int | None = Field(default=None, ge=0)
    stance: Literal["denied", "admitted"] = "denied"

    @model_validator(mode="after")
    def _complete(self) -> "ActPlan":
        if (self.do == "dispute") != (self.ground is not None):
            raise ValueError("a dispute, and nothing else, has a ground")
        if (self.do == "fallback") != (self.user is not None) or (self.band_hz is not None and self.do != "fallback"):
            raise ValueError("a fallback, and nothing else, has a user, and may have band_hz")
        return self


class JurisdictionPlan(_Table):
    """An authority of its own area (a circle), whose `nodes` have their credentials of it, and what it asks for."""

    name: str
    clause: str
    lat_deg: float
    lon_deg: float
    radius_m: float = Field(gt=0)
    nodes: tuple[str, ...] = Field(min_length=1)
    max_eirp_dbm: float
    reconciliation: str | None = "stricter"


class Program(_Table):
    """A GNU Radio flowgraph as a node's application: a tone, so far from the middle of what is settled.

    `amplitude` is of the radio's full scale. Its node listens once in `frame_us` and sends up to `burst_us` between.
    """

    node: str
    tone_hz: float
    amplitude: float = Field(gt=0, lt=1)
    sample_rate_hz: int | None = None
    frame_us: int = 40_000
    burst_us: int = 28_000


class TierPlan(_Table):
    """What one tier may do to weaker ones; see `settlement.records.marketterms.TierTerms`."""

    tier: int = Field(ge=1, le=255)
    displaces: tuple[int, ...]
    condition: Literal["none", "emergency", "after"] = "none"
    after_s: float | None = None
    notice_s: float = 1.0
    owed: Literal["none", "fixed", "remaining", "multiple"] = "none"
    amount: int = Field(default=0, ge=0)


class FallbackPlan(_Table):
    """One entry of the class's catalogue; see `settlement.records.complaintterms.FallbackTerms`."""

    number: int = Field(ge=1, le=255)
    scope: Literal["same holder", "pool", "any"] = "same holder"
    pool: tuple[str, ...] | None = None
    notice_s: float = Field(default=1.0, ge=0)
    owed: Literal["none", "fixed", "remaining", "multiple"] = "none"
    amount: int = Field(default=0, ge=0)


class GroundPlan(_Table):
    """A ground of disputes, and what is owed where one is upheld."""

    name: str
    owed: Literal["none", "fixed", "remaining", "multiple"] = "none"
    amount: int = Field(default=0, ge=0)


class DisputePlan(_Table):
    """How disputes go; see `settlement.records.complaintterms.DisputeTerms`; a trial has the level authority."""

    grounds: tuple[GroundPlan, ...] = Field(min_length=1)
    levels: tuple[str, ...] = ("authority",)
    raise_s: float = Field(default=60.0, gt=0)
    answer_s: float = Field(default=3.0, gt=0)
    rule_s: float = Field(default=30.0, gt=0)
    escalate_s: float = Field(default=30.0, ge=0)
    pay_s: float = Field(default=5.0, gt=0)


class Terms(_Table):
    """What the rule says of the one class traded."""

    commodity: str = "cbrs-like"
    raster_hz: int = 5_000_000
    accept_s: float = 1.0
    confirm_s: float = 1.0
    lease_s: float = Field(default=3.0, gt=0, le=240)
    vacate_s: float = 0.5
    max_eirp_dbm: float = 30.0
    out_of_band_dbm_per_mhz: float = -13.0
    envelope_required: Switch = False
    rounds_max: int | None = None
    currency: str | None = None
    suspends: Switch = False
    outside_authorisation: Switch = False
    tiers: tuple[TierPlan, ...] = ()
    handing: HandingPlan | None = None
    auction: AuctionRulePlan | None = None
    approval: ConsentPlan | None = None
    coalition: ConsentPlan | None = None
    fallbacks: tuple[FallbackPlan, ...] = ()
    disputes: DisputePlan | None = None


class BaseStationPlan(_Table):
    """A base station below a node: its serial number, its band and its EIRP over all of it.

    One that is `deaf` never falls silent once it was on: its node's receiver is to notice.
    """

    name: str
    node: str
    low_hz: int
    high_hz: int
    eirp_dbm: float
    deaf: Switch = False
    count: int = Field(default=1, ge=1)
    """How many of the kind the node lists; the first alone is on the air of a trial."""


class CbrsPlan(_Table):
    """Base stations and the SAS above: which one it suspends and when, and how little is given out at a time."""

    stations: list[BaseStationPlan] = Field(min_length=1)
    suspend: str = ""
    suspend_s: float = 0.0
    heartbeat_s: int = Field(default=1, ge=1)
    transmit_s: int = Field(default=8, ge=2)
    horizon_s: int = Field(default=2, ge=1)
    silent_within_s: int = Field(default=1, ge=0)


class TrialSpec(_Table):
    """The whole table. Times are seconds of the start signal for a run of `duration_s`."""

    duration_s: float = Field(default=20.0, gt=0)
    band_hz: tuple[int, int] = (3_550_000_000, 3_570_000_000)
    channels_hz: list[tuple[int, int]] = [(3_550_000_000, 3_560_000_000), (3_560_000_000, 3_570_000_000)]
    area_radius_m: float = 20_000.0
    recording_center_hz: int = 3_567_000_000
    recording_eirp_dbm: float = 0.0
    terms: Terms = Terms()
    node_tiers: dict[str, int] = {}
    offers: list[OfferPlan] = []
    wants: list[Want] = []
    hands: list[HandPlan] = []
    jurisdictions: list[JurisdictionPlan] = []
    auctions: list[AuctionPlan] = []
    bids: list[BidPlan] = []
    group: GroupPlan | None = None
    programs: list[Program] = []
    cbrs: CbrsPlan | None = None
    acts: list[ActPlan] = []

    def station_of(self, node: str) -> BaseStationPlan | None:
        """Return the base station below a node; None where there is none."""
        return next((one for one in (self.cbrs.stations if self.cbrs else []) if one.node == node), None)

    def program_of(self, node: str) -> Program | None:
        """Return the program of a node; None where it has none."""
        return next((one for one in self.programs if one.node == node), None)

    def offers_of(self, node: str, *, scale: float, duration_s: float) -> list[OfferSection]:
        """Return a node's offers, with times scaled to the run's length."""
        return [
            OfferSection(
                low_hz=o.low_hz,
                high_hz=o.high_hz,
                commodity=self.terms.commodity,
                price=o.price,
                price_form=o.price_form,
                least=o.least,
                curve=tuple((after_s * scale, price) for after_s, price in o.curve),
                max_eirp_mdbm=round(o.max_eirp_dbm * 1000),
                after_s=o.after_s,
                for_s=duration_s + 10.0,
            )
            for o in self.offers
            if o.node == node and scale > 0
        ]

    def wants_of(self, node: str, *, scale: float) -> list[WantSection]:
        """Return a node's wants, with times scaled to the run's length."""
        return [
            WantSection(
                bands_hz=w.bands_hz,
                ask_s=w.ask_s * scale,
                start_s=w.start_s * scale,
                end_s=w.end_s * scale,
                eirp_mdbm=round(w.eirp_dbm * 1000),
                partial=w.partial,
                bid=w.bid,
                price_max=w.price_max,
                emergency=w.emergency,
                handed=w.handed,
                fallback=w.fallback,
            )
            for w in self.wants
            if w.node == node
        ]

    def hands_of(self, node: str, *, scale: float) -> list[HandSection]:
        """Return a node's hand-overs, with times scaled to the run's length."""
        return [
            HandSection(
                kind=h.kind,
                to=h.to,
                at_s=h.at_s * scale,
                low_hz=h.band_hz[0],
                high_hz=h.band_hz[1],
                start_s=None if h.start_s is None else h.start_s * scale,
                end_s=None if h.end_s is None else h.end_s * scale,
                eirp_mdbm=None if h.eirp_dbm is None else round(h.eirp_dbm * 1000),
                price=h.price,
            )
            for h in self.hands
            if h.node == node
        ]


def read_spec(table: dict[str, Any]) -> TrialSpec:
    """Parse and check the table. Raises ScenarioError, which names the key."""
    try:
        spec = TrialSpec(**table)
    except ValidationError as exc:
        first = first_misfit(exc)
        raise ScenarioError(f"[trial] {first.key}: {first.said}; mend this key") from exc
    if spec.auctions and (spec.group is None or spec.terms.auction is None):
        missing = "group" if spec.group is None else "terms.auction"
        raise ScenarioError(f"[trial] {missing}: absent; an auction needs [trial.group] and [trial.terms.auction]")
    _check_consent(spec)
    return spec


def _check_consent(spec: TrialSpec) -> None:
    """Check that approval and coalition have a group of members, and leave the user time for the votes."""
    for key in ("approval", "coalition"):
        asked: ConsentPlan | None = getattr(spec.terms, key)
        if asked is None:
            continue
        if spec.group is None:
            raise ScenarioError(f"[trial] group: absent; [trial.terms.{key}] needs [trial.group]")
        if asked.vote_s >= spec.terms.accept_s:
            limit = f"required: < accept_s, {spec.terms.accept_s:g}"
            raise ScenarioError(f"[trial] terms.{key}.vote_s: {asked.vote_s:g}; {limit}")
    if spec.terms.approval is not None and spec.terms.coalition is not None:
        raise ScenarioError("[trial] terms.coalition: present; required: absent, where the class has approval")
