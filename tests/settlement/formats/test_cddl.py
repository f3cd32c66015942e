"""The CDDL of the records is what the codec holds to: an independent validator judges the same bytes the same way.

pycddl (a foreign validator) mis-counts an array item behind `.cbor`, so it is given the layers of a record one by one.
It overlooks unknown keys in a map that is an array's item, so no mutant has one there.
"""

import json
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import cbor2
import cddlparser
import pycddl
import pytest

from settlement.chain.bodies import BODIES
from settlement.chain.codec import from_map
from settlement.chain.leaf import Leaf
from settlement.chain.records import Frame
from settlement.core.reasons import RefusedError
from settlement.formats.cddl import document, rooted
from settlement.state.messages import Message
from tests.settlement.golden import FILE

pytestmark = pytest.mark.feature("X1")

DOC = Path(__file__).resolve().parents[3] / "docs" / "bandpact.cddl"
RECORDS = json.loads(FILE.read_text(encoding="utf-8"))["records"]
MUTANTS = 10_000
BODY_KEY = 6
EDGES = (-(2**63), -(2**63) + 1, -1, 0, 1, 2, 255, 256, 10**6, 10**6 + 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)


@lru_cache
def validator(rule: str) -> pycddl.Schema:
    return pycddl.Schema(rooted(rule))


def valid(rule: str, data: bytes) -> bool:
    try:
        validator(rule).validate_cbor(data)
    except pycddl.ValidationError:
        return False
    return True


def test_the_document_is_what_the_codec_says_now() -> None:
    assert DOC.read_text(encoding="utf-8") == document(), "python -m settlement.formats.cddl > docs/bandpact.cddl"


def test_the_document_is_grammar_to_an_independent_parser() -> None:
    rules = {rule.name.name for rule in cddlparser.parse(document()).rules}
    assert {*BODIES, "record", "message", "artifact", "leaf", "bundle"} <= rules


@pytest.mark.parametrize("vector", RECORDS, ids=lambda vector: vector["type"])
def test_a_golden_record_is_valid(vector: dict[str, Any]) -> None:
    typ = vector["type"]
    assert valid(f"{typ}-protected", bytes.fromhex(vector["protected"]))
    assert valid(f"{typ}-payload", bytes.fromhex(vector["payload"]))
    others = [name for name in BODIES if name != typ]
    assert not any(valid(f"{name}-protected", bytes.fromhex(vector["protected"])) for name in others)


def ours(typ: str, payload: Any) -> bool | None:
    """The codec's own judgement of a payload; None where only fields together are wrong, which CDDL cannot say."""
    try:
        around = dict(payload)
        inner = around.pop(BODY_KEY, None)
        from_map(Frame, around, typ)
        from_map(BODIES[typ], inner, typ)
    except RefusedError as exc:
        # The validator takes a map of unknown keys alone for one whose keys are all optional, as an area's are.
        alone = exc.refusal.clause.endswith(".area") and exc.refusal.measured.startswith("unknown keys")
        return None if exc.refusal.required.startswith("a whole ") or alone else False
    return True


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every item inside a map or an array."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield (*path, key)
        yield from places(item, (*path, key))


def other_value(rng: random.Random, value: Any) -> Any:
    """Something else of the same type as often as not."""
    if rng.random() < 0.3:
        return rng.choice([0, b"", "", [], {}, -1, "x" * 70, b"x" * 33])
    match value:
        case int():
            return rng.choice([*EDGES, value + 1, value - 1])
        case bytes():
            return rng.choice([value + b"x", value[:-1], value * 2])
        case str():
            return rng.choice([value + "ä", value[:-1], value * 40])
        case list():
            return rng.choice([value * 2, value[:-1], [*value, 0], value * 400])
        case _:
            return rng.choice([{**value, 97: 1}, dict(list(value.items())[1:]), {**value, 1: {}}])


def mutant(rng: random.Random, payload: Any) -> Any:
    """A copy with one or two items changed, removed or added."""
    made = cbor2.loads(cbor2.dumps(payload))
    for _ in range(rng.choice((1, 1, 2))):
        *way, last = rng.choice(list(places(made)))
        inside = made
        for key in way:
            inside = inside[key]
        if rng.random() < 0.2 or (isinstance(inside, list) and isinstance(inside[last], dict)):
            del inside[last]
        else:
            inside[last] = other_value(rng, inside[last])
    return made


def test_ten_thousand_mutants_are_judged_as_the_codec_judges_them() -> None:
    rng = random.Random(19)
    payloads = [(vector["type"], cbor2.loads(bytes.fromhex(vector["payload"]))) for vector in RECORDS]
    judged = {True: 0, False: 0}
    while sum(judged.values()) < MUTANTS:
        typ, payload = rng.choice(payloads)
        made = mutant(rng, payload)
        said = ours(typ, made)
        if said is None:
            continue
        assert valid(f"{typ}-payload", cbor2.dumps(made)) is said, (typ, made)
        judged[said] += 1
    assert min(judged.values()) > MUTANTS // 20, judged


def test_messages_and_log_entries_are_valid_too() -> None:
    raw = bytes.fromhex(RECORDS[0]["record"])
    assert valid("message", Message(record=raw, beside=(raw,)).encoded())
    leaf = Leaf(subject=bytes(32), record=raw, arrived_earliest_ns=1, arrived_latest_ns=2, admitted=1, origin=0)
    assert valid("leaf", leaf.encoded())
    assert not valid("leaf", cbor2.dumps({1: 0}))
