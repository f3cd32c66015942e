"""A small world for tests: one authority, one rule, a holder and two users, in memory and on a tmp_path."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from settlement.chain import bodies, records
from settlement.chain.admission import RuleInForce
from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Claims, Registry, Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage
from settlement.chain.scope import Area, Band, Cell, Scope, Window
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from settlement.core.reasons import Refusal
from settlement.pair.artifact import verify_rule
from settlement.party.party import Party
from settlement.state.step import Identity, Step

NS = 1_000_000_000
T0 = 1_790_000_000 * NS
NETWORK = "test-net"
LAT, LON = 369_500_000, -763_000_000
AREA = Area(lat_e7=LAT, lon_e7=LON, radius_mm=20_000_000)
BAND = Band(low_hz=3_550_000_000, high_hz=3_570_000_000)
LOWER = Band(low_hz=3_550_000_000, high_hz=3_560_000_000)
UPPER = Band(low_hz=3_560_000_000, high_hz=3_570_000_000)
EVERYTHING = tuple(bodies.BODIES)
HOLDER_ACTIONS, USER_ACTIONS = ("offer", "grant", "observe"), ("request", "observe")


def seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def fix(at_s: float, *, bound_ns: int = 1000, trusted: bool = True) -> Fix:
    """The test's time and place, `at_s` seconds after its start."""
    now_ns = T0 + round(at_s * NS)
    return Fix(
        time=TimeFix(
            earliest_ns=now_ns - bound_ns,
            latest_ns=now_ns + bound_ns,
            source=TimeSource.SIMULATED,
            trusted=trusted,
        ),
        position=PositionFix(lat_e7=LAT, lon_e7=LON, radius_mm=1000, source=PositionSource.SIMULATED, trusted=True),
    )


def scope(actions: tuple[str, ...], **changes: Any) -> Scope:
    base = Scope(bands=(BAND,), area=AREA, classes=("cbrs",), actions=actions, tier=1, max_eirp_mdbm=30_000, depth=0)
    return replace(base, **changes)


def claims(public: bytes, subject: str, issuer: str, **changes: Any) -> Claims:
    base = Claims(
        issuer=issuer,
        subject=subject,
        expires_s=T0 // NS + 3600,
        not_before_s=T0 // NS - 3600,
        issued_s=T0 // NS,
        token=b"\x01",
        public=public,
    )
    return replace(base, **changes)


TERMS = bodies.ClassTerms(
    name="cbrs",
    raster_hz=5_000_000,
    time_unit_ns=1_000_000,
    max_window_ns=600 * NS,
    max_eirp_mdbm=30_000,
    accept_ns=NS,
    confirm_ns=NS,
    lease_ns=3 * NS,
    vacate_ns=NS // 2,
    price_low=0,
    price_high=100,
    out_of_band_mdbm_per_mhz=-13_000,
)
RULE = bodies.Rule(
    name="test",
    version=1,
    effective=Window(start_ns=T0 - 3600 * NS, end_ns=T0 + 3600 * NS),
    bands=(BAND,),
    area=AREA,
    classes=(TERMS,),
    levels=(
        bodies.Level(name="authority", response="obey", weight_ppm=1_000_000, admits=EVERYTHING),
        bodies.Level(name="operator", response="consider", weight_ppm=500_000, admits=EVERYTHING),
    ),
    time_sources=(TimeSource.SIMULATED,),
    position_sources=(PositionSource.SIMULATED,),
    time_bound_ns_max=1_000_000,
    position_radius_mm_max=50_000,
    record_age_ns_max=5 * NS,
    sensing_age_ns_max=NS,
    witness_quorum=0,
    outside_authorisation=0,
)


@dataclass
class Member:
    """A protocol party with its key and its outgoing messages."""

    name: str
    key: SigningKey
    transport: bytes
    party: Party
    outgoing: list[Any] = field(default_factory=list)
    notices: list[Any] = field(default_factory=list)
    effects: list[Any] = field(default_factory=list)

    @property
    def hash(self) -> bytes:
        return self.party.identity.credential


def held(subject: Subject | Refusal) -> Subject:
    assert isinstance(subject, Subject), subject
    return subject


def unbound(step: Step) -> None:
    """Let a member sign in a step what it is not entitled to, as an attacker would."""
    step.entitled = lambda _record: None


