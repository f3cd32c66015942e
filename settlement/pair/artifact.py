"""The artifact of a settlement: one file that anyone can verify offline with the trust anchors alone.

    (1) well formed, sizes capped
    (2) both credential chains and the rule's chain end at an anchor
    (3) the rule is sound, and signed by an authority that may make rules, inside its scope
    (4) GRANT signed by the holder, ACCEPT by the user, CONFIRM by the holder, each entitled at signing
    (5) they are one settlement: ids recomputed, hashes chained, recognised by the class's rule, fence equal; its terms
        are allowed by the class and by both credentials
    (6) the CONFIRM was surely signed before `accept_by`; where it waits for others (co-signers, other parts, a
        handover), the ACCEPT was, and the CONFIRM before `confirm_by`
    (7) the CONFIRM is in the holder's log: entry, inclusion proof, signed checkpoint
    (8) as many witnesses as the rule requires cosigned the checkpoint
    (9) every shard of the rule that the cell touches has as many co-signatures as it requires
    (10) the composite envelope, where the class requires one, follows from the place and unit envelopes and allows the
         GRANT
    (11) where the GRANT hands on another settlement's lease: that settlement's artifact verifies by all these checks,
         and the lease was handed on as `handover` requires; and so on back to the licence
    (12) where the settlement is a part of one over several classes: every other part is confirmed
    (13) every group decision that the class requires was made: the auction of its offer, its approval, its coalition

Only `verify` makes a `VerifiedPermit`, and the gate takes nothing else.

Long because the numbered checks stand in one module in their order, each resting on those before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from settlement.chain import merkle
from settlement.chain.admission import Admitted, RuleInForce, confidence, prove, timeless
from settlement.chain.bodies import Accept, ClassTerms, Confirm, Coordination, Envelope, Grant, Rule
from settlement.chain.checkpoint import check_cosignature, open_note, origin_of, signature_count
from settlement.chain.codec import array, blob, decode, encode, nested, text, uint
from settlement.chain.credentials import OutlineBudget, Registry, Subject
from settlement.chain.entitlement import capability
from settlement.chain.leaf import LEAF_LIMIT, decode_leaf
from settlement.chain.records import Attestation, Record, parse
from settlement.chain.ruling import HeldRule, judge_naming, read_held, verify_rule
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.coordination import CoordinationSigned, belongs, lacking, shards_of
from settlement.pair.envelopes import PARTS_MAX, UNIT, judge_bound
from settlement.pair.handover import (
    GrantedUnder,
    HandedOn,
    ParentLease,
    judge_consent,
    judge_granted_under,
    judge_vacated,
)
from settlement.pair.recognition import RecognitionGrounds, recognise, rule_of
from settlement.pair.settledrecords import judge_shown, one_settlement
from settlement.pair.terms import deal_of_grant, judge_terms
from settlement.pair.transmit import TransmitLease, judge_change
from settlement.quorum.decided import DecisionGrounds, deal_granted, judge_decided
from settlement.records.handingterms import DEPTH_MAX
from settlement.records.handover import Consent, Handover, Vacated
from settlement.records.lease import CHANGES, Suspend
from settlement.records.registry import TYPE_OF
from settlement.records.wholeparts import WHOLE_MAX
from settlement.records.witness import Cosignature

__all__ = [
    "ARTIFACT_LIMIT",
    "Artifact",
    "Countersigned",
    "Links",
    "LogProof",
    "VerifiedPermit",
    "extend",
    "verify",
    "verify_rule",
]

NS = 1_000_000_000
ARTIFACT_LIMIT = 512 * 1024
CORNERS_MAX = 512
"""Most corners of all credential outlines of an artifact and of the artifacts whose lease it hands on, together."""
_CHANGES = ", ".join(TYPE_OF[one] for one in CHANGES)
_RAW = blob(0, MAX_RECORD_BYTES, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """A credential chain, root first."""

    credentials: tuple[bytes, ...] = array(1, _RAW, 9, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """Proof that an entry is in a signed log; `witnesses` are the credential chains of the checkpoint's cosigners."""

    leaf: bytes = blob(1, LEAF_LIMIT, least=1)
    index: int = uint(2)
    path: tuple[bytes, ...] = array(3, blob(0, 32), 64)
    checkpoint: str = text(4, 16 * 1024)
    witnesses: tuple[Links, ...] | None = array(5, Links, 64, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Countersigned:
    """A co-signature and its author's credential chain, root first."""

    record: bytes = blob(1, MAX_RECORD_BYTES, least=1)
    chain: tuple[bytes, ...] = array(2, _RAW, 9, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """Another part of the same whole: its GRANT, ACCEPT and CONFIRM, and its holder's credential chain, root first."""

    grant: bytes = blob(1, MAX_RECORD_BYTES, least=1)
    accept: bytes = blob(2, MAX_RECORD_BYTES, least=1)
    confirm: bytes = blob(3, MAX_RECORD_BYTES, least=1)
    chain: tuple[bytes, ...] = array(4, _RAW, 9, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProof:
    """The records of a group's decision before the GRANT: lists of members, PROPOSALs, TALLYs, OUTCOMEs, credentials.

    In a class with auctions REQUEST and offer are among the records: they show the form of the price.
    """

    records: tuple[bytes, ...] = array(1, _RAW, 10, low=1)
    chains: tuple[Links, ...] | None = array(2, Links, 70, low=1, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """All records and proofs that anyone needs to verify a settlement."""

    grant: bytes = blob(1, MAX_RECORD_BYTES, least=1)
    accept: bytes = blob(2, MAX_RECORD_BYTES, least=1)
    confirm: bytes = blob(3, MAX_RECORD_BYTES, least=1)
    holder_chain: tuple[bytes, ...] = array(4, _RAW, 9, low=1)
    user_chain: tuple[bytes, ...] = array(5, _RAW, 9, low=1)
    rule: bytes = blob(6, MAX_RECORD_BYTES, least=1)
    rule_chain: tuple[bytes, ...] = array(7, _RAW, 9, low=1)
    proof: LogProof = nested(8, LogProof)
    derivation: tuple[bytes, ...] | None = array(9, _RAW, 16, optional=True)
    coordination: tuple[Countersigned, ...] | None = array(10, Countersigned, 64, optional=True)
    envelopes: tuple[bytes, ...] | None = array(11, _RAW, PARTS_MAX + 1, optional=True)
    companions: tuple[Companion, ...] | None = array(30, Companion, WHOLE_MAX, low=1, optional=True)
    handed: HandedOn | None = nested(14, HandedOn, optional=True)
    decided: GroupProof | None = nested(40, GroupProof, optional=True)

    def encoded(self) -> bytes:
        """Return the bytes of the artifact."""
        return encode(self, limit=ARTIFACT_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPermit:
    """The permission of a verified settlement. Only `verify` makes one, and `extend` updates it.

    While `suspended_for` is set nothing may be transmitted. `ruled` is the rule that the settlement was made under,
    with the bytes that prove it; `granted` is when and where its GRANT was signed. `parent` is the settlement whose
    lease it hands on, if it does; `part` is the id of the wish of which it fills a part, and the number of that part.
    """

    sid: bytes
    confirm: bytes
    cell: Cell
    max_eirp_mdbm: int
    transmit_until_ns: int
    fence: int
    renewals: int
    holder: Subject
    user: Subject
    rule: Rule
    terms: ClassTerms
    lease_ns: int
    ruled: HeldRule
    granted: Attestation
    suspended_for: str | None = None
    tier: int = 0
    parent: ParentLease | None = None
    part: tuple[bytes, int] | None = None

    @property
    def depth(self) -> int:
        """How many times the lease was handed on, counted from the settlement with the licence's holder."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def as_parent(self) -> ParentLease:
        """Return the limits of this lease for a party to whom all or part of it is handed on."""
        above = self.parent.rules if self.parent is not None else ()
        return ParentLease(
            sid=self.sid,
            confirm=self.confirm,
            holder=self.holder.hash,
            user=self.user.hash,
            cell=self.cell,
            commodity=self.terms.name,
            tier=self.tier,
            max_eirp_mdbm=self.max_eirp_mdbm,
            depth=self.depth,
            until_ns=self.transmit_until_ns,
            rules=(GrantedUnder(ruled=self.ruled, granted=self.granted), *above),
        )


def _typed(raw: bytes, registry: Registry, body: type[Any], author: Subject, rule: RuleInForce) -> Admitted | Refusal:
    admitted = prove(raw, registry)
    if isinstance(admitted, Refusal):
        return admitted
    typ = TYPE_OF[body]
    if not isinstance(admitted.record.body, body):
        return refuse(Reason.TYPE, f"artifact.{typ}", admitted.record.typ, typ)
    if admitted.author.hash != author.hash:
        return refuse(Reason.BINDING, f"artifact.{typ}", admitted.author.name, author.name)
    return timeless(admitted, rule) or admitted


def verify(data: bytes, *, network: str, anchors: Iterable[bytes]) -> VerifiedPermit | Refusal:
    """Run checks (1) to (13) on an artifact's bytes. Pure: the verdict does not depend on when or where it is made."""
    return _verified(data, network=network, anchors=anchors, links=0, outlines=OutlineBudget(CORNERS_MAX))


def _verified(
    data: bytes, *, network: str, anchors: Iterable[bytes], links: int, outlines: OutlineBudget
) -> VerifiedPermit | Refusal:
    """Verify one link of a chain of leases, the first being number 0. All links share one budget for outlines."""
    anchors = tuple(anchors)
    if links > DEPTH_MAX:
        return refuse(Reason.DEPTH, "artifact.depth", links, f"<= {DEPTH_MAX} leases below the licence's")
    artifact = decode(Artifact, data, "artifact", limit=ARTIFACT_LIMIT)  # (1)
    if isinstance(artifact, Refusal):
        return artifact
    registry = Registry(network, anchors, outlines)
    holder, user = registry.admit_chain(artifact.holder_chain), registry.admit_chain(artifact.user_chain)  # (2)
    if isinstance(holder, Refusal):
        return holder
    if isinstance(user, Refusal):
        return user
    held = read_held(artifact.rule, artifact.rule_chain, registry)  # (3)
    if isinstance(held, Refusal):
        return held
    rule = held.rule
    grant = _typed(artifact.grant, registry, Grant, holder, rule)  # (4)
    accept = _typed(artifact.accept, registry, Accept, user, rule)
    confirm = _typed(artifact.confirm, registry, Confirm, holder, rule)
    if isinstance(grant, Refusal):
        return grant
    if isinstance(accept, Refusal):
        return accept
    if isinstance(confirm, Refusal):
        return confirm
    later = _waited(grant.record.body, rule.rule) or artifact.handed is not None
    refusal = (
        one_settlement(grant, accept, confirm, cosigned=later)  # (5), (6)
        or judge_terms(deal_of_grant(grant.record), rule.rule, holder=holder, user=user)
        or _recognised(artifact, (grant, accept), registry, rule.rule)
        or _logged(artifact, confirm, holder)  # (7)
        or _witnessed(artifact.proof, holder, rule.rule, registry)  # (8)
        or _coordinated(artifact, (grant, accept), rule, registry)  # (9)
        or _enveloped(artifact, (grant, accept), registry, rule.rule)  # (10)
        or _whole(artifact, grant.record.body, registry, rule)  # (12)
        or _decided(artifact.decided, grant.record, registry, rule)  # (13)
    )
    if refusal is not None:
        return refusal
    parent = _handed(artifact.handed, (grant, confirm), registry, rule, (links, outlines))  # (11)
    return parent if isinstance(parent, Refusal) else _permit(grant.record, confirm, (holder, user), held, parent)


def _handed(
    handed: HandedOn | None,
    pair: tuple[Admitted, Admitted],
    registry: Registry,
    rule: RuleInForce,
    reading: tuple[int, OutlineBudget],
) -> ParentLease | Refusal | None:
    """Check (11): return None for a settlement of the licence's own holder, else the lease that it hands on."""
    grant, confirm = pair
    if handed is None:
        named = grant.record.body.handover
        absent = refuse(Reason.PROOF, "artifact.handed", "absent", "what hands on the lease that the GRANT names")
        return absent if named is not None else None
    raw = decode_handover(handed.handover)
    if isinstance(raw, Refusal):
        return raw
    links, outlines = reading
    permit = _verified(
        raw.artifact, network=registry.network, anchors=registry.anchors, links=links + 1, outlines=outlines
    )
    if isinstance(permit, Refusal):
        return permit
    for one in (permit.user, permit.holder):
        registry.admit_chain(one.chain)
    return judge_handed_on(handed, (grant, confirm), permit, registry, rule)


def decode_handover(raw: bytes) -> Handover | Refusal:
    """Decode a HANDOVER from its bytes, unproven; the artifact inside has to be verified first."""
    unproven = parse(raw)
    opened = unproven if isinstance(unproven, Refusal) else unproven.opened()
    if isinstance(opened, Refusal):
        return opened
    body = opened.body
    return body if isinstance(body, Handover) else refuse(Reason.TYPE, "handing.typ", opened.typ, "handover")


def judge_handed_on(
    handed: HandedOn,
    pair: tuple[Admitted, Admitted],
    permit: VerifiedPermit,
    registry: Registry,
    rule: RuleInForce,
) -> ParentLease | Refusal:
    """Judge the records by which a lease was handed on, against GRANT and CONFIRM of the new settlement.

    Args: pair: GRANT and CONFIRM. permit: the verified parent settlement. Returns the parent lease, or why not.
    """
    grant, confirm = pair
    handover = _typed(handed.handover, registry, Handover, grant.author, rule)
    vacated = _typed(handed.vacated, registry, Vacated, grant.author, rule)
    if isinstance(handover, Refusal):
        return handover
    if isinstance(vacated, Refusal):
        return vacated
    consent = None
    if handed.consent is not None:
        found = _typed(handed.consent, registry, Consent, permit.holder, rule)
        if isinstance(found, Refusal):
            return found
        consent = found.record
    lease: bytes | None = vacated.record.body.lease
    newest = permit
    if lease is not None:
        changed = extend(permit, lease, network=registry.network, anchors=registry.anchors)
        if isinstance(changed, Refusal):
            return changed
        newest = changed
    parent, terms = newest.as_parent, rule.rule.terms(grant.record.body.commodity)
    return (
        judge_granted_under(grant.record, handover.record, parent, terms)
        or judge_consent(handover.record, consent, parent, terms)
        or judge_vacated(handover.record, vacated.record, confirm.record, parent)
        or parent
    )


def _waited(grant: Grant, rule: Rule) -> bool:
    """Whether the CONFIRM waits for others: for co-signers, or for the other parts of a whole."""
    return grant.whole is not None or bool(shards_of(rule, grant.cell))


def _whole(artifact: Artifact, grant: Grant, registry: Registry, rule: RuleInForce) -> Refusal | None:
    """Check (12): one companion for each other place, confirmed for the same user by a holder that may grant it."""
    if grant.whole is None:
        return None
    places = {grant.place}
    for number, one in enumerate(artifact.companions or ()):
        here = f"artifact.companions[{number}]"
        holder = registry.admit_chain(one.chain)
        if isinstance(holder, Refusal):
            return replace(holder, clause=here)
        proven = [prove(raw, registry) for raw in (one.grant, one.accept, one.confirm)]
        wrong = next((found for found in proven if isinstance(found, Refusal)), None)
        if wrong is not None:
            return replace(wrong, clause=here)
        shown = [found for found in proven if isinstance(found, Admitted)]
        given, taken, decided = (found.record for found in shown)
        same = isinstance(given.body, Grant) and (given.body.whole, given.body.parts, given.body.user) == (
            grant.whole,
            grant.parts,
            grant.user,
        )
        if not same or not isinstance(taken.body, Accept) or not isinstance(decided.body, Confirm):
            return refuse(Reason.INCOMPLETE, here, f"{given.typ}, {taken.typ}, {decided.typ}", "a part of this whole")
        chained = (
            taken.body.grant == given.digest
            and taken.frame.author == grant.user
            and (decided.body.grant, decided.body.accept) == (given.digest, taken.digest)
            and given.frame.author == decided.frame.author == holder.hash
        )
        if not chained:
            return refuse(Reason.PROOF, here, given.digest.hex()[:16], "one settlement, of the same user")
        beyond = judge_shown(shown, rule)
        if beyond is not None:
            return replace(beyond, clause=here)
        places.add(given.body.place)
    if places != set(range(grant.parts or 0)):
        return refuse(
            Reason.INCOMPLETE, "artifact.whole", f"{len(places)} of {grant.parts} parts", "every part confirmed"
        )
    return None


def _logged(artifact: Artifact, confirm: Admitted, holder: Subject) -> Refusal | None:
    proof = artifact.proof
    leaf = decode_leaf(proof.leaf)
    if isinstance(leaf, Refusal):
        return leaf
    if leaf.record != confirm.record.raw or not leaf.admitted:
        return refuse(Reason.ENTRY_MISMATCH, "artifact.leaf", leaf.subject.hex()[:16], confirm.record.digest.hex()[:16])
    head = open_note(proof.checkpoint, holder.public)
    if isinstance(head, Refusal):
        return head
    if head.origin != origin_of(confirm.record.frame.network, holder.public):
        return refuse(Reason.PROOF, "artifact.origin", head.origin, "the holder's own log")
    return merkle.verify_inclusion(merkle.leaf_hash(proof.leaf), proof.index, head.size, proof.path, head.root)


def stock_lines(note: str, rule: Rule) -> tuple[bytes, ...]:
    """Return the keys of the HTTP witnesses named by the rule whose cosignature lines a note has."""
    return tuple(
        one.key
        for one in rule.stock_witnesses or ()
        if not isinstance(check_cosignature(note, name=one.name, public=one.key), Refusal)
    )


def _witnessed(proof: LogProof, holder: Subject, rule: Rule, registry: Registry) -> Refusal | None:
    """Check (8): the rule allows the witness of every line in the checkpoint, and the lines are enough."""
    chains = proof.witnesses or ()
    found = {public for public in stock_lines(proof.checkpoint, rule) if public != holder.public}
    lines, known = signature_count(proof.checkpoint), len(chains) + len(found)
    if lines != 1 + known:
        return refuse(Reason.UNWITNESSED, "artifact.lines", lines, f"the owner's and {known} witnesses'")
    for links in chains:
        witness = registry.admit_chain(links.credentials)
        if isinstance(witness, Refusal):
            return witness
        name = origin_of(registry.network, witness.public)
        checked = check_cosignature(proof.checkpoint, name=name, public=witness.public)
        if isinstance(checked, Refusal):
            return checked
        level = rule.level(witness.level)
        entitled = level is not None and TYPE_OF[Cosignature] in level.admits
        if not entitled or witness.public == holder.public or not _alive(witness, checked.time_s):
            return refuse(Reason.UNWITNESSED, "artifact.witness", witness.name, "another node, entitled, in its time")
        found.add(witness.public)
    if len(found) < rule.witness_quorum:
        return refuse(Reason.UNWITNESSED, "artifact.quorum", len(found), f">= {rule.witness_quorum}")
    return None


def _beneath(raws: Iterable[bytes], registry: Registry, rule: Rule) -> list[Record] | Refusal:
    """Verify the records that a settlement rests on: signature, author's rights, and the bounds of time and place."""
    found = []
    for raw in raws:
        one = prove(raw, registry)
        if isinstance(one, Refusal):
            return one
        refusal = capability(one.record, one.author, rule) or confidence(one.record.frame.attestation, rule)
        if refusal is not None:
            return refusal
        found.append(one.record)
    return found


def _recognised(artifact: Artifact, pair: tuple[Admitted, Admitted], registry: Registry, rule: Rule) -> Refusal | None:
    """Check (5) by the class's recognition rule, on the source records in the artifact, its rule and its HANDOVER."""
    grant, accept = (one.record for one in pair)
    beneath = _beneath(artifact.derivation or (), registry, rule)
    terms = rule.terms(grant.body.commodity)
    if isinstance(beneath, Refusal):
        return beneath
    if terms is None:
        return refuse(Reason.RULE_UNKNOWN, "artifact.class", grant.body.commodity, "a class of the rule")
    known = {record.digest: record for record in beneath}
    handed = prove(artifact.handed.handover, registry) if artifact.handed is not None else None
    if isinstance(handed, Admitted):
        known[handed.record.digest] = handed.record

    def find(name: bytes) -> Record | None:
        proven = prove(artifact.rule, registry) if name == grant.body.rule else None
        return proven.record if isinstance(proven, Admitted) else known.get(name)

    return recognise(rule_of(terms), RecognitionGrounds(grant=grant, accept=accept, find=find))


def _enveloped(artifact: Artifact, pair: tuple[Admitted, Admitted], registry: Registry, rule: Rule) -> Refusal | None:
    """Check (10): the authors may sign these envelopes, and GRANT and ACCEPT agree with their composite."""
    grant, accept = (one.record for one in pair)
    known = _beneath(artifact.envelopes or (), registry, rule)
    terms = rule.terms(grant.body.commodity)
    if isinstance(known, Refusal):
        return known
    if terms is None or not all(isinstance(one.body, Envelope) for one in known):
        return refuse(Reason.TYPE, "artifact.envelopes", [one.typ for one in known], "envelopes")
    refusal = judge_bound(grant, known, rule, terms)
    units = [one.digest for one in known if one.body.kind == UNIT]
    if refusal is None and known and accept.body.envelope not in units:
        return refuse(Reason.ENVELOPE, "artifact.accept", "another unit's", "the unit envelope of the composite")
    return refusal


def _coordinated(
    artifact: Artifact, pair: tuple[Admitted, Admitted], rule: RuleInForce, registry: Registry
) -> Refusal | None:
    """Check (9): every shard that the cell touches has enough co-signatures."""
    grant, accept = pair
    signed = []
    for one in artifact.coordination or ():
        author = registry.admit_chain(one.chain)
        if isinstance(author, Refusal):
            return author
        admitted = _typed(one.record, registry, Coordination, author, rule)
        if isinstance(admitted, Refusal):
            return admitted
        refusal = belongs(admitted.record.body, grant.record.body, grant.record.digest, accept.record.digest)
        if refusal is not None:
            return refusal
        signed.append(CoordinationSigned(author=author, body=admitted.record.body))
    return lacking(rule.rule, grant.record.body.cell, grant.author.hash, signed)


def _decided(decided: GroupProof | None, grant: Record, registry: Registry, rule: RuleInForce) -> Refusal | None:
    """Check (13) by records whose authors may sign them."""
    for links in decided.chains or () if decided is not None else ():
        author = registry.admit_chain(links.credentials)
        if isinstance(author, Refusal):
            return author
    known: dict[bytes, Record] = {}
    for raw in decided.records if decided is not None else ():
        one = prove(raw, registry)
        if isinstance(one, Refusal):
            return one
        refusal = capability(one.record, one.author, rule.rule)
        if refusal is not None:
            return refusal
        known[one.record.digest] = one.record
    grounds = DecisionGrounds(
        network=registry.network,
        find=known.get,
        subject=registry.get,
        line=registry.line,
        naming=lambda author: judge_naming(registry.get(author), rule.seat, registry),
    )
    return judge_decided(deal_granted(grant), rule.rule.terms(grant.body.commodity), grounds)


def _alive(witness: Subject, time_s: int) -> bool:
    return witness.not_before_ns <= time_s * NS < witness.expires_ns


def _permit(
    granted: Record,
    confirm: Admitted,
    parties: tuple[Subject, Subject],
    ruled: HeldRule,
    parent: ParentLease | None,
) -> VerifiedPermit | Refusal:
    grant: Grant = granted.body
    rule = ruled.rule.rule
    terms = rule.terms(grant.commodity)
    if terms is None:
        return refuse(Reason.RULE_UNKNOWN, "artifact.class", grant.commodity, "a class of the rule")
    return VerifiedPermit(
        sid=grant.sid,
        confirm=confirm.record.digest,
        cell=grant.cell,
        max_eirp_mdbm=grant.max_eirp_mdbm,
        transmit_until_ns=confirm.record.body.transmit_until_ns,
        fence=grant.fence,
        renewals=0,
        holder=parties[0],
        user=parties[1],
        rule=rule,
        terms=terms,
        lease_ns=grant.lease_ns,
        ruled=ruled,
        granted=granted.frame.attestation,
        tier=grant.tier,
        parent=parent,
        part=None if grant.wish is None or grant.index is None else (grant.wish, grant.index),
    )


def extend(permit: VerifiedPermit, raw: bytes, *, network: str, anchors: Iterable[bytes]) -> VerifiedPermit | Refusal:
    """Return a permit after a RENEW, SUSPEND or RESUME by its holder, or why not: number and fence must rise."""
    registry = Registry(network, anchors)
    registry.admit_chain(permit.holder.chain)
    admitted = prove(raw, registry)
    if isinstance(admitted, Refusal):
        return admitted
    record = admitted.record
    if not isinstance(record.body, CHANGES) or admitted.author.hash != permit.holder.hash:
        return refuse(Reason.TYPE, "lease.typ", record.typ, f"{_CHANGES} by the permit's holder")
    body = record.body
    if body.sid != permit.sid:
        return refuse(Reason.TERMS, f"{record.typ}.sid", body.sid.hex()[:16], permit.sid.hex()[:16])
    held = TransmitLease(
        confirm=permit.confirm,
        cell=permit.cell,
        number=permit.renewals,
        fence=permit.fence,
        suspended=permit.suspended_for is not None,
        length_ns=permit.lease_ns,
    )
    refusal = judge_change(held, record) or timeless(admitted, RuleInForce(hash=b"", rule=permit.rule))
    if refusal is not None:
        return refusal
    changed = replace(permit, fence=body.fence, renewals=body.number)
    if isinstance(body, Suspend):
        return replace(changed, suspended_for=body.reason)
    return replace(changed, transmit_until_ns=body.transmit_until_ns, suspended_for=None)
