"""The CDDL (RFC 8610) of every record, message, artifact and bundle, made from the schemas that the codec itself uses.

`python -m settlement.formats.cddl` prints it; `docs/bandpact.cddl` holds it, and a test holds the two together.
A signed range is written as two limits, because a range from below zero to above it is misread by common validators;
the type stands beside each size and range (`uint .and …`), because some validators forget it there.
The header lists what CDDL cannot express: that a value has only one valid encoding, and how fields depend on each
other.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from settlement.audit.bundle import Bundle
from settlement.chain.bodies import BODIES
from settlement.chain.codec import FieldKind, kinds_of
from settlement.chain.leaf import Leaf
from settlement.chain.records import TYPE_PREFIX, Frame
from settlement.pair.artifact import Artifact
from settlement.quorum.certificate import Certificate, Membership
from settlement.records.registry import RECORDS
from settlement.records.row import Becomes
from settlement.state.messages import Message

AROUND: tuple[type[Any], ...] = (Message, Artifact, Leaf, Bundle, Membership, Certificate)
"""The schema classes that are not records: they carry records, or prove something about records."""
HEADER = """\
; bandpact: every record, message, artifact, log entry and bundle. Made by `python -m settlement.formats.cddl`.
;
; Beyond this grammar (docs/protocol.md): integers and lengths in their shortest form, map keys ascending, nothing
; indefinite, depth at most 8, a record at most 65536 bytes; an attestation's earliest_ns is not above its latest_ns; an
; area is a circle or an outline whose sides do not cross; a membership has a majority and no key twice.
"""


def rule_name(cls: type[Any]) -> str:
    """Return the CDDL rule name of a schema class: the class name in lower case, with a hyphen before each capital."""
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in cls.__name__).lstrip("-")


def _integer(kind: FieldKind) -> str:
    if kind.low < 0:
        return f"(int .ge {kind.low}) .and (int .le {kind.high})"
    return str(kind.low) if kind.low == kind.high else f"uint .and ({kind.low}..{kind.high})"


def _size(kind: FieldKind) -> str:
    return str(kind.high) if kind.low == kind.high else f"({kind.low}..{kind.high})"


def type_of(kind: FieldKind) -> str:
    """Return the CDDL type of one field."""
    match kind.name:
        case "int":
            return _integer(kind)
        case "bytes":
            return f"bstr .and (bstr .size {_size(kind)})"
        case "text":
            return f"tstr .and (tstr .size {_size(kind)})"
        case "map":
            return rule_name(kind.item)
        case _:
            item = type_of(kind.item) if isinstance(kind.item, FieldKind) else rule_name(kind.item)
            return f"[{kind.low}*{kind.high} {item}]"


def _fields(cls: type[Any]) -> Iterator[str]:
    for name, kind in kinds_of(cls):
        yield f"  {'? ' if kind.optional else ''}{kind.key} => {type_of(kind)}, ; {name}"


def _map(name: str, fields: Iterable[str]) -> str:
    return "\n".join([f"{name} = {{", *fields, "}"])


def _nested(cls: type[Any]) -> Iterator[type[Any]]:
    for _, kind in kinds_of(cls):
        if isinstance(kind.item, type):
            yield kind.item
            yield from _nested(kind.item)


def _record(typ: str, body: type[Any]) -> Iterator[str]:
    """Yield the CDDL rules of a record type: the COSE_Sign1 message, its protected header, its payload, its body."""
    claims = ["  15 => claims,"] if RECORDS[typ].becomes is Becomes.SUBJECT else []
    header = ["  1 => -8, ; alg EdDSA", "  4 => bstr .size 16, ; kid", *claims, f'  16 => "{TYPE_PREFIX}{typ}", ; typ']
    yield (
        f"{typ} = #6.18([bstr .cbor {typ}-protected, empty, bstr .cbor {typ}-payload, bstr .size 64])\n"
        + _map(f"{typ}-protected", header)
    )
    yield _map(f"{typ}-payload", [*_fields(Frame), f"  6 => {typ}-body,"])
    yield _map(f"{typ}-body", _fields(body))


CLAIMS = """\
claims = {
  1 => tstr .size (1..128), ; iss
  2 => tstr .size (1..128), ; sub
  4 => 0..8589934591, ; exp, whole seconds since the Unix epoch
  5 => 0..8589934591, ; nbf
  6 => 0..8589934591, ; iat
  7 => bstr .size (1..32), ; cti
  8 => { 1 => { 1 => 1, -2 => bstr .size 32, -1 => 6 } }, ; cnf: an OKP key, Ed25519
}"""


def document() -> str:
    """Return the text of the whole grammar."""
    maps = dict.fromkeys(one for cls in (Frame, *BODIES.values(), *AROUND) for one in _nested(cls))
    parts = [HEADER, "record = " + " / ".join(BODIES), "empty = {}", CLAIMS]
    for typ, body in BODIES.items():
        parts += _record(typ, body)
    parts += [_map(rule_name(cls), _fields(cls)) for cls in (*maps, *AROUND) if cls is not Frame]
    return "\n\n".join(parts) + "\n"


def rooted(name: str) -> str:
    """Return a grammar that starts with the rule `name` and holds only the rules that it needs, directly or not.

    A validator begins at the first rule and reads all rules of its file, so a small file is faster.
    """
    rules = {text.split(" = ")[0]: text for text in re.split(r"\n(?=[a-z][a-z0-9-]* = )", document())}
    needed, waiting = dict[str, str](), [name]
    while waiting:
        one = waiting.pop()
        if one in rules and one not in needed:
            needed[one] = rules[one]
            waiting += re.findall(r"[a-z][a-z0-9-]*", re.sub(r";.*", "", rules[one]))
    return "\n".join([f"start = {name}", *needed.values()]) + "\n"


if __name__ == "__main__":
    print(document(), end="")
