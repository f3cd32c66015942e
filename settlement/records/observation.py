"""Records of what a node sensed, with intervals that hold the true values, and of changes of its gate."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, blob, nested, sint, text, uint
from settlement.chain.quantities import VALIDITY_MAX_NS, count, hertz, instant_ns, millidecibel
from settlement.chain.scope import Band, Scope, Window, ordered
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import Rule
from settlement.records.row import Becomes, Kind, RecordType, Site, WhenLate
from settlement.records.sizes import HASH, PPM

_MEASURED = (-1_000_000_000, 1_000_000_000)
PLACE, UNIT, COMPOSITE = "place", "unit", "composite"
"""Kinds of envelope: what was sensed at a place; what a radio can do anywhere; what both allow together."""
FREE = "free"
"""The state of a channel in which no signal was found."""
HEARD_AFTER_END = "HEARD_AFTER_END"
"""The flag of a channel in which a base station was heard that had to be silent; the flags after it name which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A measured value with the interval that holds the true value at the envelope's confidence level, `level_ppm`."""

    value: int = sint(1, meant=_MEASURED)
    low: int = sint(2, meant=_MEASURED)
    high: int = sint(3, meant=_MEASURED)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the value lies in its interval."""
        inside = self.low <= self.value <= self.high
        return None if inside else ("", f"{self.value} in {self.low} to {self.high}", "low <= value <= high")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelObservation:
    """What was sensed in one channel; `floor_unit` is dBm/Hz if calibrated, dBFS/Hz if relative.

    `clear_above_mdbm` claims that no signal stronger than that is in the channel.
    """

    band: Band = nested(1, Band)
    state: str = text(2, 32)
    occupancy_ppm: Quantity | None = nested(3, Quantity, optional=True)
    floor_mdb: Quantity | None = nested(4, Quantity, optional=True)
    floor_unit: str = text(5, 16)
    flags: tuple[str, ...] = array(6, text(0, 32), 32)
    clear_above_mdbm: int | None = millidecibel(7, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the occupancy's interval lies inside 0 to 1 (in ppm)."""
        ratio = self.occupancy_ppm
        if ratio is not None and not (ratio.low >= 0 and ratio.high <= PPM):
            return ".occupancy_ppm", f"{ratio.low} to {ratio.high}", f"inside 0 to {PPM}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A capability envelope: `kind` is place, unit or composite; its intervals hold at confidence `level_ppm`.

    `sensitivity_mdbm` is the weakest signal that the radio can find; no channel's `clear_above_mdbm` may lie below it.
    `modality` names the way of observing, to which the rule gives a reliability. `parts` are the hashes of the
    envelopes from which a composite is made; `width_hz_max` is the widest signal of a unit. `looks` is the number of
    looks.
    """

    kind: str = text(1, 16)
    observed: Window = nested(2, Window)
    valid_until_ns: int = instant_ns(3)
    level_ppm: int = uint(4, high=PPM)
    looks: int = count(5)
    channels: tuple[ChannelObservation, ...] = array(6, ChannelObservation, 256)
    incumbents: tuple[str, ...] = array(7, text(0, 64), 32)
    max_eirp_mdbm: int | None = millidecibel(8, optional=True)
    sensitivity_mdbm: int | None = millidecibel(9, optional=True)
    modality: str | None = text(10, 64, optional=True)
    parts: tuple[bytes, ...] | None = array(11, blob(0, HASH), 16, optional=True)
    width_hz_max: int | None = hertz(12, least=1, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw in the confidence level, the end of validity or the time of observation.

        A measurement holds with more than 0 and less than 1 (in ppm); what a radio can do (unit) may hold with 1.
        """
        surest = PPM if self.kind == UNIT else PPM - 1
        if not 0 < self.level_ppm <= surest:
            return ".level_ppm", self.level_ppm, f"1 to {surest}"
        if self.valid_until_ns < self.observed.end_ns:
            return ".valid_until_ns", self.valid_until_ns, f">= {self.observed.end_ns} ns, the end of the observation"
        return ordered(self.observed, least_ns=0, most_ns=VALIDITY_MAX_NS, path=".observed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A node's own record of a change of its gate: both states, the reason, the settlement, and when (UTC, ns)."""

    state: str = text(1, 32)
    previous: str = text(2, 32)
    reason: str = text(3, 64)
    measured: str = text(4, 256)
    required: str = text(5, 256)
    sid: bytes | None = blob(6, HASH, optional=True)
    at_earliest_ns: int = instant_ns(7)
    at_latest_ns: int = instant_ns(8)


def _observed(body: Envelope, scope: Scope) -> Refusal | None:
    """Clause (8) of admission: only bands of the author's scope (any for a unit), no claim below its sensitivity."""
    outside = next((c.band for c in body.channels if not scope.holds_band(c.band)), None)
    if body.kind != UNIT and outside is not None:
        return refuse(Reason.SCOPE, "capability.8.channel", outside, ", ".join(str(b) for b in scope.bands))
    for channel in body.channels:
        claimed, limit = channel.clear_above_mdbm, body.sensitivity_mdbm
        if claimed is not None and (limit is None or claimed < limit):
            required = "a stated sensitivity" if limit is None else f">= {limit} mdBm"
            return refuse(Reason.CONFIDENCE, "confidence.8.sensitivity", f"{claimed} mdBm", required)
    return None


def _valid_for(body: Envelope, rule: Rule, signed_ns: int) -> Refusal | None:
    """Clause (13) of admission: the envelope claims no longer validity than the rule allows."""
    most_ns, claimed_ns = rule.validity_ns_max or VALIDITY_MAX_NS, body.valid_until_ns - signed_ns
    if claimed_ns <= most_ns:
        return None
    return refuse(Reason.TERMS, "disposition.13.validity", f"{claimed_ns} ns after its signing", f"<= {most_ns} ns")


TYPES = (
    RecordType(
        number=7,
        name="envelope",
        body=Envelope,
        kind=Kind.OBSERVATION,
        actions=("observe",),
        late=WhenLate.OWN_END,
        site=Site.OWN_AREA,
        beside=True,
        ahead=(("valid_until_ns", VALIDITY_MAX_NS),),
        within_scope=_observed,
        within_terms=_valid_for,
    ),
    RecordType(
        number=29,
        name="gate",
        body=Gate,
        kind=Kind.OBSERVATION,
        actions=("observe",),
        becomes=Becomes.OWN_LOG,
        own_word=True,
    ),
)
