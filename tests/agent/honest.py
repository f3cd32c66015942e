"""Random runs of honest nodes, each from one seed: whatever happens to them, their logs must pass their audit.

Real parties, logs, bytes and commands in one process, and a clock that the run sets. Operators ask for more than they
may, a neighbour with a credential sends rubbish, replays, forgeries and claims beyond its scope, an authority signs in
the past and in the future, clocks step and lose their source, credentials and the rule run out, antennas leave their
area, nodes die in the middle of a step or on a full disk, and come back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from agent.config.settings import NodeConfig, OfferSection
from agent.node.control import Command, ControlDoor
from agent.node.errand import Surroundings
from agent.node.errands import Errands
from agent.node.policy import HolderPolicy
from sensing.results import ChannelState, SurveyReport
from sensing.values import Channel
from settlement.audit.kept import compare
from settlement.audit.verify import audit_lineage
from settlement.chain import bodies
from settlement.chain.lineage import LineageError
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Area, Band, Cell, Window
from settlement.chain.status import bits_of
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from settlement.core.reasons import Reason, Refusal
from settlement.pair.bounds import OwnFaultError
from settlement.pair.effects import RequestProgress
from settlement.records.auctionterms import AuctionRule
from settlement.records.complaintterms import GROUNDS, DisputeTerms, FallbackTerms, GroundTerms
from settlement.records.handingterms import HandingTerms
from settlement.records.quorum import GroupMember, MemberList
from settlement.state.messages import Message
from settlement.state.step import HaltedError, Outgoing, Step
from tests.settlement.enveloped import channel, place, unit
from tests.settlement.world import (
    AREA,
    BAND,
    HOLDER_ACTIONS,
    LAT,
    LON,
    LOWER,
    NETWORK,
    NS,
    RULE,
    T0,
    TERMS,
    UPPER,
    USER_ACTIONS,
    World,
)

BANDS = (LOWER, UPPER, BAND, Band(low_hz=3_540_000_000, high_hz=3_560_000_000), Band(low_hz=1, high_hz=2))
MARKETS: tuple[dict[str, Any], ...] = (
    {},
    {
        "handing": HandingTerms(kinds=("transfer", "sublease"), depth=2, consent=1),
        "fallbacks": (FallbackTerms(number=1, scope="same holder", notice_ns=NS, owed="fixed", amount=5),),
        "disputes": DisputeTerms(
            grounds=tuple(GroundTerms(name=name, owed="fixed", amount=3) for name in GROUNDS),
            levels=("authority",), raise_ns=600 * NS, answer_ns=NS, rule_ns=NS, escalate_ns=NS, pay_ns=NS,
        ),
        "auction": AuctionRule(
            members="notaries", functions=("first price",), bids_ns_min=1000, reveals_ns_min=1000, settle_ns=1,
            deposit_min=0, bidders_max=8,
        ),
    },
)  # fmt: skip
"""Terms of the class beside its usual ones: none, or everything that a market may have."""
POWERS_MDBM = (-5_000, 10_000, 20_000, 30_000, 31_000, 200_000)
HONEST = ("holder", "alice", "bob")


class DiedError(Exception):
    """Raised where a node's process is to crash."""


class Deaf:
    """A control socket without clients."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def tell(self, _client: bytes, **fields: Any) -> None:
        self.said.append(fields)


@dataclass
class Clock:
    """A node's clock and position, with the errors that the run sets."""

    offset_ns: int = 0
    bound_ns: int = 1_000
    trusted: bool = True
    lat_e7: int = LAT
    placed: bool = True

    def fix(self, at_ns: int) -> Fix:
        now_ns = T0 + at_ns + self.offset_ns
        time = TimeFix(
            earliest_ns=max(0, now_ns - self.bound_ns),
            latest_ns=now_ns + self.bound_ns,
            source=TimeSource.SIMULATED,
            trusted=self.trusted,
        )
        position = PositionFix(
            lat_e7=self.lat_e7, lon_e7=LON, radius_mm=1000, source=PositionSource.SIMULATED, trusted=self.placed
        )
        return Fix(time=time, position=position)


