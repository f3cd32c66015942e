"""A neighbourhood in which a group decides: auctions, approvals and coalitions in virtual time, under the same faults.

`python -m sim.world.groups --seed N --count M` runs seeds; one of three is an auction, an approval, a coalition.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from random import Random

from settlement.audit.invoice import invoice
from settlement.audit.lease import read_entries
from settlement.chain.bodies import Declaration, Grant
from settlement.chain.scope import Cell, Window
from settlement.pair.bounds import OwnFaultError
from settlement.party.assembly import open_auction, place_bid
from settlement.party.won import ask_for
from settlement.quorum.table import ProposalState
from settlement.records.auctionterms import FIRST_PRICE, SECOND_PRICE, AuctionTerms
from settlement.records.quorum import Ballot, GroupOutcome, Proposal
from settlement.state.messages import Message
from settlement.state.step import Step
from sim.world import grouplaw as law
from sim.world.ledger import Entry
from sim.world.looks import all_free, unit_of
from sim.world.member import Member
from sim.world.monitor import Monitor
from sim.world.plan import HORIZON_NS, MS, NS, Act, Plan, Role, Weather
from sim.world.run import SeedOutcome, World, run_plan
from sim.world.trust import AREA, BAND, COMMODITY, CONSENT, EIRP_MDBM, RASTER_HZ, T0_NS

DECIDED = ("auction", "approval", "coalition")
HOLDERS = tuple(Role(name=name, offers=True, asks=False, tier=1) for name in ("hall", "mill", "quay", "weir"))
USERS = tuple(Role(name=name, offers=False, asks=True, tier=2) for name in ("ada", "bert", "cleo"))
OFFICES = tuple(Role(name=name, offers=False, asks=False, tier=1, coordinates=True) for name in ("reg", "rota"))
LAYOUTS = {
    "auction": (HOLDERS[0], *USERS[:2], OFFICES[0], USERS[2]),
    "approval": (HOLDERS[0], *OFFICES, USERS[0], USERS[1]),
    "coalition": (*HOLDERS, *USERS[:2]),
}
"""Names of members by layout; the first four are the members of the group."""
FAULTS = ("crash", "crash mid", "crash unsent", "disk full", "partition", "clock wide", "clock lost")
OPEN_NS, BIDS_NS, REVEALS_NS, VOTE_NS, SOLD_NS = 500 * MS, 2200 * MS, 3700 * MS, 5200 * MS, 1500 * MS


def group_plan(seed: int) -> Plan:
    """Generate the run of a seed; the same seed always gives the same plan."""
    rng, decides = Random(f"group/{seed}"), DECIDED[seed % len(DECIDED)]
    roles, harsh = LAYOUTS[decides], rng.random()
    names, holders = [one.name for one in roles], [one.name for one in roles if one.offers]
    users = [one.name for one in roles if one.asks]
    acts = [Act(at_ns=0, what="members", who=names[0])]
    acts += [Act(at_ns=rng.randrange(50 * MS), what="offer", who=name) for name in holders]
    if decides == "auction":
        acts.append(Act(at_ns=OPEN_NS, what="auction", who=holders[0], number=rng.getrandbits(32)))
        for name in users:
            at_ns = rng.randrange(OPEN_NS + 800 * MS, BIDS_NS)
            acts += [Act(at_ns=at_ns, what="bid", who=name, number=rng.getrandbits(32))]
    else:
        for _ in range(rng.randint(3, 6)):
            at_ns = rng.randrange(600 * MS, HORIZON_NS - 2 * NS)
            acts.append(Act(at_ns=at_ns, what="request", who=rng.choice(users), number=rng.getrandbits(32)))
    for kind in rng.choices(FAULTS, k=rng.choice((0, 0, 1, 2, 4))):
        at_ns = rng.randrange(200 * MS, HORIZON_NS)
        acts.append(Act(at_ns=at_ns, what=kind, who=rng.choice(names), number=rng.getrandbits(32)))
    return Plan(
        seed=seed,
        roles=roles,
        quorum=0,
        budget_hz_s=None,
        status=False,
        bound_ns=rng.choice((1_000, 100_000, 900_000)),
        weather=Weather(
            drop_ppt=int(100 * harsh * rng.random()),
            duplicate_ppt=int(200 * harsh),
            late_ppt=int(40 * harsh),
            delay_ns_max=rng.choice((2, 20, 60)) * MS,
            late_ns_max=4 * NS,
        ),
        acts=tuple(sorted(acts, key=lambda a: (a.at_ns, a.what, a.who, a.number))),
        decides=decides,
    )


class GroupMonitor(Monitor):
    """Checks the invariants of group decisions, beside all others."""

    def _entry(self, member: Member, entry: Entry, true_ns: int) -> None:
        super()._entry(member, entry, true_ns)
        seen, name = entry.seen, member.name
        if seen is None or not entry.leaf.admitted:
            return
        everyone = [e.seen for book in self.ledger.books.values() for e in book.entries if e.seen and e.leaf.admitted]
        if isinstance(seen.body, GroupOutcome):
            others = [one.body for one in everyone if isinstance(one.body, GroupOutcome)]
            self._hold("Q1", name, true_ns, law.q1_one_outcome(seen.body, others))
        elif isinstance(seen.body, Ballot) and entry.own:
            mine = [e.seen for e in self.ledger.books[name].entries if e.own and e.seen]
            ballots = [one.digest for one in mine if isinstance(one.body, Ballot)]
            cast = {one.digest: one.body.proposal for one in mine if isinstance(one.body, Ballot)}
            same = [one for one in ballots if cast[one] == seen.body.proposal]
            self._hold("Q1", name, true_ns, law.q1_one_vote(same))
        elif isinstance(seen.body, Grant) and entry.own:
            self._group_granted(name, seen.body, true_ns)

    def _group_granted(self, name: str, grant: Grant, true_ns: int) -> None:
        """Check the newest GRANT of a holder against its own log."""
        seen = {e.seen.digest: e.seen for e in self.ledger.books[name].entries if e.seen and e.leaf.admitted}
        asked = {digest: one.body for digest, one in seen.items() if isinstance(one.body, Proposal)}
        terms = self.rule.terms(grant.commodity)
        if terms is not None and terms.consent is not None:
            ballots = [(one.author, one.body) for one in seen.values() if isinstance(one.body, Ballot)]
            self._hold("Q4", name, true_ns, law.q4_approved(grant, CONSENT.need, asked, ballots))
        request = seen.get(grant.request)
        offered = request.body.declaration if request is not None else b""
        sold = {
            d: body for d, body in asked.items() if body.auction is not None and body.auction.declaration == offered
        }
        outcomes = [
            one.body for one in seen.values() if isinstance(one.body, GroupOutcome) and one.body.proposal in sold
        ]
        auction = next(iter(sold.values()), None)
        if auction is not None:
            outcome = outcomes[0] if outcomes else None
            self._hold("Q2", name, true_ns, law.q2_certified_price(grant, auction, outcome))

    def settled_deposits(self, true_ns: int) -> None:
        """Check at the end the invoice from all logs against the certified TALLYs."""
        logs = {
            name: list(read_entries(enumerate(list(member.log.bodies())), self.trust.registry()))
            for name, member in self.members.items()
            if member.log is not None
        }
        owed: Counter[str] = Counter()
        for line in invoice(logs):
            owed[line.payer] += line.deposits
        everyone = [e.seen for book in self.ledger.books.values() for e in book.entries if e.seen and e.leaf.admitted]
        found = {one.digest: (one.author, one.body) for one in everyone}
        names = {member.hash: name for name, member in self.members.items()}
        self._hold("Q3", "all", true_ns, law.q3_deposits(+owed, found, names))


class GroupWorld(World):
    """One run with a group that decides."""

    monitor_class = GroupMonitor

    def _finish(self) -> None:
        super()._finish()
        if isinstance(self.monitor, GroupMonitor):
            self.monitor.settled_deposits(self.now_ns)

    def tick(self, member: Member) -> None:
        """Let time pass; the winner of an auction requests its cell."""
        super().tick(member)
        party = member.party
        if party is None or not self._timely(member) or self.plan.decides != "auction":
            return
        won = [name for name, state in party.assembly.states.items() if state is ProposalState.DECIDED]
        if won and party.bounds.unit is not None:
            self.step(member, lambda step: [ask_for(step, party, name) for name in won])

    def _members(self, _member: Member, _act: Act) -> None:
        """Deliver the authority's list of members to all, through a neighbour."""
        data = Message(record=self.trust.group or b"").encoded()
        for one in self.members.values():
            self._tell_status(one, data)

    def _offer(self, member: Member, act: Act) -> None:
        """Make offers; in a coalition every holder offers all of the shared right."""
        if self.plan.decides == "coalition":
            self._declare(member, act, "fixed")
        elif self.plan.decides == "approval":
            super()._offer(member, act)

    def _declare(self, member: Member, act: Act, form: str) -> None:
        party = member.party
        if party is None or not self._timely(member):
            self.at(self.now_ns + 100 * MS, lambda: self._declare(member, act, form))
            return
        half = replace(BAND, high_hz=BAND.low_hz + 4 * RASTER_HZ)
        cell = Cell(band=half, area=AREA, window=Window(start_ns=T0_NS, end_ns=T0_NS + 60 * NS))

        def declare(step: Step) -> bytes:
            found = party.bounds.observe(step, all_free(half, step.now.time.latest_ns))
            body = Declaration(
                cell=cell,
                commodity=COMMODITY,
                tier_low=2,
                tier_high=3,
                max_eirp_mdbm=18_000 if form == "auction" else EIRP_MDBM,
                price_form=form,
                price=7,
                rule=party.rule.hash,
                envelope=found.digest,
            )
            record = party.holder.declare(step, body)
            self._offers.setdefault(member.name, []).append(Message(record=record.raw, beside=(found.raw,)))
            return record.digest

        done = self.step(member, declare)
        if not done.durable:
            return
        for after_ms in (0, 200, 700, 2000):
            self.at(self.now_ns + after_ms * MS, lambda: self._tell_offers(member))
        if form == "auction":
            self.at(self.now_ns + 400 * MS, lambda: self._open(member, act, done.result, cell))

    def _auction(self, member: Member, act: Act) -> None:
        self._declare(member, act, "auction")

    def _open(self, member: Member, act: Act, declaration: bytes, offered: Cell) -> None:
        party = member.party
        if party is None or not self._timely(member) or declaration not in party.holder.offers:
            return
        now_ns = T0_NS + self.now_ns
        bids_by_ns, reveals_by_ns, vote_by_ns = now_ns + SOLD_NS, now_ns + 2 * SOLD_NS, now_ns + 3 * SOLD_NS
        start_ns = vote_by_ns // MS * MS + 300 * MS
        window, low_hz = Window(start_ns=start_ns, end_ns=start_ns + 1000 * MS), offered.band.low_hz
        terms = AuctionTerms(
            declaration=declaration,
            cell=Cell(band=replace(offered.band, high_hz=low_hz + RASTER_HZ), area=offered.area, window=window),
            commodity=COMMODITY,
            reserve=7,
            deposit=5,
            bids_by_ns=bids_by_ns,
            reveals_by_ns=reveals_by_ns,
        )
        function = (FIRST_PRICE, SECOND_PRICE)[act.number % 2]

        def begin(step: Step) -> None:
            try:
                open_auction(party, step, terms, function, vote_by_ns)
            except OwnFaultError:
                self.counts["no auction"] += 1

        self.step(member, begin)

    def _bid(self, member: Member, act: Act) -> None:
        party, draw = member.party, Random(act.number)
        if party is None or not self._timely(member):
            return

        def place(step: Step) -> None:
            if party.bounds.unit is None:
                unit = unit_of(Random(f"unit/{self.plan.seed}/{member.name}"), step.now.time.latest_ns)
                party.bounds.describe(step, unit)
            price, reveal = draw.randrange(5, 60), draw.random() < 0.7
            for name in party.assembly.live:
                if party.assembly.states[name] is ProposalState.BIDDING:
                    try:
                        place_bid(party, step, name, price, reveal=reveal)
                    except OwnFaultError:
                        self.counts["no bid"] += 1
            self.counts["bid"] += 1

        self.step(member, place)


def simulate_group(seed: int, *, keep_lines: bool = False) -> SeedOutcome:
    """Run a seed."""
    return run_plan(group_plan(seed), keep_lines=keep_lines, world=GroupWorld)


def main() -> int:
    """Run the requested seeds; ends with 1 where an invariant is broken."""
    parser = argparse.ArgumentParser(prog="python -m sim.world.groups", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds from there on")
    parser.add_argument("--trace", action="store_true", help="print every line of the trace")
    asked = parser.parse_args()
    broken, counts = 0, Counter[str]()
    for seed in range(asked.seed, asked.seed + asked.count):
        outcome = simulate_group(seed, keep_lines=asked.trace)
        counts += outcome.counts
        broken += bool(outcome.breaches)
        for line in (*outcome.lines, *(f"seed {seed}: {breach}" for breach in outcome.breaches)):
            print(line)
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    print(f"{asked.count} seeds, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
