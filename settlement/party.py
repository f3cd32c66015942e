"""A node's part in the settlement: bytes in, one verdict each, bytes out; no sockets, no clock of its own.

A party is holder and user at once; which it may be is its credential's matter, not this code's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from settlement import budget
from settlement.chain.admission import Admitted, Context, RuleInForce, admit, confidence, prove, proven
from settlement.chain.bodies import Evidence, Verdict
from settlement.chain.codec import cut
from settlement.chain.credentials import Registry, Subject
from settlement.chain.leaf import RECEIVED, admitted_leaf, decode_leaf, refused_leaf
from settlement.chain.lineage import Lineage, LineageError
from settlement.chain.records import Attestation, Record, digest
from settlement.chain.rotation import judge_rotation
from settlement.chain.status import StatusLists
from settlement.fixes import Fix, TimeFix
from settlement.messages import HEADS_ANSWERED, HEADS_ASKED, Message, decode_message
from settlement.pair import holder as holder_side
from settlement.pair import user as user_side
from settlement.pair.artifact import Artifact
from settlement.pair.holder import Holder
from settlement.pair.table import Event, HolderState, UserState
from settlement.pair.user import User, UserPair
from settlement.reasons import Reason, Refusal, refuse
from settlement.step import Identity, Outgoing, Step
from settlement.witness import ROUND, Witness

REPLAYS_LOGGED = 3
OFFERS_MAX = 256
EVIDENCE_BYTES_MAX = 30_000
TRANSIENT = (Reason.TIME_UNDECIDED, Reason.TIME_UNTRUSTED, Reason.NOT_YET, Reason.POSITION_UNTRUSTED)
ANSWERED_BY_SIGNING = frozenset({"request", "grant", "accept", "checkpoint", "cosignature"})
STATUS, ROTATED, REVIEW = "status", "rotated", "review"
HANDLED_BY_HOLDER = {"request", "accept", "relinquish", "usage"}


class Party:
    """Holder, user, log and registry of one node, driven from outside."""

    def __init__(
        self,
        *,
        identity: Identity,
        registry: Registry,
        rule: RuleInForce,
        rule_raw: bytes,
        rule_chain: tuple[bytes, ...],
        lineage: Lineage,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.identity, self.registry, self.rule, self.lineage = identity, registry, rule, lineage
        self._rule_raw, self._rule_chain, self._entropy = rule_raw, rule_chain, entropy
        self.status = StatusLists()
        self.context = Context(registry=registry, rule=rule, history=lineage, status=self.status)
        quorum = rule.rule.witness_quorum
        self.witness = Witness(me=identity.credential, registry=registry, quorum=quorum)
        self.damaged = lineage.verify(identity.key.public)
        self._heads_heard: set[bytes] = set()
        self._restore()

    @property
    def halted(self) -> Refusal | None:
        """Why this node may not sign: its log was altered or is behind, or its neighbours have not spoken yet."""
        if self.damaged is not None:
            return self.damaged
        needed = min(self.witness.quorum, len(self.witness.neighbours()))
        heard = len(self._heads_heard)
        if heard < needed:
            return refuse(Reason.HALT_BEHIND_WITNESS, "witness.start", f"{heard} neighbours", f"{needed} at start")
        return None

    def _restore(self) -> None:
        """Build the machines from what is durable."""
        self.status.forget()
        for kind, take in ((STATUS, self._take_status), (ROTATED, self._take_rotation)):
            for _, raw in self.lineage.items(kind):
                known = prove(raw, self.registry)
                if isinstance(known, Admitted):
                    take(known)
        me, rule, log = self.identity.credential, self.rule, self.lineage
        pairs = [raw for _, raw in log.items(holder_side.STORE)]
        self.holder = Holder(
            me=me,
            rule=rule,
            stored=pairs,
            offers=log.items(holder_side.OFFERS),
            blocked=log.items(holder_side.BLOCKED),
        )
        self.user = User(me=me, rule=rule, stored=[raw for _, raw in log.items(user_side.STORE)])
        for _, raw in log.items(user_side.HEARD):
            admitted = prove(raw, self.registry)
            if isinstance(admitted, Admitted):
                self.user.hear(admitted)

    @contextmanager
    def step(self, now: Fix) -> Iterator[Step]:
        """One durable step. If it fails nothing of it happened, and the machines go back to what is durable."""
        step = Step(
            self.identity,
            self.lineage,
            now,
            self.rule.hash,
            self._entropy,
            quorum=self.witness.quorum,
            halted=self.halted,
        )
        try:
            with self.lineage.transaction():
                yield step
        except BaseException:
            self._restore()
            raise

    def register(self, step: Step) -> None:
        """Log the credentials and the rule this node works with, each once: an auditor needs nothing else."""
        chains = (subject.chain for subject in self.registry.subjects())
        for raw in dict.fromkeys(raw for chain in (self._rule_chain, *chains, (self._rule_raw,)) for raw in chain):
            if self.lineage.index_of(digest(raw)) is None:
                leaf = admitted_leaf(raw, origin=RECEIVED, now=step.now.time, rule=self.rule.hash)
                step.log(leaf, proven(raw, self.registry))

    # -- bytes in ------------------------------------------------------------------------------------------------

    def receive(self, step: Step, data: bytes, transport_key: bytes) -> Refusal | None:
        """One message from the node that holds `transport_key`: one verdict, logged. Returns the refusal, if any."""
        sent, told = len(step.outgoing), len(step.notices)
        try:
            with self.lineage.transaction():
                return self._receive(step, data, transport_key)
        except LineageError:
            raise
        except Exception as exc:  # noqa: BLE001 - no message of one peer may cost another peer's, or the node
            self._restore()
            del step.outgoing[sent:], step.notices[told:]
            step.answering(None)
            refusal = refuse(Reason.FAULT, "party.receive", cut(repr(exc), 256), "a message this node can deal with")
            peer = self.registry.by_transport(transport_key)
            step.log(refused_leaf(data, refusal, now=step.now.time, rule=self.rule.hash, peer=_hash(peer)), None)
            step.event("fault", detail=str(refusal), peer=peer.name if peer else "unknown")
            return refusal

    def _receive(self, step: Step, data: bytes, transport_key: bytes) -> Refusal | None:
        peer = self.registry.by_transport(transport_key)
        message = decode_message(data)
        if isinstance(message, Refusal):
            step.log(refused_leaf(data, message, now=step.now.time, rule=self.rule.hash, peer=_hash(peer)), None)
            return message
        if message.heads is not None:
            return self._heads(step, message, transport_key)
        if step.halted is not None:
            return step.halted
        raw = message.record
        verdict = admit(raw, self.context, now=step.now.time, transport_key=transport_key)
        if isinstance(verdict, Refusal):
            return self._refused(step, raw, verdict, transport_key)
        unsure = self.unsure(step.now) if verdict.record.typ in ANSWERED_BY_SIGNING else None
        refusal = unsure or self._judge(verdict, message, step)
        if refusal is not None:
            # What time or order alone decided may be judged again when it comes again.
            terminal = None if refusal.reason in TRANSIENT or self._early(verdict, refusal) else verdict.record
            self._log_refused(step, raw, refusal, _hash(peer), terminal)
            self._answer_refused(step, verdict, refusal)
            return refusal
        leaf = admitted_leaf(raw, origin=RECEIVED, now=step.now.time, rule=self.rule.hash, peer=_hash(peer))
        step.log(leaf, verdict.record)
        step.answering(verdict.record.digest)
        self._act(step, verdict, message)
        step.answering(None)
        self.witness.take_up(step)
        return None

    def _early(self, admitted: Admitted, refusal: Refusal) -> bool:
        """Did a word of the holder overtake the one before it? A PREEMPT must count once its CONFIRM has come."""
        pair = self.user.by_sid(admitted.record.sid) if admitted.record.sid is not None else None
        return refusal.reason is Reason.OUT_OF_ORDER and pair is not None and pair.state in user_side.WAITING

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
            self._heads_heard.add(peer.hash)
            step.halted = self.halted
        else:
            self._log_refused(step, message.record, refusal, peer.hash, None)
            if refusal.reason is Reason.HALT_BEHIND_WITNESS:
                self._halt(step, refusal)
        return refusal

    def _judge_heads(self, step: Step, raw: bytes, peer: Subject) -> Refusal | None:
        """An old cosignature counts here: it says what the neighbour saw, whenever that was."""
        admitted = prove(raw, self.registry)
        if isinstance(admitted, Refusal):
            return admitted
        if admitted.record.typ != "cosignature" or admitted.author.hash != peer.hash:
            return refuse(Reason.TYPE, "heads.record", admitted.record.typ, "a cosignature by the neighbour itself")
        return self.witness.judge_cosignature(admitted, step)

    def _halt(self, step: Step, refusal: Refusal) -> None:
        self.damaged = step.halted = refusal
        step.event("halted", reason=refusal.reason.value, detail=str(refusal))

    def _log_refused(self, step: Step, raw: bytes, refusal: Refusal, peer: bytes | None, record: Record | None) -> None:
        leaf = refused_leaf(raw, refusal, now=step.now.time, rule=self.rule.hash, peer=peer)
        step.log(leaf, record)

    def _refused(self, step: Step, raw: bytes, refusal: Refusal, transport_key: bytes) -> Refusal:
        """Log a refusal; a resend from its author gets the same answer again, an entitled question gets a reason."""
        peer = self.registry.by_transport(transport_key)
        if refusal.reason is Reason.REPLAY:
            if step.count(f"replay:{digest(raw).hex()}") <= REPLAYS_LOGGED:
                self._log_refused(step, raw, refusal, _hash(peer), None)
            if peer is not None:
                step.send_again(peer.hash, digest(raw))
            return refusal
        self._log_refused(step, raw, refusal, _hash(peer), None)
        admitted = prove(raw, self.registry)
        if isinstance(admitted, Admitted) and peer is not None and admitted.author.hash == peer.hash:
            if refusal.reason is Reason.EQUIVOCATION:
                self._keep_evidence(step, admitted)
            self._answer_refused(step, admitted, refusal)
        return refusal

    def _answer_refused(self, step: Step, admitted: Admitted, refusal: Refusal) -> None:
        """Nobody is refused a REQUEST or an ACCEPT without a signed reason."""
        record = admitted.record
        step.answering(record.digest)
        if record.typ == "request":
            if step.send_again(admitted.author.hash, record.digest):
                step.answering(None)
                return  # it was answered before, whatever the clock says now
            if refusal.reason is Reason.BUDGET and refusal.clause == "budget.amount":
                budget.suspend(step, self.rule.rule, admitted)
            body = Verdict(
                subject=record.digest,
                reason=refusal.reason.value,
                clause=cut(refusal.clause, 128),
                measured=cut(refusal.measured, 512),
                required=cut(refusal.required, 512),
            )
            step.send(admitted.author.hash, step.sign(body).raw)
        elif record.typ == "accept":
            self._answer_accept(step, admitted, refusal)
        elif record.typ == "checkpoint":
            self.witness.refused_checkpoint(step, admitted, refusal)
        elif record.typ == "cosignature":
            self.witness.refused_cosignature(step, admitted, refusal)
            if refusal.reason is Reason.HALT_BEHIND_WITNESS:
                self._halt(step, refusal)
        step.answering(None)

    def _answer_accept(self, step: Step, admitted: Admitted, refusal: Refusal) -> None:
        pair = self.holder.pairs.get(admitted.record.body.sid)
        if pair is None or pair.user != admitted.author.hash:
            return
        if refusal.reason is Reason.EQUIVOCATION:
            self._keep_evidence(step, admitted)
        if pair.accept is not None and step.send_again(pair.user, pair.accept):
            return  # the very answer it got, with its proof
        if pair.state == HolderState.ABORTED:
            decided = self.record_bytes(pair.decision)
            if decided is not None:
                step.send(pair.user, decided)
        elif pair.decision is not None:
            return  # a CONFIRM leaves with its proof, once its witnesses have seen it
        elif refusal.reason in (Reason.TIMEOUT, Reason.CHALLENGE, Reason.TERMS):
            self.holder.abort(step, pair.sid, refusal.reason, admitted.record.digest)

    def _keep_evidence(self, step: Step, admitted: Admitted) -> None:
        """Two records that cannot both be honest prove it by themselves (I14)."""
        record = admitted.record
        first = None
        if record.typ == "accept":
            pair = self.holder.pairs.get(record.body.sid)
            first = self.record_bytes(pair.accept) if pair is not None and pair.accept else None
        if first is None and record.frame.author is not None:
            other = self.lineage.author_record(record.frame.author, record.frame.seq)
            first = self.record_bytes(other) if other else None
        if first is not None and max(len(first), len(record.raw)) <= EVIDENCE_BYTES_MAX:
            step.sign(Evidence(reason=Reason.EQUIVOCATION.value, first=first, second=record.raw))
        step.event("equivocation", author=admitted.author.name)

    # -- judging and acting --------------------------------------------------------------------------------------

    def _judge(self, admitted: Admitted, message: Message, step: Step) -> Refusal | None:
        typ, now = admitted.record.typ, step.now.time
        if typ in HANDLED_BY_HOLDER:
            return self._judge_as_holder(admitted, step)
        match typ:
            case "declaration":
                return self._judge_offer(now)
            case "evidence":
                return self._judge_evidence(admitted)
            case "envelope":
                return None
            case "checkpoint" | "cosignature" | "revocation" | "rotation":
                return self._judge_about_authors(admitted, step)
            case _:
                return self._judge_as_user(admitted, message, now)

    def _judge_as_user(self, admitted: Admitted, message: Message, now: TimeFix) -> Refusal | None:
        typ = admitted.record.typ
        match typ:
            case "grant":
                asked = self.record_of(admitted.record.body.request)
                return self.user.judge_grant(admitted, asked.body if asked else None, now)
            case "verdict":
                return self.user.judge_verdict(admitted)
            case "confirm":
                missing = refuse(Reason.PROOF, "confirm.proof", "absent", "proof that it is logged")
                return self.user.judge_decision(admitted, Event.CONFIRM) or (None if message.proof else missing)
            case "abort":
                return self.user.judge_decision(admitted, Event.ABORT)
            case "renew":
                return self.user.judge_renew(admitted)
            case "preempt":
                pair = self.user.by_sid(admitted.record.body.sid)
                granted = self.record_of(pair.grant) if pair is not None and pair.grant else None
                return self.user.judge_preempt(admitted, granted.body if granted else None)
            case _:
                return refuse(Reason.TYPE, "party.typ", typ, "a type that travels between nodes")

    def _judge_offer(self, now: TimeFix) -> Refusal | None:
        """Offers are many neighbours' and few each; those that are over make room."""
        over = [digest for digest, offer in self.user.offers.items() if now.after(offer.body.cell.window.end_ns)]
        for digest_over in over:
            del self.user.offers[digest_over]
        held = len(self.user.offers)
        return refuse(Reason.BUDGET, "declaration.held", held, f"< {OFFERS_MAX}") if held >= OFFERS_MAX else None

    def _judge_evidence(self, admitted: Admitted) -> Refusal | None:
        """Two different records of one author with one number, both proven, or it is no evidence."""
        body = admitted.record.body
        first, second = prove(body.first, self.registry), prove(body.second, self.registry)
        if isinstance(first, Refusal) or isinstance(second, Refusal):
            return refuse(Reason.PROOF, "evidence.records", "a record that does not prove", "two proven records")
        a, b = first.record, second.record
        same = a.frame.seq == b.frame.seq or (a.sid is not None and (a.sid, a.typ) == (b.sid, b.typ))
        if a.digest == b.digest or a.frame.author != b.frame.author or not same:
            return refuse(Reason.PROOF, "evidence.conflict", "no conflict", "one author, one number, two records")
        return None

    def _judge_about_authors(self, admitted: Admitted, step: Step) -> Refusal | None:
        body = admitted.record.body
        match admitted.record.typ:
            case "checkpoint":
                return self.witness.judge_checkpoint(admitted, step)
            case "cosignature":
                return self.witness.judge_cosignature(admitted, step)
            case "revocation":
                return self.status.judge(admitted.author, body, step.now.time)
            case _:
                successor = judge_rotation(admitted.author, body, self.registry)
                return successor if isinstance(successor, Refusal) else None

    def _judge_as_holder(self, admitted: Admitted, step: Step) -> Refusal | None:
        match admitted.record.typ:
            case "request":
                judged = self.holder.judge_request(admitted, step.now.time)
                return judged or budget.judge(self.lineage, self.rule.rule, admitted, step.now.time)
            case "accept":
                return self.holder.judge_accept(admitted, step.now.time)
            case "relinquish":
                return self.holder.judge_of_user(admitted, Event.RELINQUISH)
            case _:
                return self.holder.judge_of_user(admitted, Event.USAGE)

    def _act(self, step: Step, admitted: Admitted, message: Message) -> None:
        match admitted.record.typ:
            case "declaration":
                self.user.hear(admitted)
                step.put(user_side.HEARD, admitted.record.digest, admitted.record.raw)
                step.event("offer", holder=admitted.author.name, band=admitted.record.body.cell.band)
            case "request":
                self.holder.grant(step, admitted)
                budget.spend(step, self.rule.rule, admitted)
            case "grant":
                self.user.accept(step, admitted)
            case "accept":
                self.holder.confirm(step, admitted)
            case "confirm":
                self._settled(step, admitted, message)
            case "abort":
                self.user.aborted(step, admitted)
            case "verdict":
                self.user.refused(step, admitted)
            case "renew":
                pair = self.user.renewed(step, admitted)
                step.event("renewed", sid=pair.sid, record=admitted.record.raw)
            case "preempt":
                self._displaced(step, admitted)
            case "relinquish":
                self.holder.relinquished(step, admitted)
            case _:
                self._act_on_logs(step, admitted)

    def _act_on_logs(self, step: Step, admitted: Admitted) -> None:
        if admitted.record.typ == "checkpoint":
            self.witness.cosign(step, admitted)
        elif admitted.record.typ == "cosignature":
            self.witness.take(step, admitted)
        elif admitted.record.typ == "revocation":
            self._revoked(step, admitted)
        elif admitted.record.typ == "rotation":
            step.put(ROTATED, admitted.author.hash, admitted.record.raw)
            self._take_rotation(admitted)
            step.event("rotated", author=admitted.author.name)
            self._pass_on(step, admitted)
        elif admitted.record.typ == "usage":
            step.count(budget.FULFILLED + admitted.author.hash.hex())

    def _take_status(self, admitted: Admitted) -> None:
        self.status.take(admitted.author, admitted.record.raw, admitted.record.body)

    def _take_rotation(self, admitted: Admitted) -> None:
        successor = judge_rotation(admitted.author, admitted.record.body, self.registry)
        if isinstance(successor, Subject):
            self.registry.rotate(admitted.author, successor)

    def _revoked(self, step: Step, admitted: Admitted) -> None:
        """Take a status list; settled pairs go on, but each one with a revoked party is put under review."""
        step.put(STATUS, admitted.author.hash, admitted.record.raw)
        self._take_status(admitted)
        now, signed = step.now.time, admitted.record.frame.attestation
        step.event("status list", author=admitted.author.name, took_ms=(now.middle_ns - signed.latest_ns) / 1e6)
        for pair in self.holder.pairs.values():
            other = self.registry.get(pair.user)
            revoked = self.status.standing(other, self.registry, now) if other and pair.live else None
            if revoked is None or revoked.reason is not Reason.REVOKED or self.lineage.get(REVIEW, pair.sid):
                continue
            step.put(REVIEW, pair.sid, admitted.record.digest)
            step.sign(
                Verdict(
                    subject=pair.decision or pair.grant,
                    reason=Reason.REVOKED.value,
                    clause="review.opened",
                    measured=revoked.measured,
                    required=revoked.required,
                )
            )
            step.event("review", sid=pair.sid, reason=Reason.REVOKED.value)
        self._pass_on(step, admitted)

    def _pass_on(self, step: Step, admitted: Admitted) -> None:
        """An authority's word goes on to the neighbours, once."""
        for neighbour in self.witness.neighbours():
            step.pass_on(neighbour.hash, admitted.record.raw)

    def _settled(self, step: Step, admitted: Admitted, message: Message) -> None:
        pair = self.user.settled(step, admitted)
        grant, accept = self.record_bytes(pair.grant), self.record_bytes(pair.accept)
        mine = self.registry.get(self.identity.credential)
        if grant is None or accept is None or mine is None or message.proof is None:
            raise ValueError("a settled pair lacks one of its records")
        artifact = Artifact(
            grant=grant,
            accept=accept,
            confirm=admitted.record.raw,
            holder_chain=admitted.author.chain,
            user_chain=mine.chain,
            rule=self._rule_raw,
            rule_chain=self._rule_chain,
            proof=message.proof,
        )
        encoded = artifact.encoded()
        step.put("artifact", pair.sid, encoded)
        step.event("permit", sid=pair.sid, artifact=encoded)

    def _displaced(self, step: Step, admitted: Admitted) -> None:
        body = admitted.record.body
        step.event("displaced", sid=body.sid, reason=body.reason, vacate_by_ns=body.vacate_by_ns)
        self.user.end(step, body.sid, cut(f"preempted: {body.reason}", 64))

    # -- the passing of time -------------------------------------------------------------------------------------

    def unsure(self, now: Fix) -> Refusal | None:
        """Why nothing may be decided now: what this node knows of time and place is too little for the rule."""
        return confidence(Attestation.of(now), self.rule.rule)

    def tick(self, step: Step) -> list[UserPair]:
        """Let deadlines pass on both sides; returns settlements that ended for us as a user."""
        if step.halted is not None or self.unsure(step.now) is not None:
            return []
        self.holder.tick(step)
        self.witness.tick(step)
        return self.user.tick(step)

    def due(self, now: Fix) -> bool:
        """True when a tick would have something to look at."""
        if self.witness.quorum and self.lineage.items(ROUND):
            return now.time.trusted
        waiting = any(p.state in (*user_side.WAITING, UserState.SETTLED) for p in self.user.pairs.values())
        return now.time.trusted and (waiting or any(p.live for p in self.holder.pairs.values()))

    # -- records by hash -----------------------------------------------------------------------------------------

    def record_bytes(self, subject: bytes | None) -> bytes | None:
        """The exact bytes of a logged record."""
        index = self.lineage.index_of(subject) if subject is not None else None
        if index is None:
            return None
        leaf = decode_leaf(self.lineage.leaf_body(index))
        return None if isinstance(leaf, Refusal) else leaf.record

    def record_of(self, subject: bytes) -> Record | None:
        """A logged record, proven again."""
        raw = self.record_bytes(subject)
        admitted = prove(raw, self.registry) if raw is not None else None
        return admitted.record if isinstance(admitted, Admitted) else None


def _hash(peer: Subject | None) -> bytes | None:
    return peer.hash if peer is not None else None
