"""Simulates a city in virtual time: hundreds of members over hours, each knowing only those within hearing distance.

Parties, bytes, logs and verdicts are those of a world of seconds (`run`). What differs: a member does something only
when a message comes or one of its deadlines passes, credentials are fetched when somebody is first heard, and members
have places. A move, an arrival or a new offer is what makes members tell each other something.

Long because it is one world: who is there, when each of them does something, what they want.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from hw_profiles.memory import peak_mib
from settlement.chain.bodies import Declaration, Envelope
from settlement.chain.credentials import Registry
from settlement.chain.scope import Band, Cell, Window
from settlement.core.fixes import Fix
from settlement.core.reasons import Refusal
from settlement.state.messages import Message
from settlement.state.step import Step
from sim.world.cityplan import HEARING_M, OFFERED_NS, CityPlan, CitySpot, spot_of
from sim.world.citytrust import CITY_BAND, CityTrust, area_of, block_band, city_trust
from sim.world.looks import LEVEL_PPM, all_free, unit_of
from sim.world.member import Done, Member
from sim.world.plan import MS, NS, Act
from sim.world.run import TICK_NS, SeedOutcome, World, run_plan
from sim.world.transmitter import ALWAYS_NS, ModelledTransmitter
from sim.world.trust import COMMODITY, EIRP_MDBM, RASTER_HZ, T0_NS

TOLD_AGAIN_MS = (0, 300, 1500)
SLACK_NS = MS
"""A member's clock may be behind: a deadline is looked at this much later, when it has surely passed."""
ASKED_S: Final = (120, 300, 600, 1200)
"""For how long a request asks, in seconds: one of these."""


class Citizen(Member):
    """A member with a position; it keeps the credentials of members it has heard, over a crash too."""

    spot: CitySpot
    trust: CityTrust
    known: set[str]
    opened: set[bytes]
    wakes_ns = 0
    left = False

    def settle(self, spot: CitySpot) -> None:
        """Set the member's position."""
        self.spot = spot
        self.clock.lat_e7, self.clock.lon_e7 = spot.lat_e7, spot.lon_e7

    def meet(self, other: "Citizen") -> bool:
        """Fetch the credential of a member heard for the first time; True where it is new to a running member."""
        new = other.name not in self.known
        self.known.add(other.name)
        if self.party is None or not new:
            return False
        return not isinstance(self.party.registry.admit_chain(self.trust.by_name[other.name]), Refusal)

    def _registry(self) -> Registry:
        return self.trust.registry_of(self.known)

    def _transmitter(self) -> ModelledTransmitter:
        return ModelledTransmitter(self.name, self.hash, self.trust.anchors, beats_ns=ALWAYS_NS)


