"""Report tables on promises: settlements moved or broken off, disputes and their consequences."""

from typing import Any

from agent.report.data import ReportData
from agent.report.tables import HtmlTable, TableCell, cells, table
from agent.report.words import DASH, band, clean

SHOWN = 12


def market_rows(data: ReportData, key: str) -> list[dict[str, Any]]:
    """Return rows on the market from signed records: `scenario` in a trial's result, `market` in a real run's."""
    said = data.summary.get("scenario", data.summary.get("market"))
    found = said.get(key, []) if isinstance(said, dict) else []
    return found if isinstance(found, list) else []


def named(value: object) -> TableCell:
    """Return a cell with the beginning of a long name, and the full name as its title."""
    text = clean(value)
    return TableCell(text=text[:SHOWN] + "…", title=text, code=True) if len(text) > SHOWN else TableCell(text=text)


def moved(data: ReportData) -> HtmlTable:
    """Return the settlements that their holder did not keep to the end: moved to a substitute, or only ended."""
    rows = [
        cells(
            one["holder"],
            named(one["sid"]),
            f"moved to {band(one['low_hz'], one['high_hz'])} MHz by fallback {one['number']}",
            one["owed"],
            named(one["substitute"]) if one["substitute"] else TableCell(text="not settled", tone="bad"),
        )
        for one in market_rows(data, "moved")
    ]
    rows += [
        cells(
            one["holder"],
            named(one["sid"]),
            TableCell(text="ended for nobody", tone="bad"),
            DASH,
            f"bound to fallback {one['fallback']}" if one["fallback"] is not None else "bound to none",
        )
        for one in market_rows(data, "broken")
    ]
    return table(
        name="moved",
        caption="Moved, or not delivered",
        heads=("Holder", "Settlement", "What became of it", "Owed for it", "Substitute"),
        rows=rows,
        right=(3,),
        empty="Every settlement was delivered where it was granted.",
    )


def disputes(data: ReportData) -> HtmlTable:
    """Return every dispute: parties, ground, answer, ruling with reason, amounts owed and confirmed."""
    return table(
        name="disputes",
        caption="Disputes and rulings",
        heads=("By", "Against", "Ground", "Answer", "Ruling", "Why", "Owed", "Paid and receipted"),
        rows=[_dispute(one) for one in market_rows(data, "disputes")],
        right=(6, 7),
        empty="Nothing was disputed.",
    )


def _dispute(one: dict[str, Any]) -> tuple[TableCell, ...]:
    ruling = one["ruling"]
    if ruling is None:
        return cells(one["by"], one["against"], one["ground"], one["answer"] or "none", "not ruled", DASH, DASH, DASH)
    settled = TableCell(text=clean(ruling["settled"]), tone="" if ruling["settled"] >= ruling["owed"] else "bad")
    said = (ruling["outcome"], ruling["why"], ruling["owed"], settled)
    return cells(one["by"], one["against"], one["ground"], one["answer"] or "none", *said)