@dataclass
class Operated:
    """A node with its operator: what an agent has around its protocol state, without sockets and radio."""

    name: str
    clock: Clock = field(default_factory=Clock)
    waiting: list[Outgoing] = field(default_factory=list)
    errands: Errands | None = None
    policy: HolderPolicy | None = None


class Lives:
    """A run of several nodes from one seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng, self.at_ns, self.seed = Random(seed), 0, seed
        terms = replace(TERMS, **self.rng.choice(MARKETS))
        rule = replace(RULE, witness_quorum=self.rng.choice((0, 0, 0, 1)), classes=(terms,))
        self.world = World(folder, rule)
        self.world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS)
        self.nodes = {name: Operated(name) for name in HONEST}
        self.seen: list[bytes] = []
        self.numbers = iter(range(500, 10**6))
        self.done: list[str] = []
        for name in HONEST:
            self._equip(self.nodes[name])

    def _equip(self, node: Operated) -> None:
        area_mm = self.rng.choice((10_000_000, 20_000_000, 30_000_000))
        where = SimpleNamespace(lat_e7=LAT, lon_e7=LON)
        config = SimpleNamespace(place=where, area_radius_mm=area_mm, offers=[])
        node.policy = HolderPolicy(cast("NodeConfig", config))
        node.errands = Errands(cast("ControlDoor", Deaf()), self.world.members[node.name].party)

    # -- steps ---------------------------------------------------------------------------------------------------

    def step(self, node: Operated, act: Callable[[Step], Any]) -> None:
        """Make one durable step; a failed step is undone, and a node whose log cannot be written restarts."""
        party = self.world.members[node.name].party
        try:
            with party.step(node.clock.fix(self.at_ns)) as step:
                party.attempt(step, lambda: act(step))
        except (DiedError, LineageError):
            self.restart(node)
            return
        except (HaltedError, OwnFaultError):
            return
        node.waiting += step.outgoing
        self.seen += [outgoing.data for outgoing in step.outgoing]
        if node.errands is not None:
            for effect in step.effects:
                if isinstance(effect, RequestProgress):
                    node.errands.hear(effect)
            node.errands.speak()

    def restart(self, node: Operated) -> None:
        self.world.members[node.name].party.lineage.close()
        self.world.members[node.name] = self.world.member_again(node.name)
        node.waiting.clear()
        self._equip(node)

    def go(self, actions: int) -> None:
        """Run so many random actions."""
        for _ in range(actions):
            act = self.rng.choice(ACTS)
            self.done.append(act.__name__)
            act(self, self.nodes[self.rng.choice(HONEST)])
            if self.rng.random() < 0.5:
                self.carry()

    def carry(self) -> None:
        """Deliver waiting messages; some not at all, twice, or late."""
        names = {self.world.members[name].hash: name for name in HONEST}
        for node in self.nodes.values():
            waiting, node.waiting = node.waiting, []
            for outgoing in waiting:
                fate = self.rng.random()
                if fate < 0.1 or outgoing.to not in names:
                    continue
                if fate < 0.2:
                    node.waiting.append(outgoing)
                self.give(self.nodes[names[outgoing.to]], outgoing.data, node.name)

    def give(self, node: Operated, data: bytes, sender: str) -> None:
        party, transport = self.world.members[node.name].party, self.world.transport(sender)
        self.step(node, lambda step: party.receive(step, data, transport))

    # -- the end -------------------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """The problems that an auditor finds in the honest nodes' logs."""
        found = []
        for name in HONEST:
            self.world.members[name].party.lineage.close()
            path = self.world.folder / f"{name}.db"
            audited = audit_lineage(path, network=NETWORK, anchors=self.world.anchors)
            found += [f"{name}: {problem}" for problem in audited.findings.problems]
            if not found:
                compared = compare(path, network=NETWORK, anchors=self.world.anchors)
                found += [f"{name}: {difference}" for difference in compared.differences]
        return found


