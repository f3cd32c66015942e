"""Replay: judges the entries of one log again, in order, with nothing but the log and the anchors.

(4) every admitted record is signed by a credential in the log
(5) the author was entitled: the timeless clauses of admission hold again, under the rule in force at signing
(6) the owner's own records form one chain: numbers without a gap, each naming the one before
(7) no two admitted records of an author share a number
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from settlement.audit.findings import Audited, ListTaken, Review
from settlement.audit.handedleases import HandedLeases
from settlement.audit.heads import Heads
from settlement.audit.prunings import stub_record
from settlement.chain import keys
from settlement.chain.admission import Admitted, RuleInForce, prove, proven, timeless
from settlement.chain.bodies import (
    Confirm,
    Credential,
    Declaration,
    Grant,
    Renew,
    Request,
    Resume,
    Revocation,
    Rotation,
    Rule,
    Verdict,
)
from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Claims, Registry, Subject, read_claims
from settlement.chain.keys import Verify
from settlement.chain.leaf import OWN, Leaf, decode_leaf
from settlement.chain.prunedleaf import decode_pruned, is_pruned
from settlement.chain.records import Record, Unproven, digest, parse
from settlement.chain.rotation import judge_rotation
from settlement.chain.ruling import judge_naming, judge_next, verify_rule
from settlement.chain.standing import Tally
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.governing.rulefile import rule_at
from settlement.pair.terms import deal_of_grant, judge_terms
from settlement.pair.transmit import lease_limit
from settlement.quorum.decided import DecisionGrounds, deal_granted, judge_decided
from settlement.records.auction import AuctionTally
from settlement.records.quorum import GroupOutcome, MemberList, Proposal
from settlement.records.verdict import REVIEW_OPENED
from settlement.state.messages import decode_message
from settlement.state.ownword import attested, excused, in_order
from settlement.state.retention import lot_of

TIMELESS_CLAUSES = ("cbor.", "cose.", "integrity.1", "integrity.3", "capability.6", "capability.7", "capability.8")
LEASES = (Confirm, Renew, Resume)
DECIDING = (MemberList, Proposal, AuctionTally, GroupOutcome)
"""Record types by which a group decides before a GRANT."""


@dataclass(slots=True)
class Replay:
    """The state that the audit of one log carries from entry to entry."""

    registry: Registry
    audited: Audited
    rules: list[RuleInForce] = field(default_factory=list)
    former: frozenset[bytes] = frozenset()
    last: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    last_signed_ns: int = 0
    behind: dict[bytes, Record] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    verify: Verify = keys.verify
    heads: Heads | None = None
    handed: HandedLeases = field(default_factory=HandedLeases)
    _owner: Subject | None = None

    @property
    def owner(self) -> Subject | None:
        """The owner of the log: the credential in it whose key the log's origin names; None where there is none."""
        if self._owner is None:
            named = (
                s for s in self.registry.subjects() if origin_of(self.registry.network, s.public) == self.audited.origin
            )
            self._owner = next(named, None)
        return self._owner

    def is_own(self, author: bytes) -> bool:
        """Whether the author is the log's owner, under its present or an earlier key."""
        return author in self.former or (self.owner is not None and author == self.owner.hash)

    def line(self) -> tuple[Subject, ...]:
        """Return the owner's credential and those that it replaced, as the log proves it, the newest first."""
        owner = self.owner
        found = (self.registry.get(one) for one in self.registry.line(owner.hash)) if owner is not None else ()
        return tuple(subject for subject in found if subject is not None)


