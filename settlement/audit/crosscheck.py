"""Compares several logs with each other: both sides of every settlement, and no author with two versions.

    (1) each author used each number once, over all logs
    (2) records of an author that other logs hold are in the author's own log, if that is among the logs
    (3) each settlement has one GRANT, one ACCEPT and one decision, and these belong together
    (4) no two confirmed settlements were live on the same cell at the same time, unless one hands on the other's lease
        and the old user signed VACATED before it signed the CONFIRM
    (5) every signed head of a log, in whichever log it was found, fits that log's tree, and no two heads contradict
        each other: FORK
    (6) no holder signed a GRANT, CONFIRM, RENEW or RESUME on an approval after it had withdrawn that approval

A CONFIRM that never reached its user is no fault: spectrum was wasted, but nothing was granted twice.

Records are read in order from each audit's temporary database, by settlement and by number, and live cells are swept
in the order of time. So memory does not grow with the logs, and time does not grow with their square.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from settlement.audit.findings import SHOWN_MAX, Audited, Findings
from settlement.audit.handed import HandedChains, parents_of
from settlement.audit.heads import forks
from settlement.audit.heldrecords import WRITTEN_AT_ONCE, HeldRecords, HeldRow, packed, temporary, unpacked
from settlement.audit.takenback import LEASES, TakenBack
from settlement.chain.bodies import Accept, Confirm, Coordination, Grant, Preempt, Relinquish, Renew, Resume, Rule
from settlement.chain.records import Record, reopened
from settlement.chain.scope import Cell
from settlement.pair.work import answer_to, settlement_id
from settlement.records.decision import DECISIONS
from settlement.records.registry import TYPE_OF

LATEST_NS = (1 << 63) - 1


@dataclass(slots=True)
class LiveCell:
    """A confirmed cell, and from when to when (UTC, ns) it was live; never before its window opens."""

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


class _Story:
    """All different records of one settlement, from any log; each type is parsed when it is first requested."""

    def __init__(self, rows: Iterable[tuple[bytes, str, bytes, bytes | None]]) -> None:
        self._raws: dict[str, dict[bytes, bytes | None]] = {}
        self._read: dict[str, list[Record]] = {}
        for _, typ, name, raw in rows:
            self._raws.setdefault(typ, {}).setdefault(name, raw)

    def count(self, body: type[Any]) -> int:
        return len(self._raws.get(TYPE_OF[body], {}))

    def all(self, body: type[Any]) -> list[Record]:
        typ = TYPE_OF[body]
        if typ not in self._read:
            self._read[typ] = [reopened(raw) for raw in self._raws.get(typ, {}).values() if raw is not None]
        return self._read[typ]

    def one(self, body: type[Any]) -> Record | None:
        return next(iter(self.all(body)), None)


def cross_check(lineages: list[Audited]) -> Findings:
    """Run checks (1) to (6)."""
    findings, held = Findings(), [HeldRecords.of(one.held) for one in lineages]
    _check_numbers(findings, lineages, held)
    told_of = [record for one in held for record in one.handed()]
    parents = parents_of(told_of)
    handed = HandedChains.of(told_of, (record for one in held for record in one.granted_to(parents)))
    rules = {name: rule for one in held for name, rule in one.rules.items()}
    back = TakenBack.of(held)
    lives = _LiveCells()
    rows = heapq.merge(*(one.by_settlement() for one in held), key=itemgetter(0))
    for sid, told in groupby(rows, itemgetter(0)):
        story = _Story(told)
        _check_story(findings, sid.hex()[:16], story)
        _check_taken_back(findings, sid.hex()[:16], story, back)
        live = _lived(findings, sid, story, handed, rules)
        if live is not None:
            lives.add(live)
    _check_live(findings, handed, lives)
    _check_heads(findings, lineages)
    return findings


def _check_heads(findings: Findings, lineages: list[Audited]) -> None:
    """Run check (5), first, because its findings are proofs."""
    trees = [audited.tree for audited in lineages if audited.tree is not None]
    findings.forks = list(islice(forks((h for a in lineages for h in a.heads), trees), SHOWN_MAX))
    findings.problems[:0] = [str(fork) for fork in findings.forks]


def _check_numbers(findings: Findings, lineages: list[Audited], held: list[HeldRecords]) -> None:
    """Run checks (1) and (2)."""
    own = {one: number for number, audited in enumerate(lineages) for one in audited.line}
    rows = heapq.merge(*(_of_log(one, number) for number, one in enumerate(held)), key=_numbered)
    for (author, num), together in groupby(rows, _numbered):
        told = [(row, number) for row, number in together]
        if len(told) == 1 and author not in own:
            continue
        first = told[0][0].name
        mine = {row.name for row, number in told if number == own.get(author)}
        for row, number in told:
            if row.name != first:
                findings.add(f"{author.hex()[:8]} signed two different records with number {_whole(num)}")
            if author in own and row.name not in mine:
                missing = f"holds a {row.typ} that is missing in its author's own lineage"
                findings.add(f"{lineages[number].path.name} {missing}")


def _whole(num: bytes) -> int:
    return int.from_bytes(num, "big")


def _of_log(held: HeldRecords, number: int) -> Iterator[tuple[HeldRow, int]]:
    return ((row, number) for row in held.by_number())


def _numbered(one: tuple[HeldRow, int]) -> tuple[bytes, bytes]:
    return one[0].author, one[0].num


def _lived(
    findings: Findings, sid: bytes, story: _Story, handed: HandedChains, rules: dict[bytes, Rule]
) -> LiveCell | None:
    """Return the live cell of a settlement for check (4); None where it was never confirmed."""
    grant, confirm = story.one(Grant), story.one(Confirm)
    if grant is None or confirm is None:
        return None
    wrong = handed.flaw(grant, confirm)
    if wrong:
        findings.add(f"settlement {sid.hex()[:16]}: {wrong}")
    return LiveCell(
        sid=sid,
        cell=grant.body.cell,
        from_ns=max(confirm.frame.attestation.earliest_ns, grant.body.cell.window.start_ns),
        until_ns=_until_ns(story, grant, confirm),
        commodity=grant.body.commodity,
        users=_users(grant, rules),
    )


def _check_story(findings: Findings, sid: str, story: _Story) -> None:
    """Run check (3)."""
    for body in (Grant, Accept, *DECISIONS):
        versions = story.count(body)
        if versions > 1:
            findings.add(f"settlement {sid}: {versions} different {TYPE_OF[body]} records")
    if all(story.count(decision) for decision in DECISIONS):
        findings.add(f"settlement {sid}: both confirmed and aborted")
    confirm = story.one(Confirm)
    if confirm is not None and not _belongs(story, confirm):
        findings.add(f"settlement {sid}: confirmed without a GRANT and an ACCEPT that belong to it")


def _check_taken_back(findings: Findings, sid: str, story: _Story, back: TakenBack) -> None:
    """Run check (6)."""
    for grant in story.all(Grant):
        broken = back.broken(grant, (one for body in LEASES for one in story.all(body)))
        if broken:
            findings.add(f"settlement {sid}: {broken}")


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
        < (given.confirm_by_ns if story.count(Coordination) or given.whole is not None else given.accept_by_ns)
    )


def _users(grant: Record, rules: dict[bytes, Rule]) -> int:
    """Return how many users may hold one cell of a GRANT's class at once, by the rule that the GRANT names."""
    rule = rules.get(grant.body.rule)
    terms = rule.terms(grant.body.commodity) if rule is not None else None
    return (terms.users or 1) if terms is not None else 1


