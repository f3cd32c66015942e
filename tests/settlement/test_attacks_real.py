"""Attacks through real sockets on real processes: a credentialed neighbour who signs whatever it likes.

One street of processes serves the tests that leave it whole; each test asks for a cell of its own.
"""

import itertools
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
import zmq

from settlement.chain import bodies
from settlement.chain.checkpoint import Head, origin_of, sign_head
from settlement.chain.records import Attestation, digest
from settlement.chain.scope import Band, Cell, Window
from settlement.core.fixes import Fix, PositionSource, TimeSource
from settlement.core.reasons import Reason
from settlement.mesh import TransportKey
from settlement.mesh.door import HANDLER_FAULT
from settlement.pair.table import HolderState, UserState
from settlement.pair.work import answer_to
from settlement.records.conduct.proofs import judge_evidence
from settlement.state.messages import Message
from tests.settlement.peers import (
    AFTER_SEND,
    REFUSES_TO_START,
    DidNotStart,
    Intruder,
    Peer,
    Street,
    body_of,
    curve,
    kind_of,
    patient,
    seal_off,
    street,
    transport,
)
from tests.settlement.world import AREA, LOWER, NS, RULE, T0, UPPER

MHZ = 1_000_000
_starts, _nonces = itertools.count(20, 5), itertools.count(1)


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    made = street(tmp_path_factory.mktemp("street"))
    made.peers["bob"].until("offers", bool)
    made.peers["bob"].stop()
    yield made
    made.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Street]:
    made = street(tmp_path)
    yield made
    made.close()


@pytest.fixture
def bob(where: Street) -> Iterator[Intruder]:
    """An intruder in bob's place, with bob's keys, where the others expect bob."""
    made = Intruder(where, "bob", listen=where.peers["alice"].spec.peers["bob"])
    yield made
    made.close()


def cell(band: Band = LOWER) -> Cell:
    """A window of four seconds nobody else asked for."""
    start_ns = T0 + next(_starts) * NS
    return Cell(band=band, area=AREA, window=Window(start_ns=start_ns, end_ns=start_ns + 4 * NS))


def request(where: Street, wanted: Cell, nonce: bytes | None = None) -> bodies.Request:
    declaration = where.peers["alice"].until("offers", bool)[-1]
    return bodies.Request(
        declaration=declaration,
        cell=wanted,
        commodity="cbrs",
        tier=2,
        eirp_mdbm=20_000,
        price=7,
        partial=0,
        nonce=nonce or next(_nonces).to_bytes(16, "big"),
    )


def granted(where: Street, who: Intruder, wanted: Cell) -> tuple[bytes, bodies.Grant]:
    """Ask for a cell and get it; the GRANT's digest and body."""
    asked = who.sign(request(where, wanted))
    who.send(asked)
    for message in who.hear("grant", "verdict"):
        body = body_of(where, message.record)
        if isinstance(body, bodies.Grant) and body.request == digest(asked):
            return message.record, body
        # What earlier questions were answered may still be on its way.
        assert isinstance(body, bodies.Grant) or body.subject != digest(asked), body
    raise AssertionError("no answer")


def accept(raw: bytes, grant: bodies.Grant) -> bodies.Accept:
    return bodies.Accept(sid=grant.sid, grant=digest(raw), answer=answer_to(grant.challenge, digest(raw)))


def refused(where: Street, who: Intruder, body: Any, **frame: Any) -> Reason:
    """Why the holder refuses a REQUEST, from its own signed answer."""
    who.send(who.sign(body, **frame))
    verdict = body_of(where, who.hears("verdict", "grant").record)
    assert isinstance(verdict, bodies.Verdict), "it was granted"
    return Reason(verdict.reason)


def unchanged(where: Street, holder: Peer, before: Any) -> None:
    assert holder.ask("pairs") == before
    assert holder.ask("faults") == []


WAITS = replace(RULE, classes=tuple(replace(c, on_incumbent=1) for c in patient().classes))


def settled_now(made: Street, for_s: int = 60) -> bytes:
    """Alice settles a window that begins in a moment, and her gate opens."""
    alice = made.peers["alice"]
    alice.until("offers", bool)
    start_ns = made.now_ns() // NS * NS + 2 * NS
    alice.ask("request", LOWER, start_ns, start_ns + for_s * NS)
    pairs = alice.until("pairs", lambda p: [s for s, _ in p[1].values()] == [UserState.SETTLED])[1]
    (sid,) = pairs
    until_gate(alice, sid, "OPEN")
    return bytes(sid)


