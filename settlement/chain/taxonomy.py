"""Response to a record: by the rule and its author's level a node acts on it, weighs it, or only keeps it in the log.

Records are of three kinds. A directive changes what others may do and needs no consent; a dealing is part of what two
parties do with each other; an observation states what its author sensed. By the author's level:

    response            directive         dealing           observation
    obey                act               act               act
    obey after check    act once checked  act once checked  act once checked
    consider            keep              act               weigh
    record only         keep              keep              keep

"Checked" means that a fresh status list shows the author, and every authority above it, as not revoked; a credential
without a status index does not pass. "Weigh" means that the observation counts with its weight beside others. "Keep"
means that the record is logged and has no other effect: a directive or dealing is refused, an observation has weight 0.
"""

from enum import StrEnum

from settlement.records.authority import Rule
from settlement.records.registry import RECORDS
from settlement.records.row import Kind

__all__ = ["TABLE", "Behaviour", "Kind", "Response", "behaviour_of", "kind_of", "response_of"]


class Response(StrEnum):
    """The response a rule may give a level; part of the record format."""

    OBEY = "obey"
    OBEY_AFTER_CHECK = "obey after check"
    CONSIDER = "consider"
    RECORD_ONLY = "record only"


class Behaviour(StrEnum):
    """What this node does with an admissible record."""

    ACT = "act"
    CHECK = "act once checked"
    WEIGH = "weigh"
    KEEP = "keep"


TABLE = {
    (Response.OBEY, Kind.DIRECTIVE): Behaviour.ACT,
    (Response.OBEY, Kind.DEALING): Behaviour.ACT,
    (Response.OBEY, Kind.OBSERVATION): Behaviour.ACT,
    (Response.OBEY_AFTER_CHECK, Kind.DIRECTIVE): Behaviour.CHECK,
    (Response.OBEY_AFTER_CHECK, Kind.DEALING): Behaviour.CHECK,
    (Response.OBEY_AFTER_CHECK, Kind.OBSERVATION): Behaviour.CHECK,
    (Response.CONSIDER, Kind.DIRECTIVE): Behaviour.KEEP,
    (Response.CONSIDER, Kind.DEALING): Behaviour.ACT,
    (Response.CONSIDER, Kind.OBSERVATION): Behaviour.WEIGH,
    (Response.RECORD_ONLY, Kind.DIRECTIVE): Behaviour.KEEP,
    (Response.RECORD_ONLY, Kind.DEALING): Behaviour.KEEP,
    (Response.RECORD_ONLY, Kind.OBSERVATION): Behaviour.KEEP,
}
_RESPONSES: dict[str, Response] = {one.value: one for one in Response}


def response_of(rule: Rule, level: str) -> Response:
    """Return the response to records of a level; a level that the rule does not name is only recorded."""
    held = rule.level(level)
    return Response.RECORD_ONLY if held is None else _RESPONSES.get(held.response, Response.RECORD_ONLY)


def kind_of(typ: str) -> Kind:
    """Return the kind of a record type; a credential, which enters through the registry, has none."""
    return RECORDS[typ].kind or Kind.DEALING


def behaviour_of(rule: Rule, level: str, typ: str) -> Behaviour:
    """Return what this node does with a record of that type by an author of that level."""
    return TABLE[response_of(rule, level), kind_of(typ)]
