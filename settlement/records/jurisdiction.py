"""What an authority asks for in its own area, and how its terms and a neighbour's are brought together."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, nested, text
from settlement.chain.quantities import LIFE_MAX_NS, count, length_ns, millidecibel
from settlement.chain.scope import Area, Window, ordered
from settlement.records.row import Becomes, CarriedBy, Kind, RecordType

STRICTER, LEAD = "stricter", "lead:"
"""Policies: the stricter of both for every term; or the terms of the jurisdiction that is named behind `lead:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JurisdictionTerms:
    """What a jurisdiction allows of one class: no louder, no longer, at a price inside these."""

    commodity: str = text(1, 64)
    max_eirp_mdbm: int = millidecibel(2)
    max_window_ns: int = length_ns(3, least=1)
    price_low: int = count(4)
    price_high: int = count(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jurisdiction:
    """An authority's rule for its area: the clause it goes by, what it allows, and the policy it reconciles by.

    `reconciliation` is for cells that touch another's area as well: "stricter", or "lead:NAME"; both must say the same.
    """

    name: str = text(1, 64)
    clause: str = text(2, 64)
    area: Area = nested(3, Area)
    effective: Window = nested(4, Window)
    classes: tuple[JurisdictionTerms, ...] = array(5, JurisdictionTerms, 32, low=1)
    reconciliation: str | None = text(6, 80, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """It has a life, and a policy that exists where it has one."""
        policy = self.reconciliation
        if policy is not None and policy != STRICTER and not policy.startswith(LEAD):
            return ".reconciliation", policy, f"{STRICTER}, or {LEAD}NAME"
        return ordered(self.effective, most_ns=LIFE_MAX_NS, path=".effective")


TYPES = (
    RecordType(
        number=58,
        name="jurisdiction",
        body=Jurisdiction,
        kind=Kind.DIRECTIVE,
        actions=("rule",),
        becomes=Becomes.NOTED,
        carrier=CarriedBy.ANYONE,
    ),
)
