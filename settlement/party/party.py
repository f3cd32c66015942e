"""The protocol logic of one node: each message gets one verdict and queued replies; no sockets, no clock of its own.

A party has both sides, holder and user; its credential decides as which of them it may act.

Long because all code from a message to its one verdict, and the undoing of that, is in one place.
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
"""Errors after which a node must stop: its log is lost, damaged or inconsistent."""
PAUSE_NS, PAUSE_MAX_NS = 1_000_000_000, 64_000_000_000
WITNESSING_DIVIDES = 4
"""Divisor of a witnessing message's cost: heads are sent with every settlement, and cost a quarter."""


class Party(NodeState):
    """Holder, user, log and registry of one node; the caller supplies messages and time."""

    faults: int = 0
    """Number of messages and duties that failed with an unexpected exception; each was undone and reported."""

    @contextmanager
    def step(self, now: Fix) -> Iterator[Step]:
        """Open one durable step; if it fails nothing of it has happened, and the machines are restored from the log."""
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
        """Run one part of a step; if this node may not sign something in it, undo that part and return the refusal."""
        before, mark = (self.identity, dict(self.former)), step.mark()
        try:
            with self.lineage.transaction():
                return act()
        except NotEntitledError as exc:
            return self._not_signed(step, exc, before, mark)

    def _not_signed(
        self, step: Step, exc: NotEntitledError, before: tuple[Identity, dict[bytes, Identity]], mark: Mark
    ) -> Refusal:
        """Restore identity and notes as before a part of a step that was undone in the log."""
        self.identity, self.former = before
        step.identity, self.witness.me = self.identity, self.identity.credential
        self.restore()
        step.undo(mark)
        step.event("not signed", reason=exc.refusal.reason.value, detail=str(exc.refusal))
        return exc.refusal

    def register(self, step: Step) -> None:
        """Log the node's credentials and rule, each once: an auditor needs nothing else."""
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
        """Handle one message from the node with this transport key: one verdict, logged. Return the refusal, if any.

        A message of a neighbour beyond its share is dropped; that is counted, not logged.
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
        """Run an action that a neighbour's message caused, charged to its share; skip it where that is used up."""
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
        """Run an action; an unexpected exception undoes it completely and is returned: the one place that catches them.

        With `attempts` a NotEntitledError becomes a refusal, undone as by `attempt`, in the same savepoint.
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
        """Run a duty of this node; a failure is undone and reported (None), and the node goes on with everything else.

        Something that the node may not sign is undone as well, and returned as a refusal.
        A duty with `waits` is retried after a growing back-off; one that takes a band back is retried at once.
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
        """Run a duty only where there is something to do, or where the duty failed before."""
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
            # A refusal that only time or order caused may be judged again when the record comes again.
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
        """Run admission; a record by this node's own key must be in its own log, or somebody else has the key."""
        admitted = admit(raw, self.context, now=step.now.time, transport_key=transport_key)
        if isinstance(admitted, Refusal) or admitted.author.hash not in self.own_line:
            return admitted
        record = admitted.record
        measured = f"a {record.typ}, number {record.frame.seq}, that is not in this node's log"
        return refuse(Reason.EQUIVOCATION, "integrity.own", measured, "nobody else signs with this node's key")

    def _passed_on(self, admitted: Admitted) -> Refusal | None:
        """Charge a passed-on record to its author's share, not the neighbour's: a flood then silences no neighbour."""
        self._cost_of = admitted.author.hash
        return self.shares.judge(self._cost_of, self._now_ns)

    def _take_beside(self, step: Step, raw: bytes, transport_key: bytes) -> Charge:
        """Judge a record beside the message's record, by itself and once, if its type is judged so (`beside`).

        Other types are judged together with the record that they travel beside. Returns the charge of its log entry.
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
        """Whether a refused record may have overtaken the CONFIRM of its settlement, so that it is judged again later.

        So a PREEMPT that comes before its CONFIRM counts after it; and so does a COMPENSATION or FALLBACK, which names
        no settlement in force before the CONFIRM.
        """
        pair = self.user.by_sid(admitted.record.sid) if admitted.record.sid is not None else None
        if pair is None or pair.state not in user_side.WAITING:
            return False
        by_holder = pair.holder in self.registry.line(admitted.author.hash)
        return refusal.reason is Reason.OUT_OF_ORDER or (refusal.reason is Reason.UNKNOWN_SID and by_holder)

    def hello(self, step: Step) -> None:
        """Ask every neighbour which head of this log it saw last; unsigned, so that it can precede all records."""
        for neighbour in self.witness.neighbours():
            step.outgoing.append(Outgoing(to=neighbour.hash, data=Message(record=b"", heads=HEADS_ASKED).encoded()))

    def _heads(self, step: Step, message: Message, transport_key: bytes) -> Refusal | None:
        """Answer a neighbour's question about its own log, or use its answer about this node's log."""
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
        """Judge a neighbour's answer; an old cosignature counts here, as it proves what the neighbour saw."""
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
        """Log a refusal; answer a repeated record as before, and send a reason to a sender entitled to one."""
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
        """Refuse a message whose answer this node may not sign; tell its author so where that may be signed."""
        message, peer = decode_message(data), self.registry.by_transport(transport_key)
        raw = data if isinstance(message, Refusal) else message.record
        admitted = prove(raw, self.registry)
        self._log_refused(step, raw, refusal, _hash(peer), None, signed=isinstance(admitted, Admitted))
        if isinstance(admitted, Admitted) and peer is not None and admitted.author.hash == peer.hash:
            self._answer(step, admitted, refusal)

    # -- the passing of time -------------------------------------------------------------------------------------

    def tick(self, step: Step) -> list[UserPair]:
        """Process deadlines on both sides; return this user's settlements that ended."""
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
        """Whether a CONFIRM of this node is useless, cosigned or not, because its window is surely over."""
        record = self.record_of(confirm)
        pair = self.holder.pairs.get(record.body.sid) if record is not None else None
        return pair is None or step.now.time.after(pair.cell.window.end_ns)

    def _unreadable(self, step: Step) -> Silenced:
        """Return a function: why no acknowledgement of a party, by any of its keys, is ever accepted again, or None."""
        return lambda credential: self.silenced(self.registry.newest(credential), step.now.time)

    def due(self, now: Fix) -> bool:
        """True when a tick would have something to do."""
        if self.witness.quorum and self.lineage.items(ROUND):
            return now.time.trusted
        busy = self.user.busy or self.holder.busy or self.holder.leases.debts.open or self.assembly.live
        packs = self.packer.due_ns is not None and now.time.latest_ns >= self.packer.due_ns
        return now.time.trusted and bool(busy or self.retention.more or packs)

    def next_due_ns(self) -> int | None:
        """Return when (UTC, ns) a tick may first have a settlement or log pages to handle: 0 for now, None for never.

        Unacknowledged records, proposals, witness rounds and old answers are handled by every tick.
        """
        waits = self.holder.leases.debts.open or self.assembly.live or self.retention.more
        if waits or (self.witness.quorum and self.lineage.items(ROUND)):
            return 0
        due = (self.holder.next_due_ns(), self.user.store.next_due_ns(), self.packer.due_ns)
        return min((at for at in due if at is not None), default=None)


def _hash(peer: Subject | None) -> bytes | None:
    return peer.hash if peer is not None else None
