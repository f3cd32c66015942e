"""Nodes as real processes on real sockets, controlled by tests over a pipe and killed at will.

The processes are forked from a server that has everything imported, so that one starts in milliseconds. What makes a
node fail on purpose lives in subclasses here; the product's code does not know of it.
"""

import contextlib
import itertools
import multiprocessing
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import apsw
import zmq
from zmq.utils import z85

from agent.node.settlementloop import Settling
from agent.timekeeping.clock import ClockPlan
from agent.timekeeping.keeper import Timekeeper
from agent.timekeeping.place import PlacePlan
from agent.timekeeping.values import Reading, SourceStanding
from radio.gate import decide
from radio.permits import Permits
from settlement.chain import bodies, records
from settlement.chain.admission import RuleInForce
from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Registry, issue
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Band, Cell, Window
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from settlement.core.reasons import Reason, Refusal
from settlement.mesh import Mesh, MeshError, TransportKey, sockets
from settlement.mesh.door import Door
from settlement.pair.artifact import verify_rule
from settlement.pair.effects import Effect, HandLease, HandPermit, RequestProgress
from settlement.party.party import Party
from settlement.state.messages import Message, decode_message
from settlement.state.step import Identity, Outgoing, Step
from sim.world.transmitter import ModelledTransmitter
from tests.settlement.world import AREA, BAND, LAT, LON, NETWORK, NS, RULE, T0, World, fix, held, seed

AGAIN_S = 2.0
WAIT_S = 30.0
REFUSES_TO_START = 7
BEFORE_COMMIT, AFTER_COMMIT, AFTER_SEND = "before commit", "after commit", "after send"
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.settlement.peers"])


def transport(name: str) -> TransportKey:
    return TransportKey.from_secret(seed(name + "-transport"))


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The start parameters of a node's process."""

    name: str
    folder: Path
    listen: str
    peers: dict[str, str]
    anchors: list[bytes]
    chains: dict[str, tuple[bytes, ...]]
    rule_raw: bytes
    zero_mono_ns: int
    kill: tuple[str, str] | None = None
    """The action, and the point in it, at which the process kills itself."""
    deaf: bool = False
    """Whether nothing answers on its socket."""
    trips_on: bytes | None = None
    """A transport key for which its admission raises an exception."""


class Clock:
    """Test seconds from the monotonic clock, which all processes share; may be set untrusted."""

    def __init__(self, zero_mono_ns: int) -> None:
        self.zero_mono_ns, self.trusted, self.bound_ns, self.shift_s = zero_mono_ns, True, 1000, 0.0
        self.keeper: Timekeeper | None = None

    def __call__(self) -> Fix:
        if self.keeper is not None:
            return self.keeper.fix()
        at_s = (time.monotonic_ns() - self.zero_mono_ns) / NS + self.shift_s
        return fix(at_s, trusted=self.trusted, bound_ns=self.bound_ns)


def reading(what: str, at_ns: int, utc_ns: int, *, timed: bool) -> Reading:
    """A reading of a GNSS receiver (of time, or place only) or of chrony: the truth, or one kind of error."""
    source = TimeSource.CHRONY if "chrony" in what else TimeSource.GPS
    off_ns = {"GNSS time jumps": 2_000_000, "chrony disagrees": NS}.get(what, 0)
    north_e7 = 500_000 if what == "GNSS place jumps" else 0
    standing = {"GNSS is simulated": SourceStanding.SIMULATED, "GNSS sees too few": SourceStanding.TOO_FEW_SATELLITES}
    time_ = TimeFix(earliest_ns=utc_ns + off_ns - 2000, latest_ns=utc_ns + off_ns + 2000, source=source, trusted=True)
    place = PositionFix(lat_e7=LAT + north_e7, lon_e7=LON, radius_mm=1000, source=PositionSource.GPS, trusted=True)
    return Reading(
        name=source.name,
        at_ns=at_ns,
        standing=standing.get(what, SourceStanding.GOOD),
        time=time_ if timed or source is TimeSource.CHRONY else None,
        position=place if source is TimeSource.GPS else None,
    )


def names_in(step: Step) -> set[str]:
    """Names of the effects and records of a step."""
    return {n.name for n in step.notices} | {e.news.value for e in step.effects if isinstance(e, RequestProgress)}


