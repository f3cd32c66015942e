"""The two processes of the settlement benchmark: whole settlement sides of nodes, and the bare lower bound.

The lower bound does only what a settlement cannot do without: five signatures, four verifications, two round
trips over the same encrypted sockets, five durable commits, on messages of the same sizes. With envelopes it signs and
verifies the composite as well; with a witness or a co-signer it makes one round trip more, both sides signing,
verifying and storing.

Long because the bare exchanges repeat the work of each kind of settlement, and are read beside it.
"""

import resource
import secrets
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import apsw
import zmq

from agent.bench.profiled import Profile
from agent.config.keyfiles import load_keys
from agent.node.settlementloop import Settling
from hw_profiles.printable import printable
from settlement.chain import keys
from settlement.chain.admission import RuleInForce
from settlement.chain.bodies import PPM, ChannelObservation, Declaration, Envelope
from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Registry, Subject
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage, LineageError
from settlement.chain.records import Unproven, parse
from settlement.chain.scope import Area, Band, Cell, Window
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from settlement.core.reasons import Reason
from settlement.mesh import Arrived, Mesh
from settlement.pair import holder
from settlement.pair.artifact import verify_rule
from settlement.pair.effects import Effect, HandPermit, RequestProgress, SettlementNews
from settlement.pair.envelopes import ABLE, FREE, PLACE, UNIT
from settlement.pair.user import HEARD
from settlement.party.party import Party
from settlement.state.messages import Message, decode_message
from settlement.state.step import Identity, Outgoing, Step

NS = 1_000_000_000
SLOT_NS = NS
BOUND_NS = 1000
LAT_E7, LON_E7 = 369_000_000, -763_000_000
QUIET_TURNS = 3
ALL_NS = 100_000_000
PUT_OFF_MAX = 1000
GIVE_UP_S = 30.0
SIGNATURE = 64
MARK = b"floor"
SENT_KEPT = 256
WAIT_MS = 10
USER, COSIGNER = "user-", "cosigner"
FOUND_NS, LEVEL_PPM = 600 * NS, 950_000
PROFILE = Profile()
"""Profile of this process."""


class BenchError(Exception):
    """The benchmark cannot measure, as a settlement did not come about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideSpec:
    """Settings of a side; all paths are folders."""

    folder: Path
    network: str
    anchor: str
    rule: tuple[bytes, ...]
    chains: dict[str, tuple[bytes, ...]]
    area: Area
    band: Band
    commodity: str
    enveloped: bool = False
    open_max: int | None = None
    """Most open settlements per user at the holder, where the benchmark needs more than a node allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """One round trip of the lower bound: bytes sent and answered, further records in the answer, and whether a head."""

    asked: int
    answered: int
    more: int = 0
    head: bool = False


def here_and_now() -> Fix:
    """Return time and place with the host's clock as a simulated source, shared by all sides of a benchmark."""
    now_ns = time.time_ns()
    clock = TimeFix(
        earliest_ns=now_ns - BOUND_NS, latest_ns=now_ns + BOUND_NS, source=TimeSource.SIMULATED, trusted=True
    )
    place = PositionFix(lat_e7=LAT_E7, lon_e7=LON_E7, radius_mm=1000, source=PositionSource.SIMULATED, trusted=True)
    return Fix(time=clock, position=place)


def side_of(spec: SideSpec, name: str, peers: dict[str, str], do: Callable[[Effect], None]) -> "MeasuredSettling":
    """Build a node's settlement side, its log on disk, its mesh on loopback. Raises BenchError."""
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
    """A settlement side that keeps the messages it sent last, for their sizes, and counts its turns' processor time."""

    worked_s = 0.0
    """Processor seconds of turns in which something was logged, of the thread that runs them."""
    steps = 0
    """Number of these turns."""
    _logged = False

    def __init__(self, party: Party, mesh: Mesh, fix: Callable[[], Fix], *, do: Callable[[Effect], None]) -> None:
        super().__init__(party, mesh, fix, do=do)
        self._sent: deque[Outgoing] = deque(maxlen=SENT_KEPT)

    def turn(self, wait_ms: int) -> None:
        """Run a turn, and add its processor time."""
        began_s, self._logged = time.thread_time(), False
        super().turn(wait_ms)
        if self._logged:
            self.worked_s += time.thread_time() - began_s
            self.steps += 1

    def leave(self, step: Step) -> None:
        """Leave a step, and keep the sent messages, which are parsed after the measurement."""
        self._logged = step.logged_bytes > 0
        self._sent.extend(step.outgoing)
        super().leave(step)

    @property
    def sizes(self) -> dict[str, int]:
        """Return bytes of the last message of each type sent to the other party."""
        found: dict[str, int] = {}
        for outgoing in self._sent:
            message = decode_message(outgoing.data)
            unproven = parse(message.record) if isinstance(message, Message) else None
            to = self.party.registry.get(outgoing.to)
            if isinstance(unproven, Unproven) and to is not None and to.name != COSIGNER:
                found[unproven.typ] = len(outgoing.data)
        return found

    def sizes_of(self, typ: str) -> int:
        """Return bytes of the last message of a type. Raises BenchError."""
        sizes = self.sizes
        if typ not in sizes:
            raise BenchError(f"no {typ} was sent: {sorted(sizes)}")
        return sizes[typ]