def until_gate(peer: Peer, sid: bytes, wanted: str) -> None:
    deadline = time.monotonic() + 60
    while peer.ask("gate", sid) != wanted:
        assert time.monotonic() < deadline, f"the gate stays {peer.ask('gate', sid)}"


@pytest.mark.attack(42)
def test_a_paused_holder_that_goes_on_has_too_old_a_fence(tmp_path: Path) -> None:
    """The holder's process is stopped, one with its keys goes on in its place, and then it wakes up."""
    made = street(tmp_path, rule=WAITS)
    try:
        alice, holder = made.peers["alice"], made.peers["holder"]
        sid = settled_now(made)
        confirm = alice.ask("pairs")[1][sid][1]
        os.kill(holder.process.pid, signal.SIGSTOP)
        other = Intruder(made, "holder", "alice")
        suspend = bodies.Suspend(sid=sid, confirm=confirm, number=90, fence=90, reason=Reason.INCUMBENT.value)
        other.send(other.sign(suspend))
        alice.until("leases", lambda found: [(s, f) for s, f, _ in found] == [(UserState.SUSPENDED, 90)])
        assert alice.ask("gate", sid) == Reason.SUSPENDED.value
        os.kill(holder.process.pid, signal.SIGCONT)
        alice.until("refusals", lambda r: Reason.FENCE.value in r)
        assert [(s, f) for s, f, _ in alice.ask("leases")] == [(UserState.SUSPENDED, 90)]
        assert alice.ask("gate", sid) == Reason.SUSPENDED.value
        until_ns = made.now_ns() + 3 * NS
        resume = bodies.Resume(sid=sid, confirm=confirm, number=91, transmit_until_ns=until_ns, fence=91)
        other.send(other.sign(resume))
        until_gate(alice, sid, "OPEN")
        other.close()
    finally:
        made.close()


@pytest.mark.feature("A1")
def test_an_incumbent_suspends_over_the_sockets_and_the_gate_follows(tmp_path: Path) -> None:
    made = street(tmp_path, rule=WAITS)
    try:
        alice, sid = made.peers["alice"], settled_now(made)
        made.peers["holder"].ask("preempt", LOWER, 1.5)
        alice.until("leases", lambda found: [s for s, _, _ in found] == [UserState.SUSPENDED])
        assert alice.ask("gate", sid) == Reason.SUSPENDED.value
        until_gate(alice, sid, "OPEN")
        assert [s for s, _, _ in alice.ask("leases")] == [UserState.SETTLED]
        assert len(alice.ask("records", "suspend")) == len(alice.ask("records", "resume")) == 1
    finally:
        made.close()


WIDER = replace(
    RULE,
    time_sources=(*RULE.time_sources, TimeSource.GPS, TimeSource.CHRONY, TimeSource.KERNEL),
    position_sources=(*RULE.position_sources, PositionSource.GPS),
)
WRONG_RECEIVERS = {
    # A receiver that lies about its place is believed about the time no more.
    "GNSS place jumps": Reason.TIME_UNTRUSTED,
    "GNSS is simulated": Reason.TIME_UNTRUSTED,
    "GNSS sees too few": Reason.POSITION_UNTRUSTED,
    "GNSS time jumps": Reason.TIME_UNTRUSTED,
    "chrony disagrees": Reason.TIME_UNTRUSTED,
}


@pytest.mark.attack(37)
@pytest.mark.parametrize("what", WRONG_RECEIVERS)
def test_a_holder_whose_receiver_lies_grants_nothing(tmp_path: Path, what: str) -> None:
    made, timed = street(tmp_path, rule=WIDER), WRONG_RECEIVERS[what] is Reason.TIME_UNTRUSTED
    try:
        holder = made.peers["holder"]
        made.peers["bob"].until("offers", bool)
        made.peers["bob"].stop()
        holder.ask("receivers", timed)
        intruder = Intruder(made, "bob", listen=made.peers["alice"].spec.peers["bob"])
        made.peers["alice"].until("offers", bool)
        granted(made, intruder, cell())
        before = holder.ask("pairs")
        body = request(made, cell())
        holder.ask("hears", what, timed)
        intruder.send(intruder.sign(body))
        holder.until("refusals", lambda r: WRONG_RECEIVERS[what].value in r)
        assert set(holder.ask("pairs")[0]) == set(before[0])
        intruder.close()
    finally:
        made.close()


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Street, Intruder]]:
    """A rule that takes receivers, but no time known worse than 5 us."""
    made = street(tmp_path_factory.mktemp("exact"), rule=replace(WIDER, time_bound_ns_max=5_000))
    made.peers["bob"].until("offers", bool)
    made.peers["bob"].stop()
    intruder = Intruder(made, "bob", listen=made.peers["alice"].spec.peers["bob"])
    made.peers["alice"].until("offers", bool)
    yield made, intruder
    intruder.close()
    made.close()


