"""The two processes of the settlement bench: whole nodes' settlement sides, and beside them the bare floor.

The floor does what a settlement cannot do without, and nothing else: five signatures, four verifications, two round
trips over the same encrypted sockets, five durable commits, on messages of the same sizes.
"""

import resource
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import apsw
import zmq

from agent.config.keyfiles import load_keys
from agent.node.settling import Settling
from settlement.chain import keys
from settlement.chain.admission import RuleInForce
from settlement.chain.bodies import Declaration
from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Registry, Subject
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage
from settlement.chain.scope import Area, Band, Cell, Window
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from settlement.mesh import Mesh
from settlement.pair.artifact import verify_rule
from settlement.pair.effects import Effect, HandPermit, RequestProgress, SettlementNews
from settlement.party.party import Party
from settlement.state.step import Identity, Outgoing, Step

NS = 1_000_000_000
SLOT_NS = NS
BOUND_NS = 1000
LAT_E7, LON_E7 = 369_000_000, -763_000_000
QUIET_TURNS = 3
GIVE_UP_S = 10.0
SIGNATURE = 64


class BenchError(Exception):
    """The bench cannot measure: a settlement did not come about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideSpec:
    """What a side is made from; everything lies in folders."""

    folder: Path
    network: str
    anchor: str
    rule: tuple[bytes, ...]
    chains: dict[str, tuple[bytes, ...]]
    area: Area
    band: Band
    commodity: str


def here_and_now() -> Fix:
    """The host's clock as a simulated source: all sides of a bench share it."""
    now_ns = time.time_ns()
    clock = TimeFix(
        earliest_ns=now_ns - BOUND_NS, latest_ns=now_ns + BOUND_NS, source=TimeSource.SIMULATED, trusted=True
    )
    place = PositionFix(lat_e7=LAT_E7, lon_e7=LON_E7, radius_mm=1000, source=PositionSource.SIMULATED, trusted=True)
    return Fix(time=clock, position=place)


def side_of(spec: SideSpec, name: str, peers: dict[str, str], do: Callable[[Effect], None]) -> "MeasuredSettling":
    """A node's settlement side, its log on disk, its mesh on loopback. Raises BenchError."""
    registry = Registry(spec.network, [bytes.fromhex(spec.anchor)])
    subjects = {who: registry.admit_chain(chain) for who, chain in spec.chains.items()}
    *chain, raw = spec.rule
    rule = verify_rule(raw, chain, registry)
    me = subjects[name]
    if not isinstance(rule, RuleInForce) or not isinstance(me, Subject):
        raise BenchError(f"the bench made credentials that do not hold: {rule}, {me}")
    key, transport = load_keys(spec.folder / name)
    party = Party(
        identity=Identity(key=key, credential=me.hash, network=spec.network),
        registry=registry,
        rule=rule,
        rule_raw=raw,
        rule_chain=tuple(chain),
        lineage=Lineage(spec.folder / name / "lineage.db", origin=origin_of(spec.network, key.public)),
        entropy=secrets.token_bytes,
    )
    mesh = Mesh(transport, "tcp://127.0.0.1:*", registry.transport_keys().__contains__)
    side = MeasuredSettling(party, mesh, here_and_now, do=do)
    for who, endpoint in peers.items():
        subject = subjects[who]
        if isinstance(subject, Subject) and subject.transport_key is not None:
            mesh.connect(subject.transport_key, endpoint)
    side.start()
    return side


class MeasuredSettling(Settling):
    """A settlement side that notes the sizes of what it sends."""

    def __init__(self, party: Party, mesh: Mesh, fix: Callable[[], Fix], *, do: Callable[[Effect], None]) -> None:
        super().__init__(party, mesh, fix, do=do)
        self.sizes: deque[int] = deque(maxlen=64)

    def leave(self, step: Step) -> None:
        """As ever, and note sizes."""
        self.sizes.extend(len(outgoing.data) for outgoing in step.outgoing)
        super().leave(step)