def former_of(origin: str, network: str, entries: Iterable[bytes]) -> frozenset[bytes]:
    """Return the earlier credentials that the owner of a log claims by its rotations; the replay then verifies them."""
    before: dict[bytes, bytes] = {}
    newest: bytes | None = None
    for body in entries:
        leaf = decode_leaf(body)
        rotation = parse(leaf.record) if isinstance(leaf, Leaf) and leaf.origin == OWN and leaf.record else None
        if not isinstance(rotation, Unproven) or rotation.schema is not Rotation or rotation.author is None:
            continue
        body_map = rotation.payload.get(6)
        successor = body_map.get(1) if isinstance(body_map, dict) else None
        if not isinstance(successor, bytes):
            continue
        before[digest(successor)] = rotation.author
        credential = parse(successor)
        claims = credential.message.header.claims if isinstance(credential, Unproven) else None
        named = read_claims(claims or {})
        if isinstance(named, Claims) and origin_of(network, named.public) == origin:
            newest = digest(successor)
    found: list[bytes] = []
    while newest in before and before[newest] not in found:
        newest = before[newest]
        found.append(newest)
    return frozenset(found)


def check_entry(state: Replay, index: int, body: bytes, said: list[Any] | None) -> None:
    """Run checks (4) to (6) on an entry, and store it for (7); `said`: its row's columns, None outside a file."""
    (_check_stub if is_pruned(body) else _check_whole)(state, index, body, said)


def _check_whole(state: Replay, index: int, body: bytes, said: list[Any] | None) -> None:
    leaf, add = decode_leaf(body), state.audited.findings.add
    if isinstance(leaf, Refusal):
        add(f"entry {index}: {leaf}")
        return
    if said is not None and said[:2] != [leaf.subject, leaf.admitted]:
        add(f"entry {index}: its columns do not agree with its bytes")
    if leaf.arrived_earliest_ns > leaf.arrived_latest_ns:
        add(f"entry {index}: arrived before it arrived")
    if leaf.record is not None and digest(leaf.record) != leaf.subject:
        add(f"entry {index}: names other bytes than it holds")
    if not leaf.admitted:
        state.audited.refused[leaf.reason or ""] += 1
        if leaf.reason not in Reason.__members__:
            add(f"entry {index}: refused without a known reason")
        _keep_tally(state, leaf)
        _replay_refused(state, index, leaf)
        return
    record = proven(leaf.record, state.registry, verify=state.verify) if leaf.record is not None else None
    if record is None:
        add(f"entry {index}: admitted, but it does not prove")
        return
    if said is not None and said[2:] != [record.typ, record.sid, record.frame.author, record.frame.seq, None]:
        add(f"entry {index}: its columns do not agree with its record")
    if isinstance(record.body, Rule):
        _take_rule(state, index, record)
    elif not isinstance(record.body, Credential):
        _check_entitled(state, index, leaf, record)
    state.audited.held.add(record, index=index, once=not isinstance(record.body, Rule | Credential))
    _note(state, index, leaf, record)


def _check_stub(state: Replay, index: int, body: bytes, said: list[Any] | None) -> None:
    """Check an entry whose bytes were deleted: its place in its author's chain, and its row for later comparison."""
    add, stub = state.audited.findings.add, decode_pruned(body)
    if isinstance(stub, Refusal):
        add(f"entry {index}: {stub}")
        return
    wrong = state.audited.prunings.stub(index, stub, said)
    if wrong is not None:
        add(f"entry {index}: {wrong}")
        return
    author = state.registry.get(stub.author)
    if author is None:
        add(f"entry {index}: let go, and nobody in the log is its author")
        return
    own = state.is_own(stub.author)
    if own != (stub.origin == OWN):
        add(f"entry {index}: marked as {'own' if stub.origin == OWN else 'received'}, which it is not")
    if own:
        state.audited.own += 1
        before = state.last.get(stub.author, (0, None))[0]
        if stub.seq - 1 != before:
            add(f"entry {index}: own record {stub.seq} does not follow {before}")
        state.last[stub.author] = (stub.seq, stub.subject)
    state.audited.held.add(stub_record(stub, state.registry.network), index=index, once=True)


