"""Tests of printed table columns: no word is broken that has room, and the page width is used."""

import pytest
from fpdf import FPDF

from agent.report.columns import WORD_MAX_MM, column_widths
from agent.report.pdf import PADDING_MM, SMALL_PT

pytestmark = pytest.mark.feature("U6")
ACROSS_MM, BESIDE_MM = 180.0, 1.6
NARROW = [
    ["Node", "holder", "user-a"],
    ["Reason", "SPATIAL_UNCERTAIN", "HEARTBEAT"],
    ["Count", "1203"],
    ["What it means", "the place is not known well enough to be sure that it lies inside the settlement's area " * 2],
    ["Settlement", "c0b57e7ddc06"],
]


def letters(text: str) -> float:
    """Every letter 1.5 mm wide."""
    return 1.5 * len(text)


def widths(columns: list[list[str]]) -> list[float]:
    return column_widths(columns, letters, across_mm=ACROSS_MM, beside_mm=BESIDE_MM)


def test_every_column_has_room_for_its_longest_word_and_the_page_is_filled() -> None:
    found = widths(NARROW)
    assert sum(found) == pytest.approx(ACROSS_MM)
    for texts, width in zip(NARROW, found, strict=True):
        assert width - BESIDE_MM >= max(letters(word) for text in texts for word in text.split()) - 1e-9, texts[0]
    assert max(found) == found[3], "what is left goes to the column with the most text"


def test_a_word_longer_than_a_column_may_be_is_broken_and_takes_no_room_from_others() -> None:
    found = widths([["Hash", "ab" * 200], ["Reason", "SPATIAL_UNCERTAIN"]])
    assert found[1] - BESIDE_MM >= letters("SPATIAL_UNCERTAIN")
    assert found[0] >= WORD_MAX_MM


def test_where_nothing_fits_all_shrink_alike() -> None:
    found = widths([[f"column{n}", "x" * 30] for n in range(8)])
    assert sum(found) == pytest.approx(ACROSS_MM)
    assert len({round(one, 6) for one in found}) == 1


def test_an_empty_table_has_widths() -> None:
    assert sum(widths([[""], [""]])) == pytest.approx(ACROSS_MM)


def test_fpdf_prints_such_a_table_without_breaking_a_word() -> None:
    paper = FPDF()
    paper.add_page()
    paper.set_font("Helvetica", "B", SMALL_PT)
    measure = paper.get_string_width
    found = column_widths(NARROW, measure, across_mm=paper.epw, beside_mm=2 * PADDING_MM + 0.4)
    for texts, width in zip(NARROW, found, strict=True):
        for word in {word for text in texts for word in text.split()}:
            lines = paper.multi_cell(width, 3.6, word, dry_run=True, output="LINES", padding=PADDING_MM)
            assert lines == [word]
