"""A node's part in the settlement: bytes in, one verdict each, bytes out; no sockets, no clock of its own.

A party is holder and user at once; which it may be is its credential's matter, not this code's.

Long because every way from bytes to their one verdict, and to what is undone with it, stands in one place.
"""

from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from settlement.chain.admission import Admitted, admit, prove, proven
from settlement.chain.codec import cut
from settlement.chain.credentials import Subject
from settlement.chain.leaf import RECEIVED, admitted_leaf, refused_leaf
from settlement.chain.lineage import LineageError
from settlement.chain.records import Record, Unproven, digest, parse
from settlement.core.fixes import Fix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair import user as user_side
from settlement.pair.user import UserPair
from settlement.pair.work import Silenced, StoredStateError
from settlement.party import assembly
from settlement.records.conduct import together
from settlement.records.conduct.alarms import keep_evidence, key_in_use, may_change
from settlement.records.conduct.base import RecordCase
from settlement.records.conduct.registry import answer_refused, decide, is_replaced
from settlement.records.row import Charge
from settlement.records.witness import Cosignature
from settlement.state import handovers, oldreplies
from settlement.state.due import is_due
from settlement.state.messages import HEADS_ANSWERED, HEADS_ASKED, Message, decode_message
from settlement.state.nodestate import NodeState
from settlement.state.ownword import believed
from settlement.state.replays import passed_on
from settlement.state.repute import weigh_record
from settlement.state.rules import RULE
from settlement.state.step import HaltedError, Identity, Mark, NotEntitledError, Outgoing, Step
from settlement.state.witness import ROUND

T = TypeVar("T")
UNRECOVERABLE = (LineageError, HaltedError, StoredStateError)
"""What a node must not go on from: its log is gone, not whole, or not what was written."""
PAUSE_NS, PAUSE_MAX_NS = 1_000_000_000, 64_000_000_000
WITNESSING_DIVIDES = 4
"""Heads go round with every settlement, and count by a quarter."""


