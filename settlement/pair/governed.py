"""The rule that a node's machines work under: one place for all of them, so that none goes by another than the rest."""

from collections.abc import Callable
from dataclasses import dataclass

from settlement.chain.admission import RuleInForce
from settlement.chain.bodies import ClassTerms


def never_handed(_handover: bytes) -> int:
    """Nothing is handed on, so no lease of it reaches anywhere."""
    return 0


@dataclass(slots=True)
class Governed:
    """The rule in force here and now; its owner exchanges it when another comes into force.

    `handed_until_ns` says how far (UTC) a lease may reach that is given under a HANDOVER of this node, by its name.
    """

    rule: RuleInForce
    handed_until_ns: Callable[[bytes], int] = never_handed

    def terms(self, commodity: str) -> ClassTerms | None:
        """The terms of a class under it."""
        return self.rule.rule.terms(commodity)

    def lease_ns(self, commodity: str) -> int:
        """How long a lease of a class is under it; 0 of a class that it does not know."""
        terms = self.terms(commodity)
        return 0 if terms is None else terms.lease_ns
