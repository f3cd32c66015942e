"""The diagrams in the docs are those of the tables."""

from pathlib import Path

from settlement.pair.diagram import mermaid, page
from settlement.pair.table import HOLDER, HolderState

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pair.md"
MARK = "<!-- from here on: make docs -->\n"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8").partition(MARK)[2].strip() == page().strip(), "run make docs"


def test_every_move_is_drawn() -> None:
    text = mermaid(HOLDER, HolderState.NONE)
    for (before, event), after in HOLDER.items():
        (line,) = [row for row in text.splitlines() if row.strip().startswith(f"{before.name} --> {after.name}:")]
        assert event.value in line.partition(": ")[2].split(", ")