class Party(NodeState):
    """Holder, user, log and registry of one node, driven from outside."""

    faults: int = 0
    """Messages and duties that failed in a way nobody foresaw; each was undone, told, and cost nothing else."""

    @contextmanager
    def step(self, now: Fix) -> Iterator[Step]:
        """One durable step. If it fails nothing of it happened, and the machines go back to what is durable."""
        time = believed(now.time, self.attested_ns)
        now = now if time is now.time else replace(now, time=time)
        self.go_by(self.rules.at(now.time.earliest_ns, now.time.latest_ns))
        step = Step(
            self.identity,
            self.lineage,
            now,
            self.rule.hash,
            self.entropy,
            former=self.former,
            quorum=self.witness.quorum,
            entitled=self.entitled,
            signed=lambda step, record: weigh_record(self, step, record, own=True),
            halted=self.halted,
        )
        before, attested_ns = (self.identity, dict(self.former)), self.attested_ns
        try:
            with self.lineage.transaction():
                yield step
                self.stand()
        except BaseException:
            self.identity, self.former = before
            self.attested_ns = attested_ns
            self.witness.me = self.identity.credential
            self.restore()
            raise

    def attempt(self, step: Step, act: Callable[[], T]) -> T | Refusal:
        """One part of a step: what of it this node may not sign undoes that part alone, and is returned."""
        before, mark = (self.identity, dict(self.former)), step.mark()
        try:
            with self.lineage.transaction():
                return act()
        except NotEntitledError as exc:
            return self._not_signed(step, exc, before, mark)

    def _not_signed(
        self, step: Step, exc: NotEntitledError, before: tuple[Identity, dict[bytes, Identity]], mark: Mark
    ) -> Refusal:
        """What came before it in its part of the step is gone from the log: nor did it happen here."""
        self.identity, self.former = before
        step.identity, self.witness.me = self.identity, self.identity.credential
        self.restore()
        step.undo(mark)
        step.event("not signed", reason=exc.refusal.reason.value, detail=str(exc.refusal))
        return exc.refusal

    def register(self, step: Step) -> None:
        """Log the credentials and the rule this node works with, each once: an auditor needs nothing else."""
        chains = (subject.chain for subject in self.registry.subjects())
        newest = self.rules.newest
        if self.lineage.get(RULE, newest.key) is None:
            step.put(RULE, newest.key, newest.raw)
        for raw in dict.fromkeys(raw for chain in (newest.chain, *chains, (newest.raw,)) for raw in chain):
            if self.lineage.index_of(digest(raw)) is None:
                leaf = admitted_leaf(raw, origin=RECEIVED, now=step.now.time, rule=self.rule.hash)
                step.log(leaf, proven(raw, self.registry))

    # -- bytes in ------------------------------------------------------------------------------------------------

    def receive(self, step: Step, data: bytes, transport_key: bytes) -> Refusal | None:
        """One message from the node that holds `transport_key`: one verdict, logged. Returns the refusal, if any.

        A neighbour that has used up its share of this node is not listened to; that alone is counted, not logged.
        """
        now_ns, shares = step.now.time.latest_ns if self.clock is None else self.clock(), self.shares
        self._now_ns = now_ns
        over = shares.judge(transport_key, now_ns)
        if over is not None:
            return over
        logged, began_ns, step.whole = step.logged_bytes, shares.worked_ns(), False
        self._beside_bytes, self._cost_of = 0, transport_key
        found = self._undone_if_it_fails(step, lambda: self._receive(step, data, transport_key), attempts=True)
        own = found if isinstance(found, Refusal) and found.clause.startswith("own.") else None
        if own is not None:
            told = self._undone_if_it_fails(step, lambda: self._not_entitled(step, data, own, transport_key))
            found = found if told is None else told
        refusal: Refusal | None
        if isinstance(found, Exception):
            refusal = refuse(Reason.FAULT, "party.receive", cut(repr(found), 256), "a message this node can deal with")
            peer = self.registry.by_transport(transport_key)
            step.log(refused_leaf(data, refusal, now=step.now.time, rule=self.rule.hash, peer=_hash(peer)), None)
            step.event("fault", detail=str(refusal), peer=peer.name if peer else "unknown")
        else:
            refusal = found
        charge = self._last_charge if refusal is None and not step.whole else Charge.WHOLE
        shares.charge(
            self._cost_of,
            now_ns,
            work_ns=shares.worked_ns() - began_ns,
            log_bytes=(step.logged_bytes - logged) // (WITNESSING_DIVIDES if charge is Charge.WITNESSING else 1),
            moves=charge is Charge.MOVES,
            beside_bytes=self._beside_bytes,
        )
        return refusal

    def at_cost_of(self, step: Step, transport_key: bytes, action: Callable[[], object]) -> None:
        """Do what a neighbour's word brought about, at the cost of its share; nothing, where that is used up."""
        now_ns, shares = step.now.time.latest_ns if self.clock is None else self.clock(), self.shares
        if shares.judge(transport_key, now_ns) is not None:
            return
        logged, began_ns = step.logged_bytes, shares.worked_ns()
        action()
        cost_ns, size = shares.worked_ns() - began_ns, step.logged_bytes - logged
        shares.charge(transport_key, now_ns, work_ns=cost_ns, log_bytes=size, moves=False)

    def _undone_if_it_fails(
        self, step: Step, action: Callable[[], T], *, attempts: bool = False
    ) -> T | Refusal | Exception:
        """The one place where an exception that nobody foresaw ends: what it was part of is as if it never began.

        With `attempts` what this node may not sign is a refusal, undone as by `attempt`, in the same savepoint.
        """
        before, mark = (self.identity, dict(self.former)), step.mark()
        try:
            try:
                with self.lineage.transaction():
                    return action()
            except NotEntitledError as exc:
                if not attempts:
                    raise
                return self._not_signed(step, exc, before, mark)
        except UNRECOVERABLE:
            raise
        except Exception as exc:  # noqa: BLE001 - no message of one peer may cost another peer's, or the node
            self.faults += 1
            self.restore()
            step.undo(mark)
            return exc

    def duty(self, step: Step, what: str, action: Callable[[], T], *, waits: bool = True) -> T | Refusal | None:
        """Do something of this node's own; what fails is undone and told (None), and the node goes on with all else.

        What the node may not sign comes back as a refusal, undone as well.
        One that `waits` is left alone for a while after it failed, ever longer; what takes a band back does not wait.
        """
        now_ns = step.now.time.latest_ns
        failed, until_ns = self._failed_duties.get(what, (0, now_ns))
        if waits and not is_due(until_ns, now_ns, apart_ns=PAUSE_MAX_NS):
            return None
        found = self._undone_if_it_fails(step, action, attempts=True)
        if not isinstance(found, Exception):
            self._failed_duties.pop(what, None)
            return found
        pause_ns = min(PAUSE_MAX_NS, PAUSE_NS << min(failed, 16))
        self._failed_duties[what] = failed + 1, now_ns + pause_ns
        step.event("fault", detail=cut(repr(found), 256), duty=what)
        return None

    def _if_any(self, step: Step, what: str, there: Sized | bool, action: Callable[[], object]) -> None:
        """Do a duty only where there is something to do it for, or where it failed before."""
        if there or what in self._failed_duties:
            self.duty(step, what, action)

    def _receive(self, step: Step, data: bytes, transport_key: bytes) -> Refusal | None:
        peer = self.registry.by_transport(transport_key)
        self._last_charge = Charge.WHOLE
        message = decode_message(data)
        if isinstance(message, Refusal):
            step.log(refused_leaf(data, message, now=step.now.time, rule=self.rule.hash, peer=_hash(peer)), None)
            return message
        if message.heads is not None:
            return self._heads(step, message, transport_key)
        if step.halted is not None:
            return step.halted
        for one in message.beside or ():
            logged = step.logged_bytes
            if self._take_beside(step, one, transport_key) is not Charge.MOVES:
                self._beside_bytes += step.logged_bytes - logged
        raw = message.record
        verdict = self._admit(step, raw, transport_key)
        if isinstance(verdict, Refusal):
            return self._refused(step, raw, verdict, transport_key)
        if verdict.record.row.passed_on and _hash(peer) != verdict.author.hash:
            over = self._passed_on(verdict)
            if over is not None:
                return over
        self._last_charge = verdict.record.row.charge
        case = RecordCase(state=self, step=step, admitted=verdict, message=message, carrier=_hash(peer))
        unsure = self.unsure(step.now) if verdict.record.row.signs else None
        decision = unsure or decide(case)
        if isinstance(decision, Refusal):
            refusal = decision
            # What time or order alone decided may be judged again when it comes again.
            terminal = None if may_change(refusal) or self._early(verdict, refusal) else verdict.record
            self._log_refused(step, raw, refusal, _hash(peer), terminal, signed=True)
            self.attempt(step, lambda: answer_refused(case, refusal))
            return refusal
        leaf = admitted_leaf(raw, origin=RECEIVED, now=step.now.time, rule=self.rule.hash, peer=_hash(peer))
        step.log(leaf, verdict.record)
        step.answering(verdict.record.digest)
        decision.act()
        weigh_record(self, step, verdict.record, own=False)
        step.answering(None)
        self.witness.take_up(step)
        return None

    def _admit(self, step: Step, raw: bytes, transport_key: bytes) -> Admitted | Refusal:
        """Admission; what this node's own key signed is in its own log, or somebody else has the key."""
        admitted = admit(raw, self.context, now=step.now.time, transport_key=transport_key)
        if isinstance(admitted, Refusal) or admitted.author.hash not in self.own_line:
            return admitted
        record = admitted.record
        measured = f"a {record.typ}, number {record.frame.seq}, that is not in this node's log"
        return refuse(Reason.EQUIVOCATION, "integrity.own", measured, "nobody else signs with this node's key")

    def _passed_on(self, admitted: Admitted) -> Refusal | None:
        """What neighbours pass on by design costs its author's share, not theirs: who floods them silences nobody."""
        self._cost_of = admitted.author.hash
        return self.shares.judge(self._cost_of, self._now_ns)

    def _take_beside(self, step: Step, raw: bytes, transport_key: bytes) -> Charge:
        """An envelope that the next record rests on: judged by itself, once. What else is there is that record's.

        Returns what its entry in the log costs.
        """
        unproven = parse(raw)
        if not isinstance(unproven, Unproven) or not unproven.row.beside or self.lineage.seen(digest(raw)):
            return Charge.MOVES
        peer = _hash(self.registry.by_transport(transport_key))
        verdict = self._admit(step, raw, transport_key)
        if isinstance(verdict, Refusal):
            self._log_refused(step, raw, verdict, peer, None, signed=isinstance(prove(raw, self.registry), Admitted))
            return Charge.WHOLE
        case = RecordCase(state=self, step=step, admitted=verdict, message=Message(record=raw))
        decision = decide(case)
        if isinstance(decision, Refusal):
            refusal = decision
            self._log_refused(step, raw, refusal, peer, verdict.record, signed=True)
            if refusal.reason is Reason.EQUIVOCATION:
                self.attempt(step, lambda: answer_refused(case, refusal))
            return Charge.WHOLE
        leaf = admitted_leaf(raw, origin=RECEIVED, now=step.now.time, rule=self.rule.hash, peer=peer)
        step.log(leaf, verdict.record)
        decision.act()
        return verdict.record.row.charge

    def _early(self, admitted: Admitted, refusal: Refusal) -> bool:
        """Did a word of the holder overtake the one before it? A PREEMPT must count once its CONFIRM has come.

        So must a COMPENSATION or a FALLBACK, which before it speak of a settlement that is none yet.
        """
        pair = self.user.by_sid(admitted.record.sid) if admitted.record.sid is not None else None
        if pair is None or pair.state not in user_side.WAITING:
            return False
        by_holder = pair.holder in self.registry.line(admitted.author.hash)
        return refusal.reason is Reason.OUT_OF_ORDER or (refusal.reason is Reason.UNKNOWN_SID and by_holder)

    def hello(self, step: Step) -> None:
        """Ask every neighbour which head of our log it saw last; needs no signature, so it goes before all others."""
        for neighbour in self.witness.neighbours():
            step.outgoing.append(Outgoing(to=neighbour.hash, data=Message(record=b"", heads=HEADS_ASKED).encoded()))

    def _heads(self, step: Step, message: Message, transport_key: bytes) -> Refusal | None:
        """Answer a neighbour's question about its own log, or take its answer about ours."""
        peer = self.registry.by_transport(transport_key)
        if peer is None:
            return refuse(Reason.UNKNOWN_PEER, "heads.peer", transport_key.hex()[:16], "a credentialed neighbour")
        if message.heads == HEADS_ASKED:
            answer = Message(record=self.witness.last_reply(step, peer.hash), heads=HEADS_ANSWERED)
            step.outgoing.append(Outgoing(to=peer.hash, data=answer.encoded()))
            return None
        refusal = self._judge_heads(step, message.record, peer) if message.record else None
        if refusal is None:
            self.heads_heard.add(peer.hash)
            step.halted = self.halted
        else:
            signed = isinstance(prove(message.record, self.registry), Admitted)
            self._log_refused(step, message.record, refusal, peer.hash, None, signed=signed)
            if refusal.reason is Reason.HALT_BEHIND_WITNESS:
                self.halt(step, refusal)
        return refusal

    def _judge_heads(self, step: Step, raw: bytes, peer: Subject) -> Refusal | None:
        """An old cosignature counts here: it says what the neighbour saw, whenever that was."""
        admitted = prove(raw, self.registry)
        if isinstance(admitted, Refusal):
            return admitted
        if not isinstance(admitted.record.body, Cosignature) or admitted.author.hash not in self.registry.line(
            peer.hash
        ):
            return refuse(Reason.TYPE, "heads.record", admitted.record.typ, "a cosignature by the neighbour itself")
        heard = self.witness.judge_cosignature(admitted, step)
        return heard if isinstance(heard, Refusal) else None

    def _log_refused(
        self,
        step: Step,
        raw: bytes,
        refusal: Refusal,
        peer: bytes | None,
        record: Record | None,
        *,
        signed: bool,
    ) -> None:
        leaf = refused_leaf(raw, refusal, now=step.now.time, rule=self.rule.hash, peer=peer, signed=signed)
        step.log(leaf, record)

    def _refused(self, step: Step, raw: bytes, refusal: Refusal, transport_key: bytes) -> Refusal | None:
        """Log a refusal; a resend from its author gets the same answer again, an entitled question gets a reason."""
        peer = self.registry.by_transport(transport_key)
        if refusal.reason is Reason.REPLAY:
            again = passed_on(raw, peer) and not is_replaced(self, raw)
            if not again and self.replays.to_log(digest(raw)):
                self._log_refused(step, raw, refusal, _hash(peer), None, signed=True)
            if peer is not None:
                step.send_again(peer.hash, digest(raw))
            return None if again else refusal
        known = self.lineage.seen(digest(raw))
        admitted = prove(raw, self.registry)
        self._log_refused(step, raw, refusal, _hash(peer), None, signed=isinstance(admitted, Admitted))
        if isinstance(admitted, Admitted) and admitted.author.hash in self.own_line:
            if not known:
                key_in_use(self, step, admitted.author, f"it signed a {admitted.record.typ} that this node did not")
        elif isinstance(admitted, Admitted) and peer is not None and admitted.author.hash == peer.hash:
            if refusal.reason is Reason.EQUIVOCATION:
                self.attempt(step, lambda: keep_evidence(self, step, admitted))
            self._answer(step, admitted, refusal)
        return refusal

    def _answer(self, step: Step, admitted: Admitted, refusal: Refusal) -> None:
        case = RecordCase(state=self, step=step, admitted=admitted, message=Message(record=admitted.record.raw))
        self.attempt(step, lambda: answer_refused(case, refusal))

    def _not_entitled(self, step: Step, data: bytes, refusal: Refusal, transport_key: bytes) -> None:
        """A message that this node may not answer as it asks: refused, and its author is told where that may be."""
        message, peer = decode_message(data), self.registry.by_transport(transport_key)
        raw = data if isinstance(message, Refusal) else message.record
        admitted = prove(raw, self.registry)
        self._log_refused(step, raw, refusal, _hash(peer), None, signed=isinstance(admitted, Admitted))
        if isinstance(admitted, Admitted) and peer is not None and admitted.author.hash == peer.hash:
            self._answer(step, admitted, refusal)

    # -- the passing of time -------------------------------------------------------------------------------------

    def tick(self, step: Step) -> list[UserPair]:
        """Let deadlines pass on both sides; returns settlements that ended for us as a user."""
        if step.halted is not None or self.unsure(step.now) is not None:
            return []
        leases = self.holder.leases
        self._if_any(step, "debts", leases.debts.open, lambda: leases.debts.let_go(step, self._unreadable(step)))
        self.duty(step, "holder", lambda: self.holder.tick(step))
        self._if_any(step, "handing", self.holder.handings.known, lambda: handovers.tick(self, step))
        self._if_any(step, "coordinator", self.coordinator.known, lambda: self.coordinator.tick(step))
        if self.witness.quorum:
            self.duty(step, "unwitnessed", lambda: self.witness.let_go(step, lambda name: self._is_over(name, step)))
        self._if_any(step, "witness", self.witness.waits(step), lambda: self.witness.tick(step))
        self._if_any(step, "proposals", self.assembly.states, lambda: assembly.tick(self, step))
        now = step.now.time
        self._if_any(step, "replies", oldreplies.are_due(self, now), lambda: oldreplies.sweep(self, step))
        self._if_any(step, "retention", self.retention.is_due(now), lambda: self.retention.act(step))
        self._if_any(step, "packing", self.packer.is_due(now), lambda: self.packer.act(step))
        ended = self.duty(step, "user", lambda: self.user.tick(step, lambda holder: self.silenced(holder, now)))
        self._if_any(step, "wholes", self.user.wholes, lambda: together.tick(self, step))
        return ended if isinstance(ended, list) else []

    def _is_over(self, confirm: bytes, step: Step) -> bool:
        """Whether a CONFIRM of this node allows nothing any more, whoever witnesses it: its window is surely over."""
        record = self.record_of(confirm)
        pair = self.holder.pairs.get(record.body.sid) if record is not None else None
        return pair is None or step.now.time.after(pair.cell.window.end_ns)

    def _unreadable(self, step: Step) -> Silenced:
        """Whose receipts are never taken again, be it under the key that it had or under one that succeeded it."""
        return lambda credential: self.silenced(self.registry.newest(credential), step.now.time)

    def due(self, now: Fix) -> bool:
        """True when a tick would have something to look at."""
        if self.witness.quorum and self.lineage.items(ROUND):
            return now.time.trusted
        busy = self.user.busy or self.holder.busy or self.holder.leases.debts.open or self.assembly.live
        packs = self.packer.due_ns is not None and now.time.latest_ns >= self.packer.due_ns
        return now.time.trusted and bool(busy or self.retention.more or packs)

    def next_due_ns(self) -> int | None:
        """The first time (UTC) at which a tick may have a settlement or pages to see to: 0 for at once, None for never.

        Debts that nobody has receipted, proposals, rounds of witnesses and old bytes are seen to by every tick.
        """
        waits = self.holder.leases.debts.open or self.assembly.live or self.retention.more
        if waits or (self.witness.quorum and self.lineage.items(ROUND)):
            return 0
        due = (self.holder.next_due_ns(), self.user.store.next_due_ns(), self.packer.due_ns)
        return min((at for at in due if at is not None), default=None)


def _hash(peer: Subject | None) -> bytes | None:
    return peer.hash if peer is not None else None