@pytest.mark.attack(39)
def test_a_claim_of_no_error_at_all_is_widened_to_its_class(exact: tuple[Street, Intruder]) -> None:
    """To the nanosecond by a kernel's clock, to the millimetre by GNSS: inside as claimed, not inside as widened."""
    made, intruder = exact
    here = Attestation.of(made.now_fix())
    sharp = replace(here, earliest_ns=here.latest_ns, time_source=int(TimeSource.KERNEL))
    assert refused(made, intruder, request(made, cell()), attestation=sharp) is Reason.TIME_UNTRUSTED
    edge = replace(here, radius_mm=0, lat_e7=edge_of_area_e7() - 30, position_source=int(PositionSource.SIMULATED))
    intruder.send(intruder.sign(request(made, cell()), attestation=edge))
    intruder.hears("grant")
    widened = replace(edge, position_source=int(PositionSource.GPS))
    assert refused(made, intruder, request(made, cell()), attestation=widened) is Reason.SPATIAL_UNDECIDED


@pytest.mark.attack(47)
@pytest.mark.feature("S7")
def test_power_lost_right_after_sending_loses_nothing_that_was_sent(tmp_path: Path) -> None:
    """The holder dies the instant a GRANT left it: the GRANT lies on its disk, and it goes on from there."""
    made = street(tmp_path, rule=patient(), holder=("granted", AFTER_SEND))
    try:
        alice, holder = made.peers["alice"], made.peers["holder"]
        alice.until("offers", bool)
        body = request(made, cell())
        alice.stop()
        intruder = Intruder(made, "alice", listen=holder.spec.peers["alice"])
        asked = intruder.sign(body)
        intruder.send(asked)
        holder.dies()
        db = apsw.Connection(str(tmp_path / "holder.db"))
        stored = [bytes(row[0]) for row in db.execute("SELECT subject FROM leaf WHERE typ='grant'")]
        db.close()
        holder = made.again("holder")
        intruder.send(asked)
        sent = intruder.hears("grant").record  # before its death, or now: the same
        assert stored == [digest(sent)], "durable before it was sent"
        grant = body_of(made, sent)
        intruder.send(intruder.sign(accept(sent, grant)))
        assert body_of(made, intruder.hears("confirm").record).sid == grant.sid
        assert len(holder.ask("records", "grant")) == 1
        intruder.close()
    finally:
        made.close()


@pytest.mark.attack(48)
@pytest.mark.feature("R6")
def test_a_user_with_a_full_disk_closes_its_gate(tmp_path: Path) -> None:
    """A RENEW that cannot be kept is not acted on: the lease runs out, and nothing is sent meanwhile."""
    made = street(tmp_path, rule=patient())
    try:
        alice = made.peers["alice"]
        sid = settled_now(made)
        size = alice.ask("size")
        alice.ask("disk", True)
        alice.until("faults", bool)
        assert "LineageError" in alice.ask("faults")[0]
        until_gate(alice, sid, Reason.LEASE.value)
        alice.ask("disk", False)
        until_gate(alice, sid, "OPEN")
        assert alice.ask("size") > size
    finally:
        made.close()


@pytest.mark.attack(24)
@pytest.mark.attack(47)
def test_replay_after_kill_and_restart_gets_the_same_bytes(fresh: Street) -> None:
    alice, holder = fresh.peers["alice"], fresh.peers["holder"]
    alice.until("offers", bool)
    offer = request(fresh, cell())
    alice.stop()
    intruder = Intruder(fresh, "alice", listen=holder.spec.peers["alice"])
    asked = intruder.sign(offer)
    intruder.send(asked)
    first = intruder.hears("grant").record
    holder = fresh.again("holder")
    assert first in holder.ask("records", "grant"), "it was durable before it was sent"
    intruder.send(asked)
    assert intruder.hears("grant").record == first
    assert len(holder.ask("pairs")[0]) == 1
    assert Reason.REPLAY.value in holder.ask("refusals")
    intruder.close()