# -- what happens --------------------------------------------------------------------------------------------------


def time_passes(lives: Lives, _node: Operated) -> None:
    lives.at_ns += round(lives.rng.choice((0.001, 0.1, 0.5, 1, 3, 10, 60, 400)) * NS)
    for node in lives.nodes.values():
        party = lives.world.members[node.name].party
        lives.step(node, party.tick)


def clock_moves(lives: Lives, node: Operated) -> None:
    node.clock.offset_ns = lives.rng.choice((0, 0, -NS, NS, -60 * NS, 60 * NS, -4000 * NS, 4000 * NS, 10**18))
    node.clock.bound_ns = lives.rng.choice((1_000, 1_000, 900_000, 2_000_000, 10 * NS))
    node.clock.trusted = lives.rng.random() < 0.8


def antenna_moves(lives: Lives, node: Operated) -> None:
    node.clock.lat_e7 = LAT + lives.rng.choice((0, 0, 90 * 5_000, 90 * 21_000))
    node.clock.placed = lives.rng.random() < 0.8


def life_runs_out(lives: Lives, _node: Operated) -> None:
    lives.at_ns += lives.rng.choice((3_590, 3_601, 10**6)) * NS


def operator_asks(lives: Lives, node: Operated) -> None:
    rng, errands = lives.rng, node.errands
    band = rng.choice(BANDS)
    fields: dict[str, Any] = {
        "low_hz": band.low_hz,
        "high_hz": band.high_hz,
        "for_ms": rng.choice((1, 1_000, 30_000, 700_000)),
        "eirp_mdbm": rng.choice((None, *POWERS_MDBM)),
        "wait_ms": rng.choice((0, 5_000)),
    }
    command = rng.choice(
        (
            {
                "do": "offer",
                "commodity": rng.choice(("cbrs", "other")),
                "price": rng.choice((0, 7, 10**9, 2**62)),
                **fields,
            },
            {"do": "acquire", "in_ms": rng.choice((0, 3_000, 10**7)), "hold": rng.random() < 0.3, **fields},
            {"do": "relinquish", "sid": ""},
            {"do": "tell", "record": rng.choice(lives.seen or [b"\0"]).hex()},
            {"do": "tell", "record": authority_word(lives).hex()},
            {"do": "rotate"},
            {"do": "cancel"},
            {"do": "acquire"},
            market_command(lives, node, fields),
            market_command(lives, node, fields),
        )
    )
    assert errands is not None
    errands.take([Command(client=b"c", fields=command)], lives.at_ns)
    lives.step(node, lambda step: errands.act(step, surroundings(lives, node)))


def market_command(lives: Lives, node: Operated, banded: dict[str, Any]) -> dict[str, Any]:
    """A random command on auctions, leases handed on, fallbacks or disputes; often an invalid one."""
    rng, party = lives.rng, lives.world.members[node.name].party
    sids = [*(pair.sid for pair in party.user.pairs.values()), *party.holder.pairs] or [bytes(32)]
    sid, other = rng.choice(sids).hex(), rng.choice(HONEST)
    disputes = [name.hex() for name, _ in party.lineage.items("dispute")] or ["00"]
    found: dict[str, Any] = rng.choice(
        (
            {
                "do": "auction open", "commodity": "cbrs", "price": rng.choice((0, 7, 10**9)), "bids_ms": 1_000,
                "reveals_ms": 1_000, "vote_ms": 1_000, "in_ms": rng.choice((3_000, 10_000)), **banded,
            },
            {"do": "auction bid", "auction": rng.choice(("", "00")), "price": rng.choice((0, 7, 2**62))},
            {"do": "auction show"},
            {
                "do": "hand_on", "sid": sid, "kind": rng.choice(("transfer", "sublease")), "to": other,
                "price": rng.choice((0, 7)), "eirp_mdbm": rng.choice((None, *POWERS_MDBM)),
            },
            {"do": "fallback", "sid": sid, **rng.choice(({}, {"low_hz": UPPER.low_hz, "high_hz": UPPER.high_hz}))},
            {
                "do": "dispute", "sid": sid, "ground": rng.choice((*GROUNDS, "none")),
                "claim": rng.choice((None, 0, 7, 10**14)), "escalates": rng.choice((None, None, disputes[0])),
            },
            {"do": "answer", "dispute": rng.choice(disputes), "stance": rng.choice(("denied", "admitted"))},
            {"do": "disputes", "name": rng.choice(("", disputes[0])), "case": rng.random() < 0.5},
        )
    )  # fmt: skip
    return found


