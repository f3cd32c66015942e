"""Seeded runs of a market over a network that loses, doubles and delays messages, and the rules that must hold.

Two holders offer; two users of tier 3 and one of tier 2 ask, bargain, fill in parts and displace. At last nothing is
lost any more.

    M1  what a PREEMPT says is owed has a COMPENSATION of that amount, which its payee receipted
    M2  what is filled and what is left of a wish are together what was asked, and no two parts overlap
    M3  a GRANT has the price of its REQUEST; one that names a COUNTER has that COUNTER's, of its own holder
    M4  no two settlements are live on one cell: a displaced one is over before the other's window opens
    M5  a weaker or equal tier displaces nobody
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from agent.node.partialfill import Filling
from settlement.chain import bodies
from settlement.chain.leaf import decode_leaf
from settlement.chain.records import Record, digest
from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Refusal
from settlement.market.choice import SpectrumWish
from settlement.market.residual import judge_parts, unfilled
from settlement.pair.effects import SettlementNews
from settlement.pair.parts import CLAUSE
from settlement.pair.userpairs import WAITING
from settlement.records.conduct.counter import LEAST
from settlement.records.endings import Compensation
from settlement.records.marketterms import TierTerms
from settlement.records.verdict import Verdict
from settlement.state.step import Step
from tests.settlement.world import AREA, HOLDER_ACTIONS, NS, RULE, T0, TERMS, USER_ACTIONS, World

MHZ = 1_000_000
TIERS = (TierTerms(tier=2, displaces=(3,), condition="none", notice_ns=NS // 2, owed="remaining", amount=0),)
MARKET = replace(RULE, classes=(replace(TERMS, tiers=TIERS, rounds_max=6, lease_ns=2 * NS),))
OFFERS = {"north": (3550, 10), "south": (3555, 15)}
"""The two offers overlap: parts of one wish could too."""
USERS = {"ada": 3, "bert": 3, "rescue": 2}
STEP_S = 0.35


class Market:
    """One seeded run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng, self.world = Random(f"market/{seed}"), World(folder, rule=MARKET)
        for name in OFFERS:
            self.world.chains[name] = (self.world.root, self.world.credential(name, HOLDER_ACTIONS, tier=1))
        for name, tier in USERS.items():
            self.world.chains[name] = (self.world.root, self.world.credential(name, USER_ACTIONS, tier=tier))
        for name in self.world.chains:
            self.world.members[name] = self.world.member(name)
        self.loss = self.rng.choice((0.0, 0.1, 0.3))
        self.fillings: dict[str, Filling] = {}

    def run(self) -> list[str]:
        """Offer, request for a while under loss, heal; returns the rules that do not hold."""
        for name in OFFERS:
            self._declare(name)
        self.world.carry(0.1)
        for turn in range(1, 16):
            self._turn(turn * STEP_S)
        self.loss = 0.0
        for turn in range(16, 32):
            self._pass(turn * STEP_S)
        for name, filling in self.fillings.items():
            self.world.do(name, 32 * STEP_S, partial(filling.close, party=self.world.members[name].party))
        return [*self._owed(), *self._filled(), *self._prices(), *self._apart()]

    # -- what happens ----------------------------------------------------------------------------------------------

    def _declare(self, holder: str) -> None:
        party, (low, width) = self.world.members[holder].party, OFFERS[holder]
        band = Band(low_hz=low * MHZ, high_hz=(low + width) * MHZ)
        body = bodies.Declaration(
            cell=Cell(band=band, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 300 * NS)),
            commodity="cbrs",
            tier_low=2,
            tier_high=3,
            max_eirp_mdbm=30_000,
            price_form="negotiated",
            price=90,
            rule=party.rule.hash,
        )

        def act(step: Step) -> None:
            record = party.holder.declare(step, body)
            step.put(LEAST, record.digest, (40).to_bytes(8, "big"))
            for user in USERS:
                step.send(self.world.members[user].hash, record.raw)

        self.world.do(holder, 0.0, act)

    def _turn(self, at_s: float) -> None:
        user = self.rng.choice(list(USERS))
        if self.rng.random() < 0.5:
            self._ask(user, at_s)
        else:
            self._fill(user, at_s)
        self._pass(at_s)

    def _window(self, at_s: float) -> Window:
        begins = round((at_s + self.rng.choice((1.0, 3.0, 5.0))) * 1000)
        start_ns = T0 + begins * 1_000_000
        return Window(start_ns=start_ns, end_ns=start_ns + self.rng.choice((4, 8)) * NS)

    def _ask(self, user: str, at_s: float) -> None:
        party = self.world.members[user].party
        offer = self.rng.choice(sorted(party.user.offers.values(), key=lambda o: o.declaration))
        low_hz = offer.body.cell.band.low_hz
        cell = replace(offer.body.cell, band=Band(low_hz=low_hz, high_hz=low_hz + 5 * MHZ), window=self._window(at_s))
        bid = self.rng.choice((10, 45, 90))

        def act(step: Step) -> None:
            party.user.request(step, offer, cell, eirp_mdbm=20_000, tier=USERS[user], price=bid, price_max=80)

        self.world.do(user, at_s, act)

    def _fill(self, user: str, at_s: float) -> None:
        party, held = self.world.members[user].party, self.fillings.get(user)
        if held is None:
            band = Band(low_hz=3550 * MHZ, high_hz=3570 * MHZ)
            wish = SpectrumWish(band=band, window=self._window(at_s + 3), tier=USERS[user])
            held = self.fillings[user] = Filling(wish=wish, eirp_mdbm=20_000)
        if held.asked is None:
            self.world.do(user, at_s, lambda step: held.ask(step, party))

    def _pass(self, at_s: float) -> None:
        for name, member in self.world.members.items():
            self.world.do(name, at_s, member.party.tick)
        self.world.carry_lossily(at_s, self.rng, self.loss)
        for name, filling in self.fillings.items():
            pair = self.world.members[name].party.user.by_sid(filling.asked or b"")
            if pair is not None and pair.state not in WAITING:
                settled = pair.decision is not None and pair.accept is not None and pair.transmit_until_ns is not None
                filling.hear(SettlementNews.SETTLED if settled else SettlementNews.REFUSED)

    # -- what must hold --------------------------------------------------------------------------------------------

    def _records(self, name: str) -> list[Record]:
        party = self.world.members[name].party
        leaves = [decode_leaf(body) for body in party.lineage.bodies()]
        raws = [leaf.record for leaf in leaves if not isinstance(leaf, Refusal) and leaf.admitted and leaf.record]
        return [record for raw in raws if (record := party.record_of(digest(raw))) is not None]

    def all(self, kind: type[Any]) -> list[Record]:
        """Every admitted record of a kind in any log, once."""
        found = {r.digest: r for name in self.world.members for r in self._records(name) if isinstance(r.body, kind)}
        return list(found.values())

    def _owed(self) -> list[str]:
        said = {r.digest: r.body for r in self.all(Compensation)}
        heard = {r.body.subject for r in self.all(Verdict) if r.body.clause == "compensation.received"}
        broken = []
        for preempt in [r.body for r in self.all(bodies.Preempt) if r.body.owed]:
            debt = said.get(preempt.compensation)
            if debt is None or debt.amount != preempt.owed or preempt.compensation not in heard:
                broken.append(f"M1: {preempt.owed} owed for {preempt.sid.hex()[:8]} was lost")
        granted = {r.body.sid: r.body for r in self.all(bodies.Grant)}
        weaker = [r.body for r in self.all(bodies.Preempt) if r.body.tier >= granted[r.body.sid].tier]
        return broken + [f"M5: {one.sid.hex()[:8]} displaced by tier {one.tier}" for one in weaker]

    def _filled(self) -> list[str]:
        confirmed = {r.body.sid for r in self.all(bodies.Confirm)}
        broken = []
        for name, filling in self.fillings.items():
            if filling.whole is None:
                continue
            grants = [r.body for r in self.all(bodies.Grant) if r.body.wish == filling.name and r.body.sid in confirmed]
            parts = [one.cell for one in grants]
            left = unfilled(filling.whole, parts)
            said = [r.body for r in self._records(name) if isinstance(r.body, Verdict) and r.body.clause == CLAUSE]
            mine = [one for one in said if one.subject == filling.first]
            if judge_parts(filling.whole, parts) is not None:
                broken.append(f"M2: parts of {name} overlap")
            if len(mine) != 1 or not mine[0].measured.startswith(f"{left.filled_hz_ns} Hz ns filled"):
                broken.append(f"M2: {name} has {[one.measured for one in mine]} on record, filled {left.filled_hz_ns}")
        return broken

    def _prices(self) -> list[str]:
        asked = {r.digest: r for r in self.all(bodies.Request)}
        counters = {r.digest: r for r in self.all(bodies.Counter)}
        broken = []
        for grant in self.all(bodies.Grant):
            request = asked[grant.body.request].body
            counter = counters.get(request.counter) if request.counter is not None else None
            agreed = request.counter is None or (
                counter is not None
                and counter.body.price == request.price
                and counter.frame.author == grant.frame.author
            )
            if grant.body.price != request.price or not agreed or request.price < 40:
                broken.append(f"M3: granted at {grant.body.price}, asked at {request.price}")
        return broken

    def _apart(self) -> list[str]:
        """Check by each holder's own records: a settlement ends with its window, or with its last lease when cut."""
        cut = {r.body.sid for r in self.all(bodies.Preempt)}
        leases: dict[bytes, int] = {}
        for record in [*self.all(bodies.Confirm), *self.all(bodies.Renew)]:
            sid = record.body.sid
            leases[sid] = max(leases.get(sid, 0), record.body.transmit_until_ns)
        lives = []
        for grant in [r for r in self.all(bodies.Grant) if r.body.sid in leases]:
            window, sid = grant.body.cell.window, grant.body.sid
            end_ns = min(window.end_ns, leases[sid]) if sid in cut else window.end_ns
            lives.append((grant, window.start_ns, end_ns))
        return [
            f"M4: {a.body.sid.hex()[:8]} and {b.body.sid.hex()[:8]} live on one cell"
            for number, (a, a_from, a_to) in enumerate(lives)
            for b, b_from, b_to in lives[:number]
            if a.frame.author == b.frame.author
            and max(a_from, b_from) < min(a_to, b_to)
            and a.body.cell.band.overlaps(b.body.cell.band)
        ]
