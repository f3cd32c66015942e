"""What an authority demands in its own area, and how its terms and those of an adjacent area are combined."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, nested, text
from settlement.chain.quantities import LIFE_MAX_NS, count, length_ns, millidecibel
from settlement.chain.scope import Area, Window, ordered
from settlement.records.row import Becomes, CarriedBy, Kind, RecordType

STRICTER, LEAD = "stricter", "lead:"
"""Policies: for each term the stricter of both; or the terms of the jurisdiction that is named after `lead:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JurisdictionTerms:
    """What a jurisdiction allows in one class: the most EIRP, the longest window, and the bounds of the price."""

    commodity: str = text(1, 64)
    max_eirp_mdbm: int = millidecibel(2)
    max_window_ns: int = length_ns(3, least=1)
    price_low: int = count(4)
    price_high: int = count(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jurisdiction:
    """An authority's rule for its area: the legal clause behind it, what it allows, and its policy of reconciliation.

    `reconciliation` applies to cells that touch another jurisdiction's area as well: "stricter" or "lead:NAME"; both
    jurisdictions must state the same policy.
    """

    name: str = text(1, 64)
    clause: str = text(2, 64)
    area: Area = nested(3, Area)
    effective: Window = nested(4, Window)
    classes: tuple[JurisdictionTerms, ...] = array(5, JurisdictionTerms, 32, low=1)
    reconciliation: str | None = text(6, 80, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw where the policy is unknown, or the window is empty or longer than LIFE_MAX_NS."""
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
