"""Evidence proves itself to one who saw nothing of what it is about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.bodies import Evidence
from settlement.chain.checkpoint import Head, origin_of, sign_head
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Cell, Window
from settlement.core.reasons import Reason
from settlement.records.endings import Compensation
from settlement.records.handover import Handover, Vacated
from settlement.state.messages import Message
from tests.settlement.world import AREA, LOWER, NETWORK, NS, T0, World, fix, trio

FORK, TWICE = Reason.FORK.value, Reason.EQUIVOCATION.value


@pytest.fixture
def world(tmp_path: Path) -> World:
    return trio(tmp_path)


def note(world: World, name: str, size: int, root: bytes) -> bytes:
    key = world.members[name].key
    return sign_head(Head(origin=origin_of(NETWORK, key.public), size=size, root=root), key).encode()


def signed(world: World, body: Any, *, by: str = "alice", seq: int = 50) -> bytes:
    frame = Frame(
        network=NETWORK,
        author=world.members[by].hash,
        seq=seq,
        previous=bytes(32),
        attestation=Attestation.of(fix(1.0)),
    )
    return sign_record(world.members[by].key, frame, body)


def checkpoint(world: World, size: int, root: bytes, *, seq: int, old: int = 0, **changes: Any) -> bytes:
    text = note(world, "alice", size, root).decode()
    return signed(world, bodies.Checkpoint(note=text, old_size=old, proof=changes.get("proof", ())), seq=seq)


def decided(world: World, typ: type, sid: bytes, *, seq: int) -> bytes:
    if typ is bodies.Abort:
        return signed(world, bodies.Abort(sid=sid, grant=bytes(32), reason="TIMEOUT"), seq=seq)
    body = bodies.Confirm(sid=sid, grant=bytes(32), accept=bytes(32), transmit_until_ns=1, fence=1)
    return signed(world, body, seq=seq)


A, B = b"a" * 32, b"b" * 32
Pair = Callable[[World], tuple[str, bytes, bytes]]
PROOFS: dict[str, Pair] = {
    "two roots of one size": lambda w: (FORK, note(w, "alice", 7, A), note(w, "alice", 7, B)),
    "two checkpoints of one size": lambda w: (FORK, checkpoint(w, 7, A, seq=1), checkpoint(w, 7, B, seq=2)),
    "an extension that is none": lambda w: (
        FORK,
        checkpoint(w, 1, A, seq=1),
        checkpoint(w, 2, B, seq=2, old=1, proof=(A,)),
    ),
    "one number twice": lambda w: (TWICE, decided(w, bodies.Abort, A, seq=4), decided(w, bodies.Confirm, B, seq=4)),
    "CONFIRM and ABORT": lambda w: (TWICE, decided(w, bodies.Abort, A, seq=4), decided(w, bodies.Confirm, A, seq=5)),
    "two CONFIRMs": lambda w: (TWICE, decided(w, bodies.Confirm, A, seq=4), decided(w, bodies.Confirm, A, seq=5)),
}
NO_PROOFS: dict[str, Pair] = {
    "one head twice": lambda w: (FORK, note(w, "alice", 7, A), note(w, "alice", 7, A)),
    "two sizes": lambda w: (FORK, note(w, "alice", 7, A), note(w, "alice", 8, B)),
    "two owners": lambda w: (FORK, note(w, "alice", 7, A), note(w, "bob", 7, B)),
    "a note changed": lambda w: (FORK, note(w, "alice", 7, A), note(w, "alice", 7, B).replace(b"7", b"8", 1)),
    "no statement at all": lambda w: (FORK, b"x", b"\xff"),
    "a proof too short to say": lambda w: (
        FORK,
        checkpoint(w, 1, A, seq=1),
        checkpoint(w, 2, B, seq=2, old=1),
    ),
    "another reason": lambda w: ("BUDGET", note(w, "alice", 7, A), note(w, "alice", 7, B)),
    "two settlements": lambda w: (TWICE, decided(w, bodies.Abort, A, seq=4), decided(w, bodies.Confirm, B, seq=5)),
    "heads as records": lambda w: (TWICE, note(w, "alice", 7, A), note(w, "alice", 7, B)),
}


def of_a_settlement(world: World, typ: type, seq: int) -> bytes:
    """One of the records that an honest node may say several of, each different, about one settlement."""
    cell = Cell(band=LOWER, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 9 * NS))
    spoken = {
        bodies.Renew: bodies.Renew(sid=A, confirm=A, number=seq, transmit_until_ns=T0, fence=1),
        Handover: Handover(
            sid=A, confirm=A, kind="sublease", to=A, cell=cell, commodity="cbrs", tier=2, max_eirp_mdbm=seq, price=0,
            rule=A, artifact=b"x",
        ),
        Vacated: Vacated(sid=A, handover=bytes([seq]) * 32, silent_earliest_ns=T0, silent_latest_ns=T0),
        bodies.Dispute: bodies.Dispute(sid=A, confirm=A, rule=A, against=B, grounds="unpaid", claim=seq, evidence=()),
        Compensation: Compensation(sid=A, confirm=A, request=A, amount=seq, to=B),
    }  # fmt: skip
    return signed(world, spoken[typ], seq=seq)


@pytest.mark.attack(28)
@pytest.mark.parametrize("typ", [bodies.Renew, Handover, Vacated, bodies.Dispute, Compensation])
def test_nobody_is_accused_of_what_may_be_said_twice(world: World, typ: type) -> None:
    """Two parts of one lease handed on, two disputes, two debts: no proof, and no alarm at who said them."""
    first, second = of_a_settlement(world, typ, 4), of_a_settlement(world, typ, 5)
    raw = world.do("bob", 1.0, lambda s: s.sign(Evidence(reason=TWICE, first=first, second=second))).raw
    for who in ("holder", "alice"):
        refusal = world.give("bob", who, Message(record=raw).encoded(), 1.0)
        assert refusal is not None
        assert refusal.reason is Reason.PROOF
    assert not [one for one in world.members["alice"].notices if one.name == "alarm"]


def told(world: World, make: Pair) -> Reason | None:
    reason, first, second = make(world)
    raw = world.do("bob", 1.0, lambda s: s.sign(Evidence(reason=reason, first=first, second=second))).raw
    refusal = world.give("bob", "holder", Message(record=raw).encoded(), 1.0)
    return refusal.reason if refusal else None


@pytest.mark.attack(28)
@pytest.mark.attack(32)
@pytest.mark.feature("G11")
@pytest.mark.parametrize("name", PROOFS)
def test_a_proof_is_taken_from_anyone(world: World, name: str) -> None:
    assert told(world, PROOFS[name]) is None


@pytest.mark.parametrize("name", NO_PROOFS)
def test_what_proves_nothing_is_refused(world: World, name: str) -> None:
    assert told(world, NO_PROOFS[name]) is Reason.PROOF