class Mortal(Settling):
    """Kills its own process at a chosen point of a chosen step."""

    kill: tuple[str, str] | None = None

    def _work(self, step: Step, wanted: list[Callable[[Step], Any]], now_ns: int) -> None:
        super()._work(step, wanted, now_ns)
        self._die_at(BEFORE_COMMIT, step)

    def leave(self, step: Step) -> None:
        self._die_at(AFTER_COMMIT, step)
        super().leave(step)
        self._die_at(AFTER_SEND, step)

    def _die_at(self, point: str, step: Step) -> None:
        if self.kill is not None and self.kill[1] == point and self.kill[0] in names_in(step):
            os.kill(os.getpid(), signal.SIGKILL)


class Node:
    """The inside of a node's process."""

    loop_class: type[Mortal] = Mortal

    def __init__(self, spec: Spec, pipe: Connection) -> None:
        self.spec, self.pipe, self.clock = spec, pipe, Clock(spec.zero_mono_ns)
        self.notices: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[str] = []
        self.permits = Permits(network=NETWORK, anchors=spec.anchors)
        self.party = self._party()
        if spec.deaf:
            Door.answer = lambda self: None  # type: ignore[method-assign]
            sockets.KNOCKS = 3
        mesh = Mesh(transport(spec.name), spec.listen, self._admits)
        for name, endpoint in spec.peers.items():
            mesh.connect(transport(name).public, endpoint)
        self.loop = self.loop_class(self.party, mesh, self.clock, do=self._do, hear=self._hear)
        self.loop.kill = spec.kill
        self.loop.speakers.add(pipe.fileno())
        if self.party.damaged is None:
            self.loop.start()

    def _admits(self, key: bytes) -> bool:
        if key == self.spec.trips_on:
            raise ValueError("a fault in the admission of this very peer")
        return key in self.party.registry.transport_keys()

    def _hear(self, name: str, fields: dict[str, Any]) -> None:
        """Keep an event."""
        self.notices.append((name, fields))

    def _do(self, effect: Effect) -> None:
        """Do what a daemon does for an effect: tell the warden."""
        match effect:
            case HandPermit():
                self.permits.take(effect.artifact)
                self.notices.append(("permit", {"sid": effect.sid}))
            case HandLease():
                self.permits.change(effect.record, effect.sid, self.clock().time)
            case _:
                pass

    def _party(self) -> Party:
        spec = self.spec
        registry = Registry(NETWORK, spec.anchors)
        for chain in spec.chains.values():
            held(registry.admit_chain(chain))
        key = SigningKey.from_seed(seed(spec.name))
        root = spec.chains[spec.name][0]
        rule = verify_rule(spec.rule_raw, (root,), registry)
        assert isinstance(rule, RuleInForce), rule
        return Party(
            identity=Identity(key=key, credential=records.digest(spec.chains[spec.name][-1]), network=NETWORK),
            registry=registry,
            rule=rule,
            rule_raw=spec.rule_raw,
            rule_chain=(root,),
            lineage=Lineage(spec.folder / f"{spec.name}.db", origin=origin_of(NETWORK, key.public)),
            entropy=secrets.token_bytes,
        )

    def run(self) -> None:
        self.pipe.send(self.loop.mesh.endpoint)
        while True:
            if self.pipe.poll():
                command, arguments = self.pipe.recv()
                if command == "stop":
                    break
                self.pipe.send(getattr(self, "do_" + command)(*arguments))
            try:
                self.loop.turn(10)
            except Exception as exc:  # noqa: BLE001 - the test asks what went wrong
                self.faults.append(f"{type(exc).__name__}: {exc}")
        self.loop.close()
        self.pipe.send(None)

    # -- what a test may tell it ---------------------------------------------------------------------------------

    def do_offer(self) -> None:
        now_ns = self.clock().time.middle_ns
        cell = Cell(band=BAND, area=AREA, window=Window(start_ns=now_ns // NS * NS, end_ns=T0 + 900 * NS))
        body = bodies.Declaration(
            cell=cell,
            commodity="cbrs",
            tier_low=2,
            tier_high=3,
            max_eirp_mdbm=30_000,
            price_form="fixed",
            price=7,
            rule=self.party.rule.hash,
        )

        def act(step: Step) -> None:
            record = self.party.holder.declare(step, body)
            for name in self.spec.peers:
                to = records.digest(self.spec.chains[name][-1])
                step.outgoing.append(Outgoing(to=to, data=Message(record=record.raw).encoded()))
            step.event("offered")

        self.loop.want(act)

    def do_request(self, band: Band, start_ns: int, end_ns: int) -> None:
        def act(step: Step) -> None:
            offer = next(iter(self.party.user.offers.values()))
            cell = Cell(band=band, area=AREA, window=Window(start_ns=start_ns, end_ns=end_ns))
            self.party.user.request(step, offer, cell, eirp_mdbm=20_000)

        self.loop.want(act)

    def do_relinquish(self) -> None:
        def act(step: Step) -> None:
            for pair in list(self.party.user.pairs.values()):
                self.party.user.relinquish(step, pair.sid, "test")

        self.loop.want(act)

    def do_clock(self, trusted: bool, bound_ns: int, shift_s: float) -> None:
        self.clock.trusted, self.clock.bound_ns, self.clock.shift_s = trusted, bound_ns, shift_s

    def do_disk(self, full: bool) -> None:
        """Simulate a full disk by SQLite's own limit on the file size: the same error, the same code path."""
        db = self.party.lineage._db
        pages = int(db.execute("PRAGMA page_count").fetchone()[0]) if full else 1 << 30
        db.execute(f"PRAGMA max_page_count={pages}")
        self.faults.clear()

    def do_pairs(self) -> tuple[dict[bytes, tuple[int, bytes | None]], dict[bytes, tuple[int, bytes | None]]]:
        holder = {sid: (pair.state, pair.decision) for sid, pair in self.party.holder.pairs.items()}
        user = {pair.sid: (pair.state, pair.decision) for pair in self.party.user.pairs.values()}
        return holder, user

    def do_gate(self, sid: bytes) -> str:
        """The gate's decision now, all else being well: OPEN, or the reason."""
        held = self.permits.get(sid)
        if held is None:
            return Reason.NO_PERMIT.value
        at_ns = time.monotonic_ns()
        modelled = ModelledTransmitter(self.spec.name, held.permit.user.hash, tuple(self.spec.anchors))
        decision = decide(modelled._inputs(at_ns, self.clock(), held))
        return decision.reason.value if isinstance(decision, Refusal) else "OPEN"

    def do_leases(self) -> list[tuple[int, int, int | None]]:
        """State, fence and lease of every settlement of the user."""
        return [(p.state, p.fence, p.transmit_until_ns) for p in self.party.user.pairs.values()]

    def do_preempt(self, band: Band, for_s: float) -> None:
        until_ns = self.clock().time.latest_ns + int(for_s * NS)
        holder = self.party.holder
        self.loop.want(
            lambda step: holder.preempt(step, band, tier=1, reason="INCUMBENT", until_ns=until_ns, evidence=None)
        )

    def do_receivers(self, timed: bool) -> None:
        """Use a simulated GNSS receiver and chrony for time and place from now on."""
        self.clock.keeper = Timekeeper(
            ClockPlan(agree_ns=0, drift_ppb=1000), PlacePlan(agree_ns=0), monotonic_ns=time.monotonic_ns
        )
        for what in ("GNSS", "chrony", "GNSS", "chrony"):
            self.do_hears(what, timed)

    def do_hears(self, what: str, timed: bool) -> None:
        keeper, at_ns = self.clock.keeper, time.monotonic_ns()
        assert keeper is not None
        keeper._waiting.append(reading(what, at_ns, T0 + at_ns - self.spec.zero_mono_ns, timed=timed))

    def do_offers(self) -> list[bytes]:
        return list(self.party.user.offers)

    def do_seen(self) -> list[str]:
        return [name for name, _ in self.notices]

    def do_faults(self) -> list[str]:
        return list(self.faults)

    def do_refusals(self) -> list[str]:
        return [row[0] for row in self.party.lineage._db.execute("SELECT reason FROM leaf WHERE admitted=0")]

    def do_records(self, typ: str) -> list[bytes]:
        rows = self.party.lineage._db.execute(
            "SELECT subject FROM leaf WHERE typ=? AND admitted=1 ORDER BY idx", (typ,)
        )
        return [self.party.record_bytes(bytes(row[0])) or b"" for row in rows]

    def do_size(self) -> int:
        return self.party.lineage.size

    def do_halted(self) -> str | None:
        return str(self.party.halted) if self.party.halted is not None else None

    def do_denied(self) -> dict[str, int]:
        return dict(self.loop.mesh.denied)

    def do_rss_kib(self) -> int:
        (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1])


def serve(spec: Spec, pipe: Connection) -> None:
    """A node's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        node = Node(spec, pipe)
    except MeshError as exc:
        pipe.send(exc)
        sys.exit(REFUSES_TO_START)
    node.run()


# -- the test's side --------------------------------------------------------------------------------------------------


def patient(rule: bodies.Rule = RULE) -> bodies.Rule:
    """The rule with deadlines that are long enough for a busy machine."""
    return replace(rule, classes=tuple(replace(c, accept_ns=5 * NS, confirm_ns=5 * NS) for c in rule.classes))


class DidNotStart(Exception):
    """The process ended instead of starting: its exit code, and its output."""


class Dead(Exception):
    """The process has ended."""


@dataclass
class Peer:
    """A node's process, as seen by the test."""

    spec: Spec
    process: BaseProcess
    pipe: Connection
    endpoint: str = ""

    def ask(self, command: str, *arguments: Any) -> Any:
        try:
            self.pipe.send((command, arguments))
            if not self.pipe.poll(WAIT_S):
                raise TimeoutError(f"{self.spec.name} does not answer {command}")
            return self.pipe.recv()
        except (EOFError, ConnectionError) as exc:
            raise Dead(self.spec.name) from exc

    def until(self, command: str, holds: Callable[[Any], Any]) -> Any:
        """Repeat a command until its answer is as wanted; the node's own loop sets the pace."""
        deadline = time.monotonic() + WAIT_S
        answer = self.ask(command)
        while not holds(answer):
            assert time.monotonic() < deadline, f"{self.spec.name}: {command} stays {answer}"
            answer = self.ask(command)
        return answer

    def dies(self) -> None:
        """Wait until the process has killed itself."""
        self.process.join(WAIT_S)
        assert self.process.exitcode == -signal.SIGKILL, f"{self.spec.name} ended with {self.process.exitcode}"

    def kill(self) -> None:
        self.process.kill()
        self.process.join(WAIT_S)
        self.pipe.close()

    def stop(self) -> None:
        if self.process.is_alive():
            with contextlib.suppress(Dead):
                self.ask("stop")
        self.kill()


class Street(World):
    """A world whose members are processes."""

    def __init__(self, folder: Path, rule: bodies.Rule = RULE) -> None:
        super().__init__(folder, rule)
        self.zero_mono_ns = time.monotonic_ns() - NS
        self.peers: dict[str, Peer] = {}
        self.specs: dict[str, Spec] = {}
        self.numbers_forged = itertools.count(5000)

    def now_ns(self) -> int:
        return T0 + time.monotonic_ns() - self.zero_mono_ns

    def now_fix(self, **changes: Any) -> Fix:
        return fix((self.now_ns() - T0) / NS, **changes)

    def credential(self, name: str, actions: tuple[str, ...], **changes: Any) -> bytes:
        """Issue a credential over a real transport key."""
        key = SigningKey.from_seed(seed(name))
        from tests.settlement.world import claims, scope

        body = bodies.Credential(
            level="operator",
            scope=scope(actions, **{"tier": 2, **changes}),
            transport_key=transport(name).public,
            device=f"device-{name}",
        )
        return issue(
            self.root_key,
            self.authority,
            body,
            claims(key.public, name, "root"),
            network=NETWORK,
            fix=fix(-8),
            seq=next(self.numbers),
        )

    def enrol_processes(self, **actions: tuple[str, ...]) -> None:
        for name, allowed in actions.items():
            tier = 1 if "offer" in allowed else 2
            self.chains[name] = (self.root, self.credential(name, allowed, tier=tier))

    def spec(
        self, name: str, listen: str, peers: dict[str, str], kill: tuple[str, str] | None = None, **how: Any
    ) -> Spec:
        return Spec(
            name=name,
            folder=self.folder,
            listen=listen,
            peers=peers,
            anchors=self.anchors,
            chains=self.chains,
            rule_raw=self.rule_raw,
            zero_mono_ns=self.zero_mono_ns,
            kill=kill,
            **how,
        )

    def heard_offer(self, name: str) -> None:
        """Wait until a user has an offer; one sent before a socket is connected is lost, and sent again."""
        deadline = time.monotonic() + WAIT_S
        again = time.monotonic() + AGAIN_S
        while not self.peers[name].ask("offers"):
            now = time.monotonic()
            assert now < deadline, f"{name} hears of no offer"
            if now >= again:
                self.peers["holder"].ask("offer")
                again = now + AGAIN_S

    def start(self, spec: Spec) -> Peer:
        ours, theirs = _forks.Pipe()
        process = _forks.Process(target=serve, args=(spec, theirs), daemon=True)
        process.start()
        theirs.close()
        peer = Peer(spec, process, ours)
        if not ours.poll(WAIT_S):
            raise TimeoutError(f"{spec.name} does not start")
        said = ours.recv()
        if isinstance(said, MeshError):
            process.join(WAIT_S)
            raise DidNotStart(process.exitcode, str(said))
        peer.endpoint = said
        self.peers[spec.name] = peer
        return peer

    def again(self, name: str) -> Peer:
        """Restart a process on its own files, at the same address."""
        old = self.peers[name]
        old.kill()
        return self.start(replace(old.spec, listen=old.endpoint, kill=None))

    def close(self) -> None:
        for peer in self.peers.values():
            peer.stop()


def ports(count: int) -> list[int]:
    """Port numbers that are free now."""
    import socket

    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    numbers = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return numbers


def street(folder: Path, rule: bodies.Rule = RULE, **kill: tuple[str, str] | None) -> Street:
    """A holder and two users, alice and bob, as processes that know each other; an offer is with both users."""
    from tests.settlement.world import HOLDER_ACTIONS, USER_ACTIONS

    made = Street(folder, rule)
    roles = {"holder": HOLDER_ACTIONS, "alice": USER_ACTIONS, "bob": USER_ACTIONS}
    made.enrol_processes(**roles)
    places = {name: f"tcp://127.0.0.1:{port}" for name, port in zip(roles, ports(3), strict=True)}
    for name in roles:
        others = {other: place for other, place in places.items() if other != name}
        made.start(made.spec(name, places[name], others, kill.get(name)))
    made.peers["holder"].ask("offer")
    if not kill:
        for name in ("alice", "bob"):
            made.heard_offer(name)
    return made


class Intruder:
    """A raw CURVE socket with a credentialed key, which sends arbitrary data and receives the answers."""

    def __init__(self, where: Street, name: str, to: str = "holder", *, listen: str | None = None) -> None:
        self.where, self.name = where, name
        self.key = SigningKey.from_seed(seed(name))
        self.hash = records.digest(where.chains[name][-1])
        self.to = where.peers[to]
        self.mesh = Mesh(transport(name), listen or "tcp://127.0.0.1:*", lambda _: True)
        self.peer_key = transport(to).public
        self.mesh.connect(self.peer_key, self.to.endpoint)
        self._poller = zmq.Poller()
        for socket in self.mesh.sockets:
            self._poller.register(socket, zmq.POLLIN)

    def frame(self, **changes: Any) -> Frame:
        at = changes.pop("at", None) or self.where.now_fix()
        base = Frame(
            network=NETWORK,
            author=self.hash,
            seq=next(self.where.numbers_forged),
            previous=bytes(32),
            attestation=Attestation.of(at),
        )
        return replace(base, **changes)

    def sign(self, body: Any, **changes: Any) -> bytes:
        return sign_record(self.key, self.frame(**changes), body)

    def send(self, raw: bytes, *, bare: bool = False) -> None:
        data = raw if bare else Message(record=raw).encoded()
        deadline = time.monotonic() + WAIT_S
        while not self.mesh.send(self.peer_key, data):
            assert time.monotonic() < deadline, "not let in"
            self._poller.poll(5)
            self.mesh.receive()

    def hear(self, *types: str) -> Iterator[Message]:
        """Received messages of the wanted types."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            for arrived in self.mesh.receive():
                message = decode_message(arrived.data)
                assert isinstance(message, Message)
                if not types or kind_of(message.record) in types:
                    yield message
            self._poller.poll(5)
        raise AssertionError(f"{self.name} hears no {types}")

    def hears(self, *types: str) -> Message:
        return next(self.hear(*types))

    def close(self) -> None:
        self.mesh.close()


def kind_of(raw: bytes) -> str:
    """The type of an unverified record; messages without a record ask about log heads."""
    if not raw:
        return "heads"
    unproven = records.parse(raw)
    assert isinstance(unproven, records.Unproven), unproven
    return unproven.typ


def body_of(where: Street, raw: bytes) -> Any:
    """The body of a record, verified."""
    from settlement.chain.admission import Admitted, prove

    admitted = prove(raw, where.registry())
    assert isinstance(admitted, Admitted), admitted
    return admitted.record.body


def seal_off(path: Path) -> apsw.Connection:
    """Hold a log's write lock, as a backup program would."""
    db = apsw.Connection(str(path))
    db.execute("BEGIN IMMEDIATE")
    return db


def curve(socket: "zmq.Socket[bytes]", key: TransportKey, server: bytes) -> None:
    """Make a raw socket speak CURVE."""
    socket.linger = 0
    socket.curve_publickey, socket.curve_secretkey = z85.encode(key.public), z85.encode(key.secret)
    socket.curve_serverkey = z85.encode(server)