class City(World):
    """One run of a city."""

    member_class = Citizen
    plan: CityPlan
    members: dict[str, Citizen]  # type: ignore[assignment]
    lasts = 200

    def __init__(self, plan_: CityPlan, folder: Path, *, keep_lines: bool = False) -> None:
        super().__init__(plan_, folder, keep_lines=keep_lines)
        self.heals_ns, self.ends_ns = plan_.heals_ns, plan_.ends_ns
        self._holders = len(plan_.holders)
        self._block = dict(zip((role.name for role in plan_.roles), plan_.blocks, strict=True))
        for role, spot in zip(plan_.roles, plan_.spots, strict=True):
            citizen = self.members[role.name]
            citizen.known, citizen.opened = {role.name}, set()
            citizen.settle(spot)
        self._here: dict[str, Citizen] = {}
        self._told: dict[str, tuple[int, bytes]] = {}

    def _issued(self) -> CityTrust:
        return city_trust(self.plan)

    # -- who is there --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the members present at the beginning, and schedule all acts of the plan."""
        for number, citizen in enumerate(self.members.values()):
            if citizen.name not in self.plan.absent:
                self.at(number, partial(self._arrive, citizen))
        for act in self.plan.acts:
            self.at(act.at_ns + 10 * MS, self._actor(act))
        if self.heals_ns < self.ends_ns:
            self.at(self.heals_ns, self._heal)

    def hearing(self, citizen: Citizen) -> list[Citizen]:
        """All members present within hearing distance."""
        return [one for one in self._here.values() if one is not citizen and one.spot.away_m(citizen.spot) <= HEARING_M]

    def _arrive(self, citizen: Citizen) -> None:
        self._here[citizen.name] = citizen
        near = self.hearing(citizen)
        citizen.known |= {one.name for one in near}
        self.start(citizen)
        self._met(citizen, near)

    def _met(self, citizen: Citizen, near: list[Citizen]) -> None:
        """Let both sides log a new neighbour's credential; holders send their offers to it."""
        for one in near:
            if one.meet(citizen):
                self._register(one)
            if one.role.offers and citizen.role.asks and self._reaches(one, citizen):
                self._tell(one, citizen)

    def _register(self, citizen: Citizen) -> None:
        """Log the credentials that are new to a member."""
        if citizen.party is not None:
            self.step(citizen, citizen.party.register)

    def _reaches(self, holder: Citizen, user: Citizen) -> bool:
        return area_of(holder.spot).place(user.clock.fix(self.now_ns).position, "city") is None

    def _join(self, citizen: Citizen, _act: Act) -> None:
        self.counts["joined"] += 1
        self._arrive(citizen)

    def _leave_town(self, citizen: Citizen) -> None:
        del self._here[citizen.name]
        if citizen.party is not None:
            self.monitor.rebuilt(citizen, self.now_ns)
            self.monitor.audited(citizen, self.now_ns)
        self._radiated(citizen.crash(self.now_ns))
        citizen.dead = citizen.left = True

    def _actor(self, act: Act) -> Callable[[], None]:
        citizen, happen = self.members[act.who], super()._actor(act)

        def there() -> None:
            if act.what == "leave":
                if citizen.name in self._here:
                    self.note(f"leave {citizen.name}")
                    self.counts["left"] += 1
                    self._leave_town(citizen)
            elif act.what == "join" or citizen.name in self._here:
                happen()
                self._wake(citizen)

        return there

    def _move(self, citizen: Citizen, act: Act) -> None:
        """Move a member: its gate knows at once, and members heard there for the first time are met."""
        self.counts["moved"] += 1
        citizen.settle(spot_of(act.number, self.plan.side, self._holders))
        self._radiated(citizen.transmitter.turn(self.now_ns, citizen.clock.fix(self.now_ns)))
        near = self.hearing(citizen)
        new = [one for one in near if citizen.meet(one)]
        if new:
            self._register(citizen)
        self._met(citizen, near)

    # -- time ----------------------------------------------------------------------------------------------------

    def crash(self, member: Member, why: str) -> None:
        """As for any world, unless the member has left for good."""
        if isinstance(member, Citizen) and member.left:
            return
        super().crash(member, why)

    def _heal(self) -> None:
        absent = [one for one in self.members.values() if one.name not in self._here]
        gone = [one for one in absent if not one.dead]
        for one in gone:  # a member that has not arrived is not started
            one.dead = True
        super()._heal()
        for one in gone:
            one.dead = False

    def _after(self, member: Member, done: Done, received: bytes | None = None) -> None:
        super()._after(member, done, received)
        self._wake(member)
        self._open_later(self.members[member.name])

    def _open_later(self, citizen: Citizen) -> None:
        """Schedule a gate decision for each settlement when its window has surely begun."""
        for sid, start_ns in citizen.transmitter.opens_ns().items():
            if sid not in citizen.opened:
                citizen.opened.add(sid)
                opens_ns = start_ns - T0_NS + 2 * self.plan.bound_ns + SLACK_NS
                self.at(max(self.now_ns, opens_ns), lambda: self._turned(citizen))

    def _wake(self, member: Member) -> None:
        """Schedule a member's timers for when the next deadline has passed."""
        if not isinstance(member, Citizen) or member.party is None:
            return
        due_ns = member.party.next_due_ns()
        if due_ns is None:
            return
        at_ns = max(self.now_ns + (TICK_NS if due_ns else NS), due_ns - T0_NS + member.clock.bound_ns + SLACK_NS)
        if self.now_ns < member.wakes_ns <= at_ns:
            return
        member.wakes_ns = at_ns

        def woken() -> None:
            if member.wakes_ns == at_ns:
                self.tick(member)
                self._wake(member)

        self.at(at_ns, woken)

    def _clock_step(self, member: Member, act: Act) -> None:
        super()._clock_step(member, act)
        self._turned(member)

    def _clock_wide(self, member: Member, act: Act) -> None:
        super()._clock_wide(member, act)
        self._turned(member)

    def _clock_lost(self, member: Member, act: Act) -> None:
        super()._clock_lost(member, act)
        self._turned(member)

    def _turned(self, member: Member) -> None:
        """Let a member's gate decide: a warden does so all the time, here only on a change."""
        self._radiated(member.transmitter.turn(self.now_ns, member.clock.fix(self.now_ns)))

    # -- what is wanted ------------------------------------------------------------------------------------------

    def _partition(self, member: Member, act: Act) -> None:
        """Cut a member off from one it hears."""
        near = self.hearing(self.members[member.name])
        if near:
            other = near[act.number % len(near)]
            self.network.part(member.name, other.name, self.now_ns + (100 + act.number % 2500) * MS * self.lasts)

    def _offer(self, member: Member, act: Act) -> None:
        """Sense the holder's block once, and send an offer based on it to every user in its area."""
        citizen, party = self.members[member.name], member.party
        if party is None or not self._timely(member):
            if self.now_ns < self.heals_ns:
                self.at(self.now_ns + 60 * NS, lambda: self._offer(member, act) if member.name in self._here else None)
            return
        now_ns = T0_NS + self.now_ns
        cell = Cell(
            band=block_band(self._block[member.name] or 0),
            area=area_of(citizen.spot),
            window=Window(start_ns=now_ns - NS, end_ns=now_ns + OFFERED_NS),
        )

        def declare(step: Step) -> None:
            found = party.bounds.observe(step, _free(cell.band, step.now))
            body = Declaration(
                cell=cell,
                commodity=COMMODITY,
                tier_low=2,
                tier_high=3,
                max_eirp_mdbm=EIRP_MDBM,
                price_form="fixed",
                price=7,
                rule=party.rule.hash,
                envelope=found.digest,
            )
            record = party.holder.declare(step, body)
            data = Message(record=record.raw, beside=(found.raw,)).encoded()
            self._told[member.name] = (self.now_ns, data)

        if self.step(member, declare).durable:
            for other in self.hearing(citizen):
                if other.role.asks and self._reaches(citizen, other):
                    self._tell(citizen, other)

    def _tell(self, holder: Citizen, user: Citizen) -> None:
        """Send the newest offer, again where the network may lose it; sign another where it is too old."""
        at_ns, data = self._told.get(holder.name, (0, b""))
        if not data:
            return
        if self.now_ns - at_ns > NS:
            if holder.party is not None:
                self._offer(holder, Act(at_ns=self.now_ns, what="offer", who=holder.name))
            return
        for after_ms in TOLD_AGAIN_MS[: 1 if self.plan.faults == "none" else None]:
            self.at(self.now_ns + after_ms * MS, lambda: self.carry(holder, user, data))

    def _request(self, member: Member, act: Act) -> None:
        """Request a part of an offer in whose area the member is, from soon on, for minutes."""
        party, draw = member.party, Random(act.number)
        if party is None or not self._timely(member):
            self.counts["no request"] += 1
            return
        start_ns = (T0_NS + self.now_ns) // MS * MS + draw.choice((2, 10, 50)) * NS
        window = Window(start_ns=start_ns, end_ns=start_ns + self._asked_s(act, draw) * NS)
        here = member.clock.fix(self.now_ns).position
        known = sorted(party.user.offers.values(), key=lambda o: o.declaration)
        offers = [o for o in known if o.body.cell.window.holds(window) and o.body.cell.area.place(here, "city") is None]
        if not offers:
            self.counts["no request"] += 1
            return
        offer, width = draw.choice(offers), draw.choice((1, 1, 2, 4))
        low_hz = offer.body.cell.band.low_hz + draw.randrange(5 - width) * RASTER_HZ
        band = Band(low_hz=low_hz, high_hz=low_hz + width * RASTER_HZ)
        cell = Cell(band=band, area=offer.body.cell.area, window=window)

        def ask(step: Step) -> None:
            now_ns = step.now.time.latest_ns
            unit = party.bounds.unit
            if unit is None or unit.body.valid_until_ns < now_ns + 600 * NS:
                party.bounds.describe(step, unit_of(Random(f"unit/{self.plan.seed}/{member.name}"), now_ns, CITY_BAND))
            party.user.request(step, offer, cell, eirp_mdbm=18_000, tier=member.role.tier)

        self.step(member, ask)

    def _asked_s(self, _act: Act, draw: Random) -> int:
        """Duration of a request in s."""
        return draw.choice(ASKED_S)

    def _preempt(self, member: Member, act: Act) -> None:
        """Preempt a part of the holder's block for some minutes."""
        party, draw = member.party, Random(act.number)
        if party is None or not self._timely(member):
            return
        low_hz = block_band(self._block[member.name] or 0).low_hz + draw.randrange(4) * RASTER_HZ
        band = Band(low_hz=low_hz, high_hz=low_hz + RASTER_HZ)
        until_ns = T0_NS + self.now_ns + draw.choice((60, 600)) * NS

        def act_on(step: Step) -> Any:
            return party.holder.preempt(step, band, tier=1, reason="INCUMBENT", until_ns=until_ns, evidence=None)

        self.counts["displaced"] += self.step(member, act_on).result or 0

    # -- the end -------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Verify every log again; where faults have ended, both sides of each settlement must name one decision."""
        for citizen in self._here.values():
            self.monitor.rebuilt(citizen, self.now_ns)
            self.monitor.audited(citizen, self.now_ns)
        if self.plan.faults != "unlimited" and not any(one.left for one in self.members.values()):
            for citizen in self._here.values():
                self.monitor.agreed(citizen, self.now_ns)


