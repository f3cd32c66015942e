"""A peer written from docs/protocol.md and its appendix alone: tables, strict CBOR, Ed25519, and nothing of ours."""

import hashlib
import json
import re
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from settlement.chain.bodies import BODIES
from tests.settlement.golden import DOC, FIELDS, FILE
from tests.settlement.schema_text import BEGIN_SCHEMAS, END_SCHEMAS, schema_section

PAGE = DOC.read_text(encoding="utf-8") + FIELDS.read_text(encoding="utf-8")
HELD = json.loads(FILE.read_text(encoding="utf-8"))
Row = tuple[str, str, bool]


def read_tables(page: str) -> dict[str, dict[int, Row]]:
    """Heading to {key: (field, type, optional)}."""
    found: dict[str, dict[int, Row]] = {}
    title = ""
    for line in page.splitlines():
        if line.startswith("#### "):
            title = line.removeprefix("#### ").strip("`")
            found[title] = {}
        elif title and (row := re.fullmatch(r"\| (\d+) \| (\w+) \| (.+?) \|\s*(optional)?\s*\|", line)):
            found[title][int(row[1])] = (row[2], row[3], row[4] is not None)
        elif line.startswith("## "):
            title = ""
    return found


TABLES = read_tables(PAGE)


def read_item(data: bytes, at: int) -> tuple[Any, int]:
    """One CBOR item in the form of the page; ValueError otherwise."""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if info >= 24:
        width = 1 << info - 24
        argument = int.from_bytes(data[at : at + width], "big")
        if info > 27 or argument < (24 if width == 1 else 1 << 4 * width):
            raise ValueError("not the shortest form")
        at += width
    else:
        argument = info
    match major:
        case 0 | 1:
            return (argument if major == 0 else -1 - argument), at
        case 2 | 3:
            raw = data[at : at + argument]
            if len(raw) != argument:
                raise ValueError("too short")
            return (raw if major == 2 else raw.decode()), at + argument
        case 4 | 5:
            items = []
            for _ in range(argument * (major - 3)):
                item, at = read_item(data, at)
                items.append(item)
            return (items if major == 4 else dict(zip(items[::2], items[1::2], strict=True))), at
        case _:
            raise ValueError("neither integer, string, array nor map")


def read(data: bytes) -> Any:
    item, end = read_item(data, 0)
    if end != len(data):
        raise ValueError("bytes behind")
    return item


def check(value: Any, table: dict[int, Row]) -> None:
    """A map against a table of the page; AssertionError says what does not fit."""
    assert isinstance(value, dict)
    assert set(value) <= set(table), set(value) - set(table)
    for key, (name, kind, optional) in table.items():
        assert key in value or optional, name
        if key in value:
            check_one(value[key], kind)


def bounds(text: str) -> tuple[int, int]:
    low, _, high = text.partition(" to ")
    return int(low), int(high or low)


def check_one(value: Any, kind: str) -> None:
    if found := re.fullmatch(r"integer (\S+) to (\S+)", kind):
        assert isinstance(value, int)
        assert int(found[1]) <= value <= int(found[2])
    elif found := re.fullmatch(r"bytes, (.+)", kind):
        low, high = bounds(found[1])
        assert isinstance(value, bytes)
        assert low <= len(value) <= high
    elif found := re.fullmatch(r"text, at most (\d+) bytes", kind):
        assert isinstance(value, str)
        assert len(value.encode()) <= int(found[1])
    elif found := re.fullmatch(r"map (\w+)", kind):
        check(value, TABLES[found[1]])
    else:
        found = re.fullmatch(r"array, (.+?) of: (.+)", kind)
        assert found, kind
        low, high = bounds(found[1])
        assert isinstance(value, list)
        assert low <= len(value) <= high
        for one in value:
            check_one(one, found[2])