@pytest.mark.attack(25)
def test_an_accept_after_the_abort_gets_that_abort(where: Street, bob: Intruder) -> None:
    raw, grant = granted(where, bob, cell())
    abort = bob.hears("abort").record
    assert body_of(where, abort).sid == grant.sid
    late = bob.sign(accept(raw, grant))
    for _ in range(2):
        bob.send(late)
        assert bob.hears("abort").record == abort


@pytest.mark.attack(26)
def test_two_accepts_that_differ_are_evidence(where: Street, bob: Intruder) -> None:
    raw, grant = granted(where, bob, cell())
    one, other = bob.sign(accept(raw, grant)), bob.sign(accept(raw, grant))
    bob.send(one)
    confirm = bob.hears("confirm")
    bob.send(other)
    assert bob.hears("confirm") == confirm
    holder = where.peers["holder"]
    evidence = [body_of(where, found) for found in holder.ask("records", "evidence")]
    assert [e for e in evidence if (e.first, e.second) == (one, other)]
    assert Reason.EQUIVOCATION.value in holder.ask("refusals")
    assert len([r for r in holder.ask("records", "confirm") if body_of(where, r).sid == grant.sid]) == 1


@pytest.mark.attack(27)
def test_overlapping_requests_at_once_one_is_granted(where: Street, bob: Intruder) -> None:
    wanted = cell(UPPER)
    shifted = replace(wanted, window=Window(start_ns=wanted.window.start_ns + NS, end_ns=wanted.window.end_ns + NS))
    bob.send(bob.sign(request(where, wanted)))
    bob.send(bob.sign(request(where, shifted)))
    kinds, heard = [], bob.hear("grant", "verdict")
    for message in heard:
        kinds.append(kind_of(message.record))
        if kinds[-1] == "verdict":
            assert body_of(where, message.record).reason == Reason.CONFLICT.value
        if len(kinds) == 2:
            break
    assert sorted(kinds) == ["grant", "verdict"]


def settled_alice(where: Street) -> tuple[bytes, bytes]:
    """Alice, the honest process, settles a cell; its id and the CONFIRM's hash."""
    alice = where.peers["alice"]
    before = set(alice.ask("pairs")[1])
    taken = next(_bands)
    alice.ask("request", taken, T0 + 600 * NS, T0 + 850 * NS)
    pairs = alice.until(
        "pairs", lambda p: [s for sid, (s, _) in p[1].items() if sid not in before] == [UserState.SETTLED]
    )[1]
    ((sid, (_, decision)),) = ((sid, pair) for sid, pair in pairs.items() if sid not in before)
    assert decision is not None
    return sid, decision


_bands = iter(Band(low_hz=low, high_hz=low + 5 * MHZ) for low in range(3_550 * MHZ, 3_570 * MHZ, 5 * MHZ))


@pytest.fixture
def false_holder(where: Street) -> Iterator[Intruder]:
    """The holder's keys in wrong hands, beside the holder, speaking to alice."""
    made = Intruder(where, "holder", "alice")
    yield made
    made.close()


@pytest.mark.attack(28)
@pytest.mark.feature("G11")
def test_a_second_decision_is_proof_against_its_holder(where: Street, false_holder: Intruder) -> None:
    """Alice keeps CONFIRM and ABORT side by side; bob, who knows neither, is convinced by the two alone."""
    alice = where.peers["alice"]
    sid, _ = settled_alice(where)
    raw = next(r for r in where.peers["holder"].ask("records", "grant") if body_of(where, r).sid == sid)
    before = alice.ask("pairs")
    count = alice.ask("refusals").count(Reason.EQUIVOCATION.value)
    abort = false_holder.sign(bodies.Abort(sid=sid, grant=digest(raw), reason="TIMEOUT"))
    false_holder.send(abort)
    alice.until("refusals", lambda r: r.count(Reason.EQUIVOCATION.value) == count + 1)
    unchanged(where, alice, before)
    kept = [body_of(where, found) for found in alice.ask("records", "evidence")]
    (proof,) = [e for e in kept if e.second == abort]
    confirm = body_of(where, proof.first)
    assert (proof.reason, confirm.sid, isinstance(confirm, bodies.Confirm)) == (Reason.EQUIVOCATION.value, sid, True)
    assert judge_evidence(proof, where.registry()) is None