class _LiveCells:
    """Confirmed cells, stored outside memory and returned in the order in which they became live."""

    def __init__(self) -> None:
        self._db = temporary()
        self._db.execute("CREATE TABLE live(n INTEGER PRIMARY KEY, from_ns INTEGER, cell BLOB)")
        self._waiting: list[tuple[int, bytes]] = []

    def add(self, live: LiveCell) -> None:
        self._waiting.append((min(live.from_ns, LATEST_NS), packed(live)))
        if len(self._waiting) >= WRITTEN_AT_ONCE:
            self._write()

    def _write(self) -> None:
        with self._db:
            self._db.executemany("INSERT INTO live(from_ns, cell) VALUES(?,?)", self._waiting)
        self._waiting.clear()

    def __iter__(self) -> Iterator[LiveCell]:
        self._write()
        rows = self._db.cursor().execute("SELECT cell FROM live ORDER BY from_ns, n")
        return (unpacked(cell) for (cell,) in rows)


def _check_live(findings: Findings, handed: HandedChains, lives: Iterable[LiveCell]) -> None:
    """Run check (4); where a class lets several users share a cell, up to that many may be live at once."""
    now: list[tuple[int, bytes, LiveCell]] = []
    for live in lives:
        while now and now[0][0] <= live.from_ns:
            heapq.heappop(now)
        clashing = [other for _, _, other in now if live.clashes(other) and not handed.related(live.sid, other.sid)]
        beside = sum(1 for other in clashing if other.commodity == live.commodity)
        for other in clashing:
            if other.commodity != live.commodity or beside >= min(live.users, other.users):
                one, two = sorted((live.sid.hex()[:16], other.sid.hex()[:16]))
                findings.add(f"settlements {one} and {two} were live on the same cell")
        heapq.heappush(now, (live.until_ns, live.sid, live))


def _until_ns(story: _Story, grant: Record, confirm: Record) -> int:
    """Return when (UTC, ns) a settlement was over: its window's end, or, if cut short, its last signed lease's end."""
    window_ns: int = grant.body.cell.window.end_ns
    if not story.count(Preempt) and not story.count(Relinquish):
        return window_ns
    longer = (*story.all(Renew), *story.all(Resume))
    leases: list[int] = [confirm.body.transmit_until_ns, *(r.body.transmit_until_ns for r in longer)]
    return min(window_ns, max(leases))