# -- the bare floor ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class BenchFloor:
    """One end of the lower bound: a mesh's sockets, a bare database, a key; `peer` is the other end's transport key."""

    mesh: Mesh
    key: SigningKey
    other: bytes
    peer: bytes
    db: apsw.Connection

    @classmethod
    def of(cls, side: Settling, other: Subject, folder: Path) -> "BenchFloor":
        """Build it on the sockets and the disk of a settlement side."""
        if other.transport_key is None:
            raise BenchError("the other end has no transport key")
        db = apsw.Connection(str(folder / "bare.db"))
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE IF NOT EXISTS leaf(idx INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        return cls(side.mesh, side.party.identity.key, other.public, other.transport_key, db)

    def commit(self, body: bytes) -> None:
        """Do a durable INSERT."""
        with self.db:
            self.db.execute("INSERT INTO leaf(body) VALUES(?)", (body,))

    def signed(self, size: int) -> bytes:
        """Return a message of `size` bytes that begins with its signature and the benchmark's mark."""
        body = MARK + bytes(max(1, size - SIGNATURE - len(MARK)))
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
        """Return the next message of the other end. Raises BenchError when none comes."""
        deadline = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline:
            ours = [one.data for one in self.mesh.receive() if self._is_floor(one)]
            if ours:
                return ours[0]
            self.mesh.sockets[1].poll(10)
        raise BenchError("the floor's other end is silent")

    def _is_floor(self, arrived: Arrived) -> bool:
        """Return whether a message is the bound's own; late ones of witnesses and co-signers are not."""
        marked = arrived.data[SIGNATURE : SIGNATURE + len(MARK)] == MARK
        return marked and arrived.transport_key == self.peer

    def ask(self, trips: Sequence[Trip]) -> None:
        """Do the user's half: REQUEST, ACCEPT and the answers, each durable."""
        answer = b""
        for trip in trips:
            message = self.signed(trip.asked)
            self.commit(message)
            self.send(message)
            answer = self.receive()
            for _ in range(1 + trip.more):
                self.check(answer)
        self.commit(answer)

    def serve(self, trips: Sequence[Trip], count: int) -> None:
        """Do the holder's half, `count` times: GRANT; CONFIRM and the signed head of the log."""
        for _ in range(count):
            for trip in trips:
                self.check(self.receive())
                answer = self.signed(trip.answered)
                for _ in range(trip.more + trip.head):
                    self.key.sign(answer[:200])
                self.commit(answer)
                self.send(answer)


# -- the holder's process ---------------------------------------------------------------------------------------------


def serve_holder(spec: SideSpec, pipe: Connection) -> None:
    """Run the holder's process: settles with any user, and serves the bound on command, until stopped.

    Ctrl-C goes to the benchmark, which ends this process too. A full disk is one line on stderr.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _serve(spec, pipe)
    except EOFError:
        return
    except (LineageError, BenchError) as exc:
        sys.stderr.write(f"the holder of the bench: {printable(str(exc))}\n")


def _serve(spec: SideSpec, pipe: Connection) -> None:
    if spec.open_max is not None:
        holder.OPEN_MAX = spec.open_max
    side = side_of(spec, "holder", {}, lambda _effect: None)
    side.speakers.add(pipe.fileno())
    commands = select.poll()  # made once: a pipe's own poll makes one per call
    commands.register(pipe.fileno(), select.POLLIN)
    pipe.send(side.mesh.endpoint)
    while True:
        if commands.poll(0):
            command, argument = pipe.recv()
            if command == "stop":
                break
            pipe.send(_told(spec, side, command, argument))
            if command == "floor":
                trips, count = argument
                floor = BenchFloor.of(side, _subject(side, spec, "user-0"), spec.folder / "holder")
                floor.serve(trips, count)
                floor.db.close()
        side.turn(WAIT_MS)
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
            users = [name for name in spec.chains if name.startswith(USER)]
            side.want(lambda step: _offer(spec, side, step, argument, users))
        case "usage":
            return cpu_s()
        case "worked":
            return side.worked_s, side.steps
        case "sizes":
            return dict(side.sizes)
        case "offers":
            return len(side.party.lineage.items(HEARD))
        case "profile":
            return PROFILE.begin() if argument else PROFILE.end()
    return None


def _offer(spec: SideSpec, side: Settling, step: Step, window: Window, to: Sequence[str]) -> None:
    envelope = side.party.bounds.observe(step, _found(spec)) if spec.enveloped else None
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
            envelope=None if envelope is None else envelope.digest,
        ),
    )
    data = Message(record=record.raw, beside=None if envelope is None else (envelope.raw,)).encoded()
    step.outgoing += [Outgoing(to=_subject(side, spec, name).hash, data=data) for name in to]


def _found(spec: SideSpec) -> Envelope:
    """Return an envelope with both halves of the band free."""
    now_ns = time.time_ns()
    middle_hz = (spec.band.low_hz + spec.band.high_hz) // 2
    halves = Band(low_hz=spec.band.low_hz, high_hz=middle_hz), Band(low_hz=middle_hz, high_hz=spec.band.high_hz)
    return Envelope(
        kind=PLACE,
        observed=Window(start_ns=now_ns - NS // 2, end_ns=now_ns),
        valid_until_ns=now_ns + FOUND_NS,
        level_ppm=LEVEL_PPM,
        looks=20,
        channels=tuple(ChannelObservation(band=half, state=FREE, floor_unit="dBm/Hz", flags=()) for half in halves),
        incumbents=(),
        modality="energy",
    )


def _able(spec: SideSpec) -> Envelope:
    """Return the unit envelope of a radio that covers the whole band."""
    now_ns = time.time_ns()
    return Envelope(
        kind=UNIT,
        observed=Window(start_ns=now_ns, end_ns=now_ns),
        valid_until_ns=now_ns + 3600 * NS,
        level_ppm=PPM,
        looks=0,
        channels=(ChannelObservation(band=spec.band, state=ABLE, floor_unit="", flags=()),),
        incumbents=(),
        max_eirp_mdbm=30_000,
        modality="profile",
        width_hz_max=spec.band.high_hz - spec.band.low_hz,
    )


def cpu_s() -> float:
    """Return the processor time of this process so far, s."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# -- the users' process -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class BenchUser:
    """One user of the benchmark, and its settlements under way: id to time of its REQUEST."""

    side: MeasuredSettling = field(init=False)
    began_s: dict[bytes, float] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    permits: int = 0
    keeps: bool = False
    """Whether the user keeps its settlements."""
    put_off: int = 0
    """Number of REQUESTs repeated for another slot: the holder's limit of open settlements, or a deadline on a
    busy machine, had refused them."""
    another: Callable[[], None] = field(init=False)

    def do(self, effect: Effect) -> None:
        """Note a permit: it ends the time that began with the REQUEST."""
        match effect:
            case HandPermit(sid=sid):
                self.took_s.append(time.perf_counter() - self.began_s.pop(sid))
                self.permits += 1
                if not self.keeps:
                    self.side.want(lambda step: self.side.party.user.relinquish(step, sid, "bench"))
            case RequestProgress(news=SettlementNews.REFUSED | SettlementNews.ABORTED):
                # A relinquished settlement still counts at the holder until the message has arrived.
                asked = self.began_s.pop(effect.sid, None) is not None
                passing = effect.clause == "request.open" or effect.reason == Reason.TIMEOUT.value
                if passing and self.put_off < PUT_OFF_MAX:
                    if asked:
                        self.put_off += 1
                        self.another()
                else:
                    self.failed.append(f"{effect.news.value}: {effect.reason} {effect.clause}")
            case _:
                pass

    def ask(self, spec: SideSpec, slot: int, start_ns: int) -> None:
        """Send a REQUEST for an unused slot, from the holder's offer."""
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
    """All users in one process, so that a settlement's time does not depend on many processes sharing two cores."""

    def __init__(self, spec: SideSpec, endpoint: str, start_ns: int) -> None:
        self.spec, self.start_ns, self.slot = spec, start_ns, 0
        self.users: list[BenchUser] = []
        self._sides: dict[str, MeasuredSettling] = {}
        self._poller: zmq.Poller | None = None
        self._owners: dict[Any, MeasuredSettling] = {}
        self._all_ns = 0
        self.together = False
        """Whether the other users take part in a settlement, as witnesses or co-signers."""
        for name in spec.chains:
            if name.startswith(USER):
                self.users.append(BenchUser())
                self.users[-1].another = partial(self.ask, self.users[-1])
                self.users[-1].side = side_of(spec, name, {"holder": endpoint}, self.users[-1].do)
                self._sides[name] = self.users[-1].side
                if spec.enveloped:
                    self.users[-1].side.want(partial(self._describe, self.users[-1].side))
            elif name != "holder":
                self._sides[name] = side_of(spec, name, {"holder": endpoint}, lambda _effect: None)

    def _describe(self, side: MeasuredSettling, step: Step) -> None:
        side.party.bounds.describe(step, _able(self.spec))

    def endpoints(self) -> dict[str, str]:
        """Return the endpoints of everybody but the holder."""
        return {name: side.mesh.endpoint for name, side in self._sides.items()}

    def introduce(self) -> None:
        """Tell everybody the others' endpoints, and give each a turn while one settles."""
        self.together = True
        for name, side in self._sides.items():
            for other, endpoint in self.endpoints().items():
                key = _subject(side, self.spec, other).transport_key
                if other != name and key is not None:
                    side.mesh.connect(key, endpoint)

    def offer(self, window: Window) -> None:
        """Have the co-signers offer to the holder, which asks only those whose offers it has received."""
        for name, side in self._sides.items():
            if not name.startswith(USER):
                side.want(lambda step, side=side: _offer(self.spec, side, step, window, ["holder"]))  # type: ignore[misc]

    def turn(self, wait_ms: int) -> None:
        """Run a turn of every user with a message or work to do; idle users cost nothing."""
        if self._poller is None:
            self._poller = zmq.Poller()
            for side in self._sides.values():
                for socket in side.mesh.sockets:
                    self._poller.register(socket, zmq.POLLIN)
                    self._owners[socket] = side
        now_ns = time.monotonic_ns()
        stirring = [side for side in self._sides.values() if side.stirs(now_ns)]
        ready = [self._owners[socket] for socket, _ in self._poller.poll(0 if stirring else wait_ms)]
        if now_ns >= self._all_ns:  # retry what a socket did not take
            self._all_ns = now_ns + ALL_NS
            stirring = list(self._sides.values())
        for side in {id(one): one for one in (*stirring, *ready)}.values():
            side.turn(0)

    def until(self, holds: Callable[[], object], wait_ms: int, only: BenchUser | None = None) -> None:
        """Run turns until a condition holds. Raises BenchError."""
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
        """Send that user's REQUEST for the next slot."""
        self.slot += 1
        user.ask(self.spec, self.slot, self.start_ns)

    def one(self) -> float:
        """Return seconds from REQUEST to permit of one settlement; later messages are handled before the next."""
        user = self.users[self.slot % len(self.users)]
        before = user.permits
        self.ask(user)
        if self.together:
            self.until(lambda: user.permits > before, WAIT_MS)
        else:
            self.until(lambda: user.permits > before, WAIT_MS, only=user)
        for _ in range(QUIET_TURNS):
            self.turn(2)
        return user.took_s.pop()

    @property
    def permits(self) -> int:
        """Number of settlements made so far."""
        return sum(user.permits for user in self.users)

    def _one_more(self, than: int) -> None:
        self.until(lambda: self.permits > than, WAIT_MS)

    def load(self, in_flight: int, count: int) -> float:
        """Return seconds for `count` settlements with `in_flight` always under way."""
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
        """Close everything."""
        for side in self._sides.values():
            side.close()
