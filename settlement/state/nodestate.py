"""The state of one node: its registry, its log, and the protocol machines built from stored state."""

from collections.abc import Callable, Iterable

from settlement.chain.admission import Admitted, Context, RuleInForce, confidence, prove
from settlement.chain.bodies import Rule
from settlement.chain.codec import from_map
from settlement.chain.credentials import Registry, Subject
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.lineage import Lineage
from settlement.chain.memory import Recent
from settlement.chain.records import Attestation, Record, Unproven, parse
from settlement.chain.rotation import judge_rotation
from settlement.chain.scope import Cell
from settlement.chain.snapshot import StartLook
from settlement.chain.status import StatusLists
from settlement.core.fixes import Fix, TimeFix, time_inside
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair import holder as holder_side
from settlement.pair import user as user_side
from settlement.pair.bounds import PLACES, UNITS, Bounds
from settlement.pair.coordinator import STORE as COORDINATED
from settlement.pair.coordinator import Coordinator
from settlement.pair.debts import DEBT
from settlement.pair.governed import Governed
from settlement.pair.handings import STORE as HANDING
from settlement.pair.holder import restored_holder
from settlement.pair.holderpairs import HolderPair
from settlement.pair.patience import STORE as FAILING
from settlement.pair.user import restored_user
from settlement.records.row import Charge
from settlement.state.assembly import PROPOSED, WITHDRAWN, Assembly
from settlement.state.logpacker import LogPacker
from settlement.state.ownword import attested, judge_own, last_attested
from settlement.state.replays import Replays
from settlement.state.retention import LogRetention
from settlement.state.rules import RULE, HeldRule, Rules, chained, read_held
from settlement.state.shares import Shares
from settlement.state.step import Identity, Step
from settlement.state.witness import Witness

STATUS, ROTATED, REVIEW, SIGHTING = "status", "rotated", "review", "sighting"


