"""The body of every record type: fields, keys, kinds. The keys are part of the record format and never reused.

Integers carry their unit in the name: hz, mdb(m) milli-decibel, ns since the Unix epoch (UTC), e7 degrees x 1e7, mm,
ppm millionths of a ratio.
"""

from dataclasses import dataclass
from typing import Any

from settlement.chain.codec import U64_MAX, array, blob, nested, sint, text, uint
from settlement.chain.scope import Area, Band, Cell, Scope, Window

HASH = 32
PPM = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An authority entitles a key: names, keys and validity are in the CWT claims of the header."""

    level: str = text(1, 64)
    scope: Scope = nested(2, Scope)
    transport_key: bytes | None = blob(3, HASH, optional=True)
    device: str | None = text(4, 128, optional=True)
    status_index: int | None = uint(5, high=(1 << 17) - 1, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of the authority taxonomy: what its records make others do, and how much they weigh."""

    name: str = text(1, 64)
    response: str = text(2, 32)
    weight_ppm: int = uint(3, high=PPM)
    admits: tuple[str, ...] = array(4, text(0, 32), 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTerms:
    """What the rule says of one commodity class."""

    name: str = text(1, 64)
    raster_hz: int = uint(2)
    time_unit_ns: int = uint(3)
    max_window_ns: int = uint(4)
    max_eirp_mdbm: int = sint(5)
    accept_ns: int = uint(6)
    confirm_ns: int = uint(7)
    lease_ns: int = uint(8, high=240_000_000_000)
    vacate_ns: int = uint(9)
    price_low: int = uint(10)
    price_high: int = uint(11)
    out_of_band_mdbm_per_mhz: int = sint(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much an authority's people of one level may take of one class in a window, and how one of them starts."""

    level: str = text(1, 64)
    commodity: str = text(2, 64)
    window_ns: int = uint(3)
    amount_hz_s: int = uint(4)
    first_share_ppm: int = uint(5, high=PPM)
    step_ppm: int = uint(6, high=PPM)
    area: Area | None = nested(7, Area, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """How reliable one way of observing is."""

    name: str = text(1, 64)
    reliability_ppm: int = uint(2, high=PPM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The rule in force: signed by an authority, versioned, effective in a window."""

    name: str = text(1, 64)
    version: int = uint(2, high=U64_MAX)
    effective: Window = nested(3, Window)
    previous: bytes | None = blob(4, HASH, optional=True)
    bands: tuple[Band, ...] = array(5, Band, 32, low=1)
    area: Area = nested(6, Area)
    classes: tuple[ClassTerms, ...] = array(7, ClassTerms, 32, low=1)
    levels: tuple[Level, ...] = array(8, Level, 16, low=1)
    time_sources: tuple[int, ...] = array(9, uint(0, high=255), 8, low=1)
    position_sources: tuple[int, ...] = array(10, uint(0, high=255), 8, low=1)
    time_bound_ns_max: int = uint(11)
    position_radius_mm_max: int = uint(12)
    record_age_ns_max: int = uint(13)
    sensing_age_ns_max: int = uint(14)
    witness_quorum: int = uint(15, high=64)
    outside_authorisation: int = uint(16, high=1)
    budgets: tuple[Budget, ...] | None = array(17, Budget, 64, optional=True)
    modalities: tuple[Modality, ...] | None = array(18, Modality, 32, optional=True)

    def terms(self, name: str) -> ClassTerms | None:
        """The terms of a class, found by its whole name."""
        return next((c for c in self.classes if c.name == name), None)

    def level(self, name: str) -> Level | None:
        """The taxonomy level of that name."""
        return next((level for level in self.levels if level.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A measured value with the interval that holds the truth at the envelope's stated level."""

    value: int = sint(1)
    low: int = sint(2)
    high: int = sint(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelObservation:
    """What was sensed in one channel; `floor_unit` is dBm/Hz when calibrated, dBFS/Hz when relative."""

    band: Band = nested(1, Band)
    state: str = text(2, 32)
    occupancy_ppm: Quantity | None = nested(3, Quantity, optional=True)
    floor_mdb: Quantity | None = nested(4, Quantity, optional=True)
    floor_unit: str = text(5, 16)
    flags: tuple[str, ...] = array(6, text(0, 32), 32)
    clear_above_mdbm: int | None = sint(7, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A capability envelope: `kind` is place, unit or composite; intervals hold at `level_ppm`.

    `sensitivity_mdbm` is the weakest signal the radio can find; a channel's `clear_above_mdbm` claims that nothing
    stronger is in it, and cannot lie below what the radio can find.
    """

    kind: str = text(1, 16)
    observed: Window = nested(2, Window)
    valid_until_ns: int = uint(3)
    level_ppm: int = uint(4, high=PPM)
    looks: int = uint(5)
    channels: tuple[ChannelObservation, ...] = array(6, ChannelObservation, 256)
    incumbents: tuple[str, ...] = array(7, text(0, 64), 32)
    max_eirp_mdbm: int | None = sint(8, optional=True)
    sensitivity_mdbm: int | None = sint(9, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A holder's offer: cell, class, tiers, price and the envelope it rests on."""

    cell: Cell = nested(1, Cell)
    commodity: str = text(2, 64)
    tier_low: int = uint(3, high=255)
    tier_high: int = uint(4, high=255)
    max_eirp_mdbm: int = sint(5)
    price_form: str = text(6, 32)
    price: int = uint(7)
    rule: bytes = blob(8, HASH)
    envelope: bytes | None = blob(9, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A user asks for part of a declaration."""

    declaration: bytes = blob(1, HASH)
    cell: Cell = nested(2, Cell)
    commodity: str = text(3, 64)
    tier: int = uint(4, high=255)
    eirp_mdbm: int = sint(5)
    price: int = uint(6)
    partial: int = uint(7, high=1)
    nonce: bytes = blob(8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A holder reserves a cell for a user; nothing may radiate on it yet."""

    sid: bytes = blob(1, HASH)
    request: bytes = blob(2, HASH)
    user: bytes = blob(3, HASH)
    nonce: bytes = blob(4, 16)
    cell: Cell = nested(5, Cell)
    commodity: str = text(6, 64)
    tier: int = uint(7, high=255)
    max_eirp_mdbm: int = sint(8)
    price: int = uint(9)
    accept_by_ns: int = uint(10)
    confirm_by_ns: int = uint(11)
    challenge: bytes = blob(12, HASH)
    rule: bytes = blob(13, HASH)
    fence: int = uint(14)
    lease_ns: int = uint(15, high=240_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """A user accepts exactly this GRANT and answers its challenge."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    answer: bytes = blob(3, HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """The commit point: over the GRANT and the ACCEPT; transmission may run until `transmit_until_ns`."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    accept: bytes = blob(3, HASH)
    transmit_until_ns: int = uint(4)
    fence: int = uint(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """The other terminal decision: the reservation is gone."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    reason: str = text(3, 64)
    accept: bytes | None = blob(4, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Extends the transmit lease, never past the window."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    number: int = uint(3)
    transmit_until_ns: int = uint(4)
    fence: int = uint(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relinquish:
    """A user ends early."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    reason: str = text(3, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempt:
    """A holder displaces a user for a higher tier; RF stops before `vacate_by_ns`."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    tier: int = uint(3, high=255)
    reason: str = text(4, 64)
    vacate_by_ns: int = uint(5)
    evidence: bytes | None = blob(6, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A user reports what it did with a settlement."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    airtime_ns: int = uint(3)
    bursts: int = uint(4)
    ended: str = text(5, 64)
    used: Window | None = nested(6, Window, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The node's own record of a gate change: states, reason, settlement."""

    state: str = text(1, 32)
    previous: str = text(2, 32)
    reason: str = text(3, 64)
    measured: str = text(4, 256)
    required: str = text(5, 256)
    sid: bytes | None = blob(6, HASH, optional=True)
    at_earliest_ns: int = uint(7)
    at_latest_ns: int = uint(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Tells a peer why its record was refused."""

    subject: bytes = blob(1, HASH)
    reason: str = text(2, 64)
    clause: str = text(3, 128)
    measured: str = text(4, 512)
    required: str = text(5, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two records of one author that cannot both be honest; they prove it by themselves."""

    reason: str = text(1, 64)
    first: bytes = blob(2, 30_000, least=1)
    second: bytes = blob(3, 30_000, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Asks a neighbour to cosign the author's log head, which extends the head of `old_size` it cosigned before."""

    note: str = text(1, 4096)
    old_size: int = uint(2)
    proof: tuple[bytes, ...] = array(3, blob(0, HASH), 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A neighbour's line under another's log head: it saw it, and it extends what it saw before."""

    note: str = text(1, 4096)
    line: str = text(2, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """An issuer's status list: one bit for each credential it issued with a status index."""

    version: int = uint(1, high=U64_MAX)
    fresh_until_ns: int = uint(2)
    bits: bytes = blob(3, 16_384, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """The author's credential is succeeded by another: `proof` is the new key's signature over both."""

    successor: bytes = blob(1, 30_000, least=1)
    proof: bytes = blob(2, 64)


BODIES: dict[str, Any] = {
    "credential": Credential,
    "rule": Rule,
    "envelope": Envelope,
    "declaration": Declaration,
    "request": Request,
    "grant": Grant,
    "accept": Accept,
    "confirm": Confirm,
    "abort": Abort,
    "renew": Renew,
    "relinquish": Relinquish,
    "preempt": Preempt,
    "usage": Usage,
    "gate": Gate,
    "verdict": Verdict,
    "evidence": Evidence,
    "checkpoint": Checkpoint,
    "cosignature": Cosignature,
    "revocation": Revocation,
    "rotation": Rotation,
}
TYPE_OF = {body: name for name, body in BODIES.items()}
