"""Attack rows about settlements: replays, double and late answers, a forging holder, two competing REQUESTs."""

import secrets
import time
from dataclasses import replace

import zmq
from zmq.utils import z85

from agent.attacking.ground import HOLDER, NS, USER, Ground
from agent.attacking.stranger import Silence, Stranger, kind_of
from agent.attacking.table import case
from agent.config.keyfiles import load_keys
from settlement.chain import bodies
from settlement.chain.checkpoint import Head, origin_of, sign_head
from settlement.chain.records import digest
from settlement.chain.scope import Window
from settlement.mesh import TransportKey
from settlement.pair.work import answer_to

UP_S = 120.0
"""Seconds that a node may take to start again."""


def _granted(ground: Ground, **changes: object) -> tuple[bytes, bytes, bodies.Grant]:
    """Send a REQUEST; returns it, its GRANT, and the GRANT's content."""
    asked = ground.mallory.sign(ground.request(**changes))
    ground.mallory.say(HOLDER, asked)
    raw = ground.answered(asked, ground.mallory, "grant")
    return asked, raw, ground.body(raw)


def _accept(ground: Ground, raw: bytes, grant: bodies.Grant) -> bytes:
    body = bodies.Accept(sid=grant.sid, grant=digest(raw), answer=answer_to(grant.challenge, digest(raw)))
    return ground.mallory.sign(body)


def _decision(ground: Ground, sid: bytes, *types: str) -> bytes:
    for raw in ground.mallory.hears(*types):
        if ground.body(raw).sid == sid:
            return raw
    raise Silence("no decision")


def _take(ground: Ground, raw: bytes, grant: bodies.Grant) -> None:
    """Settle a grant: a user that lets reservations expire must wait before it may ask again."""
    ground.mallory.say(HOLDER, _accept(ground, raw, grant))
    _decision(ground, grant.sid, "confirm", "abort")


def _settled(ground: Ground) -> tuple[bytes, bytes]:
    """Return the id of the user's settlement with the holder, and the CONFIRM's hash."""
    found = ground.until(lambda: ground.leaves(USER, where="typ", value="confirm"), 60.0)
    if not found:
        raise Silence("the user has settled nothing")
    return ground.body(found[-1].record).sid, found[-1].subject


def _false(ground: Ground) -> Stranger:
    """Return an attacker with the holder's keys, while the holder runs."""
    if ground.false_holder is None:
        ground.false_holder = ground.stranger(HOLDER, to=(USER,))
    return ground.false_holder


@case(25, "an ACCEPT after the ABORT", "the same ABORT")
def _late(ground: Ground) -> str:
    _, raw, grant = _granted(ground)
    abort = _decision(ground, grant.sid, "abort")
    ground.mallory.say(HOLDER, _accept(ground, raw, grant))
    return "the same ABORT" if _decision(ground, grant.sid, "abort", "confirm") == abort else "another answer"


@case(24, "the same REQUEST again", "the same GRANT, and REPLAY")
def _replay(ground: Ground) -> str:
    asked, raw, _ = _granted(ground)
    ground.mallory.say(HOLDER, asked)
    again = ground.answered(asked, ground.mallory, "grant")
    logged = ground.until(
        lambda: any(leaf.reason == "REPLAY" for leaf in ground.leaves(HOLDER, where="subject", value=digest(asked)))
    )
    _take(ground, raw, ground.body(raw))
    return f"{'the same GRANT' if again == raw else 'another GRANT'}, {'and REPLAY' if logged else 'not logged'}"


@case(26, "two ACCEPTs that differ", "one CONFIRM, and EQUIVOCATION in evidence")
def _two(ground: Ground) -> str:
    _, raw, grant = _granted(ground)
    one, other = _accept(ground, raw, grant), _accept(ground, raw, grant)
    ground.mallory.say(HOLDER, one)
    confirm = _decision(ground, grant.sid, "confirm", "abort")
    ground.mallory.say(HOLDER, other)
    verdict = ground.verdict(HOLDER, other)
    same = ground.body(confirm).sid == grant.sid and isinstance(ground.body(confirm), bodies.Confirm)
    proof = ground.until(lambda: ground.leaves(HOLDER, where="typ", value="evidence"))
    if not same:
        return "no CONFIRM"
    return "one CONFIRM, and EQUIVOCATION in evidence" if verdict == "EQUIVOCATION" and proof else verdict


@case(27, "two overlapping REQUESTs at once", "one GRANT, one CONFLICT")
def _overlap(ground: Ground) -> str:
    cell = ground.cell()
    later = Window(start_ns=cell.window.start_ns + NS, end_ns=cell.window.end_ns + NS)
    asked = [ground.mallory.sign(ground.request(cell=c)) for c in (cell, replace(cell, window=later))]
    for raw in asked:
        ground.mallory.say(HOLDER, raw)
    verdicts = sorted(ground.verdict(HOLDER, raw) for raw in asked)
    ours = {digest(raw) for raw in asked}
    for raw in [raw for raw in ground.mallory.heard if kind_of(raw) == bodies.TYPE_OF[bodies.Grant]]:
        if ground.body(raw).request in ours:
            _take(ground, raw, ground.body(raw))
    return "one GRANT, one CONFLICT" if verdicts == ["CONFLICT", "admitted"] else ", ".join(verdicts)


