"""The recognition rule of a class: by which records both parties know that they mean the same settlement.

    content     the GRANT has, in each named field, what the REQUEST asked for
    handshake   the ACCEPT answers the GRANT's challenge
    derivation  from the GRANT back each record names the next: of the given types, each by its rightful author, none
                wider than the one it derives from; the ACCEPT lists them
    all, any    of the parts

A rule is a tree, written as a list: the first node is the root, and a node's parts are the numbers of later nodes. A
rule of another form, or with an unknown kind of node, accepts nothing. A class without a rule requires the handshake.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from settlement.chain.bodies import ClassTerms, Declaration, Envelope, Grant, Recognition, Request
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.work import answer_to
from settlement.records.authority import Rule
from settlement.records.handover import Handover
from settlement.records.registry import TYPE_OF

CONTENT, HANDSHAKE, DERIVATION, ALL, ANY = "content", "handshake", "derivation", "all", "any"
OFFERED = TYPE_OF[Declaration]
"""The record type that a HANDOVER may replace."""
KINDS = (CONTENT, HANDSHAKE, DERIVATION, ALL, ANY)
DEPTH_MAX = 3
FIELDS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "cell": (lambda r: r.cell, lambda g: g.cell),
    "band": (lambda r: r.cell.band, lambda g: g.cell.band),
    "area": (lambda r: r.cell.area, lambda g: g.cell.area),
    "window": (lambda r: r.cell.window, lambda g: g.cell.window),
    "commodity": (lambda r: r.commodity, lambda g: g.commodity),
    "tier": (lambda r: r.tier, lambda g: g.tier),
    "price": (lambda r: r.price, lambda g: g.price),
    "eirp": (lambda r: r.eirp_mdbm, lambda g: g.max_eirp_mdbm),
}
"""Fields that may be compared, with the functions that read each from a REQUEST and from a GRANT."""
SOURCES = tuple(TYPE_OF[one] for one in (Request, Declaration, Envelope, Rule))
"""Record types that a right may derive from; each record names the next."""
HANDSHAKE_ALONE = (Recognition(kind=HANDSHAKE),)
Find = Callable[[bytes], Record | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionGrounds:
    """The records by which a settlement is recognised; the ACCEPT is None before it is signed."""

    grant: Record
    accept: Record | None
    find: Find


def rule_of(terms: ClassTerms) -> tuple[Recognition, ...]:
    """Return the recognition rule of a class."""
    return HANDSHAKE_ALONE if terms.recognition is None else terms.recognition


def flaw(nodes: Sequence[Recognition]) -> Refusal | None:
    """Return why a list of nodes is not a rule that this code knows; None where it is one."""
    for number, node in enumerate(nodes):
        parts, fields = node.parts or (), node.fields or ()
        known = {CONTENT: tuple(FIELDS), DERIVATION: SOURCES}.get(node.kind, ())
        forward = all(number < part < len(nodes) for part in parts)
        if node.kind not in KINDS:
            return refuse(Reason.RULE_UNKNOWN, "recognition.kind", node.kind, ", ".join(KINDS))
        if bool(parts) is not (node.kind in (ALL, ANY)) or not forward:
            return refuse(Reason.RULE_UNKNOWN, "recognition.parts", f"{node.kind} of {parts}", "nodes behind it")
        if bool(fields) is not (node.kind in (CONTENT, DERIVATION)) or not set(fields) <= set(known):
            return refuse(Reason.RULE_UNKNOWN, "recognition.fields", f"{node.kind} of {fields}", ", ".join(known))
    named = [part for node in nodes for part in node.parts or ()]
    if len(set(named)) != len(named):
        return refuse(Reason.RULE_UNKNOWN, "recognition.tree", f"{len(named)} parts", "each node a part of one other")
    deep = _depth(nodes)
    return refuse(Reason.RULE_UNKNOWN, "recognition.depth", deep, f"<= {DEPTH_MAX}") if deep > DEPTH_MAX else None


def _depth(nodes: Sequence[Recognition]) -> int:
    """Return the depth of a rule, in one pass from the last node to the first: every node stands before its parts."""
    deep = [1] * len(nodes)
    for number in range(len(nodes) - 1, -1, -1):
        deep[number] = 1 + max((deep[part] for part in nodes[number].parts or ()), default=0)
    return deep[0] if deep else 0


def recognise(nodes: Sequence[Recognition], evidence: RecognitionGrounds) -> Refusal | None:
    """Refuse unless the records satisfy the rule: both parties then mean the same settlement."""
    return flaw(nodes) or _judge(nodes, 0, evidence)


def _judge(nodes: Sequence[Recognition], number: int, evidence: RecognitionGrounds) -> Refusal | None:
    node = nodes[number]
    match node.kind:
        case "content":
            return _content(node.fields or (), evidence)
        case "handshake":
            return _handshake(evidence)
        case "derivation":
            chain = derive(node.fields or (), evidence.grant, _listed(evidence))
            return chain if isinstance(chain, Refusal) else None
        case "any":
            found = [_judge(nodes, part, evidence) for part in node.parts or ()]
            return None if None in found else found[0]
        case _:
            found = [_judge(nodes, part, evidence) for part in node.parts or ()]
            return next((refusal for refusal in found if refusal is not None), None)


def _content(fields: Sequence[str], evidence: RecognitionGrounds) -> Refusal | None:
    grant: Grant = evidence.grant.body
    asked = evidence.find(grant.request)
    if asked is None or not isinstance(asked.body, Request) or asked.frame.author != grant.user:
        return refuse(Reason.PROOF, "recognition.content", grant.request.hex()[:16], "the user's REQUEST")
    for name in fields:
        of_request, of_grant = FIELDS[name]
        if of_request(asked.body) != of_grant(grant):
            return refuse(Reason.TERMS, f"recognition.content.{name}", of_grant(grant), of_request(asked.body))
    return None


def _handshake(evidence: RecognitionGrounds) -> Refusal | None:
    if evidence.accept is None:
        return None
    answer: bytes = evidence.accept.body.answer
    if answer != answer_to(evidence.grant.body.challenge, evidence.grant.digest):
        return refuse(Reason.CHALLENGE, "recognition.handshake", answer.hex()[:16], "the answer to this challenge")
    return None


# -- derivation --------------------------------------------------------------------------------------------------------


def _listed(evidence: RecognitionGrounds) -> Find:
    """Return a finder of the records that the ACCEPT lists; before there is an ACCEPT, of all known records."""
    if evidence.accept is None:
        return evidence.find
    listed = evidence.accept.body.derived_from or ()
    return lambda name: evidence.find(name) if name in listed else None


def derive(types: Sequence[str], grant: Record, find: Find) -> tuple[Record, ...] | Refusal:
    """Return the records that a GRANT derives from, nearest first: one of each type, each named by the one before.

    A HANDOVER stands in place of the declaration and ends the chain: the artifact inside it holds its own sources,
    which are recognised with that artifact.
    """
    chain: list[Record] = []
    before = grant
    for typ in types:
        named = _named(before.body, typ)
        record = find(named) if named is not None else None
        handed = typ == OFFERED and record is not None and isinstance(record.body, Handover)
        if record is None or (record.typ != typ and not handed):
            what = "names none" if named is None else named.hex()[:16]
            return refuse(Reason.PROOF, "recognition.derivation", f"{before.typ} {what}", f"a {typ} it derives from")
        refusal = _rightful(record, grant) or _narrower(before, record)
        if refusal is not None:
            return refusal
        chain.append(record)
        before = record
        if handed:
            break
    return tuple(chain)


def _named(body: Any, typ: str) -> bytes | None:
    name: bytes | None = getattr(body, typ, None)
    return name


def _rightful(record: Record, grant: Record) -> Refusal | None:
    """Refuse a source by the wrong author: REQUEST by the user, offer and envelope by the holder."""
    match record.body:
        case Request():
            speaks = grant.body.user
        case Declaration() | Envelope() | Handover():
            speaks = grant.frame.author
        case _:
            return None
    if record.frame.author != speaks:
        return refuse(Reason.BINDING, "recognition.derivation", f"a {record.typ} by another", "the party's own")
    return None


def _narrower(child: Record, parent: Record) -> Refusal | None:
    """Refuse a record that gives more than the record it derives from (I7)."""
    given: Cell | None = getattr(child.body, "cell", None)
    had: Cell | None = getattr(parent.body, "cell", None)
    if given is None or had is None:
        return None
    inside = had.band.holds(given.band) and had.window.holds(given.window) and had.area.holds(given.area)
    if not inside or child.body.commodity != parent.body.commodity:
        return refuse(Reason.SCOPE, "recognition.derivation", f"{child.typ} of {given.band}", f"inside {had.band}")
    return None


def sources(nodes: Sequence[Recognition], grant: Record, find: Find) -> tuple[bytes, ...]:
    """Return the records that an ACCEPT lists: all known records that a derivation in the rule goes back to."""
    chains = [derive(node.fields or (), grant, find) for node in nodes if node.kind == DERIVATION]
    records = [one for chain in chains if not isinstance(chain, Refusal) for one in chain]
    return tuple(dict.fromkeys(record.digest for record in records))