def _note(state: Replay, index: int, leaf: Leaf, record: Record) -> None:
    """Note signed heads for the cross-check, deletion records, reviews, and status lists with their delays."""
    heads = state.heads = state.heads or Heads(state.registry)
    own_at = index if leaf.origin == OWN else None
    if isinstance(record.body, Verdict) and leaf.origin == OWN:
        lot = lot_of(record.body, record.frame.attestation.latest_ns)
        if lot is not None:
            state.audited.prunings.lot(lot)
    state.audited.heads.extend(heads.of_record(record, state.audited.path.name, own_at))
    if isinstance(record.body, Verdict) and record.body.clause == REVIEW_OPENED:
        measured = f"{record.body.reason}: {record.body.measured}"
        state.audited.reviews.append(Review(subject=record.body.subject, why=measured))
    elif isinstance(record.body, Revocation):
        author = state.registry.get(record.frame.author)
        signed = record.frame.attestation
        state.audited.lists.append(
            ListTaken(
                author=author.name if author is not None else "",
                version=record.body.version,
                least_ns=leaf.arrived_earliest_ns - signed.latest_ns,
                most_ns=leaf.arrived_latest_ns - signed.earliest_ns,
            )
        )


def _take_rule(state: Replay, index: int, record: Record) -> None:
    """Add the first rule of a log, and each that follows it properly, by an authority that may rule band and area.

    Any other is a finding.
    """
    author = state.registry.get(record.frame.author)
    rule = verify_rule(record.raw, author.chain, state.registry) if author is not None else None
    if not isinstance(rule, RuleInForce):
        state.audited.findings.add(f"entry {index}: a rule by nobody who may rule: {rule}")
        return
    refusal = judge_next(state.rules, rule) if state.rules else None
    if refusal is None:
        state.rules.append(rule)
    else:
        state.audited.findings.add(f"entry {index}: a rule that does not follow the last: {refusal}")


def _check_entitled(state: Replay, index: int, leaf: Leaf, record: Record) -> None:
    add = state.audited.findings.add
    by = state.registry.get(record.frame.author)
    admitted = Admitted(record=record, author=by) if by is not None else None
    if admitted is not None and isinstance(record.body, Rotation):
        successor = judge_rotation(admitted.author, record.body, state.registry)
        if isinstance(successor, Subject):
            state.registry.rotate(admitted.author, successor)
    rule = rule_at(state.rules, record.frame.attestation) or (state.rules[-1] if state.rules else None)
    if rule is None or admitted is None:
        add(f"entry {index}: no rule in the log before the first record under it")
        return
    refusal = timeless(admitted, rule)
    state.audited.replayed += 1
    own = state.is_own(admitted.author.hash)
    if refusal is not None and not (own and excused(record.typ, refusal)):
        add(f"entry {index}: admitted, but {refusal}")
    handed = state.handed.judge(record, state.rules, rule, state.registry, own=own)
    beyond = _beyond_terms(state, record, admitted.author, rule) or handed
    if refusal is None and beyond is not None:
        add(f"entry {index}: admitted, but {beyond}")
    if record.frame.attestation.earliest_ns > leaf.arrived_latest_ns:
        add(f"entry {index}: signed after it arrived")
    if own != (leaf.origin == OWN):
        add(f"entry {index}: marked as {'own' if leaf.origin == OWN else 'received'}, which it is not")
    if own:
        _check_own(state, index, record, admitted.author)


def check_numbers(state: Replay) -> None:
    """Run check (7), after all entries are read."""
    for index, author, number in state.audited.held.twice():
        subject = state.registry.get(author)
        name = subject.name if subject is not None else author.hex()[:8]
        state.audited.findings.add(f"entry {index}: {name} used number {number} twice")


