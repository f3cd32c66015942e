"""The attack table: each row's input, the refusal it must get, and the function that runs it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.attacking.ground import Ground


class Word(StrEnum):
    """Result of a row."""

    PASS = "pass"  # noqa: S105 - a word, not a secret
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


class NotApplicable(Exception):
    """A row that cannot be run here; the message says why."""


Attack = Callable[["Ground"], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input of a row; `expected` are the results that pass."""

    row: int
    attack: str
    expected: tuple[str, ...]
    act: Attack


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOutcome:
    """Result of one case."""

    row: int
    attack: str
    expected: str
    got: str
    result: Word
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for programs."""
        return asdict(self)


CASES: list[Case] = []


def case(row: int, attack: str, *expected: str) -> Callable[[Attack], Attack]:
    """Register a function as a case of a row; it returns the answer it got."""

    def enter(act: Attack) -> Attack:
        CASES.append(Case(row=row, attack=attack, expected=expected, act=act))
        return act

    return enter


UNREACHED = {
    16: "needs a second radio that is bound to another credential; the warden's own check is in its tests",
    29: "needs a rule with shards, so that a settlement needs co-signatures",
    30: "needs a rule with shards, so that a settlement needs co-signatures",
    34: "needs a holder that settles with the tester and then shows another leaf's proof",
    35: "needs a holder whose neighbours refuse to co-sign its log",
    37: "needs a receiver whose place jumps; what a neighbour attests of its place is tried under 36 and 38",
    39: "needs a rule that takes other sources than the simulated ones",
    40: "needs a rule with budgets",
    43: "needs a build whose door is broken",
    44: "needs a build whose admission raises",
    48: "needs a disk that is full",
    52: "needs a settlement in parts",
    53: "needs a rule with budgets and reputation",
    54: "needs a warden that is handed hotter samples; a trial's oracle watches what leaves an antenna",
    55: "needs an envelope that a settlement rests on",
    56: "needs four nodes that report on one channel",
    59: "needs a rule chain of two authorities handed to a warden",
    60: "needs a bundle whose holder signed again",
    61: "needs two nodes that collude",
    63: "needs a Pluto, real or simulated, and a second client of it",
    67: "needs a minute of reservations",
    68: "needs a host that is suspended",
    72: "needs a GNSS receiver that lies from the start",
    75: "needs a SAS or CBSD endpoint",
    76: "needs an application that hands samples in",
}
"""Rows that this command does not run, and why; each has tests under its number in `tests/`."""
LAST_ROW = 76