def errands_go_on(lives: Lives, node: Operated) -> None:
    errands = node.errands
    assert errands is not None
    lives.step(node, lambda step: errands.act(step, surroundings(lives, node)))


def surroundings(lives: Lives, node: Operated) -> Surroundings:
    rng, party, policy = lives.rng, lives.world.members[node.name].party, node.policy
    assert policy is not None
    state = rng.choice((ChannelState.FREE, ChannelState.FREE, ChannelState.BUSY))
    heard = [
        SimpleNamespace(channel=Channel(low_hz=float(band.low_hz), high_hz=float(band.high_hz)), state=state)
        for band in BANDS[:3]
    ]

    def declare(step: Step, offer: OfferSection) -> str | None:
        now_ns = step.now.time.latest_ns
        found = place(observed=Window(start_ns=max(0, now_ns - NS), end_ns=now_ns), valid_until_ns=now_ns + 60 * NS)
        try:
            made = party.attempt(step, lambda: policy.offer(step, party, offer, found=found))
        except OwnFaultError as exc:
            return str(exc)
        if isinstance(made, Refusal):
            return str(made)
        for other in HONEST:
            step.outgoing.append(Outgoing(to=lives.world.members[other].hash, data=Message(record=made[1]).encoded()))
        return None

    return Surroundings(
        now_ns=lives.at_ns,
        open_sid=None,
        warden_heard_ns=lives.at_ns + NS,
        report=lambda: cast("SurveyReport", SimpleNamespace(channels=heard)),
        closed=list,
        withdraw=lambda _sid: None,
        declare=declare,
        rotate=lambda _step: None,
        may_offer=lambda step, offer: step.may_sign(policy.declaration(step, party, offer)),
        is_free=lambda _auction: rng.random() < 0.8,
    )


def gate_moves(lives: Lives, node: Operated) -> None:
    rng, party = lives.rng, lives.world.members[node.name].party
    sid = rng.choice([pair.sid for pair in party.user.pairs.values()] or [None])

    def log(step: Step) -> None:
        at = step.now.time
        step.sign(
            bodies.Gate(
                state="ARMED",
                previous="OPEN",
                reason=Reason.INCUMBENT.value,
                measured="radar",
                required="none",
                sid=sid,
                at_earliest_ns=at.earliest_ns,
                at_latest_ns=at.latest_ns,
            )
        )
        if sid is not None:
            party.attempt(step, lambda: party.user.relinquish(step, sid, Reason.INCUMBENT.value))

    lives.step(node, log)


def radar_is_heard(lives: Lives, node: Operated) -> None:
    rng, party = lives.rng, lives.world.members[node.name].party
    band = rng.choice(BANDS[:4])

    def displace(step: Step) -> None:
        now_ns = step.now.time.latest_ns
        body = place(
            observed=Window(start_ns=max(0, now_ns - NS), end_ns=now_ns),
            valid_until_ns=now_ns + 60 * NS,
            channels=(channel(band, "incumbent"),),
        )
        evidence = party.bounds.observe(step, body)
        party.holder.preempt(
            step, band, tier=1, reason="INCUMBENT", until_ns=now_ns + 60 * NS, evidence=evidence.digest
        )

    lives.step(node, displace)


