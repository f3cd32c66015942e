"""Defines the commands that a client may send to the running agent; an invalid one is refused with the key at fault."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from hw_profiles.misfit import first_misfit

FREQUENCY_HZ_MAX = 10**12
TIME_MS_MAX = 30 * 86_400_000

Hz = Annotated[int, Field(ge=1, le=FREQUENCY_HZ_MAX)]
Ms = Annotated[int, Field(ge=0, le=TIME_MS_MAX)]
MilliDbm = Annotated[int, Field(ge=-200_000, le=200_000)]


class BadCommand(ValueError):
    """A command has a missing or invalid value; the message says which."""


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Unit = Annotated[str, Field(min_length=1, max_length=16)]


class AlsoPart(_Command):
    """Another part of the same settlement: an amount of a class, in its unit."""

    commodity: Annotated[str, Field(max_length=64)]
    low_hz: Annotated[int, Field(ge=0, le=FREQUENCY_HZ_MAX)]
    high_hz: Hz
    unit: Unit | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "AlsoPart":
        if self.low_hz >= self.high_hz:
            raise ValueError("low_hz is not below high_hz")
        return self


class _Banded(_Command):
    """Base of commands that name a band; `unit` is the unit of its edges, Hz where absent."""

    low_hz: Annotated[int, Field(ge=0, le=FREQUENCY_HZ_MAX)]
    high_hz: Hz
    unit: Unit | None = None
    for_ms: Annotated[int, Field(ge=1, le=TIME_MS_MAX)]
    wait_ms: Ms = 0

    @model_validator(mode="after")
    def _ordered(self) -> "_Banded":
        if self.low_hz >= self.high_hz:
            raise ValueError("low_hz is not below high_hz")
        if self.low_hz == 0 and self.unit is None:
            raise ValueError("low_hz is 0; frequencies begin above")
        return self


class Acquire(_Banded):
    """Acquire a band from any holder that offers it."""

    do: Literal["acquire"]
    in_ms: Ms = 0
    eirp_mdbm: MilliDbm | None = None
    price_max: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    hold: bool = False
    explain: bool = False
    partial: bool = False
    emergency: bool = False
    bid: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    commodity: Annotated[str, Field(max_length=64)] | None = None
    also: list[AlsoPart] = Field(default=[], max_length=7)
    fallback: Annotated[int, Field(ge=0, le=255)] | None = None

    @model_validator(mode="after")
    def _one_or_parts(self) -> "Acquire":
        if self.partial and self.hold:
            raise ValueError("hold stays with one settlement; a partial one may be several")
        if self.also and (self.partial or self.hold or self.bid is not None):
            raise ValueError("also asks for all or none at the offers' prices; without partial, hold and bid")
        return self


class OfferBand(_Banded):
    """Offer the parts of a band that sensing found free."""

    do: Literal["offer"]
    commodity: Annotated[str, Field(max_length=64)]
    price: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    price_form: Literal["fixed", "negotiated", "parametric", "discovered", "dynamic"] = "fixed"
    least: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    curve: list[Annotated[list[Annotated[int, Field(ge=0, lt=1 << 63)]], Field(min_length=2, max_length=2)]] = Field(
        default=[], max_length=64
    )
    eirp_mdbm: MilliDbm | None = None
    link: list[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(default=[], max_length=2)
    corridor_mm: Annotated[int, Field(ge=1, le=10**9)] | None = None

    @model_validator(mode="after")
    def _linked(self) -> "OfferBand":
        if self.link and (len(self.link) == 1 or self.corridor_mm is None or self.unit is None):
            raise ValueError("link needs both ends, corridor_mm and unit")
        return self

    @property
    def ends(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """The two ends of the offered link as (latitude, longitude), degrees x 1e7; None where the offer is no link."""
        if not self.link:
            return None
        (a, b), (c, d) = self.link
        return (a, b), (c, d)


class OpenAuction(_Banded):
    """Auction a band, the whole of it or nothing, once sensing finds all of it free."""

    do: Literal["auction open"]
    commodity: Annotated[str, Field(max_length=64)]
    price: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    deposit: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    function: Literal["first price", "second price"] = "second price"
    eirp_mdbm: MilliDbm | None = None
    bids_ms: Annotated[int, Field(ge=1, le=TIME_MS_MAX)]
    reveals_ms: Annotated[int, Field(ge=1, le=TIME_MS_MAX)]
    vote_ms: Annotated[int, Field(ge=1, le=TIME_MS_MAX)]
    in_ms: Annotated[int, Field(ge=1, le=TIME_MS_MAX)]
    hold: bool = False

    @model_validator(mode="after")
    def _decided_before(self) -> "OpenAuction":
        busy_ms = self.bids_ms + self.reveals_ms + self.vote_ms
        if self.in_ms < busy_ms:
            raise ValueError(f"in_ms is {self.in_ms}, before the vote ends: {busy_ms} ms after the opening")
        return self


class PlaceBid(_Command):
    """Bid in the auction whose name begins with the given digits."""

    do: Literal["auction bid"]
    auction: Annotated[str, Field(max_length=64)]
    price: Annotated[int, Field(ge=0, lt=1 << 63)]
    deposit: Annotated[int | None, Field(ge=0, lt=1 << 63)] = None
    reveal: bool = True
    hold: bool = False


class ShowAuctions(_Command):
    """List the known auctions, or the one whose name begins with the given digits."""

    do: Literal["auction show"]
    auction: Annotated[str, Field(max_length=64)] = ""


class GiveBack(_Command):
    """Relinquish the settlement whose name begins with the given digits."""

    do: Literal["relinquish"]
    sid: Annotated[str, Field(max_length=64)]


class HandOnLease(_Command):
    """Hand a lease to another node, whole or in part, and report progress until that node has it."""

    do: Literal["hand_on"]
    sid: Annotated[str, Field(max_length=64)]
    kind: Literal["transfer", "sublease"]
    to: Annotated[str, Field(max_length=128)]
    low_hz: Hz | None = None
    high_hz: Hz | None = None
    area: Annotated[list[int], Field(min_length=3, max_length=3)] | None = None
    in_ms: Ms = 0
    for_ms: Annotated[int, Field(ge=1, le=TIME_MS_MAX)] | None = None
    eirp_mdbm: MilliDbm | None = None
    price: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    wait_ms: Ms = 0

    @model_validator(mode="after")
    def _in_order(self) -> "HandOnLease":
        if (self.low_hz is None) != (self.high_hz is None) or (self.low_hz or 0) >= (self.high_hz or 1):
            raise ValueError("low_hz is not below high_hz")
        return self


class Rotate(_Command):
    """Rotate to the next key, whose credential lies in the node's folder."""

    do: Literal["rotate"]
    wait_ms: Ms = 0


