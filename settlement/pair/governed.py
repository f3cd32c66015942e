"""The rule in force, in one object that all of a node's protocol machines share."""

from collections.abc import Callable
from dataclasses import dataclass

from settlement.chain.admission import RuleInForce
from settlement.chain.bodies import ClassTerms


def never_handed(_handover: bytes) -> int:
    """Return 0: no HANDOVER exists, so no lease under one may be given."""
    return 0


@dataclass(slots=True)
class Governed:
    """The rule in force now; its owner replaces it when another comes into force.

    `handed_until_ns` returns how far (UTC, ns) a lease under one of this node's HANDOVERs may reach, by its hash.
    """

    rule: RuleInForce
    handed_until_ns: Callable[[bytes], int] = never_handed

    def terms(self, commodity: str) -> ClassTerms | None:
        """Return the terms of a class in the rule; None for an unknown class."""
        return self.rule.rule.terms(commodity)

    def lease_ns(self, commodity: str) -> int:
        """Return the longest lease of a class, ns; 0 for a class that the rule does not know."""
        terms = self.terms(commodity)
        return 0 if terms is None else terms.lease_ns