class World:
    """Makes the authority, the rule and the members; carries messages when told to."""

    def __init__(
        self,
        folder: Path,
        rule: bodies.Rule = RULE,
        status_index: dict[str, int] | None = None,
        transports: dict[str, bytes] | None = None,
        given: dict[str, Any] | None = None,
    ) -> None:
        """`given` changes what everybody's credential entitles to."""
        self.given = given or {}
        self.folder = folder
        self.status_index = status_index or {}
        self.transports = transports or {}
        self.root_key = SigningKey.from_seed(seed("root"))
        body = bodies.Credential(
            level="authority", scope=scope(("issue", "rule", *HOLDER_ACTIONS, "request"), **{"depth": 2, **self.given})
        )
        self.root = issue(
            self.root_key, None, body, claims(self.root_key.public, "root", "root"), network=NETWORK, fix=fix(-9)
        )
        self.anchors = [records.digest(self.root)]
        self.authority = held(Registry(NETWORK, self.anchors).admit(self.root))
        self.numbers = itertools.count(2)
        self.drawn_again = itertools.count(1)
        frame = records.Frame(
            network=NETWORK,
            author=self.authority.hash,
            seq=next(self.numbers),
            attestation=records.Attestation.of(fix(-9)),
        )
        self.rule_raw = records.sign_record(self.root_key, frame, rule)
        self.chains: dict[str, tuple[bytes, bytes]] = {}
        self.members: dict[str, Member] = {}

    def transport(self, name: str) -> bytes:
        """The transport key a member is known by."""
        return self.transports.get(name, seed(name + "-transport"))

    def credential(self, name: str, actions: tuple[str, ...], **changes: Any) -> bytes:
        key = SigningKey.from_seed(seed(name))
        body = bodies.Credential(
            level="operator",
            scope=scope(actions, **{"tier": 2, **self.given, **changes}),
            transport_key=self.transport(name),
            device=f"device-{name}",
            status_index=self.status_index.get(name),
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

    def enrol(self, **actions: tuple[str, ...]) -> None:
        for name, allowed in actions.items():
            tier = 1 if allowed == HOLDER_ACTIONS else 2
            self.chains[name] = (self.root, self.credential(name, allowed, tier=tier))
        for name in actions:
            self.members[name] = self.member(name)

    def registry(self) -> Registry:
        registry = Registry(NETWORK, self.anchors)
        for chain in self.chains.values():
            held(registry.admit_chain(chain))
        return registry

    def member(self, name: str, entropy: Callable[[int], bytes] | None = None) -> Member:
        """Build a party on its (possibly existing) log: also what a restart does."""
        registry, key = self.registry(), SigningKey.from_seed(seed(name))
        rule = verify_rule(self.rule_raw, (self.root,), registry)
        assert isinstance(rule, RuleInForce), rule
        counter = itertools.count(1000)
        party = Party(
            identity=Identity(key=key, credential=records.digest(self.chains[name][1]), network=NETWORK),
            registry=registry,
            rule=rule,
            rule_raw=self.rule_raw,
            rule_chain=(self.root,),
            lineage=Lineage(self.folder / f"{name}.db", origin=origin_of(NETWORK, key.public)),
            entropy=entropy or (lambda n: seed(f"{name}-{next(counter)}")[:n]),
        )
        if party.damaged is None:
            with party.step(fix(-7)) as step:
                party.register(step)
        return Member(name, key, self.transport(name), party)

    def by_authority(self, body: Any, at_s: float, seq: int | None = None) -> bytes:
        """A record signed by the authority."""
        frame = records.Frame(
            network=NETWORK,
            author=self.authority.hash,
            seq=seq or next(self.numbers),
            previous=bytes(32),
            attestation=records.Attestation.of(fix(at_s)),
        )
        return records.sign_record(self.root_key, frame, body)

    def member_again(self, name: str) -> Member:
        """Restart a member on its file, without repeating random numbers."""
        return self.member(name, entropy=lambda n: seed(f"{name}-again-{next(self.drawn_again)}")[:n])

    def do(self, name: str, at_s: float, action: Callable[[Step], Any], *, honest: bool = True) -> Any:
        """Run one durable step of a member, keeping what it wants sent; who is not honest signs whatever it likes."""
        member = self.members[name]
        with member.party.step(fix(at_s)) as step:
            if not honest:
                unbound(step)
            result = action(step)
        member.outgoing += step.outgoing
        member.notices += step.notices
        member.effects += step.effects
        return result

    def give(self, sender: str, to: str, data: bytes, at_s: float) -> Refusal | None:
        """Deliver one message over the sender's own transport key."""
        member = self.members[to]
        return self.do(to, at_s, lambda step: member.party.receive(step, data, self.members[sender].transport))  # type: ignore[no-any-return]

    def carry_lossily(self, at_s: float, rng: Random, loss: float) -> None:
        """Deliver waiting messages and those that follow; a share `loss` is lost, a tenth of the rest comes twice."""
        names = {member.hash: name for name, member in self.members.items()}
        for _ in range(64):
            waiting = [(name, out) for name, m in self.members.items() for out in m.outgoing]
            if not waiting:
                return
            for member in self.members.values():
                member.outgoing = []
            for sender, out in waiting:
                for _copy in range(0 if rng.random() < loss else 1 + (rng.random() < 0.1)):
                    self.give(sender, names[out.to], out.data, at_s)

    def carry(self, at_s: float) -> list[Refusal]:
        """Deliver all waiting messages, and those that follow."""
        refusals: list[Refusal] = []
        members = self.members.items()
        names = {one: name for name, member in members for one in member.party.registry.line(member.hash)}
        while any(m.outgoing for m in self.members.values()):
            for name, member in self.members.items():
                waiting, member.outgoing = member.outgoing, []
                for outgoing in waiting:
                    refusal = self.give(name, names[outgoing.to], outgoing.data, at_s)
                    refusals += [refusal] if refusal else []
        return refusals

    def offer(self, at_s: float = 0.0, holder: str = "holder", *, honest: bool = True) -> bytes:
        """Have the holder offer the whole band to everyone."""
        party = self.members[holder].party
        cell = Cell(band=BAND, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 300 * NS))
        body = bodies.Declaration(
            cell=cell,
            commodity="cbrs",
            tier_low=2,
            tier_high=3,
            max_eirp_mdbm=30_000,
            price_form="fixed",
            price=7,
            rule=party.rule.hash,
        )

        def act(step: Step) -> bytes:
            record = party.holder.declare(step, body)
            for other in self.members.values():
                if other.name != holder:
                    step.send(other.hash, record.raw)
            return record.digest

        digest: bytes = self.do(holder, at_s, act, honest=honest)
        return digest

    def request(
        self,
        user: str,
        at_s: float,
        band: Band,
        start_s: float,
        end_s: float,
        eirp_mdbm: int = 20_000,
        *,
        honest: bool = True,
    ) -> bytes:
        """Have a user ask for a cell; returns the settlement's id."""
        party = self.members[user].party
        offer = next(iter(party.user.offers.values()))
        window = Window(start_ns=T0 + round(start_s * NS), end_ns=T0 + round(end_s * NS))
        cell = Cell(band=band, area=AREA, window=window)

        def act(step: Step) -> bytes:
            return party.user.request(step, offer, cell, eirp_mdbm=eirp_mdbm).sid

        sid: bytes = self.do(user, at_s, act, honest=honest)
        return sid

    def in_doubt(self, end_s: float = 9.0) -> tuple[bytes, bytes]:
        """Alice has accepted a GRANT and nobody told her the decision; returns (sid, her ACCEPT message)."""
        self.offer()
        self.carry(0.1)
        sid = self.request("alice", 1.0, LOWER, 3.0, end_s)
        for sender, to in (("alice", "holder"), ("holder", "alice")):
            (message,) = self.members[sender].outgoing
            self.members[sender].outgoing = []
            assert self.give(sender, to, message.data, 1.0) is None
        (accept,) = self.members["alice"].outgoing
        self.members["alice"].outgoing = []
        return sid, accept.data

    def frame(self, author: str = "alice", **changes: Any) -> records.Frame:
        """A frame for a record that a member never logged; `at` is the fix it attests."""
        return records.Frame(
            network=changes.get("network", NETWORK),
            author=self.members[author].hash,
            seq=changes.get("seq", 900),
            previous=bytes(32),
            attestation=records.Attestation.of(changes.get("at") or fix(1.0)),
        )

    def asked(self) -> bodies.Request:
        """The body of a REQUEST by alice that the holder has not heard."""
        self.request("alice", 1.0, LOWER, 3.0, 9.0)
        alice = self.members["alice"]
        alice.outgoing = []
        (pair,) = alice.party.user.pairs.values()
        record = alice.party.record_of(pair.request)
        assert record is not None
        body: bodies.Request = record.body
        return replace(body, nonce=b"fresh-nonce-0000")

    def settle(self, user: str = "alice", band: Band = LOWER, start_s: float = 2.0, end_s: float = 12.0) -> bytes:
        """Offer, ask, grant, accept, confirm: a whole settlement one second in. Returns its artifact."""
        self.offer()
        self.carry(0.1)
        sid = self.request(user, 1.0, band, start_s, end_s)
        assert self.carry(1.0) == []
        artifact = self.members[user].party.lineage.get("artifact", sid)
        assert artifact is not None
        return artifact


def offered(folder: Path, **kwargs: Any) -> World:
    """A trio in which both users have heard the holder's offer."""
    world = trio(folder, **kwargs)
    world.offer()
    world.carry(0.1)
    return world


def trio(folder: Path, **kwargs: Any) -> World:
    """A holder and two users."""
    world = World(folder, **kwargs)
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS)
    return world
