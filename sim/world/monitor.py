"""Checks every invariant after every step; a breach has the invariant's number, the member and the instant.

Long because every invariant is asked from one view of a step.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from settlement.audit.verify import audit_entries
from settlement.chain.admission import Admitted, prove
from settlement.chain.bodies import (
    Accept,
    Confirm,
    Coordination,
    Envelope,
    Evidence,
    Grant,
    Preempt,
    Renew,
    Revocation,
)
from settlement.chain.credentials import Registry
from settlement.chain.lineage import Lineage
from settlement.chain.records import digest
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import verify
from settlement.pair.bounds import PLACES, UNITS
from settlement.pair.coordination import CoordinationSigned
from settlement.pair.debts import DEBT
from settlement.pair.governed import Governed
from settlement.pair.handings import STORE as HANDING
from settlement.pair.holder import STORE as HOLDER_STORE
from settlement.pair.holder import restored_holder
from settlement.pair.table import HolderState, UserState
from settlement.pair.user import STORE as USER_STORE
from settlement.pair.user import restored_user
from settlement.records.handover import Handover
from settlement.records.registry import RECORDS
from settlement.state.messages import Message, decode_message
from settlement.state.step import Outgoing
from sim.world import invariants as law
from sim.world.ledger import Book, Entry, Ledger, Life, step_of
from sim.world.member import Done, Member
from sim.world.transmitter import ModelledEmission
from sim.world.trust import NETWORK, T0_NS, WorldTrust

AIR_NS = 2_000_000_000
"""How long an emission is kept, ns: longer than any lasts without a new decision of its transmitter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """An invariant that does not hold."""

    invariant: str
    who: str
    true_ns: int
    what: str

    def __str__(self) -> str:
        """Format as one line."""
        return f"{self.invariant} broken by {self.who} at {self.true_ns / 1e9:.6f} s: {self.what}"


