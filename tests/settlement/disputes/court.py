"""A scene for disputes: a holder, alice with the lower half and a fallback to the upper one, bob, and an authority."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from settlement.chain import bodies, records
from settlement.chain.credentials import issue
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import decode_leaf
from settlement.chain.records import Record, digest
from settlement.chain.scope import Band
from settlement.core.reasons import Refusal
from settlement.disputes.casefile import read_case
from settlement.disputes.rulings import due_ruling
from settlement.disputes.table import OpenDispute
from settlement.pair.holdermove import SubstituteOffer
from settlement.records.complaint import Dispute, DisputeAnswer, Ruling
from settlement.records.complaintterms import GROUNDS, NOT_KEPT, DisputeTerms, FallbackTerms, GroundTerms
from settlement.records.sizes import PPM
from settlement.state.casefile import case_file
from settlement.state.disputes import all_disputes, answer_dispute, raise_dispute
from settlement.state.evidence import evidence_for
from settlement.state.messages import Message
from tests.settlement.world import (
    AREA,
    EVERYTHING,
    HOLDER_ACTIONS,
    LOWER,
    NETWORK,
    NS,
    RULE,
    T0,
    TERMS,
    UPPER,
    USER_ACTIONS,
    World,
    claims,
    fix,
    scope,
    seed,
)

PRICE = 70
FALLBACK = FallbackTerms(number=1, scope="same holder", notice_ns=NS, owed="fixed", amount=5)
DISPUTES = DisputeTerms(
    grounds=tuple(GroundTerms(name=name, owed="remaining", amount=0) for name in GROUNDS),
    levels=("authority", "regulator"),
    raise_ns=60 * NS,
    answer_ns=2 * NS,
    rule_ns=4 * NS,
    escalate_ns=10 * NS,
    pay_ns=2 * NS,
)
CLASS = replace(TERMS, fallbacks=(FALLBACK,), disputes=DISPUTES, currency="EUR")


def regulator(world: World, **changes: Any) -> bytes:
    """The credential of an authority of the next level."""
    key = SigningKey.from_seed(seed("regulator"))
    body = bodies.Credential(level="regulator", scope=scope(("rule",), **changes))
    named = claims(key.public, "regulator", "root")
    return issue(world.root_key, world.authority, body, named, network=NETWORK, fix=fix(-8), seq=next(world.numbers))


def by_regulator(world: World, body: Any, at_s: float) -> bytes:
    """A record signed by the regulator."""
    frame = records.Frame(
        network=NETWORK,
        author=digest(world.chains["regulator"][1]),
        seq=next(world.numbers),
        previous=bytes(32),
        attestation=records.Attestation.of(fix(at_s)),
    )
    return records.sign_record(SigningKey.from_seed(seed("regulator")), frame, body)


class Court:
    """One world, controlled in test seconds."""

    def __init__(
        self, folder: Path, terms: Any = CLASS, *, status_index: dict[str, int] | None = None, **rule: Any
    ) -> None:
        self.terms = terms
        levels = (*RULE.levels, bodies.Level(name="regulator", response="obey", weight_ppm=PPM, admits=EVERYTHING))
        self.world = World(
            folder, rule=replace(RULE, classes=(terms,), levels=levels, **rule), status_index=status_index
        )
        self.world.chains["holder"] = (self.world.root, self.world.credential("holder", HOLDER_ACTIONS, tier=1))
        for name in ("alice", "bob"):
            self.world.chains[name] = (self.world.root, self.world.credential(name, USER_ACTIONS, tier=3))
        names = list(self.world.chains)
        self.world.chains["regulator"] = (self.world.root, regulator(self.world))
        for name in names:
            self.world.members[name] = self.world.member(name)
        self.sid = b""

    @property
    def holder(self) -> Any:
        return self.world.members["holder"].party

    @property
    def alice(self) -> Any:
        return self.world.members["alice"].party

    def offer(self, at_s: float = 0.0) -> None:
        self.world.offer(at_s)
        self.world.carry(at_s + 0.1)

    def settle(
        self, user: str = "alice", band: Band = LOWER, *, at_s: float = 1.0, fallback: int | None = 1, **window: float
    ) -> bytes:
        """A settlement from 2 to 40 s at the offer's price."""
        party = self.world.members[user].party
        if not party.user.offers:
            self.offer()
        offer = next(iter(party.user.offers.values()))
        start, end = window.get("start_s", 2.0), window.get("end_s", 40.0)
        cell = replace(
            offer.body.cell,
            band=band,
            window=replace(offer.body.cell.window, start_ns=T0 + round(start * NS), end_ns=T0 + round(end * NS)),
        )

        def act(step: Any) -> bytes:
            return party.user.request(step, offer, cell, eirp_mdbm=20_000, tier=3, fallback=fallback).sid  # type: ignore[no-any-return]

        sid: bytes = self.world.do(user, at_s, act)
        refused = self.world.carry(at_s)
        assert refused == [], refused
        self.sid = self.sid or sid
        return sid

    def tick(self, at_s: float) -> None:
        """Let deadlines pass on every side, and deliver the messages that follow."""
        for name, member in self.world.members.items():
            self.world.do(name, at_s, member.party.tick)
        self.world.carry(at_s)

    def break_off(self, at_s: float = 10.0) -> None:
        """Let the holder end the settlement without giving the band to another user."""
        pair = self.holder.holder.pairs[self.sid]
        self.world.do("holder", at_s, lambda step: self.holder.holder.leases.undeliver(step, pair))

    def move(self, at_s: float = 10.0, band: Band = UPPER) -> Any:
        """Let the holder move the settlement to another band of its own offer."""
        party, pair = self.holder, self.holder.holder.pairs[self.sid]
        name, body = next(iter(party.holder.offers.items()))
        offer = SubstituteOffer(declaration=name, body=body, by="holder", own=True)

        def act(step: Any) -> Any:
            plan = party.holder.moves.plan(step, pair, band, offer, me="holder")
            return plan if isinstance(plan, Refusal) else party.holder.moves.move(step, pair, plan)

        return self.world.do("holder", at_s, act)

    def dispute(self, by: str = "alice", at_s: float = 12.0, **changes: Any) -> Record | Refusal:
        party = self.world.members[by].party
        ground = changes.get("grounds", NOT_KEPT)
        base = Dispute(
            sid=self.sid,
            confirm=self.alice.user.by_sid(self.sid).decision,
            rule=self.holder.rule.hash,
            against=self.holder.identity.credential,
            grounds=ground,
            claim=1000,
            evidence=evidence_for(party, self.sid, ground),
        )
        body = replace(base, **changes)
        outcome: Record | Refusal = self.world.do(by, at_s, lambda step: raise_dispute(party, step, body))
        return outcome

    def answer(self, dispute: bytes, at_s: float = 13.0, by: str = "holder", **changes: Any) -> Record | Refusal:
        party = self.world.members[by].party
        held = all_disputes(party)[dispute]
        base = DisputeAnswer(
            dispute=dispute,
            sid=held.sid,
            confirm=self.alice.user.by_sid(self.sid).decision,
            stance="denied",
            evidence=evidence_for(party, held.sid, held.ground),
        )
        body = replace(base, **changes)
        outcome: Record | Refusal = self.world.do(by, at_s, lambda step: answer_dispute(party, step, body))
        return outcome

    def ruling(self, dispute: bytes, by: str = "alice") -> Ruling:
        """The ruling that the node's case file gives."""
        file = case_file(self.world.members[by].party, dispute)
        assert not isinstance(file, Refusal), file
        case = read_case(file.encoded(), network=NETWORK, anchors=self.world.anchors)
        assert not isinstance(case, Refusal), case
        due = due_ruling(case)
        assert not isinstance(due, Refusal), due
        return due

    def rule(
        self, dispute: bytes, at_s: float = 15.0, to: str = "alice", *, by: str = "authority", **changes: Any
    ) -> Refusal | None:
        """Let the authority sign the ruling of the case, and hand it in at a node."""
        body = replace(self.ruling(dispute, to), **changes)
        raw = self.world.by_authority(body, at_s) if by == "authority" else by_regulator(self.world, body, at_s)
        return self.world.give(to, to, Message(record=raw).encoded(), at_s)

    def open(self, who: str = "alice") -> dict[bytes, OpenDispute]:
        return all_disputes(self.world.members[who].party)

    def all(self, who: str, kind: type[Any]) -> list[Any]:
        """Bodies of the admitted records of a kind in a log."""
        return [one.body for one in self.records(who, kind)]

    def records(self, who: str, *kinds: type[Any]) -> list[Record]:
        """The admitted records of some kinds in a log."""
        party = self.world.members[who].party
        leaves = [decode_leaf(body) for body in party.lineage.bodies()]
        raws = [leaf.record for leaf in leaves if not isinstance(leaf, Refusal) and leaf.admitted and leaf.record]
        records = [party.record_of(digest(raw)) for raw in raws]
        return [one for one in records if one is not None and isinstance(one.body, kinds)]


__all__ = ["AREA", "CLASS", "DISPUTES", "FALLBACK", "PRICE", "Court", "fix"]
