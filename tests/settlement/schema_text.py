"""The schemas of the code as the tables of docs/protocol-fields.md."""

from typing import Any

from settlement.chain import bodies
from settlement.chain.codec import FieldKind, kinds_of
from settlement.chain.leaf import Leaf
from settlement.chain.records import Attestation, Frame
from settlement.pair.artifact import Artifact
from settlement.quorum.certificate import Certificate, Membership
from settlement.records.registry import RECORDS
from settlement.state.messages import Message

BEGIN_SCHEMAS, END_SCHEMAS = "<!-- schemas -->", "<!-- /schemas -->"


def _size(kind: FieldKind) -> str:
    return str(kind.high) if kind.low == kind.high else f"{kind.low} to {kind.high}"


def _type(kind: FieldKind) -> str:
    match kind.name:
        case "int":
            return f"integer {kind.low} to {kind.high}"
        case "bytes":
            return f"bytes, {_size(kind)}"
        case "text":
            return f"text, at most {kind.high} bytes"
        case "map":
            return f"map {kind.item.__name__}"
        case _:
            item = _type(kind.item) if isinstance(kind.item, FieldKind) else f"map {kind.item.__name__}"
            return f"array, {_size(kind)} of: {item}"


def _nested(cls: type[Any]) -> list[type[Any]]:
    found = []
    for _, kind in kinds_of(cls):
        if isinstance(kind.item, type):
            found += [kind.item, *_nested(kind.item)]
    return found


def _table(title: str, cls: type[Any]) -> str:
    rows = [
        f"| {kind.key} | {name} | {_type(kind)} | {'optional' if kind.optional else ''} |".replace("|  |", "| |")
        for name, kind in kinds_of(cls)
    ]
    return "\n".join([f"#### {title}\n", "| Key | Field | Type | |", "|---|---|---|---|", *rows, ""])


def types_table() -> str:
    """What each record type is, a line each."""
    lines = [
        f"| {name} | {' or '.join(row.actions) or 'none'} | {row.kind or 'its own'} | {row.carrier.value} "
        f"| {row.late.value} | {row.site.value} | {row.becomes.value} |"
        for name, row in RECORDS.items()
    ]
    head = "| Type | Action | Kind | Comes over the key of | Its age | Its author stands | Becomes, beside its entry |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *lines, ""])


def schema_section() -> str:
    """Every record type, its body's fields, then every map they are made of, then what is not a record."""
    others = (Frame, Attestation, Message, Artifact, Leaf, Membership, Certificate)
    parts = ["### Record types\n", types_table()]
    parts += ["### Bodies by record type\n", *(_table(f"`{typ}`", body) for typ, body in bodies.BODIES.items())]
    maps = dict.fromkeys(m for cls in (*bodies.BODIES.values(), *others) for m in _nested(cls))
    parts += ["### Maps inside them\n", *(_table(cls.__name__, cls) for cls in maps if cls not in others)]
    parts += ["### What is around records\n", *(_table(cls.__name__, cls) for cls in others)]
    return "\n".join(parts).rstrip() + "\n"


BEGIN_MEANING, END_MEANING = "<!-- meaning -->", "<!-- /meaning -->"


def meaning_section() -> str:
    """Every field whose values mean something in narrower bounds than its form has."""
    rows: dict[tuple[str, str], list[str]] = {}
    classes = [("`" + typ + "`", body) for typ, body in bodies.BODIES.items()]
    classes += [(m.__name__, m) for m in dict.fromkeys(m for body in bodies.BODIES.values() for m in _nested(body))]
    for title, cls in classes:
        for name, kind in kinds_of(cls):
            one = kind.item if isinstance(kind.item, FieldKind) else kind
            if one.meant is not None:
                rows.setdefault((str(one.meant[0]), str(one.meant[1])), []).append(f"{title}.{name}")
    lines = [f"| {low} to {high} | {', '.join(fields)} |" for (low, high), fields in rows.items()]
    return "\n".join(["| Values | Fields |", "|---|---|", *lines]) + "\n"
