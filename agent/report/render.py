"""Renders a trial's data into one self-contained HTML page without scripts or requests."""

import json
import os
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from agent.report import map_picture, picture_tables, tables, timeline, waterfall
from agent.report.data import ReportData
from agent.report.markettables import ABOUT, market
from agent.report.spans import live, whole
from agent.report.svg import NARROW, WIDE
from agent.report.words import at, band, clean, key_figures, plural, seconds, verdict, violation_count
from agent.words.celltext import utc_text

TEMPLATE = "report.html.j2"
LAYOUTS = (WIDE, NARROW)


def render(data: ReportData) -> str:
    """Return the report as one HTML page; the same data give the same bytes."""
    environment = Environment(
        loader=PackageLoader("agent.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(**_page(data))


def write(data: ReportData, path: Path) -> None:
    """Write the report; a reader finds the old file or the whole new one, never a part. Raises OSError."""
    page = render(data).encode()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _page(data: ReportData) -> dict[str, Any]:
    """Return everything that the template shows, as plain values."""
    return {
        "title": clean(data.title),
        "verdict": verdict(data),
        "figures": key_figures(data),
        "violation_groups": tables.violation_groups(data),
        "violations": tables.violations(data),
        "violation_count": plural(violation_count(data), "violation"),
        "waterfall": _waterfall(data),
        "timeline": _timeline(data),
        "settlements": tables.settlements(data),
        "usage": tables.usage(data),
        "market": market(data),
        "market_about": ABOUT,
        "places": tables.places(data),
        "refused_by": tables.refused_by(data),
        "map": _map(data),
        "watched": data.watched,
        "zero": None if data.zero_ns is None else utc_text(data.zero_ns),
        "warnings": tuple(clean(one) for one in data.warnings),
        "refusal_groups": tables.refusal_groups(data),
        "refusal_list": tables.refusal_list(data),
        "refusal_count": plural(len(data.refusals), "refusal"),
        "audit": tables.audit(data),
        "roots": [(clean(row.node), clean(row.root)) for row in data.audit],
        "problems": tables.audit_problems(data),
        "settings": _settings(data),
        "nodes": tables.settings(data),
        "result": json.dumps(_result(data), indent=2, sort_keys=True, default=str),
    }


def _waterfall(data: ReportData) -> dict[str, Any] | None:
    heard = waterfall.sensed(data.waterfall)
    if heard is None:
        return None
    return {
        "node": clean(heard.node, limit=60),
        "name": f"Waterfall of {band(data.low_hz, data.high_hz)} MHz as heard by {clean(heard.node, limit=60)}, "
        f"with {plural(len(live(data)), 'settlement')} outlined; the table below the picture says the same in numbers.",
        "pictures": [(layout.name, waterfall.draw(data, heard, layout)) for layout in LAYOUTS],
        "tables": (picture_tables.waterfall_levels(data, heard), picture_tables.incumbents(data)),
    }


def _map(data: ReportData) -> dict[str, Any] | None:
    if not data.places:
        return None
    return {
        "name": f"Map of {plural(len(data.places), 'node')} with range rings; the table below it says the same.",
        "pictures": [(layout.name, map_picture.draw(data, layout)) for layout in LAYOUTS],
    }


def _timeline(data: ReportData) -> dict[str, Any]:
    low_s, high_s = whole(data)
    outside = sum(not one.inside for one in data.emissions)
    return {
        "name": f"Timeline from {seconds(low_s, places=1)} to {seconds(high_s, places=1)} seconds, "
        f"one lane for each node: {plural(len(live(data)), 'settlement')}, {plural(len(data.emissions), 'emission')}, "
        f"{plural(outside, 'violation')}; the tables below the picture say the same in numbers.",
        "pictures": [(layout.name, timeline.draw(data, layout)) for layout in LAYOUTS],
        "tables": (picture_tables.timeline_nodes(data), picture_tables.timeline_gates(data)),
        "attempts": plural(len(data.settlements) - len(live(data)), "attempt"),
        "unsettled": len(data.settlements) - len(live(data)),
        "violations": outside,
    }


def _settings(data: ReportData) -> tuple[tuple[str, str], ...]:
    offers = at(data.summary, "offers")
    return (
        *((("Seed", str(data.seed)),) if data.watched else ()),
        *((("Second 0", utc_text(data.zero_ns)),) if data.zero_ns is not None else ()),
        ("Duration", f"{data.duration_s:g} s"),
        ("Band", f"{band(data.low_hz, data.high_hz)} MHz"),
        ("Nodes", str(len(data.nodes))),
        *((("Offers", clean(offers)),) if offers is not None else ()),
    )


def _result(data: ReportData) -> dict[str, Any]:
    """Return the trial's JSON result without this file's own path."""
    return {key: value for key, value in data.summary.items() if key != "report"}
