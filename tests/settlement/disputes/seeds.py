"""Seeded runs of kept and broken promises over a network that loses, doubles and delays messages.

A holder moves a settlement or ends it for nobody; its user disputes that, the holder answers or does not, the authority
rules, sometimes wrongly; a dispute may go up a level. At last nothing is lost any more.

    P1  what a ruling orders is paid, once, and its payee said that it has it
    P2  both parties hold the same course of every dispute, and an audit of each log finds nothing
    P3  the first radio has no lease left when the substitute of its settlement opens
    P4  a promise that was kept costs nothing; one that was broken is paid for, where its user could cite that
"""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from settlement.audit.verify import audit_lineage
from settlement.chain import bodies
from settlement.chain.leaf import decode_leaf
from settlement.chain.records import Record
from settlement.core.reasons import Refusal
from settlement.disputes.table import DisputeState
from settlement.records.complaint import Fallback, Ruling
from settlement.records.endings import Compensation
from settlement.records.verdict import Verdict
from settlement.state.messages import Message
from tests.settlement.disputes.court import Court, by_regulator
from tests.settlement.world import NETWORK

PARTIES = ("alice", "holder")
UNTIL_S = 60.0


class Promises:
    """One seeded run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng, self.court = Random(f"promises/{seed}"), Court(folder)
        self.kept = self.rng.random() < 0.4
        self.loss, self.knew = 0.0, False
        self.happened: list[str] = []
        self._newest: bytes | None = None
        self._ruled: set[bytes] = set()

    def run(self) -> list[str]:
        """Settle, keep or break the promise, dispute under loss, heal; returns the rules that do not hold."""
        self.court.settle()
        self.loss = self.rng.choice((0.0, 0.2, 0.4))
        for at_s in (3.5, 5.0, 6.5, 8.0, 9.5):
            self._pass(at_s)
        if self.kept:
            self.court.move(10.0)
        else:
            self.court.break_off(10.0)
        self._pass(10.0)
        at_s, asked = 12.0, False
        while at_s < UNTIL_S:
            asked = asked or self._dispute(at_s)
            if asked and self._newest is not None:
                self._course(at_s)
            self._pass(at_s)
            at_s += self.rng.choice((0.4, 0.8))
            if at_s > UNTIL_S - 25.0:
                self.loss = 0.0
        return [*self._paid(), *self._told(), *self._silent(), *self._just()]

    # -- what happens ----------------------------------------------------------------------------------------------

    def _dispute(self, at_s: float) -> bool:
        """Let the user dispute once it knows that its settlement ended or moved; the PREEMPT may be lost."""
        pair = self.court.alice.user.by_sid(self.court.sid)
        self.knew = (pair.ended or "").startswith("preempted")
        if pair.ended is None and pair.moving is None:
            return False
        outcome = self.court.dispute(at_s=at_s)
        if isinstance(outcome, Record):
            self._newest = outcome.digest
            self.happened.append("disputed")
        return isinstance(outcome, Record)

    def _course(self, at_s: float) -> None:
        name = self._newest or b""
        held = self.court.open("holder").get(name)
        if held is not None and held.state == DisputeState.RAISED and self.rng.random() < 0.3:
            self.happened.append("answered")
            self.court.answer(name, at_s)
        mine = self.court.open()[name]
        if mine.state in (DisputeState.RAISED, DisputeState.ANSWERED) and self.rng.random() < 0.4:
            self._rule(name, at_s)
        elif mine.state == DisputeState.PAID and mine.level == 0 and self.rng.random() < 0.1:
            outcome = self.court.dispute(at_s=at_s, escalates=name)
            if isinstance(outcome, Record):
                self._newest = outcome.digest
                self.happened.append("escalated")

    def _rule(self, name: bytes, at_s: float) -> None:
        """Let the authority rule, sometimes for a sum that nobody owes."""
        to = self.rng.choice(PARTIES)
        if name not in self.court.open(to) or name in self._ruled:
            return
        due = self.court.ruling(name, to)
        body = replace(due, compensation=due.compensation + 5) if self.rng.random() < 0.3 else due
        level = self.court.open(to)[name].level
        raw = self.court.world.by_authority(body, at_s) if level == 0 else by_regulator(self.court.world, body, at_s)
        refusal = self.court.world.give(to, to, Message(record=raw).encoded(), at_s)
        self.happened.append("refused" if refusal is not None else "ruled")
        if refusal is None:
            self._ruled.add(name)

    def _pass(self, at_s: float) -> None:
        world = self.court.world
        for name, member in world.members.items():
            world.do(name, at_s, member.party.tick)
        world.carry_lossily(at_s, self.rng, self.loss)

    # -- what must hold --------------------------------------------------------------------------------------------

    def all(self, kind: type[Any]) -> dict[bytes, Any]:
        """Every admitted record of a kind in either log, by name."""
        found: dict[bytes, Any] = {}
        for who in PARTIES:
            party = self.court.world.members[who].party
            names = [*party.lineage.records_of(self.court.sid), *self._others(party)]
            found |= {n: one for n in names if (one := party.record_of(n)) is not None and isinstance(one.body, kind)}
        return found

    def _others(self, party: Any) -> list[bytes]:
        """The records of the substitute, and both receipts."""
        pair = self.court.alice.user.by_sid(self.court.sid)
        names = party.lineage.records_of(pair.substitute) if pair.substitute is not None else []
        for who in PARTIES:
            leaves = map(decode_leaf, party.lineage.back(self.court.world.members[who].hash))
            names += [leaf.subject for leaf in leaves if not isinstance(leaf, Refusal)]
        return names

    def _paid(self) -> list[str]:
        heard = {one.body.subject for one in self.all(Verdict).values() if one.body.clause == "compensation.received"}
        paid = self.all(Compensation)
        broken = []
        for name, ruling in self.all(Ruling).items():
            mine = [(n, one.body) for n, one in paid.items() if one.body.ruling == name]
            due = [ruling.body.compensation] if ruling.body.compensation else []
            if [body.amount for _, body in mine] != due or any(n not in heard for n, _ in mine):
                broken.append(f"P1: {ruling.body.compensation} ruled, {[b.amount for _, b in mine]} paid and heard of")
        return broken

    def _told(self) -> list[str]:
        a, b = self.court.open("alice"), self.court.open("holder")
        broken = ["P2: the parties hold other courses"] if a != b else []
        for who in PARTIES:
            path = self.court.world.folder / f"{who}.db"
            audited = audit_lineage(path, network=NETWORK, anchors=self.court.world.anchors)
            broken += [f"P2: {who}: {one}" for one in audited.findings.problems[:1]]
        return broken

    def _silent(self) -> list[str]:
        moves = [one.body for one in self.all(Fallback).values()]
        leases = [one.body for kind in (bodies.Confirm, bodies.Renew, bodies.Resume) for one in self.all(kind).values()]
        reach = max(one.transmit_until_ns for one in leases if one.sid == self.court.sid)
        return [f"P3: a lease to {reach}, moved from {one.from_ns}" for one in moves if reach > one.from_ns]

    def _just(self) -> list[str]:
        rulings = [one.body for one in self.all(Ruling).values()]
        if self.kept and any(one.compensation for one in rulings):
            return ["P4: paid for what was kept"]
        if not self.kept and self.knew and rulings and not any(one.compensation for one in rulings):
            return ["P4: broken, and nothing was owed"]
        return []