@case(45, "a stranger and a neighbour under another's routing id", "unaffected")
def _squat(ground: Ground) -> str:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    holder, mine = load_keys(ground.folder(HOLDER))[1], load_keys(ground.folder("attacker"))[1]
    try:
        for key in (TransportKey.generate(), mine):
            socket = context.socket(zmq.DEALER)
            socket.curve_publickey, socket.curve_secretkey = z85.encode(key.public), z85.encode(key.secret)
            socket.curve_serverkey = z85.encode(holder.public)
            socket.setsockopt(zmq.ROUTING_ID, b"user-a")
            socket.linger = 0
            socket.connect(ground.endpoint(HOLDER))
            socket.send(b"\xa1\x01\x41\x00", zmq.NOBLOCK)
        ground.until(lambda: False, 1.0)
        _, raw, grant = _granted(ground)
        _take(ground, raw, grant)
    finally:
        context.destroy(linger=0)
    return "unaffected" if grant.user == ground.mallory.hash and ground.alive(HOLDER) else "affected"


@case(28, "an ABORT after the CONFIRM, both signed by the holder", "EQUIVOCATION, kept as proof")
def _both(ground: Ground) -> str:
    sid, _ = _settled(ground)
    grants = [leaf for leaf in ground.leaves(USER, where="typ", value="grant") if ground.body(leaf.record).sid == sid]
    abort = _false(ground).sign(bodies.Abort(sid=sid, grant=grants[-1].subject, reason="TIMEOUT"))
    verdict = ground.told(USER, abort, _false(ground))
    proof = ground.until(lambda: ground.leaves(USER, where="typ", value="evidence"))
    return f"{verdict}, {'kept as proof' if proof else 'no proof kept'}"


@case(32, "another head of the holder's log than its neighbours saw", "FORK, kept as proof")
def _fork(ground: Ground) -> str:
    asked = ground.until(lambda: [one for one in ground.leaves(USER, where="typ", value="checkpoint") if one.admitted])
    before = len(ground.leaves(USER, where="typ", value="evidence"))
    body = ground.body(asked[-1].record)
    false = _false(ground)
    size = int(body.note.split("\n")[1])
    note = sign_head(Head(origin=origin_of(false.network, false.key.public), size=size, root=bytes(32)), false.key)
    false.say(USER, false.sign(replace(body, note=note)))
    forks = ground.until(lambda: len(ground.leaves(USER, where="typ", value="evidence")) > before)
    return "FORK, kept as proof" if forks else "no proof kept"


@case(33, "a log head with a proof of the wrong length", "PROOF")
def _proof(ground: Ground) -> str:
    body = ground.body(ground.until(lambda: ground.leaves(USER, where="typ", value="checkpoint"))[-1].record)
    false = _false(ground)
    size = int(body.note.split("\n")[1]) + 7
    note = sign_head(Head(origin=origin_of(false.network, false.key.public), size=size, root=bytes(32)), false.key)
    wrong = bodies.Checkpoint(note=note, old_size=int(body.note.split("\n")[1]), proof=(bytes(32),) * 9)
    return ground.told(USER, false.sign(wrong), false)


@case(41, "a PREEMPT in a tier the holder does not have", "TIER")
def _preempt(ground: Ground) -> str:
    sid, confirm = _settled(ground)
    body = bodies.Preempt(sid=sid, confirm=confirm, tier=0, reason="x", vacate_by_ns=time.time_ns() + NS)
    return ground.told(USER, _false(ground).sign(body), _false(ground))


@case(42, "a RENEW with an old fence", "FENCE")
def _fence(ground: Ground) -> str:
    sid, confirm = _settled(ground)
    body = bodies.Renew(sid=sid, confirm=confirm, number=9999, transmit_until_ns=time.time_ns() + NS, fence=1)
    return ground.told(USER, _false(ground).sign(body), _false(ground))


@case(47, "the holder killed as its GRANT left it, and started again", "the same GRANT")
def _killed(ground: Ground) -> str:
    asked, raw, _ = _granted(ground)
    ground.children[HOLDER].process.kill()
    ground.children[HOLDER].process.wait()
    kept = [leaf for leaf in ground.leaves(HOLDER, where="typ", value="grant") if leaf.record == raw]
    ground.start(HOLDER)
    deadline = time.monotonic() + UP_S
    while kept and time.monotonic() < deadline:
        try:
            ground.mallory.say(HOLDER, asked)
            again = ground.answered(asked, ground.mallory, "grant")
        except Silence:
            continue
        return "the same GRANT" if again == raw else "another GRANT"
    return "it was not durable" if not kept else "no answer after the restart"


@case(66, "fifty bodies of 60 KB that nobody signed", "a hash each")
def _unsigned(ground: Ground) -> str:
    log = ground.folder(HOLDER) / "lineage.db"
    before = sum(one.stat().st_size for one in (log, log.with_name(log.name + "-wal")) if one.exists())
    last = b""
    for _ in range(50):
        last = b"\xa1\x01\x59\xea\x60" + secrets.token_bytes(60_000)
        ground.mallory.send(HOLDER, last)
    ground.verdict(HOLDER, last, last[5:])
    after = sum(one.stat().st_size for one in (log, log.with_name(log.name + "-wal")) if one.exists())
    grown = (after - before) / 50
    return "a hash each" if grown < 20_000 else f"{grown:.0f} bytes each"


@case(65, "three hundred REQUESTs by one neighbour, and one by an honest one", "its own share only")
def _share(ground: Ground) -> str:
    _settled(ground)
    for _ in range(300):
        ground.mallory.say(HOLDER, ground.mallory.sign(ground.request(cell=ground.cell(length_s=1.0))))
    renewed = len(ground.leaves(HOLDER, where="typ", value="renew"))
    went_on = ground.until(lambda: len(ground.leaves(HOLDER, where="typ", value="renew")) > renewed, 20.0)
    return "its own share only" if went_on and ground.alive(HOLDER) else "the honest user's lease was not renewed"
