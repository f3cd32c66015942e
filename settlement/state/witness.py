"""Witnessing: neighbours cosign each other's log heads, detect forks, and stop a node whose log is behind.

A node asks in rounds for one head, the same for all, until as many witnesses as the rule's quorum have cosigned it. It
asks one neighbour more than the quorum, each in turn, and all others once a round is late. As a witness it follows
c2sp.org/tlog-witness, in this order:

    (1) the note is signed by the author of the record, and speaks of the author's own log
    (2) another root of a size it has seen is a fork, and the two notes prove it
    (3) `old_size` is the size it cosigned last; a wrong one is answered with that cosignature
    (4) the proof shows that the new head extends the old; a failed one between two signed heads is a fork
    (5) remember the head, and only then reply, to the owner; the neighbours are told as `headnews` says

Witnesses over HTTP that the rule names (`stock_witnesses`) are asked by the agent (`formats/tlogwitness`) and count
beside the neighbours: their lines come in by `take_stock`.

With a quorum above half of the neighbours two branches of a log cannot both be cosigned; with a smaller one a fork is
found once two witnesses have compared heads of one size, or the log's owner asks one of them again.

Long because asking, answering and detecting a fork share what is known of each neighbour's log.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from settlement.chain import merkle
from settlement.chain.admission import Admitted
from settlement.chain.bodies import Checkpoint, Cosignature, Evidence, StockWitness
from settlement.chain.checkpoint import Head, check_cosignature, cosign, open_note, origin_of
from settlement.chain.codec import blob, encode, text, uint
from settlement.chain.credentials import Registry, Subject
from settlement.chain.lineage import Lineage
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import Links, LogProof
from settlement.pair.transmit import RESEND_NS
from settlement.pair.work import STORED_LIMIT, stored_as
from settlement.state.headnews import AskingOrder, HeadNews
from settlement.state.step import Step

NS = 1_000_000_000
HEADS_EACH = 256
"""Most heads of one log that are remembered to detect a fork."""
OLD_AT_ONCE = 256
PROOFS_EACH = 16
"""Most proofs of misbehaviour against one author that this node signs; the first is enough."""
SEEN, HEADS, NEIGHBOUR, LINES, ROUND, WAITING = "seen", "head", "neighbour", "line", "round", "unwitnessed"
FORK = Reason.FORK.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHead:
    """The head of another's log that this node cosigned last; `reply` is the record it answered with."""

    size: int = uint(1)
    root: bytes = blob(2, 32)
    note: str = text(3, 4096)
    asked: bytes = blob(4, MAX_RECORD_BYTES, least=1)
    reply: bytes = blob(5, MAX_RECORD_BYTES, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The state with one witness: the size it cosigned last, the CHECKPOINT sent to it last, and the size in that."""

    cosigned: int = uint(1)
    record: bytes = blob(2, MAX_RECORD_BYTES, least=0)
    size: int | None = uint(3, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A head that waits for cosignatures."""

    size: int = uint(1)
    note: str = text(2, 4096)
    sent_ns: int = uint(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardHead:
    """The head under a neighbour's cosignature line, and the log's owner."""

    owner: Subject
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A neighbour's cosignature line for a head of this node."""

    witness: bytes = blob(1, 32)
    line: str = text(2, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwitnessed:
    """A CONFIRM that is durable and waits for cosignatures before it is sent."""

    index: int = uint(1)
    to: bytes = blob(2, 32)
    reply_to: bytes | None = blob(3, 32, optional=True)


class Witness:
    """Both sides of witnessing for one node. All of its state is in the log's database."""

    def __init__(
        self, *, me: bytes, registry: Registry, quorum: int, stock: tuple[StockWitness, ...] | None = None
    ) -> None:
        self.me, self.registry, self.quorum = me, registry, quorum
        self.stock = stock or ()
        self._order, self._news = AskingOrder(), HeadNews()
        self._near: tuple[int, bytes, tuple[Subject, ...]] | None = None
        """Cache of the neighbours: the registry's number of changes, this node's credential, and the result."""

    def neighbours(self) -> tuple[Subject, ...]:
        """Return every other node with a transport key, in a stable order."""
        if self._near is None or self._near[:2] != (self.registry.changes, self.me):
            subjects = (self.registry.by_transport(key) for key in sorted(self.registry.transport_keys()))
            near = tuple(s for s in subjects if s is not None and s.hash != self.me)
            self._near = self.registry.changes, self.me, near
        return self._near[2]

    def _mine(self, owner: Subject) -> bool:
        """Whether the owner is this node, under its present or an earlier key."""
        return owner.hash in self.registry.line(self.me)

    def succeeded(self, step: Step, old: bytes, new: bytes) -> None:
        """Move the witnessing state of a neighbour, in both directions, to its new key."""
        for kind in (SEEN, NEIGHBOUR):
            held = step.lineage.get(kind, old)
            if held is not None:
                step.put(kind, new, held)

    # -- as a witness --------------------------------------------------------------------------------------------

    def _seen(self, step: Step, owner: bytes) -> SeenHead | None:
        raw = step.lineage.get(SEEN, owner)
        return None if raw is None else stored_as(SeenHead, raw, SEEN)

    def judge_checkpoint(self, admitted: Admitted, step: Step) -> Head | Refusal:
        """Run checks (1) to (4) and return the head to be cosigned."""
        body: Checkpoint = admitted.record.body
        head = open_note(body.note, admitted.author.public)
        if isinstance(head, Refusal):
            return head
        own = origin_of(step.identity.network, admitted.author.public)
        if head.origin != own:
            return refuse(Reason.PROOF, "witness.origin", head.origin, own)
        if self._other_root(step, admitted.author.hash, head, body.note) is not None:
            return refuse(Reason.FORK, "witness.same_size", head.root.hex(), f"the root seen before at {head.size}")
        seen = self._seen(step, admitted.author.hash)
        size = 0 if seen is None else seen.size
        if body.old_size != size or head.size < size:
            return refuse(Reason.OUT_OF_ORDER, "witness.old_size", f"{body.old_size} to {head.size}", f"from {size}")
        if seen is None:
            empty = not body.proof
            return head if empty else refuse(Reason.PROOF, "witness.first", len(body.proof), "no proof from size 0")
        return merkle.verify_consistency(seen.size, head.size, seen.root, head.root, body.proof) or head

    def _other_root(self, step: Step, owner: bytes, head: Head, note: str) -> str | None:
        """Return a stored note of the same owner and size with another root; None if there is none."""
        held = step.lineage.get(HEADS, owner + head.size.to_bytes(8, "big"))
        if held is None or held == note.encode():
            return None
        subject = self.registry.get(owner)
        known = open_note(held.decode(), subject.public) if subject else None
        return held.decode() if isinstance(known, Head) and known.root != head.root else None

    def cosign(self, step: Step, admitted: Admitted, head: Head) -> None:
        """Step (5): store the head and queue the cosignature, which is sent only once the step is durable."""
        body: Checkpoint = admitted.record.body
        name = origin_of(step.identity.network, step.identity.key.public)
        line = cosign(head, name=name, key=step.identity.key, time_s=step.now.time.earliest_ns // NS)
        reply = step.sign(Cosignature(note=body.note, line=line))
        seen = SeenHead(size=head.size, root=head.root, note=body.note, asked=admitted.record.raw, reply=reply.raw)
        step.put(SEEN, admitted.author.hash, encode(seen, limit=STORED_LIMIT))
        self._remember(step, admitted.author.hash, head, body.note)
        self._news.note(admitted.author.hash, reply.raw)
        self._tell(step)
        step.send(admitted.author.hash, reply.raw)

    def _tell(self, step: Step) -> None:
        """Tell neighbours of others' heads that they have not been told of, where that is due."""
        now_ns = step.now.time.latest_ns
        if not self._news.waits(now_ns):
            return
        for to, raw in self._news.due(now_ns, [one.hash for one in self.neighbours()]):
            step.pass_on(to, raw)

    def last_reply(self, step: Step, owner: bytes) -> bytes:
        """Return the cosignature that this node gave last for a log; empty where it gave none."""
        seen = self._seen(step, owner)
        return b"" if seen is None else seen.reply

    def _remember(self, step: Step, owner: bytes, head: Head, note: str) -> None:
        """Store a head to compare later ones with; of each owner only the newest, as an owner may sign many."""
        step.put(HEADS, owner + head.size.to_bytes(8, "big"), note.encode())
        held = step.lineage.first_of(HEADS, owner)
        if held is not None and held[0] > HEADS_EACH:
            step.lineage.drop(HEADS, held[1])

    def refused_checkpoint(self, step: Step, admitted: Admitted, refusal: Refusal) -> None:
        """Store a fork as evidence; send a node that asked from the wrong size the last cosignature."""
        seen = self._seen(step, admitted.author.hash)
        if refusal.reason is Reason.FORK:
            body: Checkpoint = admitted.record.body
            head = open_note(body.note, admitted.author.public)
            other = self._other_root(step, admitted.author.hash, head, body.note) if isinstance(head, Head) else None
            if other is not None:
                self._keep(step, admitted.author, other.encode(), body.note.encode())
            elif seen is not None:
                self._keep(step, admitted.author, seen.asked, admitted.record.raw)
        if seen is not None:
            step.send(admitted.author.hash, seen.reply)

    def _keep(self, step: Step, author: Subject, first: bytes, second: bytes) -> None:
        if step.count(f"evidence:{author.hash.hex()}") > PROOFS_EACH:
            return
        proof = step.sign(Evidence(reason=FORK, first=first, second=second))
        for neighbour in self.neighbours():
            step.pass_on(neighbour.hash, proof.raw)
        step.event("fork", author=author.name)

    # -- as the owner of a log -----------------------------------------------------------------------------------

    def _round(self, step: Step) -> Round | None:
        raw = step.lineage.get(ROUND, b"")
        return None if raw is None else stored_as(Round, raw, ROUND)

    def _asked(self, step: Step, witness: bytes) -> Asked:
        raw = step.lineage.get(NEIGHBOUR, witness)
        return Asked(cosigned=0, record=b"") if raw is None else stored_as(Asked, raw, NEIGHBOUR)

    def take_up(self, step: Step) -> None:
        """Start a round for every CONFIRM that this step deferred, unless a round is open."""
        for waiting in step.deferred:
            entry = Unwitnessed(index=waiting.index, to=waiting.to, reply_to=waiting.reply_to)
            step.put(WAITING, waiting.confirm, encode(entry))
        step.deferred.clear()
        if step.lineage.items(WAITING) and self._round(step) is None:
            self.ask(step)

    def ask(self, step: Step) -> None:
        """Ask as many neighbours as are needed, and one more, to cosign the present head."""
        size, note = step.lineage.size, step.lineage.checkpoint(step.identity.key)
        step.put(ROUND, b"", encode(Round(size=size, note=note, sent_ns=step.now.time.latest_ns)))
        for neighbour in self._order.some([one.hash for one in self.neighbours()], self.quorum + 1):
            self._ask_one(step, neighbour, size, note)

    def _ask_one(self, step: Step, neighbour: bytes, size: int, note: str) -> None:
        old = self._asked(step, neighbour).cosigned
        proof = step.lineage.consistency(old, size) if old else ()
        record = step.sign(Checkpoint(note=note, old_size=old, proof=proof))
        step.put(NEIGHBOUR, neighbour, encode(Asked(cosigned=old, record=record.raw, size=size), limit=STORED_LIMIT))
        step.pass_on(neighbour, record.raw)

    def waits(self, step: Step) -> bool:
        """Whether a tick may have anything to do: others' heads to tell, or an open round of this node."""
        return self._news.waits(step.now.time.latest_ns) or step.lineage.get(ROUND, b"") is not None

    def tick(self, step: Step) -> None:
        """Tell others' heads; where a round is late, ask everybody who has not answered."""
        self._tell(step)
        now, current = step.now.time, self._round(step)
        if current is None or not now.after(current.sent_ns + RESEND_NS):
            return
        answered = {line.witness for line in self._lines(step, current.size)}
        for neighbour in self.neighbours():
            if neighbour.hash in answered:
                continue
            asked = self._asked(step, neighbour.hash)
            if asked.record and asked.size == current.size:
                self._order.let_wait(neighbour.hash)
                step.send(neighbour.hash, asked.record)
            else:
                self._ask_one(step, neighbour.hash, current.size, current.note)
        step.put(ROUND, b"", encode(replace(current, sent_ns=now.latest_ns)))

    def let_go(self, step: Step, over: Callable[[bytes], bool]) -> None:
        """Stop waiting for witnesses of a CONFIRM, by its hash, that can allow nothing any more (`over`).

        Where no CONFIRM waits, nobody is asked any more: witnesses may be gone for good.
        """
        waiting = [name for name, _ in step.lineage.items(WAITING)]
        gone = [name for name in waiting if over(name)]
        for name in gone:
            step.drop(WAITING, name)
            step.event("not witnessed", confirm=name)
        if gone and len(gone) == len(waiting):
            step.drop(ROUND, b"")

    def judge_cosignature(self, admitted: Admitted, step: Step) -> HeardHead | Refusal:
        """Return head and owner of a cosignature line: of this log, or of a log of which this node may know a head."""
        body: Cosignature = admitted.record.body
        owner = self._owner(body.note)
        if isinstance(owner, Refusal):
            return owner
        name = origin_of(step.identity.network, admitted.author.public)
        checked = check_cosignature(body.note + body.line, name=name, public=admitted.author.public)
        if isinstance(checked, Refusal):
            return checked
        head = open_note(body.note, owner.public)
        if isinstance(head, Refusal):
            return head
        if self._mine(owner):
            return behind(step, head) or HeardHead(owner=owner, head=head)
        if self._other_root(step, owner.hash, head, body.note) is not None:
            return refuse(Reason.FORK, "witness.heard", head.root.hex(), f"the root seen before at {head.size}")
        return HeardHead(owner=owner, head=head)

    def _owner(self, note: str) -> Subject | Refusal:
        origin = note.partition("\n")[0]
        for subject in self.registry.subjects():
            if origin == origin_of(self.registry.network, subject.public):
                return subject
        return refuse(Reason.UNKNOWN_AUTHOR, "witness.owner", origin[:80], "the log of an admitted credential")

    def refused_cosignature(self, step: Step, admitted: Admitted, refusal: Refusal) -> None:
        """Store the proof of a fork: two heads of one size that one owner signed."""
        body: Cosignature = admitted.record.body
        owner = self._owner(body.note)
        if refusal.reason is not Reason.FORK or isinstance(owner, Refusal) or self._mine(owner):
            return
        head = open_note(body.note, owner.public)
        other = self._other_root(step, owner.hash, head, body.note) if isinstance(head, Head) else None
        if other is not None:
            self._keep(step, owner, other.encode(), body.note.encode())

    def take(self, step: Step, admitted: Admitted, heard: HeardHead) -> None:
        """Store a cosignature line; once the quorum has signed, send the CONFIRMs that waited."""
        body: Cosignature = admitted.record.body
        owner, head = heard.owner, heard.head
        if not self._mine(owner):
            self._remember(step, owner.hash, head, body.note)
            return
        witness = admitted.author.hash
        self._order.answered(witness)
        before = self._asked(step, witness)
        step.put(
            NEIGHBOUR,
            witness,
            encode(replace(before, cosigned=max(before.cosigned, head.size)), limit=STORED_LIMIT),
        )
        current = self._round(step)
        if current is not None and head.size == current.size:
            key = head.size.to_bytes(8, "big") + witness
            step.put(LINES, key, encode(Line(witness=witness, line=body.line)))
        self._advance(step, witness, head.size)

    def waiting(self, lineage: Lineage) -> tuple[int, str] | None:
        """Return size and note of the head waiting for cosignatures; None without one or without stock witnesses."""
        raw = lineage.get(ROUND, b"") if self.stock else None
        current = None if raw is None else stored_as(Round, raw, ROUND)
        return None if current is None else (current.size, current.note)

    def take_stock(self, step: Step, size: int, lines: Iterable[str]) -> bool:
        """Store lines of the rule's HTTP witnesses for the waiting head of that size; return whether one counts."""
        current = self._round(step)
        if current is None or current.size != size:
            return False
        counted = False
        for line in lines:
            for one in self.stock:
                if isinstance(check_cosignature(current.note + line, name=one.name, public=one.key), Refusal):
                    continue
                step.put(LINES, size.to_bytes(8, "big") + one.key, encode(Line(witness=one.key, line=line)))
                counted = True
        if counted:
            self._close(step, current)
        return counted

    def _lines(self, step: Step, size: int) -> list[Line]:
        prefix = size.to_bytes(8, "big")
        return [stored_as(Line, raw, LINES) for _, raw in step.lineage.items_from(LINES, prefix)]

    def _advance(self, step: Step, witness: bytes, size: int) -> None:
        current = self._round(step)
        if current is None:
            return
        if size < current.size:
            self._ask_one(step, witness, current.size, current.note)
            return
        self._close(step, current)

    def _close(self, step: Step, current: Round) -> None:
        """Send the waiting CONFIRMs and end the round, once enough witnesses have signed."""
        lines = self._lines(step, current.size)
        if len(lines) >= self.quorum:
            step.lineage.drop(ROUND, b"")
            for key, _ in step.lineage.items_below(LINES, current.size.to_bytes(8, "big"), OLD_AT_ONCE):
                step.lineage.drop(LINES, key)
            self._release(step, current, lines)
            if step.lineage.items(WAITING):
                self.ask(step)

    def _release(self, step: Step, current: Round, lines: list[Line]) -> None:
        chains = [self.registry.get(line.witness) for line in lines]
        links = tuple(Links(credentials=s.chain) for s in chains if s is not None)
        for confirm, raw in step.lineage.items(WAITING):
            waiting = stored_as(Unwitnessed, raw, WAITING)
            if waiting.index >= current.size:
                continue
            proof = LogProof(
                leaf=step.lineage.leaf_body(waiting.index),
                index=waiting.index,
                path=step.lineage.inclusion(waiting.index, current.size),
                checkpoint=current.note + "".join(line.line for line in lines),
                witnesses=links,
            )
            step.lineage.drop(WAITING, confirm)
            step.send_proven(waiting.to, waiting.index, proof, waiting.reply_to)


def behind(step: Step, head: Head) -> Refusal | None:
    """Refuse a head that a neighbour saw, signed by this node, unless it is a part of this node's log."""
    log = step.lineage
    if head.size > log.size:
        seen = f"a neighbour saw {head.size} entries"
        return refuse(Reason.HALT_BEHIND_WITNESS, "witness.size", f"{log.size} entries here", seen)
    if log.root_at(head.size) != head.root:
        required = f"the root a neighbour saw at {head.size}"
        return refuse(Reason.HALT_BEHIND_WITNESS, "witness.root", log.root_at(head.size).hex(), required)
    return None