class Tell(_Command):
    """Give the node a record that an authority signed: a status list, a rule, a rotation."""

    do: Literal["tell"]
    record: Annotated[str, Field(max_length=2 * 65_536, pattern="^[0-9a-f]+$")]


class MoveSettlement(_Command):
    """Move a settlement granted here to its substitute in a band; without a band, only end it."""

    do: Literal["fallback"]
    sid: Annotated[str, Field(max_length=64)]
    low_hz: Hz | None = None
    high_hz: Hz | None = None

    @model_validator(mode="after")
    def _whole_band(self) -> "MoveSettlement":
        if (self.low_hz is None) != (self.high_hz is None):
            raise ValueError("low_hz and high_hz go together")
        if self.low_hz is not None and self.high_hz is not None and self.low_hz >= self.high_hz:
            raise ValueError("low_hz is not below high_hz")
        return self


class RaiseDispute(_Command):
    """Dispute a settlement on a ground, or escalate a dispute to the next level."""

    do: Literal["dispute"]
    sid: Annotated[str, Field(max_length=64)] = ""
    ground: Annotated[str, Field(max_length=64)] = ""
    claim: Annotated[int, Field(ge=0, lt=10**15)] | None = None
    cite: list[Annotated[str, Field(max_length=64)]] = Field(default=[], max_length=32)
    escalates: Annotated[str, Field(max_length=64)] | None = None
    shown: list[Annotated[str, Field(max_length=2 * 65_536, pattern="^([0-9a-f]{2})+$")]] = Field(
        default=[], max_length=4
    )
    against: Literal["holder", "user"] | None = None

    @model_validator(mode="after")
    def _of_others(self) -> "RaiseDispute":
        if self.against is not None and (not self.shown or self.escalates is not None):
            raise ValueError("against goes with shown, a settlement between others, and not with escalates")
        if self.shown and self.against is None and self.escalates is None:
            raise ValueError("shown goes with against, which of the two, or with escalates, a dispute raised so before")
        if self.shown and self.sid:
            raise ValueError("shown names the settlement; without sid")
        return self


class AnswerDispute(_Command):
    """Answer a dispute against this node."""

    do: Literal["answer"]
    dispute: Annotated[str, Field(max_length=64)]
    stance: Literal["denied", "admitted"] = "denied"
    cite: list[Annotated[str, Field(max_length=64)]] = Field(default=[], max_length=32)
    reason: Annotated[str, Field(max_length=256)] = ""


class ShowDisputes(_Command):
    """List the disputes on record here, or export one of them as a case file."""

    do: Literal["disputes"]
    name: Annotated[str, Field(max_length=64)] = ""
    case: bool = False


Complaint = MoveSettlement | RaiseDispute | AnswerDispute | ShowDisputes


class Cancel(_Command):
    """Cancel the command that this client sent before."""

    do: Literal["cancel"]


AnyCommand = (
    Acquire
    | OfferBand
    | OpenAuction
    | PlaceBid
    | ShowAuctions
    | GiveBack
    | HandOnLease
    | Rotate
    | Tell
    | Complaint
    | Cancel
)
_ADAPTER: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="do")])


def parse_command(fields: dict[str, Any]) -> AnyCommand:
    """Parse a command from its JSON fields. Raises BadCommand."""
    try:
        return _ADAPTER.validate_python(fields)
    except ValidationError as exc:
        first = first_misfit(exc)
        raise BadCommand(f"{first.key or 'do'}: {first.said}") from exc