def _beyond_terms(state: Replay, record: Record, author: Subject, rule: RuleInForce) -> Refusal | None:
    """Refuse a GRANT beyond its class, a credential or its group decisions, and a lease beyond its GRANT."""
    if isinstance(record.body, Grant):
        user = state.registry.get(record.body.user)
        if user is None:
            return refuse(Reason.UNKNOWN_AUTHOR, "grant.user", record.body.user.hex()[:16], "a credential in the log")
        state.audited.held.granted(record)
        beyond = judge_terms(deal_of_grant(record), rule.rule, holder=author, user=user)
        return beyond or _undecided(state, record, rule)
    _keep_behind(state, record, rule)
    if record.sid is None or not isinstance(record.body, LEASES):
        return None
    grant = state.audited.held.grant(record.sid)
    if grant is None:
        return None
    limit_ns, until_ns = lease_limit(record, grant.body.cell, grant.body.lease_ns), record.body.transmit_until_ns
    if until_ns <= limit_ns:
        return None
    return refuse(Reason.LEASE, f"{record.typ}.until", f"{until_ns} ns", f"<= {limit_ns} ns")


def _keep_behind(state: Replay, record: Record, rule: RuleInForce) -> None:
    """Store a record on which a group decision may rest; REQUESTs and offers only of classes with auctions."""
    terms = rule.rule.terms(record.body.commodity) if isinstance(record.body, Request | Declaration) else None
    if isinstance(record.body, DECIDING) or (terms is not None and terms.auction is not None):
        state.behind[record.digest] = record


def _keep_tally(state: Replay, leaf: Leaf) -> None:
    """Store a TALLY that the owner refused: if enough members certified it, it counts all the same."""
    if leaf.record is None or b"bandpact/tally" not in leaf.record:
        return
    record = proven(leaf.record, state.registry, verify=state.verify)
    if record is not None and isinstance(record.body, AuctionTally):
        state.behind[record.digest] = record


def _undecided(state: Replay, grant: Record, rule: RuleInForce) -> Refusal | None:
    """Refuse a GRANT, in the log of one of its parties, that lacks a group decision that its class requires."""
    if not state.is_own(grant.frame.author or b"") and not state.is_own(grant.body.user):
        return None
    registry = state.registry
    grounds = DecisionGrounds(
        network=registry.network,
        find=state.behind.get,
        subject=registry.get,
        line=registry.line,
        naming=lambda author: judge_naming(registry.get(author), rule.seat, registry),
    )
    return judge_decided(deal_granted(grant), rule.rule.terms(grant.body.commodity), grounds)


def _replay_refused(state: Replay, index: int, leaf: Leaf) -> None:
    """Repeat a refusal that depends only on the bytes and the author's rights: the result must be the same."""
    if leaf.record is None or not (leaf.clause or "").startswith(TIMELESS_CLAUSES):
        return
    state.audited.replayed += 1
    outcome = prove(leaf.record, state.registry, verify=state.verify)
    if isinstance(outcome, Admitted):
        rule = rule_at(state.rules, outcome.record.frame.attestation) or (state.rules[-1] if state.rules else None)
        outcome = (timeless(outcome, rule) if rule else None) or outcome
    # A message that was refused before its record could be extracted is logged as it came.
    wrapped = decode_message(leaf.record)
    if isinstance(wrapped, Refusal) and wrapped.reason.value == leaf.reason:
        return
    if not isinstance(outcome, Refusal) or outcome.reason.value != leaf.reason:
        now = outcome.reason.value if isinstance(outcome, Refusal) else "admissible"
        state.audited.findings.add(f"entry {index}: refused as {leaf.reason}, now {now}")


def _check_own(state: Replay, index: int, record: Record, author: Subject) -> None:
    """Run check (6)."""
    state.audited.own += 1
    before = (record.frame.seq - 1, record.frame.previous)
    expected = state.last.get(author.hash, (0, None))
    if before != expected:
        state.audited.findings.add(f"entry {index}: own record {record.frame.seq} does not follow {expected[0]}")
    signed = record.frame.attestation
    state.last[author.hash] = (record.frame.seq, record.digest)
    if in_order(signed, state.last_signed_ns) is not None:
        state.audited.findings.add(f"entry {index}: own record {record.frame.seq} is attested before the one before it")
    state.last_signed_ns = attested(state.last_signed_ns, signed)
