"""Seeded runs of settlements over two classes, with messages lost, doubled and late, and nodes restarted.

W1  a whole stands with every part confirmed, or no part of it is in force anywhere once all was heard
W2  no permit leaves before every part is confirmed in its holder's own log
W3  one holder's parts of a whole are all confirmed or all not, after every step
"""

from dataclasses import replace
from pathlib import Path
from random import Random

from settlement.chain.scope import Band, Cell
from settlement.pair.effects import HandPermit
from settlement.pair.table import HolderState, UserState
from settlement.pair.wholes import stood
from settlement.records.conduct.together import AskedPart, ask_whole
from tests.settlement.market.classed import BACKHAUL, LINK, classed, enrolled, offered, window
from tests.settlement.world import AREA, BAND, World

MHZ = 10**6
USERS = ("alice", "bob")
LIVE = (HolderState.CONFIRMED, HolderState.SUSPENDED)
ENDED = (HolderState.CONFIRMED, HolderState.SUSPENDED, HolderState.ENDED)


class Town:
    """One seeded run: one holder of both classes, or two of one each."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rng = Random(f"wholes/{seed}")
        self.holders = self.rng.choice((("holder",), ("holder", "carrier")))
        self.world: World = enrolled(classed(folder, BACKHAUL), self.holders, USERS)
        self.names = (
            offered(self.world, self.holders[0], BAND, "cbrs", USERS),
            offered(self.world, self.holders[-1], LINK, "backhaul", USERS, currency="EUR"),
        )
        self.loss = self.rng.choice((0.0, 0.15, 0.35))
        self.broken: list[str] = []

    def run(self) -> list[str]:
        """Request under loss, heal; returns the rules that do not hold."""
        for turn in range(24):
            at_s = 0.5 + turn * 0.3
            if turn < 10 and self.rng.random() < 0.4:
                self._ask(self.rng.choice(USERS), at_s)
            if turn < 16 and self.rng.random() < 0.08:
                self._restart(self.rng.choice([*self.holders, *USERS]))
            self._pass(at_s)
            if turn == 16:
                self.loss = 0.0
        for turn in range(10):
            self._pass(8.0 + turn * 0.6)
        return [*self.broken, *self._all_or_none()]

    def _ask(self, user: str, at_s: float) -> None:
        party = self.world.members[user].party
        known = [party.user.offers.get(name) for name in self.names]
        low, share = 3550 * MHZ + self.rng.choice((0, 5, 10)) * MHZ, self.rng.choice((0, 10**6))
        bands = (Band(low_hz=low, high_hz=low + 5 * MHZ), replace(LINK, low_hz=share, high_hz=10**7))
        when = window(20, self.rng.choice((5, 10)))
        parts = [
            AskedPart(offer=o, cell=Cell(band=b, area=AREA, window=when), eirp_mdbm=20_000, tier=2, price=o.body.price)
            for o, b in zip(known, bands, strict=True)
            if o is not None
        ]
        if self.rng.random() < 0.5:
            parts.reverse()
        self.world.do(user, at_s, lambda step: ask_whole(party, step, parts))

    def _restart(self, name: str) -> None:
        old = self.world.members[name]
        old.party.lineage.close()
        again = self.world.member_again(name)
        again.effects = old.effects
        self.world.members[name] = again

    def _pass(self, at_s: float) -> None:
        for name, member in self.world.members.items():
            self.world.do(name, at_s, member.party.tick)
            self._look()
        names = {member.hash: name for name, member in self.world.members.items()}
        for _ in range(48):
            waiting = [(name, out) for name, m in self.world.members.items() for out in m.outgoing]
            if not waiting:
                return
            for member in self.world.members.values():
                member.outgoing = []
            self.rng.shuffle(waiting)
            for name, out in waiting:
                for _ in range(0 if self.rng.random() < self.loss else 1 + (self.rng.random() < self.loss / 3)):
                    self.world.give(name, names[out.to], out.data, at_s)
                    self._look()

    # -- what must hold --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Check W2 and W3."""
        confirmed = {
            p.sid for h in self.holders for p in self.world.members[h].party.holder.pairs.values() if p.state in ENDED
        }
        for user in USERS:
            member = self.world.members[user]
            for effect in (one for one in member.effects if isinstance(one, HandPermit)):
                pair = member.party.user.by_sid(effect.sid)
                parts = member.party.user.parts_of(pair.whole) if pair is not None and pair.whole else []
                if not parts or not {part.sid for part in parts} <= confirmed:
                    self.broken.append(f"W2: {user} has a permit for {effect.sid.hex()[:8]} before all is confirmed")
            member.effects = []
        for holder in self.holders:
            pairs = self.world.members[holder].party.holder.pairs.values()
            for whole in {pair.whole for pair in pairs if pair.whole is not None}:
                mine = [pair for pair in pairs if pair.whole == whole]
                some = [pair for pair in mine if pair.state in ENDED]
                if some and len(some) < max(len(mine), mine[0].own_parts or 0):
                    self.broken.append(f"W3: {holder} confirmed {len(some)} of its {len(mine)} parts")

    def _all_or_none(self) -> list[str]:
        """Check W1."""
        broken = []
        for user in USERS:
            party = self.world.members[user].party
            for whole in list(party.user.wholes):
                parts = party.user.parts_of(whole)
                states = [UserState(part.state).name for part in parts]
                live = [
                    p
                    for h in self.holders
                    for p in self.world.members[h].party.holder.pairs.values()
                    if p.whole == whole and p.state in LIVE
                ]
                if stood(parts) and (len(live) != len(parts) or any(not part.in_force for part in parts)):
                    broken.append(f"W1: {user}'s whole stands with {len(live)} of {len(parts)} parts: {states}")
                if not stood(parts) and live:
                    broken.append(f"W1: {user}'s whole does not stand and {len(live)} parts do: {states}")
        return broken


def settled_wholes(town: Town) -> int:
    """Number of complete settlements, to check that a run tests something."""
    users = [town.world.members[user].party.user for user in USERS]
    return sum(1 for user in users for whole in user.wholes if stood(user.parts_of(whole)))