def _free(band: Band, now: Fix) -> Envelope:
    found = all_free(band, now.time.latest_ns)
    return replace(found, valid_until_ns=now.time.latest_ns + 2 * OFFERED_NS, level_ppm=LEVEL_PPM)


@dataclass(frozen=True, slots=True, kw_only=True)
class CityResult:
    """Result of a city run and its cost: processor time in s, peak memory in MiB."""

    outcome: SeedOutcome
    members: int
    virtual_s: float
    cpu_s: float
    clock_s: float
    peak_mib: float

    @property
    def virtual_over_cpu(self) -> float:
        """Virtual seconds for each second of processor time."""
        return self.virtual_s / self.cpu_s

    def report(self) -> str:
        """Format the result in some lines."""
        counts = self.outcome.counts
        hours, peak = self.virtual_s / 3600, self.peak_mib
        wanted = (
            f"{counts['own request']} requests, {counts['own confirm']} settlements, {counts['own renew']} renewals"
        )
        lines = (
            f"{self.members} members, {hours:g} virtual hours: {wanted}",
            f"{counts['emissions']} emissions, {counts['sent']} messages",
            f"{counts['joined']} came, {counts['left']} left, {counts['moved']} moves",
            f"{self.virtual_over_cpu:.0f} x real: {self.cpu_s:.1f} s of one core, {self.clock_s:.1f} s by the clock",
            f"{peak:.0f} MiB at most",
        )
        return "\n".join(lines)


def run_city(plan_: CityPlan, *, keep_lines: bool = False, world: type[City] = City) -> CityResult:
    """Run a city, and measure its cost."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    outcome = run_plan(plan_, keep_lines=keep_lines, world=world)
    return CityResult(
        outcome=outcome,
        members=len(plan_.roles),
        virtual_s=plan_.ends_ns / 1e9,
        cpu_s=time.process_time() - cpu_s,
        clock_s=time.perf_counter() - began_s,
        peak_mib=peak_mib(),
    )