@pytest.mark.attack(41)
@pytest.mark.attack(42)
def test_a_tier_not_held_and_an_old_fence_change_nothing(where: Street, false_holder: Intruder) -> None:
    alice = where.peers["alice"]
    sid, confirm = settled_alice(where)
    before = alice.ask("pairs")
    preempt = bodies.Preempt(sid=sid, confirm=confirm, tier=0, reason="x", vacate_by_ns=where.now_ns())
    false_holder.send(false_holder.sign(preempt))
    alice.until("refusals", lambda r: Reason.TIER.value in r)
    renew = bodies.Renew(sid=sid, confirm=confirm, number=9, transmit_until_ns=where.now_ns() + NS, fence=1)
    false_holder.send(false_holder.sign(renew))
    alice.until("refusals", lambda r: Reason.FENCE.value in r)
    unchanged(where, alice, before)


def attested(here: Fix, **changes: Any) -> Attestation:
    return replace(Attestation.of(here), **changes)


CLAIMS: list[tuple[int, dict[str, Any], Reason]] = [
    (36, {"time_source": int(TimeSource.NONE)}, Reason.TIME_UNTRUSTED),
    (36, {"widen_ns": 3_000_000}, Reason.TIME_UNTRUSTED),
    (36, {"shift_ns": 2 * NS}, Reason.NOT_YET),
    (36, {"shift_ns": -30 * NS}, Reason.STALE),
    (37, {"position_source": int(PositionSource.NONE)}, Reason.POSITION_UNTRUSTED),
    (37, {"position_source": int(PositionSource.GPS)}, Reason.POSITION_UNTRUSTED),
    (37, {"lat_e7": AREA.lat_e7 + 3_000_000}, Reason.SPATIAL_OUTSIDE),
    (38, {"lat_e7": AREA.lat_e7 + 1_800_000, "radius_mm": 45_000}, Reason.SPATIAL_UNDECIDED),
    (39, {"radius_mm": 0, "time_source": int(TimeSource.GPS)}, Reason.TIME_UNTRUSTED),
]


def edge_of_area_e7() -> int:
    """How far north of the centre the area ends, in degrees x 1e7."""
    from geographiclib.geodesic import Geodesic

    end = Geodesic.WGS84.Direct(AREA.lat_e7 / 1e7, AREA.lon_e7 / 1e7, 0, AREA.radius_mm / 1000)
    return round(end["lat2"] * 1e7)


@pytest.mark.parametrize(
    ("claim", "reason"),
    [pytest.param(c, r, id=f"{n}-{'-'.join(c)}", marks=pytest.mark.attack(n)) for n, c, r in CLAIMS],
)
def test_doubtful_time_and_place(where: Street, bob: Intruder, claim: dict[str, Any], reason: Reason) -> None:
    changes = dict(claim)
    here = Attestation.of(where.now_fix())
    shift_ns, widen_ns = changes.pop("shift_ns", 0), changes.pop("widen_ns", 0)
    changes["earliest_ns"] = here.earliest_ns + shift_ns - widen_ns
    changes["latest_ns"] = here.latest_ns + shift_ns
    if reason is Reason.SPATIAL_UNDECIDED:
        changes["lat_e7"] = edge_of_area_e7()
    holder = where.peers["holder"]
    before = set(holder.ask("pairs")[0])
    assert refused(where, bob, request(where, cell()), attestation=replace(here, **changes)) is reason
    assert set(holder.ask("pairs")[0]) == before


@pytest.mark.attack(36)
def test_a_holder_without_a_trusted_clock_grants_nothing(where: Street, bob: Intruder) -> None:
    holder = where.peers["holder"]
    raw, body = None, request(where, cell())
    holder.ask("clock", False, 1000, 0.0)
    before = holder.ask("pairs")
    raw = bob.sign(body)
    bob.send(raw)
    holder.until("refusals", lambda r: Reason.TIME_UNTRUSTED.value in r)
    unchanged(where, holder, before)
    holder.ask("clock", True, 1000, 0.0)


