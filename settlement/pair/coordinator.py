"""The co-signer's side: signs settlements of other holders, each part of the spectrum once.

    (1) the rule names this node for a shard that the cell touches
    (2) the ACCEPT beside the GRANT is its user's, over this GRANT, and answers its challenge
    (3) the holder may still confirm
    (4) the cell overlaps none that this node co-signed before or holds itself, except that of a lease which it hands on

A co-signed cell is free again when its holder aborts, or after its window.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Accept, Coordination, Grant, Rule, Shard
from settlement.chain.codec import blob, encode, nested, uint
from settlement.chain.credentials import Subject
from settlement.chain.scope import Cell
from settlement.core.fixes import TimeFix, deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.coordination import NEIGHBOURS, may_sign, shards_of
from settlement.pair.work import STORED_LIMIT, Work, answer_to, settlement_id, stored_as

STORE = "coordinated"
EACH_MAX = 64
"""Most cells that this node co-signs for one holder at a time; the limit is for each holder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinated:
    """A cell this node has co-signed for another holder."""

    sid: bytes = blob(1, 32)
    holder: bytes = blob(2, 32)
    cell: Cell = nested(3, Cell)
    until_ns: int = uint(4)
    of: bytes | None = blob(5, 32, optional=True)
    """The parent settlement, whose lease, or a part of it, the settlement of this cell hands on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A GRANT between other nodes with its ACCEPT, sent to the node `me` for co-signature under a rule.

    `of` is the settlement whose lease it hands on, by a HANDOVER that was judged before.
    """

    me: Subject
    rule: Rule
    grant: Admitted
    accept: Admitted | Refusal | None
    of: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigning:
    """A GRANT and its ACCEPT that this node will co-sign, with the shards for which it may sign."""

    grant: Admitted
    accept: Admitted
    shards: tuple[Shard, ...]
    of: bytes | None = None


class Coordinator:
    """All cells that one node has co-signed. Rebuilt from stored state after a restart."""

    def __init__(self, *, stored: Iterable[bytes]) -> None:
        held = [stored_as(Coordinated, raw, STORE) for raw in stored]
        self.known = {one.sid: one for one in held}

    def judge(self, question: Question, now: TimeFix, own: Mapping[bytes, Cell]) -> Cosigning | Refusal:
        """Check clauses (1) to (4); `own` are the cells of this node's own settlements, by settlement id."""
        grant, accept = question.grant, question.accept
        body: Grant = grant.record.body
        mine = self.shards(question)
        if not mine:  # (1)
            return refuse(Reason.SCOPE, "coordination.shard", body.cell.band, "a shard this node has a say in")
        if accept is None or isinstance(accept, Refusal):
            return accept or refuse(Reason.PROOF, "coordination.accept", "absent", "the ACCEPT beside the GRANT")
        refusal = (
            _one_pair(grant, accept)  # (2)
            or deadline_open(now, body.confirm_by_ns, "coordination.confirm_by")  # (3)
            or self._own_share(body, grant.author, now)
            or self._clear(body, now, own, self._above(question.of))  # (4)
        )
        return refusal or Cosigning(grant=grant, accept=accept, shards=mine, of=question.of)

    def _above(self, of: bytes | None) -> set[bytes]:
        """Return the co-signed settlements above one whose lease is handed on, up to the licence."""
        found: set[bytes] = set()
        while of is not None and of not in found:
            found.add(of)
            held = self.known.get(of)
            of = held.of if held is not None else None
        return found

    def _own_share(self, grant: Grant, holder: Subject, now: TimeFix) -> Refusal | None:
        held = sum(
            1
            for one in self.known.values()
            if one.holder == holder.hash and one.sid != grant.sid and not now.after(one.until_ns)
        )
        required = f"< {EACH_MAX} co-signed for one holder"
        return refuse(Reason.BUDGET, "coordination.held", held, required) if held >= EACH_MAX else None

    @staticmethod
    def shards(question: Question) -> tuple[Shard, ...]:
        """Return the shards of a cell in which this node may co-sign; none for its own settlements."""
        others = question.grant.author.hash != question.me.hash
        touched = shards_of(question.rule, question.grant.record.body.cell)
        return tuple(shard for shard in touched if others and may_sign(shard, question.me))

    def _clear(self, grant: Grant, now: TimeFix, own: Mapping[bytes, Cell], above: set[bytes]) -> Refusal | None:
        for held in self.known.values():
            if held.sid == grant.sid or held.sid in above or now.after(held.until_ns):
                continue
            if held.cell.overlaps(grant.cell):
                measured = f"{held.cell.band} signed for {held.sid.hex()[:8]}"
                return refuse(Reason.CONFLICT, "coordination.cell", measured, "a cell signed for nobody else")
        mine = next((cell for sid, cell in own.items() if sid not in above and cell.overlaps(grant.cell)), None)
        if mine is not None:
            return refuse(Reason.CONFLICT, "coordination.own", f"{mine.band} held here", "a cell not held here")
        return None

    def sign(self, work: Work, judged: Cosigning) -> None:
        """Co-sign a settlement, store that, and send the co-signature to the holder."""
        grant, accept = judged.grant, judged.accept
        body: Grant = grant.record.body
        until_ns = body.cell.window.end_ns
        held = Coordinated(sid=body.sid, holder=grant.author.hash, cell=body.cell, until_ns=until_ns, of=judged.of)
        self.known[body.sid] = held
        work.put(STORE, body.sid, encode(held, limit=STORED_LIMIT))
        signed = Coordination(
            sid=body.sid,
            grant=grant.record.digest,
            accept=accept.record.digest,
            shards=tuple(shard.name for shard in judged.shards),
            until_ns=until_ns,
        )
        work.send(grant.author.hash, work.sign(signed).raw)
        work.event("coordinated", sid=body.sid, band=body.cell.band, holder=grant.author.name)

    def knows(self, admitted: Admitted) -> bool:
        """Whether this ABORT is of a co-signed settlement, by its holder."""
        held = self.known.get(admitted.record.body.sid)
        return held is not None and held.holder == admitted.author.hash

    def release(self, work: Work, sid: bytes) -> None:
        """Free a cell that its holder gave up: it may be co-signed again."""
        del self.known[sid]
        work.drop(STORE, sid)

    def tick(self, work: Work) -> None:
        """Delete the co-signed cells whose windows are over."""
        for sid in [one.sid for one in self.known.values() if work.now.time.after(one.until_ns)]:
            self.release(work, sid)


def _one_pair(grant: Admitted, accept: Admitted) -> Refusal | None:
    given, taken = grant.record.body, accept.record.body
    checks = (
        ("typ", isinstance(taken, Accept), Reason.TYPE),
        ("user", accept.author.hash == given.user, Reason.BINDING),
        ("sid", given.sid == settlement_id(grant.author.hash, given.user, given.nonce, given.cell), Reason.TERMS),
        ("over", not isinstance(taken, Accept) or taken.grant == grant.record.digest, Reason.TERMS),
    )
    for clause, held, reason in checks:
        if not held:
            return refuse(reason, f"coordination.{clause}", "does not hold", "the ACCEPT of this very GRANT")
    if taken.answer != answer_to(given.challenge, grant.record.digest):
        return refuse(Reason.CHALLENGE, "coordination.answer", taken.answer.hex()[:16], "the answer to this challenge")
    return None


def has_neighbours(shards: Iterable[Shard]) -> bool:
    """Whether any of these shards is left to the neighbours."""
    return any(shard.mode == NEIGHBOURS for shard in shards)
