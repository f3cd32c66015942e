"""Every record type: decoded strictly, admitted or refused by clause in the one place, logged, shown."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from agent.cli.main import app
from settlement.chain import bodies
from settlement.chain.bodies import BODIES, TYPE_OF
from settlement.chain.codec import FieldKind, decode, kinds_of
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.lineage import Lineage
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Cell, Window
from settlement.core.reasons import Reason, Refusal
from settlement.records.registry import RECORDS
from settlement.state.messages import Message
from tests.settlement.golden import FILE
from tests.settlement.world import AREA, LOWER, NETWORK, NS, RULE, T0, TERMS, World, fix, seed, trio

HELD = {v["type"]: v for v in json.loads(FILE.read_text(encoding="utf-8"))["records"]}


def body_of(typ: str) -> dict[int, Any]:
    body: dict[int, Any] = cbor2.loads(bytes.fromhex(HELD[typ]["payload"]))[6]
    return body


@pytest.mark.parametrize("typ", sorted(BODIES))
def test_a_required_field_has_no_default_and_an_optional_one_is_absent(typ: str) -> None:
    declared = {one.name: one.default for one in dataclasses.fields(BODIES[typ])}
    optional = {name for name, kind in kinds_of(BODIES[typ]) if kind.optional}
    assert {name for name, default in declared.items() if default is None} == optional
    assert all(declared[name] is dataclasses.MISSING for name in declared.keys() - optional)


def refused(typ: str, body: Any) -> Reason | None:
    outcome = decode(BODIES[typ], cbor2.dumps(body), typ)
    return outcome.reason if isinstance(outcome, Refusal) else None


def test_the_types_are_those_of_the_design() -> None:
    named = [
        "credential",
        "revocation",
        "rotation",
        "rule",
        "schema",
        "admission",
        "envelope",
        "declaration",
        "intent",
        "request",
        "counter",
        "grant",
        "accept",
        "coordination",
        "confirm",
        "abort",
        "renew",
        "suspend",
        "resume",
        "relinquish",
        "preempt",
        "compensation",
        "fallback",
        "usage",
        "dispute",
        "answer",
        "ruling",
        "checkpoint",
        "cosignature",
        "evidence",
        "gate",
        "verdict",
        "members",
        "proposal",
        "ballot",
        "outcome",
        "bid",
        "reveal",
        "tally",
        "handover",
        "consent",
        "vacated",
        "reclaim",
        "jurisdiction",
    ]
    assert set(named) == set(BODIES) == set(HELD)
    assert {name for name, row in RECORDS.items() if row.actions} == set(BODIES) - {"rotation"}
    assert len(TYPE_OF) == len(BODIES)


def wrong_values(kind: FieldKind) -> list[Any]:
    others = {"int": [b"", "x", []], "bytes": [0, "x"], "text": [0, b""], "map": [0, []], "array": [0, {}]}[kind.name]
    if kind.name == "int" and kind.high < 2**63 - 1:
        others.append(kind.high + 1)
    if kind.name == "bytes" and kind.high < 60_000:
        others.append(bytes(kind.high + 1))
    if kind.name == "text":
        others.append("x" * (kind.high + 1))
    return others


@pytest.mark.parametrize("typ", BODIES)
def test_a_body_is_decoded_strictly(typ: str) -> None:
    body, cls = body_of(typ), BODIES[typ]
    assert refused(typ, body) is None
    assert refused(typ, {**body, 99: 0}) is Reason.MALFORMED
    assert refused(typ, [body]) is Reason.MALFORMED
    for name, kind in kinds_of(cls):
        absent = {k: v for k, v in body.items() if k != kind.key}
        assert refused(typ, absent) is (None if kind.optional else Reason.MALFORMED), name
        for value in wrong_values(kind):
            changed = dict(sorted({**body, kind.key: value}.items()))
            assert refused(typ, changed) is Reason.MALFORMED, (name, value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(BODIES)), st.data())
def test_whatever_is_put_for_a_field_is_decoded_or_refused(typ: str, data: st.DataObject) -> None:
    body = body_of(typ)
    key = data.draw(st.sampled_from(sorted(body)))
    value = data.draw(
        st.recursive(
            st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=33) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers(0, 9), inner, max_size=3),
        )
    )
    assert refused(typ, {**body, key: value}) in (None, Reason.MALFORMED, Reason.NONCANONICAL)


# -- through the public entry --------------------------------------------------------------------------------------

BARGAINED = replace(RULE, classes=(replace(TERMS, rounds_max=2),))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = trio(tmp_path, rule=BARGAINED)
    world.offer()
    world.carry(0.1)
    return world


def told(world: World, author: str, body: object, seq: int = 800) -> Refusal | None:
    """A record by a member, or by the authority, told to the holder, or to alice where the holder is the author."""
    if author == "root":
        return world.give("bob", "holder", Message(record=world.by_authority(body, 1.0, seq=seq)).encoded(), 1.1)
    member = world.members[author]
    here = Attestation.of(fix(1.0))
    frame = Frame(network=NETWORK, author=member.hash, seq=seq, previous=bytes(32), attestation=here)
    raw = sign_record(member.key, frame, body)
    return world.give(author, "alice" if author == "holder" else "holder", Message(record=raw).encoded(), 1.1)


HOUR = Window(start_ns=T0, end_ns=T0 + 3600 * NS)
CELL = Cell(band=LOWER, area=AREA, window=Window(start_ns=T0 + 2 * NS, end_ns=T0 + 9 * NS))
BODY = {
    "schema": bodies.Schema(
        commodity="cbrs", version=1, effective=HOUR, axes=(bodies.Axis(name="bandwidth", unit="hz"),),
        recognition=("challenge",),
    ),
    "admission": bodies.Admission(subject=seed("sid"), outcome=1, classes=("cbrs",), window=HOUR, rule=bytes(32)),
    "intent": bodies.Intent(
        cell=CELL, commodity="cbrs", tier=2, eirp_mdbm=20_000, price=5, answer_by_ns=T0 + 60 * NS, rule=bytes(32),
        nonce=bytes(16),
    ),
    "counter": bodies.Counter(
        declaration=seed("sid"), answers=seed("c"), round=1, cell=CELL, commodity="cbrs", price=5, answer_by_ns=T0,
        rule=bytes(32),
    ),
    "fallback": bodies.Fallback(
        sid=seed("sid"), confirm=seed("c"), choice=0, cell=CELL, from_ns=T0, notice_ns=0, reason="x", fence=1
    ),
    "dispute": bodies.Dispute(
        sid=seed("sid"), confirm=seed("c"), rule=bytes(32), against=seed("a"), grounds="x", claim=1, evidence=()
    ),
    "ruling": bodies.Ruling(
        dispute=seed("d"), sid=seed("sid"), rule=bytes(32), outcome="upheld", compensation=1, reason="x"
    ),
}  # fmt: skip


def body(typ: str, world: World) -> Any:
    made: Any = BODY[typ]
    if typ in ("fallback", "dispute", "ruling"):
        made = complained(typ, world, made)
    return replace(made, rule=world.members["holder"].party.rule.hash) if hasattr(made, "rule") else made


def complained(typ: str, world: World, made: Any) -> Any:
    """The same body about a settlement of alice and the holder, which is made where there is none yet."""
    alice, holder = world.members["alice"].party, world.members["holder"].party
    if not alice.user.pairs:
        world.request("alice", 1.0, LOWER, 2.0, 9.0)
        assert world.carry(1.0) == []
    (pair,) = alice.user.pairs.values()
    if typ != "ruling":
        against = {"against": holder.identity.credential} if typ == "dispute" else {}
        return replace(made, sid=pair.sid, confirm=pair.decision, **against)
    disputes = [r for r in (holder.record_of(s) for s in subjects(holder.lineage)) if r and r.typ == "dispute"]
    if not disputes:
        assert told(world, "alice", body("dispute", world), seq=790) is None
        return complained(typ, world, made)
    return replace(made, sid=pair.sid, dispute=disputes[0].digest)


def subjects(log: Lineage) -> list[bytes]:
    leaves = [decode_leaf(raw) for raw in log.bodies()]
    return [leaf.subject for leaf in leaves if isinstance(leaf, Leaf) and leaf.admitted]


ENTITLED = {
    "schema": ("root", "alice"),
    "admission": ("root", "alice"),
    "intent": ("alice", "holder"),
    "fallback": ("holder", "alice"),
    "dispute": ("alice", None),
    "ruling": ("root", "holder"),
}


@pytest.mark.feature("G2")
@pytest.mark.parametrize("typ", ENTITLED)
def test_a_type_is_admitted_from_who_may_speak_it_and_shown(world: World, typ: str, tmp_path: Path) -> None:
    author, other = ENTITLED[typ]
    assert told(world, author, body(typ, world)) is None
    if other is not None:
        refusal = told(world, other, body(typ, world), seq=801)
        assert refusal is not None
        assert (refusal.reason, refusal.clause) == (Reason.SCOPE, "capability.6")
    log = "alice" if author == "holder" else "holder"
    for member in world.members.values():
        member.party.lineage.close()
    anchors = ["--network", NETWORK, "--anchor", world.anchors[0].hex()]
    shown = CliRunner().invoke(app, ["audit", "show", str(tmp_path / f"{log}.db"), "--type", typ, *anchors])
    assert shown.exit_code == 0, shown.output
    assert typ in shown.output


@pytest.mark.attack(51)
@pytest.mark.parametrize(
    ("typ", "change", "reason"),
    [
        ("counter", {"price": 101}, Reason.PRICE),
        ("counter", {"round": 3}, Reason.ROUNDS),
        ("counter", {"round": 0}, Reason.ROUNDS),
        ("counter", {"commodity": "cbrs-extra"}, Reason.SCOPE),
        ("intent", {"price": 101}, Reason.PRICE),
        ("counter", {"round": 2, "price": 100}, Reason.OUT_OF_ORDER),  # inside the rule; it answers nothing
    ],
)
def test_price_and_rounds_are_the_rules(world: World, typ: str, change: dict[str, Any], reason: Reason | None) -> None:
    refusal = told(world, "alice", replace(body(typ, world), **change))
    assert (refusal.reason if refusal else None) is reason


@pytest.mark.attack(51)
def test_an_offer_outside_the_rules_prices(world: World) -> None:
    offer = replace(next(iter(world.members["holder"].party.holder.offers.values())), price=101)
    refusal = told(world, "holder", offer)
    assert refusal is not None
    assert refusal.reason is Reason.PRICE


@pytest.mark.attack(49)
def test_a_dispute_cites_a_rule_that_was_in_force_here(world: World) -> None:
    cited = replace(body("dispute", world), rule=seed("no rule"))
    refusal = told(world, "alice", cited)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.RULE_UNKNOWN, "disposition.11.cited")
    offer = next(iter(world.members["holder"].party.holder.offers))
    assert told(world, "alice", replace(cited, rule=offer), seq=801) is not None, "a record, but no rule"
    holder, old = world.members["holder"], world.members["holder"].party.rule.hash
    world.rule_raw = world.by_authority(replace(BARGAINED, version=2, previous=old), -0.5)
    holder.party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    assert world.members["holder"].party.rule.hash != old
    assert told(world, "alice", replace(cited, rule=old), seq=802) is None