def radio_is_described(lives: Lives, node: Operated) -> None:
    party = lives.world.members[node.name].party
    lives.step(node, lambda step: party.bounds.describe(step, unit(valid_until_ns=step.now.time.latest_ns + 3600 * NS)))


def usage_is_reported(lives: Lives, node: Operated) -> None:
    party = lives.world.members[node.name].party
    sid = lives.rng.choice([pair.sid for pair in party.user.pairs.values()] or [bytes(32)])
    lives.step(node, lambda step: party.user.report_usage(step, sid, used=None, airtime_ns=1, bursts=1))


def process_dies(lives: Lives, node: Operated) -> None:
    party = lives.world.members[node.name].party

    def half(step: Step) -> None:
        party.tick(step)
        raise DiedError

    lives.step(node, half)


def process_restarts(lives: Lives, node: Operated) -> None:
    lives.restart(node)


def disk_fills(lives: Lives, node: Operated) -> None:
    """Limit the log file's growth to a page or two, until the node restarts."""
    db = lives.world.members[node.name].party.lineage._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages + lives.rng.randint(0, 2)}")


def rubbish_comes(lives: Lives, node: Operated) -> None:
    rng = lives.rng
    sender = rng.choice(HONEST)
    data = rng.choice((rng.randbytes(rng.randint(0, 300)), rng.choice(lives.seen or [b""])))
    if rng.random() < 0.5 and data:
        at = rng.randrange(len(data))
        data = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
    lives.give(node, data, sender)


def insider_lies(lives: Lives, node: Operated) -> None:
    """Let a neighbour with a valid credential sign arbitrary records and send them over its own transport key."""
    rng = lives.rng
    world, liar = lives.world, rng.choice([name for name in HONEST if name != node.name])
    now_ns = T0 + lives.at_ns + rng.choice((0, 0, -10 * NS, 10 * NS, 3600 * NS, -3600 * NS, 3601 * NS, 2**61))
    width_ns = rng.choice((0, 1_000, 2_000_000, 7300 * NS))
    here = Attestation.of(Clock(trusted=rng.random() < 0.9, lat_e7=LAT + rng.choice((0, 90 * 30_000))).fix(0))
    earliest_ns = max(0, now_ns - width_ns)
    here = replace(here, earliest_ns=earliest_ns, latest_ns=max(earliest_ns, now_ns + width_ns))
    frame = Frame(
        network=rng.choice((NETWORK, NETWORK, "other-net")),
        author=world.members[rng.choice((liar, liar, liar, *HONEST))].hash,
        seq=rng.choice((next(lives.numbers), 1, 2, 2**40)),
        previous=bytes(32),
        attestation=here,
    )
    raw = sign_record(world.members[liar].key, frame, any_body(lives))
    lives.give(node, Message(record=raw).encoded(), liar)


def own_key_is_used_elsewhere(lives: Lives, node: Operated) -> None:
    """Let the holder of a copied key sign records, and send them to the node itself and to its neighbours."""
    rng, member = lives.rng, lives.world.members[node.name]
    frame = Frame(
        network=NETWORK,
        author=member.hash,
        seq=rng.choice((next(lives.numbers), 2, 3)),
        previous=bytes(32),
        attestation=Attestation.of(Clock().fix(lives.at_ns)),
    )
    data = Message(record=sign_record(member.key, frame, any_body(lives))).encoded()
    for to in (node, lives.nodes[rng.choice(HONEST)]):
        lives.give(to, data, node.name)


def authority_speaks(lives: Lives, node: Operated) -> None:
    lives.give(node, Message(record=authority_word(lives)).encoded(), lives.rng.choice(HONEST))


