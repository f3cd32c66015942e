"""The named vectors of docs/vectors/: every verifying function says today what it said when they were frozen."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from settlement.audit.bundle import verify_bundle
from settlement.chain import merkle
from settlement.chain.admission import Admitted, Context, RuleInForce, admit, prove
from settlement.chain.checkpoint import check_cosignature, open_note
from settlement.chain.credentials import Registry
from settlement.chain.status import StatusLists
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.reasons import Refusal
from settlement.pair.artifact import verify
from settlement.state.rules import HeldRule, read_held
from tests.settlement.named_vectors import FOLDER, Vector, verdict_of

pytestmark = pytest.mark.feature("X1")

KINDS = (
    "admission", "artifact", "market", "credential", "bundle", "inclusion", "consistency", "checkpoint", "cosignature",
)  # fmt: skip
LEAST = 195


def held(kind: str) -> list[Vector]:
    found: list[Vector] = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    return found


def unhexed(values: list[str]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(value) for value in values)


def registry_of(vector: Vector) -> Registry:
    registry = Registry(vector["network"], unhexed(vector["anchors"]))
    for raw in unhexed(vector["credentials"]):
        registry.admit(raw)
    for old, new in vector["successions"]:
        before, after = registry.get(bytes.fromhex(old)), registry.get(bytes.fromhex(new))
        assert before is not None
        assert after is not None
        registry.rotate(before, after)
    return registry


class Log:
    """What the log of a vector knows: nothing but the record asked about and its number."""

    def __init__(self, vector: Vector) -> None:
        other = vector["other_with_its_number"]
        self._seen, self._other = vector["seen"], None if other is None else bytes.fromhex(other)

    def seen(self, _subject: bytes) -> bool:
        return bool(self._seen)

    def author_record(self, _author: bytes, _seq: int) -> bytes | None:
        return self._other


def admitted(vector: Vector) -> object:
    registry = registry_of(vector)
    rule = read_held(bytes.fromhex(vector["rule"]["record"]), unhexed(vector["rule"]["chain"]), registry)
    assert isinstance(rule, HeldRule), rule
    status = StatusLists()
    for raw in unhexed(vector["status_lists"]):
        known = prove(raw, registry)
        assert isinstance(known, Admitted)
        status.take(known.author, raw, known.record.body)
    now = TimeFix(source=TimeSource.GPS, **vector["now"])
    context = Context(
        registry=registry,
        rule=RuleInForce(hash=rule.rule.hash, rule=rule.rule.rule),
        history=Log(vector),
        status=status,
    )
    over = vector["over"]
    return admit(
        bytes.fromhex(vector["input"]), context, now=now, transport_key=None if over is None else bytes.fromhex(over)
    )


def bundled(vector: Vector) -> object:
    anchors = unhexed(vector["anchors"])
    said = verify_bundle(bytes.fromhex(vector["input"]), network=vector["network"], anchors=anchors)
    return said if isinstance(said, Refusal) or said.ok else "does not hold"


ASK: dict[str, Callable[[Vector], object]] = {
    "admission": admitted,
    "artifact": lambda v: verify(bytes.fromhex(v["input"]), network=v["network"], anchors=unhexed(v["anchors"])),
    "market": lambda v: verify(bytes.fromhex(v["input"]), network=v["network"], anchors=unhexed(v["anchors"])),
    "credential": lambda v: registry_of(v).admit(bytes.fromhex(v["input"])),
    "bundle": bundled,
    "inclusion": lambda v: merkle.verify_inclusion(
        bytes.fromhex(v["leaf"]), v["index"], v["size"], unhexed(v["path"]), bytes.fromhex(v["root"])
    ),
    "consistency": lambda v: merkle.verify_consistency(
        v["old"], v["new"], bytes.fromhex(v["old_root"]), bytes.fromhex(v["new_root"]), unhexed(v["path"])
    ),
    "checkpoint": lambda v: open_note(v["note"], bytes.fromhex(v["public"])),
    "cosignature": lambda v: check_cosignature(v["note"], name=v["witness"], public=bytes.fromhex(v["public"])),
}


def said_again(kind: str, vector: Vector) -> Any:
    """The verdict on a vector now."""
    said = ASK[kind](vector)
    return said if said == "does not hold" else verdict_of(said)


@pytest.mark.parametrize("kind", KINDS)
def test_every_vector_gets_the_verdict_it_was_frozen_with(kind: str) -> None:
    wrong = [(v["name"], said) for v in held(kind) if (said := said_again(kind, v)) != v["verdict"]]
    assert not wrong


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    names = [vector["name"] for kind in KINDS for vector in held(kind)]
    assert len(names) >= LEAST
    assert len(set(names)) == len(names)
    refused = {json.dumps(v["verdict"]) for kind in ("admission", "artifact") for v in held(kind)}
    assert len(refused) > 60, "reasons and clauses"
