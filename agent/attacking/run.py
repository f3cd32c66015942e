"""Runs the whole attack table and reports the result of every row."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.attacking import files, pairs, wire
from agent.attacking.ground import Ground
from agent.attacking.stranger import Silence
from agent.attacking.table import CASES, LAST_ROW, UNREACHED, Case, CaseOutcome, NotApplicable, Word
from agent.trial.processes import TrialError
from agent.trial.run import work_folder

MODULES = (wire, pairs, files)
"""Order of the modules: rows that do not change the nodes, then settlements, then files given to commands."""
LAST = frozenset({32})
"""Rows run last: once two heads of one log are signed, every log that holds both proves a fork for good."""


def _one(case: Case, ground: Ground) -> CaseOutcome:
    expected = " or ".join(case.expected)
    try:
        got = case.act(ground)
    except NotApplicable as exc:
        return CaseOutcome(
            row=case.row, attack=case.attack, expected=expected, got="", result=Word.NOT_APPLICABLE, reason=str(exc)
        )
    except (Silence, TrialError, subprocess.TimeoutExpired, OSError, ValueError, LookupError) as exc:
        return CaseOutcome(
            row=case.row,
            attack=case.attack,
            expected=expected,
            got="",
            result=Word.FAIL,
            reason=f"{type(exc).__name__}: {exc}",
        )
    passed = got in case.expected
    return CaseOutcome(
        row=case.row, attack=case.attack, expected=expected, got=got, result=Word.PASS if passed else Word.FAIL
    )


def _place(case: Case) -> int:
    if case.row in LAST:
        return len(MODULES)
    return [module.__name__ for module in MODULES].index(case.act.__module__)


def unreached() -> list[CaseOutcome]:
    """Return the rows that this command does not run, each with the reason."""
    done = {case.row for case in CASES}
    return [
        CaseOutcome(
            row=row, attack="", expected="", got="", result=Word.NOT_APPLICABLE, reason=UNREACHED.get(row, NOT_HERE)
        )
        for row in range(1, LAST_ROW + 1)
        if row not in done
    ]


NOT_HERE = "not carried out by this command; it has tests by its number"


def carry_out(rows: frozenset[int] | None, tell: Callable[[CaseOutcome], None]) -> dict[str, Any]:
    """Run the table, or some of its rows, against nodes started for it. Raises TrialError."""
    wanted = sorted((case for case in CASES if rows is None or case.row in rows), key=_place)
    outcomes: list[CaseOutcome] = []
    with work_folder() as work:
        ground = Ground(Path(work))
        try:
            for case in wanted:
                outcomes.append(_one(case, ground))
                tell(outcomes[-1])
        finally:
            ground.close()
    missing = [one for one in unreached() if rows is None or one.row in rows]
    for one in missing:
        tell(one)
    outcomes += missing
    counts = {word.value: sum(one.result is word for one in outcomes) for word in Word}
    return {
        "passed": not counts[Word.FAIL.value],
        "counts": counts,
        "rows": [one.as_dict() for one in sorted(outcomes, key=lambda one: one.row)],
    }


__all__ = ["MODULES", "carry_out", "unreached"]