class NodeState:
    """Identity, registry, rule, log and machines of one node, all derived from its log."""

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
        former: Iterable[Identity] = (),
        shares: Shares | None = None,
        clock: Callable[[], int] | None = None,
        from_snapshot: bool = False,
    ) -> None:
        """Build the node's state from its log.

        `shares` limit what a neighbour may cost, by `clock` (ns, never backwards), without it by the steps' own time.
        With `from_snapshot` the log is checked from its newest snapshot on; the caller then has the rest checked later
        (`logcheck`) and reports the result to `scrubbed`.
        """
        self.identity, self.registry, self.rule, self.lineage = identity, registry, rule, lineage
        self.configured = HeldRule(raw=rule_raw, chain=rule_chain, rule=rule)
        self.entropy, self.status, self.rules = entropy, StatusLists(), Rules(self.configured)
        self.witness = Witness(
            me=identity.credential,
            registry=registry,
            quorum=rule.rule.witness_quorum,
            stock=rule.rule.stock_witnesses,
        )
        self.former = {one.credential: one for one in former}
        keys = [one.key.public for one in self.former.values()]
        if from_snapshot:
            self.start = lineage.start_look(identity.key.public, former=keys)
        else:
            self.start = StartLook(refusal=lineage.verify(identity.key.public, standing=True, former=keys))
        self.damaged = self.start.refusal
        self._whole = self.damaged is None
        self.shares, self.clock = shares or Shares(), clock
        self._last_charge = Charge.WHOLE
        self._beside_bytes, self._cost_of, self._now_ns = 0, b"", 0
        self.swept_ns = 0
        """Answers given before this time (UTC, ns) are deleted, except those that may be asked for again."""
        self._failed_duties: dict[str, tuple[int, int]] = {}
        self._sure: tuple[tuple[Fix, Subject | None, Rule] | None, Refusal | None] = None, None
        self.heads_heard: set[bytes] = set()
        self.consents = True
        self.lends: Callable[[HolderPair], bool] = lambda _pair: False
        """Whether this node's warden may answer base stations under a settlement; the program around it sets this."""
        self.replays, self.packer = Replays(), LogPacker(lineage)
        self.retention = LogRetention(lineage, rule=lambda: self.rule, live=self._live)
        self._proven: Recent[bytes, Record] = Recent()
        self.attested_ns = max((self._attested(one) for one in (identity.credential, *self.former)), default=0)
        self.restore()

    def _attested(self, credential: bytes) -> int:
        """Return the latest instant (UTC, ns) at which this node has surely signed under a credential."""
        if not self._whole:
            return 0
        leaves = (decode_leaf(body) for body in self.lineage.back(credential))
        raws = (leaf.record for leaf in leaves if isinstance(leaf, Leaf) and leaf.record is not None)
        payloads = (one.payload for one in map(parse, raws) if isinstance(one, Unproven))
        return last_attested(from_map(Attestation, payload.get(5), "attestation") for payload in payloads)

    @property
    def own_line(self) -> frozenset[bytes]:
        """This node's credential and those that it replaced."""
        return frozenset((self.identity.credential, *self.former, *self.registry.line(self.identity.credential)))

    def entitled(self, record: Record) -> Refusal | None:
        """Return why this node may not sign a record, by its auditor's checks; None where it may."""
        author, signed = self.registry.get(record.frame.author), record.frame.attestation
        if author is None:
            return refuse(Reason.UNKNOWN_AUTHOR, "integrity.2", "no credential of its own", "an admitted credential")
        refusal = judge_own(record, author, self.rules.judging(signed.earliest_ns, signed.latest_ns), self.attested_ns)
        if refusal is None:
            self.attested_ns = attested(self.attested_ns, signed)
        return refusal

    @property
    def halted(self) -> Refusal | None:
        """Why this node may not sign: its log was altered or is behind, or its neighbours have not answered yet."""
        if self.damaged is not None:
            return self.damaged
        needed = self.witness.quorum and min(self.witness.quorum, len(self.witness.neighbours()))
        heard = len(self.heads_heard)
        if heard < needed:
            return refuse(Reason.HALT_BEHIND_WITNESS, "witness.start", f"{heard} neighbours", f"{needed} at start")
        return None

    @property
    def context(self) -> Context:
        """The credentials, rule and log that admission judges against."""
        at = self.rules.judging
        return Context(
            registry=self.registry,
            rule=self.rule,
            history=self.lineage,
            status=self.status,
            rule_at=at,
            was_rule=self._was_rule,
        )

    def unsure(self, now: Fix) -> Refusal | None:
        """Return why nothing may be decided now: time or place is too uncertain for the rule; None if it may."""
        me, rule = self.registry.get(self.identity.credential), self.rule.rule
        asked, refusal = self._sure
        if asked is None or asked[0] is not now or asked[1] is not me or asked[2] is not rule:  # cached for the step
            effective = rule.effective
            refusal = (
                confidence(Attestation.of(now), rule)
                or (me.valid_at(now.time) if me is not None else None)
                or time_inside(now.time, effective.start_ns, effective.end_ns, "disposition.11.effective")
            )
            self._sure = (now, me, rule), refusal
        return refusal

    def silenced(self, credential: bytes, now: TimeFix) -> Refusal | None:
        """Return why no record of a party can ever be admitted again: a credential in its chain is revoked or over.

        None where that may still change: a missing or old status list proves nothing final.
        """
        subject = self.registry.get(credential)
        if subject is None:
            return None
        found = (self.status.standing(subject, self.registry, now), subject.valid_at(now))
        final = (Reason.REVOKED, Reason.EXPIRED)
        return next((one for one in found if one is not None and one.reason in final), None)

    def go_by(self, rule: RuleInForce | None) -> None:
        """Use this rule from here on; with None, where no rule is surely in force, keep the previous one."""
        if rule is not None:
            if rule is not self.governed.rule:
                self.rule = self.governed.rule = rule
                self.holder.ruled()
            self.witness.quorum = rule.rule.witness_quorum
            self.witness.stock = rule.rule.stock_witnesses or ()

    def stand(self) -> None:
        """Sign the database as a step leaves it; an altered database is left as it was found, unsigned."""
        if self._whole:
            self.lineage.stand(self.identity.key)

    def restore(self) -> None:
        """Build the machines from stored state; empty ones where the database was found altered."""
        self.status.forget()
        self.registry.unrotate()
        self._restore_rotations()
        for _, raw in self._stored(STATUS):
            known = prove(raw, self.registry)
            if isinstance(known, Admitted):
                self.take_status(known)
        self._restore_rules()
        self._proven = Recent()
        me, self.governed = self.identity.credential, Governed(self.rule)
        self.bounds = Bounds(self._own(PLACES), self._own(UNITS))
        self.coordinator = Coordinator(stored=[raw for _, raw in self._stored(COORDINATED)])
        self.holder = restored_holder(
            me=me,
            own=self.registry.get(me),
            governed=self.governed,
            bounds=self.bounds,
            stored=[raw for _, raw in self._stored(holder_side.STORE)],
            offers=self._stored(holder_side.OFFERS),
            blocked=self._stored(holder_side.BLOCKED),
            failing=self._stored(FAILING),
            debts=self._stored(DEBT),
            handed=self._stored(HANDING),
            elsewhere=self.coordinator.known,
            neighbours=self._holders_near,
        )
        self.user = restored_user(
            me=me,
            governed=self.governed,
            bounds=self.bounds,
            stored=[raw for _, raw in self._stored(user_side.STORE)],
        )
        handings, user = self.holder.handings, self.user
        self.governed.handed_until_ns = lambda handover: handings.until_ns(handover, user.by_sid)
        for _, raw in [*self._stored(user_side.HEARD), *self._stored(user_side.HANDED)]:
            admitted = prove(raw, self.registry)
            if isinstance(admitted, Admitted):
                self.user.hear(admitted)
        self.assembly = Assembly()
        for name, _ in self._stored(PROPOSED):
            asked = self.record_of(name)
            if asked is not None:
                self.assembly.begin(name, asked.body, asked.frame.author)
        self.assembly.withdrawn = {name for name, _ in self._stored(WITHDRAWN)}

    def _holders_near(self, cell: Cell) -> set[bytes]:
        """Return other holders whose offers were heard in a cell's area, whatever their band."""
        near = {o.holder for o in self.user.offers.values() if o.body.cell.area.overlaps(cell.area)}
        return near - {self.identity.credential}

    def _restore_rotations(self) -> None:
        """Restore the stored key rotations; each may be signed by a key that another of them introduced."""
        waiting = [raw for _, raw in self._stored(ROTATED)]
        while waiting:
            known = [(raw, prove(raw, self.registry)) for raw in waiting]
            for _, admitted in known:
                if isinstance(admitted, Admitted):
                    self.take_rotation(admitted)
            left = [raw for raw, admitted in known if not isinstance(admitted, Admitted)]
            if len(left) == len(waiting):
                return
            waiting = left

    def _restore_rules(self) -> None:
        held = []
        for _, raw in self._stored(RULE):
            known = prove(raw, self.registry)
            rule = read_held(raw, known.author.chain, self.registry) if isinstance(known, Admitted) else known
            held += [rule] if isinstance(rule, HeldRule) else []
        rules = chained(self.configured, held)
        if isinstance(rules, Refusal):
            self.damaged = self.damaged or rules
        else:
            self.rules = rules

    def _stored(self, kind: str) -> list[tuple[bytes, bytes]]:
        return self.lineage.items(kind) if self._whole else []

    def _own(self, kind: str) -> list[Record]:
        """Return this node's own stored records, under its present key."""
        known = (prove(raw, self.registry) for _, raw in self._stored(kind))
        mine = self.identity.credential
        return [a.record for a in known if isinstance(a, Admitted) and a.author.hash == mine]

    def halt(self, step: Step, refusal: Refusal) -> None:
        """Stop signing for good: the log differs from what this node, or a neighbour, saw."""
        self.damaged = step.halted = refusal
        step.event("halted", reason=refusal.reason.value, detail=str(refusal))

    def _live(self) -> set[bytes]:
        """Return the settlements that are not over, for this node as a holder or as a user."""
        return {pair.sid for pair in self.holder.busy.values()} | {pair.sid for pair in self.user.busy.values()}

    def scrubbed(self, step: Step, refusal: Refusal | None) -> None:
        """Take the result of the background check of the whole log: continue, or stop signing if it does not hold."""
        if refusal is None:
            self.lineage.read_whole()
            return
        self._whole = False
        self.halt(step, refusal)

    def take_status(self, admitted: Admitted) -> None:
        """Store a judged status list."""
        self.status.take(admitted.author, admitted.record.raw, admitted.record.body)

    def take_rotation(self, admitted: Admitted) -> None:
        """Replace a credential by its judged successor."""
        successor = judge_rotation(admitted.author, admitted.record.body, self.registry)
        if isinstance(successor, Subject):
            self.registry.rotate(admitted.author, successor)

    def record_bytes(self, subject: bytes | None) -> bytes | None:
        """Return the exact bytes of a logged record; None if there is none."""
        return self.lineage.raw_of(subject) if subject is not None else None

    def record_of(self, subject: bytes | None, *, admitted: bool = False) -> Record | None:
        """Return a logged record by its hash, proven once; with `admitted` only one that was not refused."""
        if subject is None:
            return None
        recent = self.lineage.recent(subject)  # admitted, and proven at that time
        if recent is not None:
            return recent
        if subject in self._proven:
            return self._proven[subject]
        leaf = self.lineage.entry_of(subject)
        known = prove(leaf.record, self.registry) if leaf is not None and leaf.record is not None else None
        if leaf is None or not isinstance(known, Admitted) or (admitted and not leaf.admitted):
            return None
        if leaf.admitted:
            self._proven.keep(subject, known.record)
        return known.record

    def admitted_of(self, subject: bytes) -> Admitted | None:
        """Return a logged record that was not refused, with its author; None if there is none."""
        record = self.record_of(subject, admitted=True)
        author = self.registry.get(record.frame.author) if record is not None else None
        return Admitted(record=record, author=author) if record is not None and author is not None else None

    def _was_rule(self, subject: bytes) -> bool:
        """Whether a record was a rule that this node worked under."""
        record = self.record_of(subject, admitted=True)
        return record is not None and isinstance(record.body, Rule)
