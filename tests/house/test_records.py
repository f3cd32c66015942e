"""Tests that record types are known only by their table row, and only the transition table changes a pair's state."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from settlement.records.registry import RECORDS
from tests.house.test_house import modules

KNOWN_HERE = ("settlement/records/", "settlement/chain/codec.py")
TABLES = ("settlement/pair/table.py", "settlement/pair/holderpairs.py", "settlement/pair/userpairs.py")


def of_a_type(node: ast.expr) -> bool:
    """Does an expression stand for the name of a record's type?"""
    match node:
        case ast.Attribute(attr="typ") | ast.Name(id="typ"):
            return True
        case ast.Call(func=ast.Name(id="kind_of")):
            return True
        case _:
            return False


def named(node: ast.AST) -> set[str]:
    """Record types that stand in an expression or a pattern as text."""
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and one.value in RECORDS}


def comparisons(tree: ast.Module) -> Iterator[tuple[int, set[str]]]:
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                if any(map(of_a_type, sides)) and (found := set[str]().union(*map(named, sides))):
                    yield node.lineno, found
            case ast.Match() if of_a_type(node.subject):
                for case in node.cases:
                    if found := named(case.pattern):
                        yield case.pattern.lineno, found


def test_no_record_type_is_compared_by_its_name_elsewhere() -> None:
    found = [
        f"{path}:{line} {', '.join(types)}"
        for path, tree in modules()
        if not str(path).startswith(KNOWN_HERE)
        for line, types in comparisons(tree)
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    ['record.typ == "grant"', 'typ in {"confirm", "abort"}', 'kind_of(raw) != "rule"', 'match r.typ:\n case "gate": 0'],
)
def test_such_a_comparison_would_be_seen(code: str) -> None:
    assert list(comparisons(ast.parse(code)))


def states_written(tree: ast.Module) -> Iterator[int]:
    """Where a `state=` of a pair is given to `replace`, or to a new pair in a state other than NONE."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id not in ("replace", "HolderPair", "UserPair"):
            continue
        for keyword in node.keywords:
            text = ast.unparse(keyword.value)
            if keyword.arg == "state" and text.startswith(("HolderState", "UserState")) and not text.endswith(".NONE"):
                yield node.lineno


def test_nothing_but_the_table_yields_a_state() -> None:
    found = {
        str(path): list(states_written(tree))
        for path, tree in modules()
        if path.is_relative_to("settlement") and str(path) not in TABLES
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_holder_and_user_inherit_from_nothing() -> None:
    classes = {
        node.name: [ast.unparse(base) for base in node.bases]
        for path, tree in modules()
        if path.parent == Path("settlement/pair")
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    assert {name: classes[name] for name in ("Holder", "User", "LeaseKeeper", "LeaseTaker", "CosigningKeeper")} == {
        name: [] for name in ("Holder", "User", "LeaseKeeper", "LeaseTaker", "CosigningKeeper")
    }
