"""Every row of the attack table that is the chain's has a test by its number, which names the row's reason code."""

import ast
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).resolve().parent.parent
REASONS = {
    1: "MALFORMED", 2: "MALFORMED", 3: "NONCANONICAL", 4: "FORBIDDEN_TYPE", 5: "TOO_LARGE", 6: "CRIT", 7: "ALG",
    8: "HEADER", 9: "KEY", 10: "KEY", 11: "TYPE", 12: "DOMAIN", 13: "EXPIRED NOT_YET TIME_UNDECIDED", 14: "SCOPE",
    15: "SCOPE", 16: "BINDING", 17: "TRANSPORT_BINDING", 18: "REVOKED", 19: "STATUS_UNKNOWN", 20: "ROLLBACK",
    21: "FAST_FORWARD", 22: "ROTATION", 23: "STALE", 24: "REPLAY", 26: "EQUIVOCATION", 27: "CONFLICT", 29: "QUORUM",
    30: "EPOCH", 31: "HALT_BEHIND_WITNESS", 32: "FORK", 33: "PROOF", 34: "ENTRY_MISMATCH", 35: "UNWITNESSED",
    36: "TIME_UNTRUSTED", 37: "POSITION_UNTRUSTED", 38: "SPATIAL_UNDECIDED", 39: "POSITION_UNTRUSTED", 40: "BUDGET",
    41: "TIER", 46: "UNKNOWN_AUTHOR", 49: "RULE_UNKNOWN", 50: "ENTRY_MISMATCH", 51: "PRICE ROUNDS", 53: "REPUTATION",
    57: "TERMS", 58: "SCOPE TERMS BUDGET", 59: "RULE_UNKNOWN SCOPE", 60: "FORK",
    61: "TERMS LEASE TIER SCOPE",
    64: "SCOPE", 65: "BUDGET", 66: "BUDGET", 67: "BUDGET",
}  # fmt: skip
UNNAMED = {25, 62, 70}
"""The answer is a stored record, or a desk's one line, not a reason."""


class Said(NamedTuple):
    """What one function or table of a test module says: the names it uses, the rows it shows, the reasons it names."""

    names: set[str]
    rows: set[int]
    reasons: set[str]


def said(node: ast.AST) -> Said:
    """Of a row a test says that it shows it by `pytest.mark.attack(n)`, on it or on one of its cases."""
    found = Said(set(), set(), set())
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            found.names.add(one.id)
        elif isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id in ("Reason", "Cause"):
            found.reasons.add(one.attr)
        elif isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "attack":
            found.rows.update(n.value for n in one.args[:1] if isinstance(n, ast.Constant) and isinstance(n.value, int))
    return found


def parsed(path: Path) -> tuple[dict[str, Said], list[Said]]:
    """Module-level names with what they stand for, and the test functions."""
    named: dict[str, Said] = {}
    tests: list[Said] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            named[node.name] = said(node)
            if node.name.startswith("test_"):
                tests.append(named[node.name])
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named.update({t.id: said(node) for t in targets if isinstance(t, ast.Name)})
    return named, tests


def reached(test: Said, named: dict[str, Said]) -> list[Said]:
    """A test with everything of its module that it uses, however indirectly."""
    found, waiting, seen = [test], [test], set[str]()
    while waiting:
        for name in waiting.pop().names & named.keys() - seen:
            seen.add(name)
            found.append(named[name])
            waiting.append(named[name])
    return found


@lru_cache
def shown() -> dict[int, set[str]]:
    """Row to the reason codes that its tests name."""
    found: dict[int, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        named, tests = parsed(path)
        for test in tests:
            parts = reached(test, named)
            for number in {row for part in parts for row in part.rows}:
                found.setdefault(number, set()).update(*(part.reasons for part in parts))
    return found


@pytest.mark.parametrize("number", sorted(REASONS))
def test_a_row_has_a_test_that_names_its_reason(number: int) -> None:
    assert number in shown(), f"attack {number} has no test"
    missing = set(REASONS[number].split()) - shown()[number]
    assert not missing, f"no test of attack {number} names {missing}"


def test_the_whole_range_is_covered() -> None:
    wanted = {*range(1, 25), *range(30, 42), 46, 50, 53, 57, 58, *range(64, 68)}
    assert wanted <= set(REASONS)
    assert set(shown()) >= UNNAMED