@pytest.mark.attack(40)
def test_a_budget_is_no_fresher_after_a_restart(tmp_path: Path) -> None:
    share = bodies.Budget(
        level="operator",
        commodity="cbrs",
        window_ns=3600 * NS,
        amount_hz_s=90 * MHZ,
        first_share_ppm=bodies.PPM,
        step_ppm=0,
    )
    made = street(tmp_path, rule=replace(RULE, budgets=(share,)))
    try:
        made.peers["alice"].until("offers", bool)
        wanted = [request(made, cell(band)) for band in (LOWER, UPPER, LOWER, LOWER)]
        made.peers["alice"].stop()
        intruder = Intruder(made, "alice", listen=made.peers["holder"].spec.peers["alice"])
        for body in wanted[:2]:
            intruder.send(intruder.sign(body))
            intruder.hears("grant")
        assert refused(made, intruder, wanted[2]) is Reason.BUDGET
        made.again("holder")
        assert refused(made, intruder, wanted[3]) is Reason.BUDGET
        intruder.close()
    finally:
        made.close()


def witnessed(folder: Path) -> Street:
    """A street where every CONFIRM needs a neighbour's line under the log."""
    made = street(folder, rule=patient(replace(RULE, witness_quorum=1)))
    for name in ("alice", "bob"):
        made.peers[name].until("offers", bool)
    return made


@pytest.mark.attack(31)
def test_a_restored_log_halts_the_holder(tmp_path: Path) -> None:
    made = witnessed(tmp_path)
    try:
        holder, log = made.peers["holder"], tmp_path / "holder.db"
        holder.until("halted", lambda h: h is None)
        holder.stop()
        shutil.copy(log, tmp_path / "kept.db")
        holder = made.again("holder")
        holder.until("halted", lambda h: h is None)
        made.peers["alice"].ask("request", LOWER, T0 + 100 * NS, T0 + 110 * NS)
        made.peers["alice"].until("pairs", lambda p: [s for s, _ in p[1].values()] == [UserState.SETTLED])
        holder.stop()
        shutil.copy(tmp_path / "kept.db", log)
        holder = made.again("holder")
        assert Reason.HALT_BEHIND_WITNESS.value in holder.until("halted", bool)
        bob = made.peers["bob"]
        bob.ask("request", UPPER, T0 + 100 * NS, T0 + 110 * NS)
        bob.until("seen", lambda names: "requested" in names)
        assert holder.ask("pairs")[0] == {}
        assert holder.ask("records", "grant") == []
    finally:
        made.close()


@pytest.mark.attack(32)
def test_two_views_of_one_log_are_proof_of_a_fork(tmp_path: Path) -> None:
    made = witnessed(tmp_path)
    try:
        alice = made.peers["alice"]
        alice.ask("request", LOWER, T0 + 100 * NS, T0 + 110 * NS)
        alice.until("pairs", lambda p: [s for s, _ in p[1].values()] == [UserState.SETTLED])
        asked = body_of(made, made.peers["holder"].ask("records", "checkpoint")[-1])
        forger = Intruder(made, "holder", "alice")
        size = int(asked.note.split("\n")[1])
        origin = origin_of("test-net", forger.key.public)
        note = sign_head(Head(origin=origin, size=size, root=bytes(32)), forger.key)
        forger.send(forger.sign(bodies.Checkpoint(note=note, old_size=asked.old_size, proof=asked.proof)))
        alice.until("seen", lambda names: "fork" in names)
        proof = body_of(made, alice.ask("records", "evidence")[-1])
        assert (proof.reason, proof.second) == (Reason.FORK.value, note.encode())
        forger.close()
    finally:
        made.close()


@pytest.mark.attack(43)
def test_a_process_whose_door_is_deaf_does_not_start(tmp_path: Path) -> None:
    made = street(tmp_path)
    try:
        deaf = replace(made.peers["bob"].spec, deaf=True)
        made.peers["bob"].stop()
        with pytest.raises(DidNotStart, match="does not start") as ended:
            made.start(deaf)
        assert ended.value.args[0] == REFUSES_TO_START
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = context.socket(zmq.DEALER)
        curve(socket, transport("alice"), transport("bob").public)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.connect(deaf.listen)
        with pytest.raises(zmq.Again):
            socket.send(b"anybody there", zmq.NOBLOCK)
        context.destroy(linger=0)
    finally:
        made.close()