def read_record(raw: bytes, public: bytes) -> tuple[str, dict[int, Any]]:
    """Type and payload of a record, by the page; raises where it does not hold."""
    if raw[:2] != bytes.fromhex("d284"):
        raise ValueError("no COSE_Sign1")
    protected, at = read_item(raw, 2)
    unprotected, at = read_item(raw, at)
    payload, at = read_item(raw, at)
    signature, at = read_item(raw, at)
    header = read(protected)
    kid = hashlib.sha256(public).digest()[:16]
    if unprotected != {} or at != len(raw) or header[1] != -8 or header[4] != kid:
        raise ValueError("header")
    aad = b"bandpact/1/" + HELD["network"].encode()
    heads = [b"\x84\x6aSignature1", head(protected), head(aad), head(payload)]
    Ed25519PublicKey.from_public_bytes(public).verify(signature, b"".join(heads))
    typ: str = header[16].removeprefix("bandpact/")
    if set(header) != ({1, 4, 15, 16} if typ == "credential" else {1, 4, 16}):
        raise ValueError("header labels")
    return typ, read(payload)


def head(data: bytes) -> bytes:
    """A byte string in CBOR."""
    size = len(data)
    first = (
        bytes([0x40 + size]) if size < 24 else bytes([0x58, size]) if size < 256 else b"\x59" + size.to_bytes(2, "big")
    )
    return first + data


def public_of(seed: str) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)).public_key().public_bytes_raw()


PUBLICS = [public_of(seed) for seed in HELD["seeds"].values()]
SHOWN = dict(re.findall(r"### (\w+)\n\nSHA-256 `[0-9a-f]{64}`\n\n```\n([0-9a-f]+)\n```", PAGE))


def held(raw: bytes) -> tuple[str, dict[int, Any]]:
    """By whichever of the known keys; ValueError by none."""
    for public in PUBLICS:
        try:
            return read_record(raw, public)
        except (InvalidSignature, ValueError):
            continue
    raise ValueError("signed by none of the keys")


def test_the_tables_are_those_of_the_code() -> None:
    between = PAGE.partition(BEGIN_SCHEMAS)[2].partition(END_SCHEMAS)[0]
    assert between.strip() == schema_section().strip()
    assert set(BODIES) <= set(TABLES)


@pytest.mark.parametrize("typ", BODIES)
def test_a_peer_made_from_the_page_reads_every_type(typ: str) -> None:
    raw = bytes.fromhex(SHOWN[typ])
    named, payload = held(raw)
    assert named == typ
    body = payload.pop(6)
    check(payload, TABLES["Frame"])
    check(body, TABLES[typ])
    assert payload[1] == HELD["network"]


@pytest.mark.parametrize("typ", BODIES)
def test_no_flipped_bit_passes_that_peer(typ: str) -> None:
    raw = bytes.fromhex(SHOWN[typ])
    for at in range(0, len(raw), max(1, len(raw) // 40)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises((ValueError, KeyError, TypeError, IndexError, AttributeError, UnicodeDecodeError)):
            held(changed)


def test_ids_and_answers_are_as_the_page_says() -> None:
    request, grant, accept = (held(bytes.fromhex(SHOWN[t]))[1] for t in ("request", "grant", "accept"))
    body = grant[6]
    cell = grant_cell(bytes.fromhex(SHOWN["grant"]))
    joined = b"\x84" + head(grant[2]) + head(body[3]) + head(body[4]) + cell
    assert hashlib.sha256(joined).digest() == body[1] == accept[6][1]
    grant_name = hashlib.sha256(bytes.fromhex(SHOWN["grant"])).digest()
    assert accept[6][3] == hashlib.sha256(b"bandpact/1/answer" + body[12] + grant_name).digest()
    assert body[2] == hashlib.sha256(bytes.fromhex(SHOWN["request"])).digest()
    assert request[6][1] == hashlib.sha256(bytes.fromhex(SHOWN["declaration"])).digest()


def grant_cell(raw: bytes) -> bytes:
    """The bytes of the cell's map as they stand in the GRANT."""
    payload = read_item(raw, read_item(raw, read_item(raw, 2)[1])[1])[0]
    start = payload.index(b"\x05\xa3\x01\xa2") + 1
    return bytes(payload[start : read_item(payload, start)[1]])