class Monitor:
    """Observes the world's steps without changing it."""

    def __init__(self, trust: WorldTrust, members: Iterable[Member]) -> None:
        self.trust, self.members = trust, {m.name: m for m in members}
        self.ledger = Ledger()
        self.breaches: list[Breach] = []
        self.asked: Counter[str] = Counter()
        self.cheats: set[str] = set()
        self.air: list[ModelledEmission] = []
        """Recently ended emissions."""
        self.registry = trust.registry()
        self.rule = trust.rule(self.registry).rule
        self._shared = bool(self.rule.coordination)
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._status: dict[str, tuple[int, bytes]] = {}
        self._revoked: dict[str, set[bytes]] = {}
        self._answers: dict[tuple[str, bytes], set[bytes]] = {}
        self._fences: dict[tuple[str, bytes], int] = {}
        self._settled: set[tuple[str, bytes]] = set()
        self._names = {member.hash: member.name for member in self.members.values()}
        for member in self.members.values():
            self.ledger.books[member.name] = Book(owner=member.hash)
        for subject in self.registry.subjects():
            parent = self.registry.get(subject.issuer)
            if parent is not None:
                self._hold("I7", subject.name, 0, law.i7_delegation_narrows(subject.scope, parent.scope))

    def _hold(self, invariant: str, who: str, true_ns: int, broken: str) -> None:
        self.asked[f"asked {invariant}"] += 1
        if broken:
            self.breaches.append(Breach(invariant=invariant, who=who, true_ns=true_ns, what=broken))

    def _lives_of(self, holder: bytes) -> Book:
        return self.ledger.books[self._names[holder]]

    # -- after a step --------------------------------------------------------------------------------------------

    def after(self, member: Member, done: Done, true_ns: int, received: bytes | None = None) -> list[Entry]:
        """Check one durable step against all invariants."""
        if member.log is None or member.party is None or not done.durable:
            return []
        fresh = self.ledger.take(member.name, member.log, true_ns)
        for entry in fresh:
            self._entry(member, entry, true_ns)
        self._head(member, true_ns)
        own = sum(1 for e in fresh if e.own)
        self._hold("I10", member.name, true_ns, law.i10_behind_signs_nothing(member.restored, own))
        self._states(member, true_ns)
        self._status_of(member, true_ns)
        faults = [str(notice.fields) for notice in done.notices if notice.name == "fault"]
        self._hold("I15", member.name, true_ns, "; ".join(faults))
        if received is not None:
            self._verdict(member, done, fresh, true_ns, received)
        return fresh

    def _entry(self, member: Member, entry: Entry, true_ns: int) -> None:
        seen, name = entry.seen, member.name
        if seen is None:
            return
        if entry.leaf.admitted and isinstance(seen.body, Preempt):
            self._displaced(member, entry, true_ns)
        if isinstance(seen.body, Revocation) and entry.leaf.admitted:
            self._take_list(name, seen.body)
        if not entry.own:
            return
        book, ledger = self.ledger.books[name], self.ledger
        self._hold("I5", name, true_ns, law.i5_same_input_same_bytes([ledger.numbered[seen.author, seen.seq]]))
        signed = law.i12_unknown_time_signs_nothing(seen.typ, seen.attestation, self.rule.time_bound_ns_max)
        self._hold("I12", name, true_ns, signed)
        if seen.sid is not None:
            said = ledger.said.get(step_of(seen), set())
            self._hold("I5", name, true_ns, law.i5_same_input_same_bytes([said]))
            self._hold("I2", name, true_ns, law.i2_one_decision(seen.sid, ledger.decisions))
        match seen.body:
            case Grant():
                self._granted(member, seen.body, true_ns)
                self._hold("I6", name, true_ns, law.i6_fences_rise(book.fences))
            case Confirm():
                life = book.lives.get(seen.body.sid)
                if life is not None:
                    self._cosigned(member, life, true_ns)
                    self._handed(member, life, true_ns)
                    others = ledger.running(T0_NS + true_ns)
                    self._hold("I1", name, true_ns, law.i1_no_two_in_one_cell(life, others, T0_NS))
                    revoked = self._revoked.get(name, set())
                    self._hold("I9", name, true_ns, law.i9_nothing_for_the_revoked(life.user, revoked))
            case Coordination():
                self._signed_for(member, seen.body.sid, true_ns)
            case Evidence():
                self._evidence(member, seen.body, true_ns)
            case Renew() if (life := book.lives.get(seen.body.sid)) is not None:
                self._hold("I19", name, true_ns, law.i19_leased_no_longer(life))
                self._hold("I6", name, true_ns, law.i6_fences_rise(book.fences[-2:]))
            case _:
                self._hold("I6", name, true_ns, law.i6_fences_rise(book.fences[-2:]))

    def _cosigned(self, member: Member, life: Life, true_ns: int) -> None:
        """Check that everyone whom the rule asks had co-signed when a settlement was confirmed."""
        authors = {a: self.registry.get(a) for a in self.ledger.cosigned.get(life.sid, {})}
        signed = [
            CoordinationSigned(author=author, body=self.ledger.cosigned[life.sid][name].body)
            for name, author in authors.items()
            if author is not None
        ]
        broken = law.i3_confirmed_is_cosigned(life, self.rule, member.hash, signed)
        self._hold("I3", member.name, true_ns, broken)

    def _handed(self, member: Member, life: Life, true_ns: int) -> None:
        """Check a CONFIRM under a HANDOVER against the HANDOVER and its old user's log."""
        name = life.grant.body.handover if life.grant is not None else None
        handover = self.ledger.named.get(name) if name is not None else None
        terms = self.rule.classes[0].handing
        if handover is None or terms is None:
            return
        own = self.ledger.books[member.name].entries
        broken = law.i19_handed_on_narrows(life, handover, own, bool(terms.consent))
        self._hold("I19", member.name, true_ns, broken or law.i19_leased_no_longer(life))

    def _signed_for(self, member: Member, sid: bytes, true_ns: int) -> None:
        """Check that the settlements one member has co-signed do not overlap."""
        lives = {s: life for book in self.ledger.books.values() for s, life in book.lives.items()}
        mine = [lives[s] for s, by in self.ledger.cosigned.items() if member.hash in by and s in lives]
        if sid in lives and not member.restored:
            self._hold("I1", member.name, true_ns, law.i1_signed_once(lives[sid], mine, T0_NS + true_ns))

    def _granted(self, member: Member, grant: Grant, true_ns: int) -> None:
        name, book = member.name, self.ledger.books[member.name]
        asked = next((e.seen for e in book.entries if e.seen and e.seen.digest == grant.request), None)
        offer = next(
            (e.seen for e in book.entries if asked and e.seen and e.seen.digest == asked.body.declaration), None
        )
        holder, user = self.registry.get(member.hash), self.registry.get(grant.user)
        if offer is None or holder is None or user is None:
            self._hold("I7", name, true_ns, "a grant of nothing that was offered")
            return
        offered = offer.body.offered if isinstance(offer.body, Handover) else offer.body
        self._hold("I7", name, true_ns, law.i7_scopes_narrow(grant, offered, holder.scope, user.scope))
        self._enveloped(book, grant, name, true_ns)
        grants = [
            (e.seen.attestation.earliest_ns, e.seen.body)
            for e in book.entries
            if e.own and e.seen and isinstance(e.seen.body, Grant)
        ]
        levels = {s.hash: s.level for s in self.registry.subjects()}
        self._hold("I8", name, true_ns, law.i8_within_budget(grants, self.rule, levels))
        revoked = self._revoked.get(name, set())
        self._hold("I9", name, true_ns, law.i9_nothing_for_the_revoked(grant.user, revoked))

    def _enveloped(self, book: Book, grant: Grant, name: str, true_ns: int) -> None:
        """Check the last durable GRANT against the holder's looks and the user's radio limits."""
        found = [e.seen for e in book.entries if e.seen and isinstance(e.seen.body, Envelope) and e.leaf.admitted]
        signed = next(e.seen for e in reversed(book.entries) if e.seen and e.seen.body is grant)
        before = [s for s in found if s.author != book.owner or s.seq < signed.seq]
        places = [s.body for s in before if s.author == book.owner and s.body.kind == "place"]
        units = [s.body for s in before if s.author == grant.user and s.body.kind == "unit"]
        broken = law.i18_inside_its_envelopes(grant, signed.attestation.latest_ns, places, units, self.rule)
        self._hold("I18", name, true_ns, broken)

    def _displaced(self, member: Member, entry: Entry, true_ns: int) -> None:
        body: Preempt | None = entry.seen.body if entry.seen else None
        lives = [b.lives[body.sid] for b in self.ledger.books.values() if body and body.sid in b.lives]
        for life in lives:
            self._hold("I16", member.name, true_ns, law.i16_tiers(life.tier, body.tier if body else 0))

    def _take_list(self, name: str, body: Revocation) -> None:
        indexed = [(s.status_index, s.hash) for s in self.registry.subjects() if s.status_index is not None]
        gone = {h for i, h in indexed if i // 8 < len(body.bits) and body.bits[i // 8] >> i % 8 & 1}
        self._revoked.setdefault(name, set()).update(gone)

    def _evidence(self, member: Member, body: Evidence, true_ns: int) -> None:
        registry = Registry(NETWORK, self.trust.anchors)
        for _, chain in self.trust.chains:
            registry.admit_chain(chain)
        first, second = prove(body.first, registry), prove(body.second, registry)
        if not isinstance(first, Admitted) or not isinstance(second, Admitted):
            self._hold("I14", member.name, true_ns, law.i14_evidence_proves(False, "nobody", self.cheats))
            return
        a, b = first.record, second.record
        same = a.frame.seq == b.frame.seq or (a.sid is not None and (a.sid, a.typ) == (b.sid, b.typ))
        conflicting = a.digest != b.digest and a.frame.author == b.frame.author and same
        self._hold("I14", member.name, true_ns, law.i14_evidence_proves(conflicting, first.author.name, self.cheats))

    def _head(self, member: Member, true_ns: int) -> None:
        log, book = member.log, self.ledger.books[member.name]
        if log is None:
            return
        head = log.head()
        before = self._heads.get(member.name, (0, head.root))
        root_then = log.root_at(before[0]) if 0 < before[0] <= head.size else before[1]
        self._hold("I10", member.name, true_ns, law.i10_heads_only_extend(before, head, root_then))
        if head.root != book.root():
            self._hold("I10", member.name, true_ns, "the root is not that of the entries")
        self._heads[member.name] = (head.size, head.root)

    def _states(self, member: Member, true_ns: int) -> None:
        party, name = member.party, member.name
        if party is None or member.restored:
            return
        for pair in party.user.pairs.values():
            if pair.in_force:
                lives = self._lives_of(pair.holder).lives
                self._hold("I3", name, true_ns, law.i3_active_is_confirmed(pair.sid, lives, coordinated=self._shared))
                self._offline(member, pair.sid, true_ns)
            before = self._fences.get((name, pair.sid), 0)
            if pair.fence < before:
                self._hold("I6", name, true_ns, law.i6_fences_rise((before, pair.fence)))
            self._fences[name, pair.sid] = pair.fence
        for held in party.holder.pairs.values():
            if held.state in (HolderState.CONFIRMED, HolderState.SUSPENDED):
                lives = self.ledger.books[name].lives
                self._hold("I3", name, true_ns, law.i3_active_is_confirmed(held.sid, lives, coordinated=self._shared))

    def _offline(self, member: Member, sid: bytes, true_ns: int) -> None:
        if (member.name, sid) in self._settled or member.log is None:
            return
        self._settled.add((member.name, sid))
        artifact = member.log.get("artifact", sid) or b""
        permit = verify(artifact, network=NETWORK, anchors=self.trust.anchors)
        refusal = permit if isinstance(permit, Refusal) else None
        self._hold("I13", member.name, true_ns, law.i13_offline_as_online(refusal, sid))

    def _status_of(self, member: Member, true_ns: int) -> None:
        if not self.trust.lists or member.party is None:
            return
        held = member.party.status.held(self.trust.anchors[0])
        now = (held.body.version, held.body.bits) if held else None
        before = None if member.restored else self._status.get(member.name)
        self._hold("I9", member.name, true_ns, law.i9_revocation_is_monotone(before, now))
        if now is not None:
            self._status[member.name] = now

    def _verdict(self, member: Member, done: Done, fresh: list[Entry], true_ns: int, data: bytes) -> None:
        message, refusal = decode_message(data), done.result
        if isinstance(message, Refusal) or message.heads is not None or member.restored:
            return
        beside = {digest(raw) for raw in message.beside or ()}
        aside = [e.leaf.subject for e in fresh if not e.own and e.leaf.subject in beside]
        self._hold("I15", member.name, true_ns, law.i15_one_verdict(len(set(aside)), len(aside)))
        received = [e for e in fresh if not e.own and e.leaf.subject not in beside]
        if isinstance(refusal, Refusal) and refusal.reason is Reason.HALT_BEHIND_WITNESS:
            return
        replay = isinstance(refusal, Refusal) and refusal.reason is Reason.REPLAY
        expected = min(1, len(received)) if replay or self._known_already(member, message.record) else 1
        self._hold("I15", member.name, true_ns, law.i15_one_verdict(expected, len(received)))
        if isinstance(refusal, Refusal) and refusal.reason is Reason.FAULT:
            self._hold("I15", member.name, true_ns, str(refusal))
        if replay:
            answers = self._answers.setdefault((member.name, digest(message.record)), set())
            answers.update(o.data for o in done.outgoing)
            self._hold("I5", member.name, true_ns, law.i5_same_input_same_bytes([answers]))

    def _known_already(self, member: Member, raw: bytes) -> bool:
        """Whether a record passed on by neighbours is known already, and so not logged again."""
        seen = self.ledger.seen(raw)
        return (
            seen is not None and RECORDS[seen.typ].passed_on and seen.digest in self.ledger.books[member.name].durable
        )

    # -- what leaves, and what is in the air ---------------------------------------------------------------------

    def sent(self, member: Member, outgoing: Outgoing, true_ns: int) -> Message | None:
        """Check every record that leaves a member."""
        message = decode_message(outgoing.data)
        if isinstance(message, Refusal):
            self._hold("I4", member.name, true_ns, f"sent what nobody can read: {message}")
            return None
        if message.record:
            durable = self.ledger.books[member.name].durable
            for raw in (message.record, *(message.beside or ())):
                self._hold("I4", member.name, true_ns, law.i4_durable_before_sent(digest(raw), durable))
        return message

    def radiated(self, emission: ModelledEmission, true_ns: int) -> None:
        """Check an emission that ended."""
        lives = self.ledger.running(T0_NS + emission.start_ns)
        broken = law.i17_power_inside_one_settlement(emission, lives, T0_NS)
        self._hold("I17", emission.user, true_ns, broken)
        self._hold("I20", emission.user, true_ns, law.i20_one_at_a_time(emission, self.air))
        self.air = [one for one in self.air if one.end_ns > emission.start_ns - AIR_NS] + [emission]
        silences = self.ledger.books[emission.user].silences.get(emission.sid, [])
        self._hold("I17", emission.user, true_ns, law.i17_silent_once_suspended(emission, silences))

    # -- crash, restore, end -------------------------------------------------------------------------------------

    def rebuilt(self, member: Member, true_ns: int) -> None:
        """Check that the state in memory equals the one rebuilt from the log."""
        party, log = member.party, member.log
        if party is None or log is None:
            return
        governed = Governed(party.rule)
        holder = restored_holder(
            me=member.hash,
            own=None,
            governed=governed,
            stored=[raw for _, raw in log.items(HOLDER_STORE)],
            offers=log.items("offer"),
            blocked=log.items("blocked"),
            failing=(),
            debts=log.items(DEBT),
            handed=log.items(HANDING),
            bounds=party.bounds,
            elsewhere={},
            neighbours=lambda _cell: set(),
        )
        user = restored_user(
            me=member.hash, governed=governed, stored=[raw for _, raw in log.items(USER_STORE)], bounds=party.bounds
        )
        for again, held, what in (
            (holder.pairs, party.holder.pairs, "the holder's part"),
            (holder.offers, party.holder.offers, "its offers"),
            (holder.leases.debts.open, party.holder.leases.debts.open, "what it owes"),
            (_names(log, PLACES), {r.digest for r in party.bounds.places.values()}, "what it found"),
            (_names(log, UNITS), {r.digest for r in [party.bounds.unit] if r}, "what its radio can do"),
            (user.pairs, party.user.pairs, "the user's part"),
        ):
            self._hold("I11", member.name, true_ns, law.i11_replay_agrees(again, held, what))

    def put_back(self, member: Member, true_ns: int) -> None:
        """Note that an older copy of the log was restored: its entries are read again."""
        self.ledger.books[member.name].durable.update(set())
        self._heads.pop(member.name, None)
        lives = self.ledger.books[member.name].lives
        book = Book(owner=member.hash)
        self.ledger.books[member.name] = book
        if member.log is not None:
            self.ledger.take(member.name, member.log, true_ns)
        book.take_over(lives)

    def audited(self, member: Member, true_ns: int) -> None:
        """Audit a whole log again with the auditor's code."""
        log = member.log
        if log is None:
            return
        with log.transaction():
            note = log.checkpoint(member.key)
        bodies = list(log.bodies())
        found = audit_entries(bodies, origin=log.origin, note=note, network=NETWORK, anchors=self.trust.anchors)
        for problem in found.findings.problems:
            self._hold("I11", member.name, true_ns, problem)
        self._hold("I11", member.name, true_ns, law.i11_replay_agrees(found.root, log.head().root, "the root"))

    def agreed(self, member: Member, true_ns: int) -> None:
        """Check, after all faults, that nobody is in doubt and both sides of each settlement name one decision."""
        party = member.party
        if party is None or member.name in self.cheats:
            return  # a member that equivocates is not asked to agree
        for one in party.holder.pairs.values():
            if one.state in {HolderState.RESERVED, HolderState.COORDINATING}:
                self._hold("S7", member.name, true_ns, f"{one.sid.hex()[:8]} still {HolderState(one.state).name}")
        for pair in party.user.pairs.values():
            other = next(m for m in self.members.values() if m.hash == pair.holder)
            held = other.party.holder.pairs.get(pair.sid) if other.party else None
            if pair.state in {UserState.REQUESTED, UserState.ACCEPTED}:
                if self.rule.witness_quorum and any(self._revoked.values()):
                    continue  # without a revoked witness there is no quorum: doubt is right
                self._hold("S7", member.name, true_ns, f"{pair.sid.hex()[:8]} still {UserState(pair.state).name}")
            elif pair.decision is not None and (held is None or held.decision != pair.decision):
                self._hold("S7", member.name, true_ns, f"{pair.sid.hex()[:8]}: two sides, two decisions")


def _names(log: Lineage, kind: str) -> set[bytes]:
    return {digest(raw) for _, raw in log.items(kind)}


def cheat_accept(body: Accept) -> Accept:
    """The same ACCEPT with other bytes, as an equivocating user sends it."""
    return replace(body, answer=digest(b"another" + body.answer))
