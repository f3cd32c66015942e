"""The findings of an audit: of one log, or of several compared with each other."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from settlement.audit.heads import Fork, FoundHead, LogTree
from settlement.audit.heldrecords import HeldRecords
from settlement.audit.prunings import Prunings
from settlement.chain import merkle

SHOWN_MAX = 20


class Outcome(StrEnum):
    """The result of an audit in one word; only TAMPERED is a proof that something was altered."""

    VERIFIED = "VERIFIED"
    NOT_SEALED = "NOT_SEALED"
    DIFFERS = "DIFFERS"
    WRONG_ANCHOR = "WRONG_ANCHOR"
    NOT_A_LINEAGE = "NOT_A_LINEAGE"
    TAMPERED = "TAMPERED"


@dataclass(slots=True)
class Findings:
    """The problems of one log, or of several compared with each other."""

    problems: list[str] = field(default_factory=list)
    forks: list[Fork] = field(default_factory=list)

    def add(self, problem: str) -> None:
        """Add a problem; only the first few are kept word for word."""
        if len(self.problems) < SHOWN_MAX:
            self.problems.append(problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A settlement that its holder put under review: the decision (or GRANT) in question, and why."""

    subject: bytes
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTaken:
    """A status list that this node took, and the least and greatest delay since its signing."""

    author: str
    version: int
    least_ns: int
    most_ns: int


@dataclass(slots=True)
class Audited:
    """One log after the audit.

    `line` is the owner's credential and those that it replaced, the newest first.
    """

    path: Path
    origin: str
    records: int = 0
    own: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    root: bytes = merkle.EMPTY_ROOT
    sealed: bool = False
    findings: Findings = field(default_factory=Findings)
    held: HeldRecords = field(default_factory=HeldRecords)
    """The admitted records of the log, for later comparison with other logs."""
    owner: bytes | None = None
    line: tuple[bytes, ...] = ()
    stranger: bool = False
    """Whether no credential in the log leads to a given anchor."""
    warnings: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    lists: list[ListTaken] = field(default_factory=list)
    heads: list[FoundHead] = field(default_factory=list)
    """Signed heads of any log that this log holds."""
    tree: LogTree | None = None
    prunings: Prunings = field(default_factory=Prunings)
    """Entries whose bytes were deleted by retention."""

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings.problems

    @property
    def received(self) -> int:
        """Number of entries that came from other nodes."""
        return self.records - self.own
