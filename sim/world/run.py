"""The simulation loop: virtual time, one event queue, one seed; every line of the trace enters one hash.

Long because one queue of events drives members, network, faults and acts, and its order is the seed's.
"""

import hashlib
import heapq
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from settlement.chain import records
from settlement.chain.bodies import Accept, Declaration
from settlement.chain.records import Frame, Record, read_once
from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Refusal
from settlement.pair.table import UserState
from settlement.pair.userpairs import UserPair
from settlement.pair.work import stored_as
from settlement.state.handovers import hand_on, silent
from settlement.state.messages import Message
from settlement.state.step import Outgoing, Step
from settlement.state.witness import SEEN, SeenHead
from sim.world.clock import VirtualClock
from sim.world.hands import wanted_of
from sim.world.looks import all_free, looked, unit_of
from sim.world.member import Done, Member
from sim.world.monitor import Breach, Monitor, cheat_accept
from sim.world.network import Network
from sim.world.plan import END_NS, HORIZON_NS, MS, NS, Act, Plan, plan
from sim.world.transmitter import ModelledEmission
from sim.world.trust import AREA, COMMODITY, EIRP_MDBM, NETWORK, RASTER_HZ, T0_NS, WorldTrust, holder_band, trust_for

TICK_NS = 150 * MS
HELLO_NS = 300 * MS
IMAGE_NS = 500 * MS
Event = Callable[[], None]


@dataclass(slots=True, kw_only=True)
class SeedOutcome:
    """The result of a seed."""

    seed: int
    breaches: list[Breach]
    trace: str
    counts: Counter[str]
    lines: list[str] = field(default_factory=list)


