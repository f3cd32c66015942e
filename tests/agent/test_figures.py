"""Tests that a name that looks like a mathematical formula is drawn as plain text."""

import ast
import io
from pathlib import Path

import pytest

from agent.report.svg import WIDE, drawing, new_figure
from agent.words import figures

ROOT = Path(figures.__file__).resolve().parents[2]
NAME = "node $\\frac$ of mine"


def drawn(figure: figures.Figure) -> str:
    figure.text(0.5, 0.5, NAME)
    out = io.StringIO()
    figure.savefig(out, format="svg")
    return out.getvalue()


@pytest.mark.attack(71)
def test_a_name_with_dollars_is_no_formula() -> None:
    assert "\\frac" in drawn(figures.Figure())


@pytest.mark.attack(71)
def test_nor_is_it_in_a_report() -> None:
    with drawing():
        assert "\\frac" in drawn(new_figure(WIDE, 100.0))


@pytest.mark.attack(71)
def test_nobody_draws_on_another_figure() -> None:
    found = []
    for path in sorted((ROOT / "agent").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "matplotlib.figure":
                found.append(path.relative_to(ROOT).as_posix())
    assert found == ["agent/words/figures.py"]
