"""Every row of the attack table that is the chain's has a test by its number, which names the row's reason code."""

import ast
from functools import lru_cache
from pathlib import Path

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


@lru_cache
def parsed(path: Path) -> tuple[dict[str, ast.AST], list[ast.FunctionDef]]:
    """Module-level names with what they stand for, and the test functions."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    named: dict[str, ast.AST] = {}
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            named[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named.update({t.id: node for t in targets if isinstance(t, ast.Name)})
    tests = [n for n in module.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
    return named, tests


def reached(test: ast.AST, named: dict[str, ast.AST]) -> list[ast.AST]:
    """A test with everything of its module that it uses, however indirectly."""
    found: dict[str, ast.AST] = {"": test}
    waiting = [test]
    while waiting:
        for node in ast.walk(waiting.pop()):
            if isinstance(node, ast.Name) and node.id in named and node.id not in found:
                found[node.id] = named[node.id]
                waiting.append(named[node.id])
    return list(found.values())


def numbers(nodes: list[ast.AST]) -> set[int]:
    """Rows that a test says it shows: `pytest.mark.attack(n)` on it or on one of its cases."""
    calls = [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Call)]
    marks = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "attack"]
    return {c.args[0].value for c in marks if isinstance(c.args[0], ast.Constant) and isinstance(c.args[0].value, int)}


def reasons(nodes: list[ast.AST]) -> set[str]:
    attributes = [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Attribute)]
    return {a.attr for a in attributes if isinstance(a.value, ast.Name) and a.value.id in ("Reason", "Cause")}


@lru_cache
def shown() -> dict[int, set[str]]:
    """Row to the reason codes that its tests name."""
    found: dict[int, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        named, tests = parsed(path)
        for test in tests:
            nodes = reached(test, named)
            for number in numbers(nodes):
                found.setdefault(number, set()).update(reasons(nodes))
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