def authority_word(lives: Lives) -> bytes:
    """A status list or a rule of the authority, signed now, in the past, or in the future."""
    rng = lives.rng
    at_s = lives.at_ns / NS + rng.choice((0.0, 0.0, -5.0, 5.0, 3000.0, -3000.0))
    version = rng.randint(1, 6)
    if rng.random() < 0.2:
        members = tuple(
            GroupMember(role="operator", credential=one.hash, key=one.key.public, weight=1)
            for one in (lives.world.members[name] for name in HONEST)
        )
        window = Window(start_ns=T0 - NS, end_ns=T0 + 3600 * NS)
        body: Any = MemberList(name="notaries", epoch=version, effective=window, faulty=0, members=members)
    elif rng.random() < 0.5:
        fresh_ns = T0 + lives.at_ns + rng.choice((100 * NS, 10 * NS))
        body = bodies.Revocation(version=version, fresh_until_ns=fresh_ns, bits=bits_of((), 32))
    else:
        start_ns = T0 + lives.at_ns + rng.choice((-3600, -1, 1, 60)) * NS
        body = replace(
            RULE,
            version=version,
            effective=Window(start_ns=start_ns, end_ns=start_ns + 3600 * NS),
            previous=rng.choice((None, lives.world.members["holder"].party.rules.newest.rule.hash)),
            levels=RULE.levels[: rng.choice((1, 2, 2, 2))],
        )
    return lives.world.by_authority(body, at_s)


def any_body(lives: Lives) -> Any:
    rng, now_ns = lives.rng, T0 + lives.at_ns
    band, eirp = rng.choice(BANDS), max(0, rng.choice(POWERS_MDBM))
    area = rng.choice((AREA, Area(lat_e7=0, lon_e7=0, radius_mm=1)))
    start_ns = max(0, now_ns + rng.choice((-NS, 0, NS)))
    cell = Cell(band=band, area=area, window=Window(start_ns=start_ns, end_ns=start_ns + 5 * NS))
    return rng.choice(
        (
            bodies.Declaration(
                cell=cell,
                commodity=rng.choice(("cbrs", "other")),
                tier_low=2,
                tier_high=3,
                max_eirp_mdbm=eirp,
                price_form="fixed",
                price=rng.choice((7, 10**12)),
                rule=lives.world.members["holder"].party.rule.hash,
            ),
            bodies.Request(
                declaration=bytes(32),
                cell=cell,
                commodity="cbrs",
                tier=rng.choice((0, 1, 2)),
                eirp_mdbm=eirp,
                price=7,
                partial=0,
                nonce=rng.randbytes(16),
            ),
            bodies.Relinquish(sid=rng.randbytes(32), confirm=bytes(32), reason="x"),
            bodies.Evidence(reason="EQUIVOCATION", first=b"\0", second=b"\1"),
            bodies.Verdict(subject=rng.randbytes(32), reason="SCOPE", clause="x", measured="", required=""),
            place(
                observed=Window(start_ns=max(0, now_ns - NS), end_ns=now_ns),
                valid_until_ns=now_ns + rng.choice((NS, 60 * NS)),
            ),
        )
    )


ACTS: tuple[Callable[[Lives, Operated], None], ...] = (
    *([time_passes] * 6),
    *([operator_asks] * 8),
    *([errands_go_on] * 3),
    *([radio_is_described] * 2),
    clock_moves,
    antenna_moves,
    life_runs_out,
    gate_moves,
    radar_is_heard,
    usage_is_reported,
    process_dies,
    process_restarts,
    disk_fills,
    rubbish_comes,
    insider_lies,
    own_key_is_used_elsewhere,
    authority_speaks,
)


def problems_of(folder: Path, seed: int, actions: int | None = None) -> list[str]:
    """Make one run and audit it; returns the problems, with the seed."""
    lives = Lives(folder, seed)
    lives.go(actions or lives.rng.randint(5, 40))
    return [f"seed {seed}: {problem} after {' '.join(lives.done)}" for problem in lives.problems()]
