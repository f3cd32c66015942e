"""Records that authorities sign: credentials, rules, admissions, status lists, key rotations."""

from dataclasses import dataclass

from settlement.chain.codec import U64_MAX, Flaw, array, blob, nested, text, uint
from settlement.chain.quantities import (
    DAY_NS,
    LIFE_MAX_NS,
    VALIDITY_MAX_NS,
    count,
    hertz,
    instant_ns,
    length_ns,
    millidecibel,
    millimetres,
)
from settlement.chain.scope import Area, Band, Scope, Window, ordered
from settlement.core.fixes import PositionSource, TimeSource
from settlement.records.approvalterms import ApprovalRule
from settlement.records.auctionterms import AuctionRule
from settlement.records.classterms import LicenceTerms, RetentionTerms
from settlement.records.complaintterms import DisputeTerms, FallbackTerms, ReputationTerms
from settlement.records.handingterms import HandingTerms
from settlement.records.marketterms import FORMS, MatchingTerms, Tariff, TierTerms
from settlement.records.row import Becomes, CarriedBy, Kind, RecordType
from settlement.records.sizes import HASH, PPM

_TIME_SOURCE = uint(0, high=255, meant=(0, max(TimeSource)))
_POSITION_SOURCE = uint(0, high=255, meant=(0, max(PositionSource)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An authority entitles a key; issuer, subject, key and validity are in the CWT claims of the record's header.

    `transport_key` is the CURVE key of the node's sockets. `status_index` is the credential's bit in the issuer's
    status list; a credential without one cannot be revoked.
    """

    level: str = text(1, 64)
    scope: Scope = nested(2, Scope)
    transport_key: bytes | None = blob(3, HASH, optional=True)
    device: str | None = text(4, 128, optional=True)
    status_index: int | None = uint(5, high=(1 << 17) - 1, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of the authority taxonomy: response of others to its records, their weight, admitted record types."""

    name: str = text(1, 64)
    response: str = text(2, 32)
    weight_ppm: int = uint(3, high=PPM)
    admits: tuple[str, ...] = array(4, text(0, 32), 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """One node of a recognition rule's tree: `parts` index later nodes, `fields` name what is compared or derived."""

    kind: str = text(1, 16)
    parts: tuple[int, ...] | None = array(2, uint(0, high=31), 8, optional=True)
    fields: tuple[str, ...] | None = array(3, text(0, 32), 16, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTerms:
    """What the rule says of one commodity class.

    A window starts at most `max_ahead_ns` after the signing of its GRANT. With `envelope_required` 1 an offer, a
    REQUEST and a GRANT must each name an envelope. `on_incumbent` 1 suspends a settlement while an incumbent is in its
    band; 0, or absent, ends it. Prices are millionths of `currency`. Without `rounds_max` there is no bargaining.
    Without `price_forms` every form of price may be offered, but an auction only where `auction` states its terms. With
    `approval` the members of a list must certify a REQUEST before it is granted; with `coalition` enough of the right's
    holders must. `schema` is the hash of the signed record that defines the class; `unit` is the unit of its bands, Hz
    where absent; `users` is how many may hold one cell at once, one where absent.
    """

    name: str = text(1, 64)
    raster_hz: int = hertz(2, least=1)
    time_unit_ns: int = length_ns(3, least=1)
    max_window_ns: int = length_ns(4, least=1)
    max_eirp_mdbm: int = millidecibel(5)
    accept_ns: int = length_ns(6, most=DAY_NS)
    confirm_ns: int = length_ns(7, most=DAY_NS)
    lease_ns: int = length_ns(8, least=1, most=DAY_NS)
    vacate_ns: int = length_ns(9, most=DAY_NS)
    price_low: int = count(10)
    price_high: int = count(11)
    out_of_band_mdbm_per_mhz: int = millidecibel(12)
    rounds_max: int | None = uint(13, high=255, optional=True)
    max_ahead_ns: int | None = length_ns(14, optional=True)
    recognition: tuple[Recognition, ...] | None = array(15, Recognition, 32, low=1, optional=True)
    on_incumbent: int | None = uint(16, high=1, optional=True)
    envelope_required: int | None = uint(17, high=1, optional=True)
    matching: MatchingTerms | None = nested(18, MatchingTerms, optional=True)
    currency: str | None = text(19, 8, optional=True)
    tariff: Tariff | None = nested(20, Tariff, optional=True)
    tiers: tuple[TierTerms, ...] | None = array(21, TierTerms, 32, low=1, optional=True)
    price_forms: tuple[str, ...] | None = array(23, text(0, 32), 8, low=1, optional=True)
    fallbacks: tuple[FallbackTerms, ...] | None = array(60, FallbackTerms, 16, low=1, optional=True)
    disputes: DisputeTerms | None = nested(61, DisputeTerms, optional=True)
    unit: str | None = text(40, 16, optional=True)
    schema: bytes | None = blob(41, HASH, optional=True)
    licence: LicenceTerms | None = nested(42, LicenceTerms, optional=True)
    retention: tuple[RetentionTerms, ...] | None = array(43, RetentionTerms, 8, low=1, optional=True)
    users: int | None = uint(44, optional=True, high=255, meant=(1, 255))
    handing: HandingTerms | None = nested(28, HandingTerms, optional=True)
    auction: AuctionRule | None = nested(46, AuctionRule, optional=True)
    approval: ApprovalRule | None = nested(47, ApprovalRule, optional=True)
    coalition: ApprovalRule | None = nested(48, ApprovalRule, optional=True)

    @property
    def consent(self) -> ApprovalRule | None:
        """The approval that a GRANT needs: of a list's members or of the right's other holders; None if neither."""
        return self.coalition if self.approval is None else self.approval

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw in the prices, the approval, the tiers, the fallbacks or the forms of price.

        `price_low` is at most `price_high`; approval and coalition exclude each other and leave less than `accept_ns`
        to vote; each tier and each fallback number is there once; every form of price exists.
        """
        if self.price_low > self.price_high:
            return ".price_low", self.price_low, f"<= price_high, {self.price_high}"
        if self.approval is not None and self.coalition is not None:
            return ".coalition", "present", "absent, where the class has approval"
        if self.consent is not None and self.consent.vote_ns >= self.accept_ns:
            key = "approval" if self.coalition is None else "coalition"
            return f".{key}.vote_ns", self.consent.vote_ns, f"< accept_ns, {self.accept_ns}"
        tiers = [one.tier for one in self.tiers or ()]
        if len(set(tiers)) != len(tiers):
            return ".tiers", "one tier twice", "each once"
        numbers = [one.number for one in self.fallbacks or ()]
        if len(set(numbers)) != len(numbers):
            return ".fallbacks", "one number twice", "each once"
        unknown = [form for form in self.price_forms or () if form not in FORMS]
        return (".price_forms", unknown[0], ", ".join(FORMS)) if unknown else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much of a class the nodes of one level under one authority may take together in a time of `window_ns`.

    `amount_hz_s` is in Hz x s. One node may at first use `first_share_ppm` of it; each settlement that the node keeps
    adds `step_ppm`, each that it breaks takes away twice as much. Where the rule has terms for reputation, the share
    follows from the node's reputation instead.
    """

    level: str = text(1, 64)
    commodity: str = text(2, 64)
    window_ns: int = length_ns(3, least=1)
    amount_hz_s: int = uint(4, meant=(0, 1 << 62))
    first_share_ppm: int = uint(5, high=PPM)
    step_ppm: int = uint(6, high=PPM)
    area: Area | None = nested(7, Area, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """The reliability of one way of observing, ppm."""

    name: str = text(1, 64)
    reliability_ppm: int = uint(2, high=PPM)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskTerms:
    """Sources and bounds of time and place for an authority's desk, which has no receiver and no disciplined clock."""

    time_sources: tuple[int, ...] = array(1, _TIME_SOURCE, 8, low=1)
    position_sources: tuple[int, ...] = array(2, _POSITION_SOURCE, 8, low=1)
    time_bound_ns_max: int = length_ns(3)
    position_radius_mm_max: int = millimetres(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Where settlements are co-signed, and by whom.

    A GRANT in `band` and `area` (everywhere where absent) needs `need` co-signatures: with `mode` 0 of the named
    authorities, with 1 of neighbours.
    """

    name: str = text(1, 64)
    band: Band | None = nested(2, Band, optional=True)
    area: Area | None = nested(3, Area, optional=True)
    mode: int = uint(4, high=1)
    authorities: tuple[bytes, ...] = array(5, blob(0, HASH), 64)
    need: int = uint(6, high=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class StockWitness:
    """A witness over HTTP (C2SP tlog-witness) that counts towards `witness_quorum`: its name and Ed25519 key."""

    name: str = text(1, 128)
    key: bytes = blob(2, HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongLeases:
    """Transmit leases of more than 240 s: at most `most_ns`, and only for cells that touch no protected area."""

    most_ns: int = length_ns(1, least=1, most=DAY_NS)
    protected: tuple[Area, ...] = array(2, Area, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class JurisdictionLink:
    """A jurisdiction record as its authority signed it, and that authority's credentials, root first."""

    record: bytes = blob(1, 8192, least=1)
    chain: tuple[bytes, ...] = array(2, blob(0, 8192, least=1), 9, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The rule in force: signed by an authority, versioned, effective in a window.

    `previous` is the hash of the rule record before this one. `validity_ns_max` is how long after its signing an
    envelope may claim to be valid. With `incumbent_calendar` 1 a radio transmits only with a signed calendar of
    incumbents in force. With `admission` 1 only parties with an admission record take part. With
    `outside_authorisation` 1 the gate also needs an authorisation from outside, such as a SAS.
    """

    name: str = text(1, 64)
    version: int = uint(2, high=U64_MAX)
    effective: Window = nested(3, Window)
    previous: bytes | None = blob(4, HASH, optional=True)
    bands: tuple[Band, ...] = array(5, Band, 32, low=1)
    area: Area = nested(6, Area)
    classes: tuple[ClassTerms, ...] = array(7, ClassTerms, 32, low=1)
    levels: tuple[Level, ...] = array(8, Level, 16, low=1)
    time_sources: tuple[int, ...] = array(9, _TIME_SOURCE, 8, low=1)
    position_sources: tuple[int, ...] = array(10, _POSITION_SOURCE, 8, low=1)
    time_bound_ns_max: int = length_ns(11)
    position_radius_mm_max: int = millimetres(12)
    record_age_ns_max: int = length_ns(13)
    sensing_age_ns_max: int = length_ns(14)
    witness_quorum: int = uint(15, high=64)
    outside_authorisation: int = uint(16, high=1)
    budgets: tuple[Budget, ...] | None = array(17, Budget, 64, optional=True)
    modalities: tuple[Modality, ...] | None = array(18, Modality, 32, optional=True)
    coordination: tuple[Shard, ...] | None = array(19, Shard, 64, optional=True)
    confidence_ppm_min: int | None = uint(20, high=PPM, optional=True)
    desk: DeskTerms | None = nested(21, DeskTerms, optional=True)
    validity_ns_max: int | None = length_ns(22, least=1, most=VALIDITY_MAX_NS, optional=True)
    stock_witnesses: tuple[StockWitness, ...] | None = array(23, StockWitness, 16, optional=True)
    incumbent_calendar: int | None = uint(24, high=1, optional=True)
    long_leases: LongLeases | None = nested(25, LongLeases, optional=True)
    reputation: ReputationTerms | None = nested(60, ReputationTerms, optional=True)
    admission: int | None = uint(40, high=1, optional=True)
    jurisdictions: tuple[JurisdictionLink, ...] | None = array(28, JurisdictionLink, 8, low=1, optional=True)

    def terms(self, name: str) -> ClassTerms | None:
        """Return the terms of the class of exactly that name; None if there is none."""
        return next((c for c in self.classes if c.name == name), None)

    def level(self, name: str) -> Level | None:
        """Return the taxonomy level of that name; None if there is none."""
        for level in self.levels:
            if level.name == name:
                return level
        return None

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the window has a length from 1 ns to LIFE_MAX_NS."""
        return ordered(self.effective, most_ns=LIFE_MAX_NS, path=".effective")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """An authority lets a participant take part (`outcome` 1) or not (0): for these classes, in this window."""

    subject: bytes = blob(1, HASH)
    outcome: int = uint(2, high=1)
    classes: tuple[str, ...] = array(3, text(0, 64), 32)
    window: Window = nested(4, Window)
    rule: bytes = blob(5, HASH)
    reason: str | None = text(6, 64, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the window has a length from 1 ns to LIFE_MAX_NS."""
        return ordered(self.window, most_ns=LIFE_MAX_NS, path=".window")


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """An issuer's status list: one bit for each credential that it issued with a status index; 1 is revoked.

    The list proves that a credential is not revoked only until `fresh_until_ns`.
    """

    version: int = uint(1, high=U64_MAX)
    fresh_until_ns: int = instant_ns(2)
    bits: bytes = blob(3, 16_384, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """The author's credential is replaced by another, `successor`; `proof` is the new key's signature over both."""

    successor: bytes = blob(1, 30_000, least=1)
    proof: bytes = blob(2, 64)


TYPES = (
    RecordType(number=1, name="credential", body=Credential, kind=None, actions=("issue",), becomes=Becomes.SUBJECT),
    RecordType(
        number=2,
        name="revocation",
        body=Revocation,
        kind=Kind.DIRECTIVE,
        actions=("issue",),
        carrier=CarriedBy.ANYONE,
        passed_on=True,
        ahead=(("fresh_until_ns", LIFE_MAX_NS),),
    ),
    RecordType(
        number=3,
        name="rotation",
        body=Rotation,
        kind=Kind.DEALING,
        actions=(),
        carrier=CarriedBy.ANYONE,
        passed_on=True,
        of_old_keys=True,
    ),
    RecordType(
        number=4,
        name="rule",
        body=Rule,
        kind=Kind.DIRECTIVE,
        actions=("rule",),
        carrier=CarriedBy.ANYONE,
        passed_on=True,
    ),
    RecordType(
        number=6,
        name="admission",
        body=Admission,
        kind=Kind.DIRECTIVE,
        actions=("issue",),
        carrier=CarriedBy.ANYONE,
        passed_on=True,
    ),
)
