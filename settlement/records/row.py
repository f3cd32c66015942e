"""What one record type is, in one row: who may say it, over whose key it comes, how it is judged when it is late.

Every family declares its rows beside its schemas; `registry` collects them, and nothing else knows a type by its name.
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
    """Over whose transport key a record may come; an authority's word may reach a node through any neighbour."""

    AUTHOR = "its author"
    ANYONE = "anyone"


class WhenLate(Enum):
    """What a record's age does to it.

    A decision counts however late it comes, and so does what takes something away: the same bytes are sent until they
    are heard. A log head does too: what it extends says whether it is old.
    """

    STALE = "refused when it is older than the rule allows"
    COUNTS = "counts"
    OWN_END = "counts as long as it says itself that it is valid"


class Site(Enum):
    """Where an author must stand to say it: what is or will be where it stands, or the area that it names."""

    ANYWHERE = "anywhere"
    OWN_AREA = "inside its credential's area"
    NAMED_CELL = "inside the cell that it names"


class Cites(Enum):
    """Which version of the rule a record may name: complaints speak of the one their settlement was made under."""

    IN_FORCE = "in force"
    ONCE_IN_FORCE = "once in force"


class Charge(Enum):
    """What a record costs its sender's share of a node, where it is admitted."""

    WHOLE = "whole"
    WITNESSING = "a quarter of its log: heads go round with every settlement"
    MOVES = "nothing: it moves a settlement on, and budgets, back-off and the pair's table bound it"


class Becomes(Enum):
    """What an admitted record becomes beside its entry in the log."""

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

    number          its place in the list of types: a rule that admits every type names them in this order
    actions         one of these must be in its author's scope; none: it is everyone's own matter
    owed            what a settled pair owes each other: no revocation undoes it, and the key that settled ends it
    of_old_keys     what a key decided before it was succeeded stays decided, however late it arrives
    signs           it is answered by a signature, so that whoever is not sure of time and place does not answer
    beside          it is taken by itself where it travels beside a record that rests on it
    passed_on       neighbours pass it on by design: a second copy of it is nobody's replay, and is not logged
    receipted       its author asks for a signed word that it was heard
    own_word        on record in its author's log even where the author has lost its clock, place or credential
    ahead           fields that may lie at most so many ns after the signing
    within_scope    what clause (8) of admission asks of this type alone
    within_terms    what clause (13) of admission asks of this type; the instant it was signed at is UTC, ns
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
