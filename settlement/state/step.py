"""One step of a node: everything it signs, logs and stores becomes durable together, and is then sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from settlement.chain.keys import SigningKey
from settlement.chain.leaf import OWN, Leaf, admitted_leaf, decode_leaf
from settlement.chain.lineage import Lineage
from settlement.chain.records import Attestation, Frame, Record, make_record
from settlement.core.fixes import Fix
from settlement.core.reasons import Refusal, RefusedError
from settlement.pair.artifact import LogProof
from settlement.pair.effects import Effect
from settlement.records.registry import row_of
from settlement.state.messages import Message

BESIDE = "beside"
SWEPT = "swept"
REPLY, REPLIED = "reply", "replied"
"""State kinds: stored answers by the record that they answer, and their times: 8 bytes of time, then that record."""
ENTRY_BYTES = 400
"""Approximate bytes of a log entry beside its record: hashes, columns, its part of the tree."""


Mark: TypeAlias = tuple[int, int, int, int]
"""Lengths of the queues of messages, deferred CONFIRMs, notices and effects when the mark was made."""


class NotEntitledError(RefusedError):
    """This node may not sign a record that its own auditor would refuse. Nothing of the record is durable."""


class SigningError(NotEntitledError):
    """This node made a record that cannot be encoded: nothing is sent."""


class HaltedError(Exception):
    """This node may not sign: its log is not known to be complete. Nothing of the step happened."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal}; restore the newest copy of the log, or enrol the node anew")
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The signer of records: key, the hash of its credential, and its network."""

    key: SigningKey
    credential: bytes
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Bytes to send once the step is durable."""

    to: bytes
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An event for whoever watches the node; no action follows from it."""

    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """A CONFIRM whose sending waits for witnesses; `reply_to` is the record it answers."""

    confirm: bytes
    index: int
    to: bytes
    reply_to: bytes | None


def _anything(_record: Record) -> Refusal | None:
    return None


def _no_more(_step: "Step", _record: Record) -> None:
    return None


@dataclass(slots=True)
class Step:
    """The effects of one step: the `Work` of the protocol machines, inside one transaction of the log."""

    identity: Identity
    lineage: Lineage
    now: Fix
    rule: bytes
    entropy: Callable[[int], bytes]
    former: Mapping[bytes, Identity] = field(default_factory=dict)
    quorum: int = 0
    entitled: Callable[[Record], Refusal | None] = _anything
    signed: Callable[["Step", Record], None] = _no_more
    """Called for each record that this node signed, once it is logged."""
    halted: Refusal | None = None
    deferred: list[Deferred] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    logged_bytes: int = 0
    whole: bool = False
    """Whether the received message is charged in full, whatever its type: nothing else bounds such messages."""
    _reply_to: bytes | None = None

    def mark(self) -> Mark:
        """Return the present lengths of the step's queues, for `undo`."""
        return len(self.outgoing), len(self.deferred), len(self.notices), len(self.effects)

    def undo(self, mark: Mark) -> None:
        """Drop everything queued after a mark, because the part of the step that queued it was undone."""
        sent, kept, told, asked = mark
        del self.outgoing[sent:], self.deferred[kept:], self.notices[told:], self.effects[asked:]
        self._reply_to = None

    def answering(self, subject: bytes | None) -> None:
        """Set the record that later messages answer; they are stored, to be resent when that record comes again."""
        self._reply_to = subject

    def sign(self, body: Any) -> Record:
        """Sign a record of this node and log it: the only place where a node signs records.

        Raises: HaltedError where the node may not sign at all, NotEntitledError where it may not sign this.
        """
        record = self._made(body)
        refusal = self.entitled(record)
        if refusal is not None:
            raise NotEntitledError(replace(refusal, clause=f"own.{refusal.clause}"))
        self.log(admitted_leaf(record.raw, origin=OWN, now=self.now.time, rule=self.rule), record)
        self.signed(self, record)
        return record

    def may_sign(self, body: Any) -> Refusal | None:
        """Return why this node may not sign that; None where it may. Nothing is logged."""
        if self.halted is not None:
            return self.halted
        try:
            return self.entitled(self._made(body))
        except SigningError as exc:
            return exc.refusal

    def _made(self, body: Any) -> Record:
        if self.halted is not None:
            raise HaltedError(self.halted)
        identity = self._speaker(body)
        last = self.lineage.author_last(identity.credential)
        frame = Frame(
            network=identity.network,
            author=identity.credential,
            seq=last[0] + 1 if last else 1,
            previous=last[1] if last else None,
            attestation=Attestation.of(self.now),
        )
        try:
            return make_record(identity.key, frame, body)
        except RefusedError as exc:
            raise SigningError(replace(exc.refusal, clause=f"own.{exc.refusal.clause}")) from exc

    def _speaker(self, body: Any) -> Identity:
        """Return the signer of a record: a replaced key for reports on that key's settlement, else the present key."""
        if self.former and row_of(type(body)).owed:
            party = next((a for a in self.lineage.authors_of(body.sid) if a in self.former), None)
            if party is not None:
                return self.former[party]
        return self.identity

    def log(self, leaf: Leaf, record: Record | None) -> int:
        """Add an entry to the log; return its index."""
        index = self.lineage.append(leaf, record)
        self.logged_bytes += ENTRY_BYTES + len(leaf.record or b"") + len(leaf.measured or "") + len(leaf.required or "")
        return index

    def send(self, to: bytes, raw: bytes, beside: tuple[bytes, ...] = (), *, reply_to: bytes | None = None) -> None:
        """Queue a record for a node with the records it rests on; it answers `reply_to`, else the current message."""
        self._leave(to, Message(record=raw, beside=beside or None).encoded(), reply_to)

    def on_record(self, name: bytes) -> bytes | None:
        """Return the bytes of a record in this node's log, by its hash; None if there is none."""
        return self.lineage.raw_of(name)

    def _logged(self, name: bytes) -> bytes:
        raw = self.lineage.raw_of(name)
        if raw is None:
            raise ValueError(f"{name.hex()[:16]} is not in the log")
        return raw

    def send_beside(self, to: bytes, name: bytes, beside: tuple[bytes, ...]) -> None:
        """Queue a logged record with other logged records beside it, all by hash; it answers nothing."""
        message = Message(record=self._logged(name), beside=tuple(self._logged(other) for other in beside))
        self.outgoing.append(Outgoing(to=to, data=message.encoded()))

    def pass_on(self, to: bytes, raw: bytes) -> None:
        """Queue a question, or another's record, for a neighbour: it answers nothing and is not stored as an answer."""
        self.outgoing.append(Outgoing(to=to, data=Message(record=raw).encoded()))

    def _cosigned(self, confirm: bytes) -> tuple[bytes, ...] | None:
        """Return the co-signatures that travel with a CONFIRM."""
        names = self.lineage.get(BESIDE, confirm)
        return None if names is None else tuple(self._logged(names[at : at + 32]) for at in range(0, len(names), 32))

    def send_settled(
        self, to: bytes, confirm: Record, *, beside: tuple[bytes, ...] = (), reply_to: bytes | None = None
    ) -> None:
        """Queue a CONFIRM with its log proof, once as many witnesses as needed have cosigned the head."""
        answers = self._reply_to if reply_to is None else reply_to
        if beside:
            self.put(BESIDE, confirm.digest, b"".join(beside))
        index = self.lineage.index_of(confirm.digest)
        if index is None:
            raise ValueError("a CONFIRM is sent only once it is logged")
        if self.quorum > 0:
            self.deferred.append(Deferred(confirm=confirm.digest, index=index, to=to, reply_to=answers))
            return
        proof = LogProof(
            leaf=self.lineage.leaf_body(index),
            index=index,
            path=self.lineage.inclusion(index),
            checkpoint=self.lineage.checkpoint(self.identity.key),
        )
        message = Message(record=confirm.raw, proof=proof, beside=self._cosigned(confirm.digest))
        self._leave(to, message.encoded(), answers)

    def send_proven(self, to: bytes, index: int, proof: LogProof, reply_to: bytes | None) -> None:
        """Queue a CONFIRM that enough witnesses have cosigned; it is the stored answer to `reply_to` from here on."""
        leaf = decode_leaf(self.lineage.leaf_body(index))
        if isinstance(leaf, Refusal) or leaf.record is None:
            raise ValueError(f"entry {index} holds no CONFIRM")
        message = Message(record=leaf.record, proof=proof, beside=self._cosigned(leaf.subject))
        self._leave(to, message.encoded(), reply_to)

    def _leave(self, to: bytes, data: bytes, reply_to: bytes | None) -> None:
        answers = self._reply_to if reply_to is None else reply_to
        if answers is not None:
            self.put(REPLY, answers, data)
            self.put(REPLIED, self.now.time.latest_ns.to_bytes(8, "big") + answers, b"")
        self.outgoing.append(Outgoing(to=to, data=data))

    def keep_answer(self, subject: bytes, raw: bytes) -> None:
        """Store a record as the answer to another, for whoever resends that; nothing is sent now."""
        self.put(REPLY, subject, Message(record=raw).encoded())
        self.put(REPLIED, self.now.time.latest_ns.to_bytes(8, "big") + subject, b"")

    def send_again(self, to: bytes, subject: bytes) -> bool:
        """Resend the stored answer to a record, the same bytes; False when there is none."""
        data = self.lineage.get(REPLY, subject)
        if data is not None:
            self.outgoing.append(Outgoing(to=to, data=data))
        return data is not None

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        """Store a piece of state."""
        self.lineage.put(kind, key, value)

    def drop(self, kind: str, key: bytes) -> None:
        """Delete a piece of state that is over, and note until when deleted state may be missing."""
        self.lineage.drop(kind, key)
        self.lineage.put(SWEPT, b"", self.now.time.latest_ns.to_bytes(8, "big"))

    def count(self, name: str, amount: int = 1) -> int:
        """Raise a durable counter by `amount`; return its new value."""
        return self.lineage.count(name, amount)

    def random(self, size: int) -> bytes:
        """Return `size` fresh unpredictable bytes."""
        return self.entropy(size)

    def ask(self, effect: Effect) -> None:
        """Ask the program that runs this node to do something once the step is durable."""
        self.effects.append(effect)

    def event(self, name: str, **fields: Any) -> None:
        """Report an event to whoever watches the node."""
        self.notices.append(Notice(name=name, fields=fields))