@pytest.mark.attack(44)
def test_a_fault_in_admission_refuses_that_peer_and_no_other(tmp_path: Path) -> None:
    made = street(tmp_path)
    try:
        for name in ("alice", "bob"):
            made.peers[name].until("offers", bool)
        made.peers["bob"].stop()
        spec = replace(made.peers["holder"].spec, trips_on=transport("bob").public)
        made.peers["holder"].stop()
        holder = made.start(replace(spec, listen=made.peers["holder"].endpoint))
        made.start(made.peers["bob"].spec)
        holder.until("denied", lambda d: d.get(HANDLER_FAULT))
        made.peers["alice"].ask("request", LOWER, T0 + 300 * NS, T0 + 310 * NS)
        made.peers["alice"].until("pairs", lambda p: [s for s, _ in p[1].values()] == [UserState.SETTLED])
        assert holder.ask("denied")[Reason.UNKNOWN_PEER.value]
        assert holder.ask("faults") == []
    finally:
        made.close()


@pytest.mark.attack(44)
@pytest.mark.attack(45)
def test_strangers_and_routing_ids_get_nowhere(where: Street, bob: Intruder) -> None:
    holder = where.peers["holder"]
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    squatter, stranger = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    curve(squatter, transport("bob"), transport("holder").public)
    curve(stranger, TransportKey.generate(), transport("holder").public)
    for socket in (squatter, stranger):
        socket.setsockopt(zmq.ROUTING_ID, b"alice")
        socket.connect(holder.endpoint)
        socket.send(Message(record=b"\x00").encoded())
    holder.until("denied", lambda d: d.get(Reason.UNKNOWN_PEER.value))
    holder.until("refusals", lambda r: Reason.MALFORMED.value in r)
    raw, grant = granted(where, bob, cell())
    bob.send(bob.sign(accept(raw, grant)))
    assert body_of(where, bob.hears("confirm").record).sid == grant.sid
    context.destroy(linger=0)


@pytest.mark.attack(48)
def test_a_full_disk_sends_nothing_and_loses_nothing(where: Street, bob: Intruder) -> None:
    holder = where.peers["holder"]
    holder.ask("disk", True)
    before, size = holder.ask("pairs"), holder.ask("size")
    body = request(where, cell())
    attempts = 0
    while not holder.ask("faults"):
        bob.send(bob.sign(replace(body, nonce=attempts.to_bytes(16, "little"), cell=cell())))
        attempts += 1
        assert attempts < 200
        time.sleep(0)
    sent = {m.record for m in drained(bob)}
    grants = set(holder.ask("records", "grant"))
    assert all(record in grants for record in sent if kind_of(record) == "grant"), "sent, and not durable"
    assert all("LineageError" in fault for fault in holder.ask("faults"))
    holder.ask("disk", False)
    raw, _ = granted_again(where, bob)
    assert raw in holder.ask("records", "grant")
    assert holder.ask("size") > size
    assert len(holder.ask("pairs")[0]) > len(before[0])


def drained(who: Intruder) -> list[Message]:
    from settlement.state.messages import decode_message

    found: list[Message] = []
    for _ in range(5):
        who._poller.poll(10)
        found += [m for a in who.mesh.receive() if isinstance(m := decode_message(a.data), Message)]
    return found


def granted_again(where: Street, who: Intruder) -> tuple[bytes, bodies.Grant]:
    """A GRANT for a cell nobody holds, other answers aside."""
    wanted = cell(UPPER)
    who.send(who.sign(request(where, wanted)))
    for message in who.hear("grant"):
        grant = body_of(where, message.record)
        if grant.cell == wanted:
            return message.record, grant
    raise AssertionError


@pytest.mark.attack(48)
def test_a_busy_database_sends_nothing(fresh: Street) -> None:
    alice, holder = fresh.peers["alice"], fresh.peers["holder"]
    alice.until("offers", bool)
    lock = seal_off(fresh.folder / "holder.db")
    try:
        alice.ask("request", LOWER, T0 + 100 * NS, T0 + 110 * NS)
        assert "LineageError" in holder.until("faults", bool)[0]
        assert holder.ask("pairs")[0] == {}
        assert [s for s, _ in alice.ask("pairs")[1].values()] == [UserState.REQUESTED]
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    alice.until("pairs", lambda p: [s for s, _ in p[1].values()] == [UserState.SETTLED])
    assert [s for s, _ in holder.ask("pairs")[0].values()] == [HolderState.CONFIRMED]