class World:
    """One run. Tests replace `member_class` to break the program on purpose."""

    member_class: type[Member] = Member
    monitor_class: type[Monitor] = Monitor
    heals_ns, ends_ns = HORIZON_NS, END_NS
    lasts = 1
    """Factor on the duration of faults."""

    def __init__(self, plan_: Plan, folder: Path, *, keep_lines: bool = False) -> None:
        self.plan, self._keep = plan_, keep_lines
        self.rng = Random(f"world/{plan_.seed}")
        self.trust = self._issued()
        self.members = {
            role.name: self.member_class(
                role,
                self.trust,
                folder,
                VirtualClock(Random(f"clock/{plan_.seed}/{role.name}"), plan_.bound_ns),
                Random(f"member/{plan_.seed}/{role.name}"),
            )
            for role in plan_.roles
        }
        self._copied = {act.who for act in plan_.acts if act.what == "restore"}
        self.by_hash = {m.hash: m for m in self.members.values()}
        self.network = Network(Random(f"network/{plan_.seed}"), plan_.weather)
        self.monitor = self.monitor_class(self.trust, self.members.values())
        self.counts: Counter[str] = Counter()
        self.now_ns = 0
        self._queue: list[tuple[int, int, Event]] = []
        self._pushed = 0
        self._hash = hashlib.sha256()
        self.lines: list[str] = []
        self._offers: dict[str, list[Message]] = {}
        self._taken: set[bytes] = set()
        """HANDOVERs whose next user has sent its request."""

    def _issued(self) -> WorldTrust:
        """The credentials and the rule of the run."""
        plan_ = self.plan
        return trust_for(
            plan_.roles,
            quorum=plan_.quorum,
            budget_hz_s=plan_.budget_hz_s,
            status=plan_.status,
            suspends=plan_.suspends,
            coordination=plan_.coordination,
            handing=plan_.handing,
            decides=plan_.decides,
        )

    # -- the queue -----------------------------------------------------------------------------------------------

    def at(self, at_ns: int, event: Event) -> None:
        """Schedule an event; events of one instant run in the order in which they were scheduled."""
        self._pushed += 1
        heapq.heappush(self._queue, (at_ns, self._pushed, event))

    def note(self, what: str) -> None:
        """Add a line to the trace."""
        line = f"{self.now_ns} {what}"
        self._hash.update(line.encode())
        if self._keep:
            self.lines.append(line)

    def run(self) -> SeedOutcome:
        """Run until the end, or the first breach."""
        self.begin()
        self.advance(self.ends_ns)
        return self.end()

    def begin(self) -> None:
        """Schedule everything in the plan."""
        for number, member in enumerate(self.members.values()):
            self.at(number, self._starter(member))
        for act in self.plan.acts:
            self.at(act.at_ns + 10 * MS, self._actor(act))
        self.at(self.heals_ns, self._heal)

    def advance(self, to_ns: int) -> None:
        """Run all events due by then, or until the first breach."""
        while self._queue and self._queue[0][0] <= to_ns and not self.monitor.breaches:
            self.now_ns, _, event = heapq.heappop(self._queue)
            event()
        self.now_ns = max(self.now_ns, to_ns)

    def end(self) -> SeedOutcome:
        """Check what is left, and close every log."""
        if not self.monitor.breaches:
            self._finish()
        for member in self.members.values():
            self._radiated(member.crash(self.now_ns))
        return SeedOutcome(
            seed=self.plan.seed,
            breaches=self.monitor.breaches,
            trace=self._hash.hexdigest(),
            counts=self.counts + Counter(self.network.counts) + self.monitor.asked,
            lines=self.lines,
        )

    def _finish(self) -> None:
        whole = not any(m.dead for m in self.members.values())
        for member in self.members.values():
            self.monitor.rebuilt(member, self.now_ns)
            if not member.restored:
                self.monitor.audited(member, self.now_ns)
            if whole:
                self.monitor.agreed(member, self.now_ns)

    def _heal(self) -> None:
        """End all faults: the network is whole, clocks are right, every member runs."""
        self.note("heal")
        self.network.healed = True
        for member in self.members.values():
            member.clock.recover()
            member.dies_unsent = False
            if member.log is not None:
                member.log.fuse = None
            if member.party is None:
                self.start(member)

    # -- members -------------------------------------------------------------------------------------------------

    def _starter(self, member: Member) -> Event:
        def begin() -> None:
            self.start(member)
            self.at(self.now_ns + TICK_NS, ticking)

        def ticking() -> None:
            self.tick(member)
            self.at(self.now_ns + TICK_NS + self.rng.randrange(20 * MS), ticking)

        return begin

    def start(self, member: Member) -> None:
        """Start a member."""
        if member.dead or member.party is not None:
            return
        self.note(f"start {member.name}")
        done = member.start(self.now_ns)
        self._after(member, done)
        self.monitor.rebuilt(member, self.now_ns)

    def crash(self, member: Member, why: str) -> None:
        """Crash a member, and restart it after a while."""
        if member.party is None:
            return
        self.note(f"crash {member.name} {why}")
        self.counts[why] += 1
        emissions = [e for e in member.crash(self.now_ns) if e.end_ns > e.start_ns]
        self._radiated(emissions)
        down_ns = self.rng.choice((20, 300, 2500)) * MS * self.lasts
        # The lock of a node's folder blocks a restart until the last warden has ended.
        silent_ns = max((e.end_ns for e in emissions), default=0)
        self.at(max(self.now_ns + down_ns, silent_ns), lambda: self.start(member))

    def tick(self, member: Member) -> None:
        """Advance a member's timers, as its daemon would."""
        party = member.party
        if party is None:
            return
        if party.halted is not None:
            if self.now_ns // HELLO_NS != (self.now_ns - TICK_NS) // HELLO_NS:
                self.step(member, party.hello)
            return

        def pass_time(step: Step) -> None:
            for pair in party.tick(step):
                member.transmitter.withdraw(pair.sid)
                party.user.report_usage(step, pair.sid, used=None, airtime_ns=0, bursts=0)

        self.step(member, pass_time)
        if member.name in self._copied and member.log is not None:
            member.disk.keep(member.log)

    def step(self, member: Member, action: Callable[[Step], Any], received: bytes | None = None) -> Done:
        """Make one step of a member, with everything that follows from it."""
        done = member.do(self.now_ns, action)
        self._after(member, done, received)
        return done

    def _after(self, member: Member, done: Done, received: bytes | None = None) -> None:
        if member.party is None:
            return
        self._cheating(member)
        fresh = self.monitor.after(member, done, self.now_ns, received)
        for entry in fresh:
            verdict = "ok" if entry.leaf.admitted else entry.leaf.reason
            self.note(f"{member.name} #{entry.index} {entry.leaf.subject.hex()} {verdict}")
            self.counts[
                f"refused {verdict}"
                if verdict != "ok"
                else f"own {entry.seen.typ}"
                if entry.own and entry.seen
                else "received"
            ] += 1
        self._radiated(member.transmitter.turn(self.now_ns, done.fix))
        for name in member.transmitter.vacated():
            self.at(max(self.now_ns, member.silent_ns) + MS, self._vacater(member, name))
        if not done.durable:
            self.crash(member, "died in a step")
            return
        outgoing = done.outgoing
        if member.dies_unsent and outgoing:
            self._leave(member, outgoing[: self.rng.randrange(len(outgoing))])
            self.crash(member, "died before sending")
            return
        self._leave(member, outgoing)
        if member.party is not None and member.party.damaged is not None:
            self.counts["halted behind witness"] += 1
            self.note(f"halted {member.name}")
            member.dead = True
            self._radiated(member.crash(self.now_ns))

    def _radiated(self, emissions: list[ModelledEmission]) -> None:
        for emission in emissions:
            self.counts["emissions"] += 1
            self.monitor.radiated(emission, self.now_ns)

    # -- messages ------------------------------------------------------------------------------------------------

    def _leave(self, member: Member, outgoing: list[Outgoing]) -> None:
        for one in outgoing:
            self.monitor.sent(member, one, self.now_ns)
            self.carry(member, self.by_hash[one.to], one.data)

    def carry(self, sender: Member, to: Member, data: bytes) -> None:
        """Hand a message to the network."""
        for at_ns in self.network.arrivals(sender.name, to.name, self.now_ns):
            self.at(at_ns, lambda: self.deliver(sender.transport, to, data))

    def deliver(self, transport: bytes, to: Member, data: bytes) -> None:
        """Deliver a message, if its receiver runs."""
        party = to.party
        if party is None:
            return
        self.note(f"deliver {to.name} {hashlib.sha256(data).hexdigest()}")
        self.step(to, lambda step: party.receive(step, data, transport), data)

    # -- what is wanted and what goes wrong ----------------------------------------------------------------------

    def _actor(self, act: Act) -> Event:
        def happen() -> None:
            member = self.members[act.who]
            self.note(f"{act.what} {act.who}")
            getattr(self, "_" + act.what.replace(" ", "_"))(member, act)

        return happen

    def _timely(self, member: Member) -> bool:
        return (
            member.working and member.party is not None and member.party.unsure(member.clock.fix(self.now_ns)) is None
        )

    def _offer(self, member: Member, act: Act) -> None:
        """Send two offers of the holder's half: one for tier 2 and weaker, one for tier 3 alone; several times.

        Both rest on one look at the place, and travel with it.
        """
        party = member.party
        if party is None:
            return
        if not self._timely(member):
            self.at(self.now_ns + 100 * MS, lambda: self._offer(member, act))
            return
        number = self.plan.holders.index(member.role)
        window = Window(start_ns=T0_NS, end_ns=T0_NS + 60 * NS)
        cell = Cell(band=holder_band(number), area=AREA, window=window)

        def declare(step: Step) -> None:
            found = party.bounds.observe(step, all_free(cell.band, step.now.time.latest_ns))
            for tier in (2, 3):
                body = Declaration(
                    cell=cell,
                    commodity=COMMODITY,
                    tier_low=tier,
                    tier_high=3,
                    max_eirp_mdbm=EIRP_MDBM,
                    price_form="fixed",
                    price=7,
                    rule=party.rule.hash,
                    envelope=found.digest,
                )
                told = Message(record=party.holder.declare(step, body).raw, beside=(found.raw,))
                self._offers.setdefault(member.name, []).append(told)

        if self.step(member, declare).durable:
            for after_ms in (0, 200, 700, 2000):
                self.at(self.now_ns + after_ms * MS, lambda: self._tell_offers(member))

    def _tell_offers(self, member: Member) -> None:
        for told in self._offers[member.name]:
            for other in self.members.values():
                if other is not member:
                    self.carry(member, other, told.encoded())

    def _observe(self, member: Member, act: Act) -> None:
        """Let the holder sense again: a channel is busy, unknown or free, for a short or a long time."""
        party = member.party
        if party is None or not self._timely(member):
            return
        band = holder_band(self.plan.holders.index(member.role))
        self.step(
            member, lambda step: party.bounds.observe(step, looked(band, step.now.time.latest_ns, Random(act.number)))
        )

    def _request(self, member: Member, act: Act) -> None:
        party, draw = member.party, Random(act.number)
        if party is None or not self._timely(member) or not party.user.offers:
            self.counts["no request"] += 1
            return
        known = sorted(party.user.offers.values(), key=lambda o: o.declaration)
        offers = [o for o in known if o.holder != member.hash and self.by_hash[o.holder].role.offers]
        if not offers:
            return
        offer = draw.choice(offers)
        band, width = offer.body.cell.band, draw.choice((1, 2, 4))
        first = draw.randrange(5 - width)
        low_hz = band.low_hz + first * RASTER_HZ
        start_ns = (T0_NS + self.now_ns) // MS * MS + draw.choice((20, 300, 1000)) * MS
        window = Window(start_ns=start_ns, end_ns=start_ns + draw.choice((400, 1200, 3000)) * MS)
        if act.what == "lease":
            start_ns = (T0_NS + self.now_ns) // MS * MS + 20 * MS
            window = Window(start_ns=start_ns, end_ns=start_ns + draw.choice((4000, 6000)) * MS)
        cell = Cell(band=Band(low_hz=low_hz, high_hz=low_hz + width * RASTER_HZ), area=AREA, window=window)

        def ask(step: Step) -> None:
            if party.bounds.unit is None:
                unit = unit_of(Random(f"unit/{self.plan.seed}/{member.name}"), step.now.time.latest_ns)
                party.bounds.describe(step, unit)
            # As in a node: a record that may not be signed is undone alone and reported; the step goes on.
            asked = party.attempt(
                step, partial(party.user.request, step, offer, cell, eirp_mdbm=20_000, tier=member.role.tier)
            )
            self.counts["request not signed"] += isinstance(asked, Refusal)

        self.step(member, ask)

    def _lease(self, member: Member, act: Act) -> None:
        """Request a lease long enough to be handed on."""
        self._request(member, act)

    def _hand_on(self, member: Member, act: Act) -> None:
        """Hand on a lease, whole or in part; one time in six for more than there is. The next user requests it."""
        now_ns, draw = T0_NS + self.now_ns, Random(act.number)
        users = [member, *(m for m in self.members.values() if m.role.asks and m is not member)]
        leases = ((one, self._newest_lease(one, now_ns)) for one in users)
        member, held = next((pair for pair in leases if pair[1] is not None), (member, None))
        party = member.party
        if party is None or held is None or not self._timely(member):
            self.counts["nothing to hand on"] += 1
            return
        to = draw.choice([m for m in users if m is not member])
        wanted = wanted_of(held.sid, held.cell, draw, to=to.hash, now_ns=now_ns)
        looks = all_free(held.cell.band, now_ns)

        def sign(step: Step) -> Any:
            party.bounds.observe(step, looks)
            return hand_on(party, step, wanted)

        made = self.step(member, sign).result
        if isinstance(made, Record):
            self.counts[f"handed on {wanted.kind}"] += 1
            for after_ms in (150, 500, 900):
                self.at(self.now_ns + after_ms * MS, lambda: self._take_up(to, made.digest))
        elif isinstance(made, Refusal):
            self.counts[f"not handed on {made.clause}"] += 1

    def _newest_lease(self, member: Member, now_ns: int) -> UserPair | None:
        """The member's lease that lasts longest, at least half a second."""
        pairs = member.party.user.pairs.values() if member.party is not None else ()
        live = [p for p in pairs if p.in_force and p.cell.window.end_ns > now_ns + 500 * MS]
        return max(live, key=lambda p: (p.cell.window.end_ns, p.sid), default=None)

    def _take_up(self, member: Member, handover: bytes) -> None:
        """Let the user that a HANDOVER names request what it offers, until it has done so."""
        party = member.party
        offer = party.user.offers.get(handover) if party is not None and self._timely(member) else None
        if party is None or offer is None or handover in self._taken:
            return

        def ask(step: Step) -> None:
            if party.bounds.unit is None:
                unit = unit_of(Random(f"unit/{self.plan.seed}/{member.name}"), step.now.time.latest_ns)
                party.bounds.describe(step, unit)
            tier = max(member.role.tier, offer.body.tier_low)
            party.user.request(step, offer, offer.body.cell, eirp_mdbm=offer.body.max_eirp_mdbm, tier=tier)

        if self.step(member, ask).durable:
            self._taken.add(handover)

    def _vacater(self, member: Member, handover: bytes) -> Event:
        """The event of the warden's report that its radio is silent in a band handed on."""

        def say() -> None:
            party = member.party
            if party is None:
                return
            if not self._timely(member):
                self.at(self.now_ns + 100 * MS, say)
                return

            def signed(step: Step) -> None:
                now = step.now.time
                silent(party, step, handover, earliest_ns=now.earliest_ns, latest_ns=now.latest_ns)

            self.step(member, signed)

        return say

    def _preempt(self, member: Member, act: Act) -> None:
        party, draw = member.party, Random(act.number)
        if party is None or not self._timely(member):
            return
        low_hz = holder_band(self.plan.holders.index(member.role)).low_hz + draw.randrange(3) * RASTER_HZ
        band = Band(low_hz=low_hz, high_hz=low_hz + 2 * RASTER_HZ)
        tier = draw.choice((1, 1, 2, 3))
        until_ns = T0_NS + self.now_ns + draw.choice((100, 1500)) * MS
        done = self.step(
            member,
            lambda step: party.holder.preempt(
                step, band, tier=tier, reason="INCUMBENT", until_ns=until_ns, evidence=None
            ),
        )
        self.counts["displaced"] += done.result or 0

    def _relinquish(self, member: Member, act: Act) -> None:
        party, draw = member.party, Random(act.number)
        if party is None or not self._timely(member):
            return
        settled = sorted(p.sid for p in party.user.pairs.values() if p.in_force)
        if not settled:
            return
        sid = draw.choice(settled)
        member.transmitter.withdraw(sid)
        self._radiated(member.transmitter.turn(self.now_ns, member.clock.fix(self.now_ns)))
        self.step(member, lambda step: party.user.relinquish(step, sid, "done"))

    def _status(self, member: Member, act: Act) -> None:
        """Deliver the authority's status list through a neighbour; at the start to all, later to one."""
        data = Message(record=self.trust.lists[act.number]).encoded()
        whom = list(self.members.values()) if act.number == 0 else [member]
        for one in whom:
            self._tell_status(one, data)

    def _tell_status(self, one: Member, data: bytes) -> None:
        """Deliver a status list, again later to a node that is down or has not verified its log."""
        if one.dead:
            return
        if not one.working:
            self.at(self.now_ns + 100 * MS, lambda: self._tell_status(one, data))
            return
        through = next(m for m in self.members.values() if m is not one)
        self.deliver(through.transport, one, data)

    def _crash(self, member: Member, act: Act) -> None:
        self.crash(member, act.what)

    def _crash_mid(self, member: Member, act: Act) -> None:
        if member.log is not None:
            member.log.fuse, member.log.full = 1 + act.number % 12, False

    def _disk_full(self, member: Member, act: Act) -> None:
        if member.log is not None:
            member.log.fuse, member.log.full = 1 + act.number % 12, True

    def _crash_unsent(self, member: Member, _act: Act) -> None:
        member.dies_unsent = member.party is not None

    def _partition(self, member: Member, act: Act) -> None:
        others = [m for m in self.members.values() if m is not member]
        other = others[act.number % len(others)]
        self.network.part(member.name, other.name, self.now_ns + (100 + act.number % 2500) * MS * self.lasts)

    def _clock_step(self, member: Member, _act: Act) -> None:
        member.clock.step()

    def _clock_wide(self, member: Member, act: Act) -> None:
        member.clock.widen()
        self.at(self.now_ns + (300 + act.number % 2000) * MS * self.lasts, member.clock.recover)

    def _clock_lost(self, member: Member, act: Act) -> None:
        member.clock.lose()
        self.at(self.now_ns + (300 + act.number % 2000) * MS * self.lasts, member.clock.recover)

    def _clock_back(self, member: Member, _act: Act) -> None:
        member.clock.recover()

    def _equivocate(self, member: Member, _act: Act) -> None:
        """Make this member answer the next GRANT twice, with different bytes."""
        self.monitor.cheats.add(member.name)

    def _cheating(self, member: Member) -> None:
        """Send a second, different ACCEPT for each one in a cheating member's log."""
        if member.name not in self.monitor.cheats or member.party is None:
            return
        for pair in member.party.user.pairs.values():
            if pair.state != UserState.ACCEPTED or pair.accept is None:
                continue
            seen = self.monitor.ledger.seen(pair.last)
            if seen is None or not isinstance(seen.body, Accept) or self.counts["cheated"] > 3:
                continue
            self.counts["cheated"] += 1
            frame = Frame(
                network=NETWORK,
                author=member.hash,
                seq=seen.seq,
                previous=b"\x07" * 32,
                attestation=seen.attestation,
            )
            raw = records.sign_record(member.key, frame, cheat_accept(seen.body))
            self.carry(member, self.by_hash[pair.holder], Message(record=raw).encoded())

    def _restore(self, member: Member, _act: Act) -> None:
        """Restore a log copy from before a head that a quorum of neighbours has cosigned."""
        if member.party is None or member.dead:
            return
        seen = sorted(self._seen_by(other, member) for other in self.members.values() if other is not member)
        below = seen[-self.plan.quorum] if len(seen) >= self.plan.quorum else 0
        emissions = member.crash(self.now_ns)
        self._radiated(emissions)
        member.restored = member.disk.go_back(below)
        self.counts["restored"] += member.restored
        self.note(f"restore {member.name} below {below} {member.restored}")
        if member.restored:
            done = member.start(self.now_ns)
            self.monitor.put_back(member, self.now_ns)
            self._after(member, done)
        else:
            self.start(member)

    def _seen_by(self, witness: Member, owner: Member) -> int:
        raw = witness.log.get(SEEN, owner.hash) if witness.log is not None else None
        return stored_as(SeenHead, raw, SEEN).size if raw is not None else 0


def simulate(seed: int, *, keep_lines: bool = False) -> SeedOutcome:
    """Run a seed."""
    return run_plan(plan(seed), keep_lines=keep_lines)


def run_plan(plan_: Plan, *, keep_lines: bool = False, world: type[World] = World) -> SeedOutcome:
    """Run a plan, with disks in memory where the host has such a file system."""
    base = Path("/dev/shm")  # noqa: S108 - memory, not a name others could guess
    folder = Path(tempfile.mkdtemp(prefix="bandpact-", dir=base if base.is_dir() else None))
    try:
        with read_once():
            return world(plan_, folder, keep_lines=keep_lines).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
