"""The report as a PDF: the same verdict, figures, pictures and tables as the page, by fpdf2.

The font is DejaVu Sans, which comes with matplotlib, so that every name in a log can be printed.
"""

from io import BytesIO
from pathlib import Path
from typing import Final

import matplotlib as mpl
from fpdf import FPDF
from fpdf.enums import TableBordersLayout, TextEmphasis, XPos, YPos
from fpdf.fonts import FontFace

from agent.report import map_picture, picture_tables, tables, timeline, waterfall
from agent.report.columns import column_widths
from agent.report.data import ReportData
from agent.report.markettables import ABOUT, market
from agent.report.svg import WIDE, printed
from agent.report.tables import HtmlTable
from agent.report.words import clean, key_figures, verdict
from agent.words.celltext import utc_text

FONT: Final = "DejaVu"
MARGIN_MM: Final = 15.0
BODY_PT, SMALL_PT, HEAD_PT = 9.0, 7.0, 13.0
PADDING_MM, SLACK_MM = 0.6, 0.4
CELL_MAX: Final = 90
"""Most characters of a printed cell; HTML and JSON have the whole text."""
ROWS_MAX: Final = 120
GOOD, BAD = (23, 101, 58), (179, 38, 30)


class _Paper(FPDF):
    """A4 pages with title and page number."""

    title_text = ""

    def footer(self) -> None:
        """Print the title and the page's number."""
        self.set_y(-12)
        self.set_font(FONT, size=SMALL_PT)
        self.set_text_color(85, 98, 111)
        self.cell(0, 6, f"{self.title_text}  –  page {self.page_no()} of {{nb}}", align="C")


def pdf(data: ReportData) -> bytes:
    """Return the whole report as the bytes of a PDF file; the same data give the same text."""
    paper = _paper(data)
    _headline(paper, data)
    heard = waterfall.sensed(data.waterfall)
    if heard is not None:
        _heading(paper, "The band: waterfall", f"What {clean(heard.node, limit=60)} heard; hatched: not sensed.")
        _picture(paper, waterfall.drawn(data, heard, WIDE, printed))
    else:
        _heading(paper, "The band: waterfall", "Not recorded. This does not mean that the band was free.")
    lanes = "One lane for each node." if data.watched else "One lane for each node; nobody measured what was emitted."
    _heading(paper, "Timeline", lanes)
    _picture(paper, timeline.drawn(data, WIDE, printed))
    if data.places:
        _heading(paper, "Map", "Where each node said it was when it last signed, with range rings.")
        _picture(paper, map_picture.drawn(data, WIDE, printed), width=0.6)
        _table(paper, tables.places(data))
    _heading(paper, "Settlements", "")
    _table(paper, tables.settlements(data))
    if not data.watched:
        _table(paper, tables.usage(data))
    else:
        _table(paper, tables.violation_groups(data))
    _table(paper, picture_tables.timeline_gates(data))
    told = market(data)
    if told:
        _heading(paper, "Market", ABOUT)
    for one in told:
        _table(paper, one)
    _heading(paper, "Refusals", "A refusal is the system at work: what was not allowed, with its reason.")
    _table(paper, tables.refusal_groups(data))
    if tables.refused_by(data).rows:
        _table(paper, tables.refused_by(data))
    _heading(paper, "Audit", "Every record, every chain, and both sides of every settlement, checked offline.")
    _table(paper, tables.audit(data))
    for line in (*data.warnings, *tables.audit_problems(data)):
        _text(paper, clean(line))
    return bytes(paper.output())


def _paper(data: ReportData) -> _Paper:
    paper = _Paper(format="A4")
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    paper.add_font(FONT, "", folder / "DejaVuSans.ttf")
    paper.add_font(FONT, "B", folder / "DejaVuSans-Bold.ttf")
    paper.set_margins(MARGIN_MM, MARGIN_MM)
    paper.set_auto_page_break(auto=True, margin=MARGIN_MM)
    paper.title_text = clean(data.title, limit=80)
    paper.set_title(paper.title_text)
    paper.set_creator("bandpact")
    paper.add_page()
    return paper


def _headline(paper: _Paper, data: ReportData) -> None:
    judged = verdict(data)
    paper.set_font(FONT, "B", 16)
    paper.multi_cell(0, 8, paper.title_text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.set_text_color(*(GOOD if judged.passed else BAD))
    paper.multi_cell(0, 8, judged.word, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.set_text_color(0, 0, 0)
    _text(paper, judged.sentence)
    if data.zero_ns is not None:
        _text(paper, f"Second 0 is {utc_text(data.zero_ns)}; the run lasted {data.duration_s:g} s.")
    rows = tuple(tables.cells(one.name, f"{one.value} {one.unit}".strip(), one.note) for one in key_figures(data))
    _table(
        paper,
        tables.table(
            name="figures", caption="Key figures", heads=("Figure", "Value", "Note"), rows=rows, right=(1,), empty=""
        ),
    )


def _heading(paper: _Paper, text: str, below: str) -> None:
    paper.ln(3)
    paper.set_font(FONT, "B", HEAD_PT)
    paper.multi_cell(0, 7, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    if below:
        _text(paper, below)


def _text(paper: _Paper, text: str) -> None:
    paper.set_font(FONT, size=BODY_PT)
    paper.multi_cell(0, 4.6, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _picture(paper: _Paper, png: bytes, width: float = 1.0) -> None:
    across = paper.epw * width
    paper.image(BytesIO(png), w=across, x=MARGIN_MM + (paper.epw - across) / 2)


def _table(paper: _Paper, it: HtmlTable) -> None:
    paper.ln(2)
    paper.set_font(FONT, "B", BODY_PT)
    paper.multi_cell(0, 5, it.caption, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.set_font(FONT, size=SMALL_PT)
    if not it.rows:
        _text(paper, it.empty)
        return
    align = tuple("RIGHT" if number in it.right else "LEFT" for number in range(len(it.heads)))
    widths = tuple(_widths(paper, it))
    heads = FontFace(emphasis=TextEmphasis.B)
    with paper.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=heads,
        text_align=align,
        col_widths=widths,
        line_height=3.6,
        padding=PADDING_MM,
    ) as drawn:
        drawn.row(it.heads)
        for cells in it.rows[:ROWS_MAX]:
            drawn.row([_short(cell.text) for cell in cells])
    left = len(it.rows) - ROWS_MAX
    if left > 0 or it.more:
        _text(paper, f"{max(left, 0)} further rows are in the page and the JSON. {it.more}".strip())


def _short(text: str) -> str:
    return text if len(text) <= CELL_MAX else text[: CELL_MAX - 1] + "…"


def _widths(paper: FPDF, it: HtmlTable) -> list[float]:
    """Return a table's column widths, all measured in bold as the headings are."""
    texts = [[head, *(_short(row[n].text) for row in it.rows[:ROWS_MAX])] for n, head in enumerate(it.heads)]
    paper.set_font(FONT, "B", SMALL_PT)
    widths = column_widths(texts, paper.get_string_width, across_mm=paper.epw, beside_mm=2 * PADDING_MM + SLACK_MM)
    paper.set_font(FONT, size=SMALL_PT)
    return widths