# -- the bare floor ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class BenchFloor:
    """One end of the floor: a mesh's sockets, a bare database, a key; `peer` is the other end's transport key."""

    mesh: Mesh
    key: SigningKey
    other: bytes
    peer: bytes
    db: apsw.Connection

    @classmethod
    def of(cls, side: Settling, other: Subject, folder: Path) -> "BenchFloor":
        """On the sockets and the disk of a settlement side."""
        if other.transport_key is None:
            raise BenchError("the other end has no transport key")
        db = apsw.Connection(str(folder / "bare.db"))
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE IF NOT EXISTS leaf(idx INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        return cls(side.mesh, side.party.identity.key, other.public, other.transport_key, db)

    def commit(self, body: bytes) -> None:
        """A durable INSERT."""
        with self.db:
            self.db.execute("INSERT INTO leaf(body) VALUES(?)", (body,))

    def signed(self, size: int) -> bytes:
        """A message of so many bytes that begins with its signature."""
        body = bytes(max(1, size - SIGNATURE))
        return self.key.sign(body) + body

    def check(self, data: bytes) -> None:
        """Verify a message of the other end. Raises BenchError."""
        if not keys.verify_anew(self.other, data[:SIGNATURE], data[SIGNATURE:]):
            raise BenchError("the floor's signature does not hold")

    def send(self, data: bytes) -> None:
        """Send at once. Raises BenchError."""
        if not self.mesh.send(self.peer, data):
            raise BenchError("the floor's socket takes nothing")

    def receive(self) -> bytes:
        """The next message of the other end. Raises BenchError when none comes."""
        deadline = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline:
            for arrived in self.mesh.receive():
                return arrived.data
            self.mesh.sockets[1].poll(10)
        raise BenchError("the floor's other end is silent")

    def ask(self, sizes: tuple[int, int, int, int]) -> None:
        """The user's half: REQUEST, ACCEPT and what came back, each durable."""
        answer = b""
        for size in (sizes[0], sizes[2]):
            message = self.signed(size)
            self.commit(message)
            self.send(message)
            answer = self.receive()
            self.check(answer)
        self.commit(answer)

    def serve(self, sizes: tuple[int, int, int, int], count: int) -> None:
        """The holder's half, `count` times: GRANT; CONFIRM and the signed head of the log."""
        for number in range(2 * count):
            self.check(self.receive())
            answer = self.signed(sizes[1 if number % 2 == 0 else 3])
            if number % 2:
                self.key.sign(answer[:200])
            self.commit(answer)
            self.send(answer)


# -- the holder's process ---------------------------------------------------------------------------------------------


def serve_holder(spec: SideSpec, pipe: Connection) -> None:
    """The holder's process: settles with whoever asks, and serves the floor when told to."""
    side = side_of(spec, "holder", {}, lambda _effect: None)
    side.poller.register(pipe.fileno(), zmq.POLLIN)
    pipe.send(side.mesh.endpoint)
    while True:
        if pipe.poll():
            command, argument = pipe.recv()
            if command == "stop":
                break
            pipe.send(_told(spec, side, command, argument))
            if command == "floor":
                sizes, count = argument
                floor = BenchFloor.of(side, _subject(side, spec, "user-0"), spec.folder / "holder")
                floor.serve(sizes, count)
                floor.db.close()
        side.turn(10)
    side.close()


def _subject(side: Settling, spec: SideSpec, name: str) -> Subject:
    found = side.party.registry.admit_chain(spec.chains[name])
    if not isinstance(found, Subject):
        raise BenchError(str(found))
    return found


def _told(spec: SideSpec, side: MeasuredSettling, command: str, argument: Any) -> Any:
    match command:
        case "connect":
            for name, endpoint in argument.items():
                key = _subject(side, spec, name).transport_key
                if key is not None:
                    side.mesh.connect(key, endpoint)
        case "offer":
            side.want(lambda step: _offer(spec, side, step, argument))
        case "usage":
            return cpu_s()
        case "sizes":
            return list(side.sizes)
    return None


def _offer(spec: SideSpec, side: Settling, step: Step, window: Window) -> None:
    record = side.party.holder.declare(
        step,
        Declaration(
            cell=Cell(band=spec.band, area=spec.area, window=window),
            commodity=spec.commodity,
            tier_low=2,
            tier_high=3,
            max_eirp_mdbm=20_000,
            price_form="fixed",
            price=0,
            rule=side.party.rule.hash,
        ),
    )
    from settlement.state.messages import Message

    data = Message(record=record.raw).encoded()
    step.outgoing += [
        Outgoing(to=_subject(side, spec, name).hash, data=data) for name in spec.chains if name != "holder"
    ]


def cpu_s() -> float:
    """Processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# -- the users' process -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class BenchUser:
    """One user of the bench and its settlements under way: id to when it was asked for."""

    side: MeasuredSettling = field(init=False)
    began_s: dict[bytes, float] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    permits: int = 0

    def do(self, effect: Effect) -> None:
        """A permit ends the time that began with the REQUEST."""
        match effect:
            case HandPermit(sid=sid):
                self.took_s.append(time.perf_counter() - self.began_s.pop(sid))
                self.permits += 1
                self.side.want(lambda step: self.side.party.user.relinquish(step, sid, "bench"))
            case RequestProgress(news=SettlementNews.REFUSED | SettlementNews.ABORTED):
                self.began_s.pop(effect.sid, None)
                self.failed.append(f"{effect.news.value}: {effect.reason} {effect.clause}")
            case _:
                pass

    def ask(self, spec: SideSpec, slot: int, start_ns: int) -> None:
        """REQUEST a slot nobody asked for, from the holder's offer."""
        began_s = time.perf_counter()
        window = Window(start_ns=start_ns + slot * SLOT_NS, end_ns=start_ns + (slot + 1) * SLOT_NS)
        half = Band(low_hz=spec.band.low_hz, high_hz=(spec.band.low_hz + spec.band.high_hz) // 2)

        def act(step: Step) -> None:
            offer = next(iter(self.side.party.user.offers.values()))
            cell = Cell(band=half, area=spec.area, window=window)
            pair = self.side.party.user.request(step, offer, cell, eirp_mdbm=10_000)
            self.began_s[pair.sid] = began_s

        self.side.want(act)


class Users:
    """Every user, all in one process: what is timed is a settlement, not how many programs share two cores."""

    def __init__(self, spec: SideSpec, endpoint: str, start_ns: int) -> None:
        self.spec, self.start_ns, self.slot = spec, start_ns, 0
        self.users: list[BenchUser] = []
        for name in spec.chains:
            if name != "holder":
                self.users.append(BenchUser())
                self.users[-1].side = side_of(spec, name, {"holder": endpoint}, self.users[-1].do)

    def endpoints(self) -> dict[str, str]:
        """Where each user listens."""
        names = [name for name in self.spec.chains if name != "holder"]
        return {name: user.side.mesh.endpoint for name, user in zip(names, self.users, strict=True)}

    def turn(self, wait_ms: int) -> None:
        """A turn of everyone."""
        for user in self.users:
            user.side.turn(wait_ms)

    def until(self, holds: Callable[[], object], wait_ms: int, only: BenchUser | None = None) -> None:
        """Turn until something holds. Raises BenchError."""
        deadline = time.monotonic() + GIVE_UP_S
        while not holds():
            if only is not None:
                only.side.turn(wait_ms)
            else:
                self.turn(wait_ms)
            failed = [why for user in self.users for why in user.failed]
            if failed or time.monotonic() > deadline:
                raise BenchError(f"no settlement: {failed or 'silence'}")

    def ask(self, user: BenchUser) -> None:
        """The next slot for that user."""
        self.slot += 1
        user.ask(self.spec, self.slot, self.start_ns)

    def one(self) -> float:
        """Seconds from REQUEST to permit, of one settlement alone; what follows it is dealt with before the next."""
        user = self.users[self.slot % len(self.users)]
        before = user.permits
        self.ask(user)
        self.until(lambda: user.permits > before, 10, only=user)
        for _ in range(QUIET_TURNS):
            self.turn(0 if len(self.users) > 2 else 2)
        return user.took_s.pop()

    @property
    def permits(self) -> int:
        """Settlements made so far."""
        return sum(user.permits for user in self.users)

    def _one_more(self, than: int) -> None:
        self.until(lambda: self.permits > than, 0)

    def load(self, in_flight: int, count: int) -> float:
        """Seconds for `count` settlements with so many always under way."""
        began_s, before, asked = time.perf_counter(), self.permits, 0
        while self.permits < before + count:
            while asked < count and asked - (self.permits - before) < in_flight:
                self.ask(self.users[asked % len(self.users)])
                asked += 1
            self._one_more(self.permits)
        spent_s = time.perf_counter() - began_s
        for user in self.users:
            user.took_s.clear()
        return spent_s

    def close(self) -> None:
        """Let go of everything."""
        for user in self.users:
            user.side.close()
