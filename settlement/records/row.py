"""The row that describes one record type: who may sign it, who may send it, how a late one is judged, and so on.

Every family declares its rows beside its schema classes; `registry` collects them. Other code reads these rows instead
of comparing names of types.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from settlement.core.reasons import Refusal


class Kind(StrEnum):
    """What a record asks of others."""

    DIRECTIVE = "directive"
    DEALING = "dealing"
    OBSERVATION = "observation"


class CarriedBy(Enum):
    """From whose transport key a record may come; records of authorities may come through any neighbour."""

    AUTHOR = "its author"
    ANYONE = "anyone"


class WhenLate(Enum):
    """Whether a record still counts when it is old.

    A final decision counts however late it comes, and so does a record that takes a right away: it is sent again until
    its receipt comes. A log head also counts: its size shows whether it is old.
    """

    STALE = "refused when it is older than the rule allows"
    COUNTS = "counts"
    OWN_END = "counts as long as it says itself that it is valid"


class Site(Enum):
    """Where an author must be when it signs such a record."""

    ANYWHERE = "anywhere"
    OWN_AREA = "inside its credential's area"
    NAMED_CELL = "inside the cell that it names"


class Cites(Enum):
    """Which version of the rule a record may name: a dispute names the version that its settlement was made under."""

    IN_FORCE = "in force"
    ONCE_IN_FORCE = "once in force"


class Charge(Enum):
    """How much of its sender's share of a node's capacity an admitted record uses."""

    WHOLE = "whole"
    WITNESSING = "a quarter of its log: heads go round with every settlement"
    MOVES = "nothing: it moves a settlement on, and budgets, back-off and the pair's table bound it"


class Becomes(Enum):
    """What happens to an admitted record beside its entry in the log."""

    ACTED = "judged by the protocol and acted on"
    NOTED = "nothing more: it is left to whoever reads the log"
    OWN_LOG = "an entry in its author's log alone; refused as TYPE where it arrives"
    SUBJECT = "a subject of the registry; refused as TYPE where it arrives"


def _nothing_more(_body: Any, _scope: Any) -> Refusal | None:
    return None


def _no_terms(_body: Any, _rule: Any, _signed_ns: int) -> Refusal | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordType:
    """One record type.

    number          order of the types: a rule that admits every type lists them in this order
    actions         the author's scope must contain one of these; where empty, every author may sign it
    owed            an obligation of a settled pair: revocation of the author does not prevent it, and an old key may
                    end what it settled
    of_old_keys     a decision by a key that was replaced later still counts, however late it arrives
    signs           the answer to it is a signature; a node that is not sure of time and place does not answer
    beside          it is judged by itself when it travels beside a record that refers to it
    passed_on       neighbours pass it on by design: a second copy is no replay, and is not logged
    receipted       its author expects a signed receipt
    own_word        a node logs its own record of this type even without trusted clock, place or credential
    ahead           fields (path, ns) that may lie at most so long after the signing
    within_scope    check of clause (8) of admission for this type alone: (body, scope)
    within_terms    check of clause (13) of admission for this type: (body, rule, instant of signing in UTC ns)
    """

    number: int
    name: str
    body: type[Any]
    kind: Kind | None
    actions: tuple[str, ...]
    becomes: Becomes = Becomes.ACTED
    carrier: CarriedBy = CarriedBy.AUTHOR
    late: WhenLate = WhenLate.STALE
    site: Site = Site.ANYWHERE
    cites: Cites = Cites.IN_FORCE
    charge: Charge = Charge.WHOLE
    owed: bool = False
    of_old_keys: bool = False
    signs: bool = False
    beside: bool = False
    passed_on: bool = False
    receipted: bool = False
    own_word: bool = False
    ahead: tuple[tuple[str, int], ...] = ()
    within_scope: Callable[[Any, Any], Refusal | None] = _nothing_more
    within_terms: Callable[[Any, Any, int], Refusal | None] = _no_terms
