"""The report's tables as text cells; the template defines their look."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.report.data import ReportData, ShownEmission
from agent.report.meanings import AT_THE_DOOR, MEANINGS
from agent.report.spans import numbered
from agent.report.words import DASH, at, band, clean, count, milliseconds, plural, quantity, seconds

ROWS_MAX = 500
HASH_SHOWN = 12
WORD_MAX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCell:
    """A cell's text; `title` holds the full text of a shortened one; `tone` is "good", "bad" or ""."""

    text: str
    title: str = ""
    tone: str = ""
    code: bool = False

    @property
    def breakable(self) -> bool:
        """Whether the text has a word so long that it may be broken anywhere."""
        return any(len(word) > WORD_MAX for word in self.text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlTable:
    """A table with its caption; `right`: columns of numbers; `more`: a sentence on rows left out."""

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    right: frozenset[int] = frozenset()
    empty: str = "None."
    more: str = ""


def cells(*texts: object) -> tuple[TableCell, ...]:
    """Return a row of cells from printable values."""
    return tuple(one if isinstance(one, TableCell) else TableCell(text=clean(one)) for one in texts)


def table(
    *,
    name: str,
    caption: str,
    heads: tuple[str, ...],
    rows: Iterable[tuple[TableCell, ...]],
    right: Iterable[int],
    empty: str,
) -> HtmlTable:
    """Return a table of at most ROWS_MAX rows."""
    every = tuple(rows)
    left_out = len(every) - ROWS_MAX
    more = f"{plural(left_out, 'further row')} left out here; the lineages hold all of them." if left_out > 0 else ""
    return HtmlTable(
        name=name,
        caption=caption,
        heads=heads,
        rows=every[:ROWS_MAX],
        right=frozenset(right),
        empty=empty,
        more=more,
    )


def _hash(value: str) -> TableCell:
    if len(value) <= HASH_SHOWN:
        return TableCell(text=clean(value), code=True)
    return TableCell(text=clean(value[:HASH_SHOWN]) + "…", title=clean(value), code=True)


def violation_groups(data: ReportData) -> HtmlTable:
    """Return violations by node and cause."""
    groups: dict[tuple[str, str], list[ShownEmission]] = {}
    for one in sorted((one for one in data.emissions if not one.inside), key=lambda one: one.start_s):
        groups.setdefault((one.node, one.why), []).append(one)
    return table(
        name="violation-groups",
        caption="Violations by node and cause",
        heads=("Node", "Violations", "Together, ms", "First at, s", "Last at, s", "Why"),
        rows=(
            cells(
                node,
                count(len(those)),
                milliseconds(1000 * sum(one.end_s - one.start_s for one in those)),
                seconds(those[0].start_s),
                seconds(those[-1].start_s),
                TableCell(text=clean(why) or "no reason given", tone="bad"),
            )
            for (node, why), those in groups.items()
        ),
        right=(1, 2, 3, 4),
        empty="None: the oracle saw no emission outside a live settlement.",
    )


def violations(data: ReportData) -> HtmlTable:
    """Return emissions outside every live settlement."""
    outside = sorted((one for one in data.emissions if not one.inside), key=lambda one: one.start_s)
    return table(
        name="violations",
        caption="Every violation, by time",
        heads=("At, s", "Node", "Band, MHz", "Length, ms", "EIRP, dBm", "Why it is a violation"),
        rows=(_violation(one) for one in outside),
        right=(0, 3, 4),
        empty="None: the oracle saw no emission outside a live settlement.",
    )


def _violation(one: ShownEmission) -> tuple[TableCell, ...]:
    length = milliseconds(1000 * (one.end_s - one.start_s))
    why = TableCell(text=clean(one.why) or "no reason given", tone="bad")
    return cells(seconds(one.start_s), one.node, band(one.low_hz, one.high_hz), length, f"{one.eirp_dbm:.1f}", why)


def settlements(data: ReportData) -> HtmlTable:
    """Return every settlement and attempt."""
    rows = (
        cells(
            number,
            row.user,
            row.holder,
            band(row.low_hz, row.high_hz),
            f"{seconds(row.start_s, places=2)}{DASH}{seconds(row.end_s, places=2)}",
            "never" if row.confirmed_s is None else seconds(row.confirmed_s),
            seconds(row.ended_s),
            f"{row.max_eirp_dbm:.1f}",
            row.outcome,
            ", ".join(f"{seconds(at_s, places=2)} {state}" for at_s, state in row.grants) or "never GRANTED",
            _hash(row.sid),
        )
        for number, row in numbered(data)
    )
    return table(
        name="settlement-list",
        caption="Settlements and attempts; times in seconds since the start signal",
        heads=(
            "No.",
            "User",
            "Holder",
            "MHz",
            "Window, s",
            "Confirmed, s",
            "Ended, s",
            "Max EIRP, dBm",
            "Outcome",
            "Grant since, s",
            "Id",
        ),
        rows=rows,
        right=(0, 5, 6, 7),
        empty="Nothing was settled, and nothing was tried.",
    )


def usage(data: ReportData) -> HtmlTable:
    """Return each user's radio's own report on its settlements."""
    return table(
        name="usage-list",
        caption="Use of each settlement, by the user's own word: nobody else measured it",
        heads=("Node", "Airtime, s", "Bursts", "From, s", "To, s", "Ended", "Settlement"),
        rows=(
            cells(
                row.node,
                seconds(row.airtime_s),
                count(row.bursts),
                seconds(row.first_s),
                seconds(row.last_s),
                row.ended,
                _hash(row.sid),
            )
            for row in data.usage
        ),
        right=(1, 2, 3, 4),
        empty="No user reported any use.",
    )


def places(data: ReportData) -> HtmlTable:
    """Return each node's stated position."""
    return table(
        name="place-list",
        caption="Places, as each node attested it last",
        heads=("Node", "Role", "Latitude, deg", "Longitude, deg", "Within, m", "Source"),
        rows=(
            cells(one.node, one.role, f"{one.lat_deg:.6f}", f"{one.lon_deg:.6f}", f"{one.radius_m:.1f}", one.source)
            for one in data.places
        ),
        right=(2, 3, 4),
        empty="No node said where it was.",
    )


def refused_by(data: ReportData) -> HtmlTable:
    """Return the refusals by the part that refused; the logs' share is what an audit counts."""
    parts = at(data.summary, "refused_by")
    told = parts if isinstance(parts, Mapping) else {}
    names = {"logs": "in the signed logs", "wardens": "by wardens (events)", "doors": "at the mesh's door (events)"}
    return table(
        name="refused-by",
        caption="Refusals by who turned away",
        heads=("Where", "Count"),
        rows=(
            cells(names.get(str(who), who), count(sum(int(quantity(n) or 0) for n in by.values())))
            for who, by in told.items()
            if isinstance(by, Mapping)
        ),
        right=(1,),
        empty="Not told apart.",
    )


def _refused(data: ReportData) -> Mapping[str, int]:
    """Return refusals by reason, from the trial's own counts."""
    counts = Counter(row.reason for row in data.refusals)
    told = at(data.summary, "refused")
    for reason, number in told.items() if isinstance(told, Mapping) else ():
        counts[str(reason)] = max(counts[str(reason)], int(quantity(number) or 0))
    return counts


def refusal_groups(data: ReportData) -> HtmlTable:
    """Return refusals by reason, the most frequent first."""
    ordered = sorted(_refused(data).items(), key=lambda pair: (-pair[1], pair[0]))
    return table(
        name="refusal-groups",
        caption="Refusals by reason",
        heads=("Reason", "Count", "Meaning", "Refused by"),
        rows=(
            cells(
                TableCell(text=clean(reason, limit=60), code=True),
                count(number),
                MEANINGS.get(reason) or AT_THE_DOOR.get(reason, "No description"),
                ", ".join(sorted({row.node for row in data.refusals if row.reason == reason})) or DASH,
            )
            for reason, number in ordered
        ),
        right=(1,),
        empty="Nothing was refused.",
    )


def refusal_list(data: ReportData) -> HtmlTable:
    """Return refusals one by one, by time."""
    return table(
        name="refusal-list",
        caption="Every refusal, by time",
        heads=("At, s", "Node", "Peer", "Reason", "Detail"),
        rows=(
            cells(
                seconds(row.at_s),
                row.node,
                row.peer or DASH,
                TableCell(text=clean(row.reason, limit=60), code=True),
                row.detail,
            )
            for row in sorted(data.refusals, key=lambda row: row.at_s)
        ),
        right=(0,),
        empty="Nothing was refused.",
    )


def audit(data: ReportData) -> HtmlTable:
    """Return the offline audit of every lineage."""
    return table(
        name="audit-list",
        caption="Lineages, verified offline",
        heads=("Node", "Records", "Own", "Received", "Refused in it", "Root", "Result"),
        rows=(
            cells(
                row.node,
                count(row.records),
                count(row.own),
                count(row.received),
                count(row.refused),
                _hash(row.root),
                TableCell(text="✗ " + plural(len(row.problems), "problem"), tone="bad")
                if row.problems
                else TableCell(text="✓ verifies", tone="good"),
            )
            for row in data.audit
        ),
        right=(1, 2, 3, 4),
        empty="No lineage was audited.",
    )


def audit_problems(data: ReportData) -> tuple[str, ...]:
    """Return what the audit found, in words, with the node concerned."""
    at_nodes = [f"{row.node}: {problem}" for row in data.audit for problem in row.problems]
    return tuple(clean(one) for one in (*at_nodes, *data.audit_problems))[:ROWS_MAX]


def settings(data: ReportData) -> HtmlTable:
    """Return the nodes that took part."""
    return table(
        name="node-list",
        caption="Nodes and their roles",
        heads=("Node", "Role"),
        rows=(cells(*pair) for pair in data.nodes),
        right=(),
        empty="No node took part.",
    )
