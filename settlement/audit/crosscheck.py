"""What several lineages say of each other: both sides of every settlement, and nobody's second story.

    (1) an author used each number once, over all lineages
    (2) what others hold of an author is in the author's own lineage, where that is here
    (3) each settlement has one GRANT, one ACCEPT, one decision, and they belong together
    (4) no two confirmed settlements were live on the same cell at the same time, but for one that hands on the other's
        lease; then the old user said that its radio is silent before it signed the CONFIRM
    (5) every signed head of a log, wherever it is held, is a part of that log's tree, and no two heads contradict: FORK

A CONFIRM that its user never got is no fault: spectrum was wasted, nothing was granted twice.
"""

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from settlement.audit.findings import SHOWN_MAX, Audited, Findings
from settlement.audit.handed import HandedChains
from settlement.audit.heads import forks
from settlement.chain.bodies import Accept, Confirm, Coordination, Grant, Preempt, Relinquish, Renew, Resume, Rule
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.pair.work import answer_to, settlement_id
from settlement.records.decision import DECISIONS
from settlement.records.registry import TYPE_OF


@dataclass(slots=True)
class LiveCell:
    """A confirmed cell and from when to when (UTC ns) it was live: not before its window opens."""

    sid: bytes
    cell: Cell
    from_ns: int
    until_ns: int
    commodity: str = ""
    users: int = 1

    def clashes(self, other: "LiveCell") -> bool:
        """True when both were live on a shared cell at the same time."""
        together = self.from_ns < other.until_ns and other.from_ns < self.until_ns
        return together and self.cell.overlaps(other.cell)


@dataclass(slots=True)
class _Story:
    """All different records of one settlement, whoever holds them."""

    records: dict[type[Any], dict[bytes, Record]] = field(default_factory=dict)

    def all(self, body: type[Any]) -> list[Record]:
        return list(self.records.get(body, {}).values())

    def one(self, body: type[Any]) -> Record | None:
        found = self.all(body)
        return found[0] if found else None


def cross_check(lineages: list[Audited]) -> Findings:
    """Checks (1) to (5)."""
    findings = Findings()
    stories: dict[bytes, _Story] = {}
    _check_numbers(findings, lineages)
    for audited in lineages:
        for record in audited.held:
            if record.sid is not None:
                story = stories.setdefault(record.sid, _Story())
                story.records.setdefault(record.row.body, {})[record.digest] = record
    for sid, story in stories.items():
        _check_story(findings, sid.hex()[:16], story)
    rules = {record.digest: record.body for a in lineages for record in a.held if isinstance(record.body, Rule)}
    _check_live(findings, stories, rules)
    _check_heads(findings, lineages)
    return findings


def _check_heads(findings: Findings, lineages: list[Audited]) -> None:
    """Check (5); told first, for it is a proof."""
    trees = [audited.tree for audited in lineages if audited.tree is not None]
    findings.forks = list(islice(forks((h for a in lineages for h in a.heads), trees), SHOWN_MAX))
    findings.problems[:0] = [str(fork) for fork in findings.forks]


def _check_numbers(findings: Findings, lineages: list[Audited]) -> None:
    """Checks (1) and (2)."""
    used: dict[tuple[bytes, int], bytes] = {}
    own = {one: {r.digest for r in a.held} for a in lineages for one in a.line}
    for audited in lineages:
        for record in audited.held:
            author = record.frame.author
            if author is None:
                continue
            first = used.setdefault((author, record.frame.seq), record.digest)
            if first != record.digest:
                findings.add(f"{author.hex()[:8]} signed two different records with number {record.frame.seq}")
            if record.digest not in own.get(author, {record.digest}):
                findings.add(f"{audited.path.name} holds a {record.typ} that is missing in its author's own lineage")


def _check_story(findings: Findings, sid: str, story: _Story) -> None:
    """Check (3)."""
    for body in (Grant, Accept, *DECISIONS):
        versions = len(story.all(body))
        if versions > 1:
            findings.add(f"settlement {sid}: {versions} different {TYPE_OF[body]} records")
    if all(story.one(decision) for decision in DECISIONS):
        findings.add(f"settlement {sid}: both confirmed and aborted")
    confirm = story.one(Confirm)
    if confirm is not None and not _belongs(story, confirm):
        findings.add(f"settlement {sid}: confirmed without a GRANT and an ACCEPT that belong to it")


def _belongs(story: _Story, confirm: Record) -> bool:
    grant, accept = story.one(Grant), story.one(Accept)
    if grant is None or accept is None or grant.frame.author is None or accept.frame.author is None:
        return False
    given, taken, decided = grant.body, accept.body, confirm.body
    return (
        given.sid == settlement_id(grant.frame.author, accept.frame.author, given.nonce, given.cell)
        and given.user == accept.frame.author
        and taken.grant == grant.digest
        and taken.answer == answer_to(given.challenge, grant.digest)
        and (decided.grant, decided.accept, decided.fence) == (grant.digest, accept.digest, given.fence)
        and confirm.frame.author == grant.frame.author
        and confirm.frame.attestation.latest_ns
        < (given.confirm_by_ns if story.all(Coordination) else given.accept_by_ns)
    )


def _users(grant: Record, rules: dict[bytes, Rule]) -> int:
    """How many may hold one cell of a GRANT's class at once, by the rule that it names."""
    rule = rules.get(grant.body.rule)
    terms = rule.terms(grant.body.commodity) if rule is not None else None
    return (terms.users or 1) if terms is not None else 1


def _check_live(findings: Findings, stories: dict[bytes, _Story], rules: dict[bytes, Rule]) -> None:
    """Check (4); where a class lets several users share a cell, no more than that many."""
    lives: list[LiveCell] = []
    handed = HandedChains.of(
        record for story in stories.values() for kind in story.records.values() for record in kind.values()
    )
    for sid, story in stories.items():
        grant, confirm = story.one(Grant), story.one(Confirm)
        if grant is None or confirm is None:
            continue
        live = LiveCell(
            sid=sid,
            cell=grant.body.cell,
            from_ns=max(confirm.frame.attestation.earliest_ns, grant.body.cell.window.start_ns),
            until_ns=_until_ns(story, grant, confirm),
            commodity=grant.body.commodity,
            users=_users(grant, rules),
        )
        loud = handed.too_early(grant, confirm)
        if loud:
            findings.add(f"settlement {sid.hex()[:16]}: {loud}")
        clashing = [other for other in lives if live.clashes(other) and not handed.related(sid, other.sid)]
        beside = sum(1 for other in clashing if other.commodity == live.commodity)
        for other in clashing:
            if other.commodity != live.commodity or beside >= min(live.users, other.users):
                findings.add(f"settlements {sid.hex()[:16]} and {other.sid.hex()[:16]} were live on the same cell")
        lives.append(live)


def _until_ns(story: _Story, grant: Record, confirm: Record) -> int:
    """When it was over: its window, or once it was cut short the last lease its holder had signed."""
    window_ns: int = grant.body.cell.window.end_ns
    if not story.all(Preempt) and not story.all(Relinquish):
        return window_ns
    longer = (*story.all(Renew), *story.all(Resume))
    leases: list[int] = [confirm.body.transmit_until_ns, *(r.body.transmit_until_ns for r in longer)]
    return min(window_ns, max(leases))
