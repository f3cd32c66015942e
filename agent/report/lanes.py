"""Layout of the timeline: one lane for each node, with overlapping settlements in separate rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.report.data import ReportData, SettlementRow, ShownEmission
from agent.report.spans import covers, live, nodes
from agent.report.svg import PictureLayout

ROW_PT = 31.0
GATE_PT = 12.0
NAME_PT = 13.0
SPACE_PT = 11.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One node's lane; heights in points from the top. `rows` are settlements that do not overlap."""

    node: str
    role: str
    top_pt: float
    rows: tuple[tuple[tuple[int, SettlementRow], ...], ...]
    name_pt: float

    @property
    def first_pt(self) -> float:
        """Height at which the settlement rows begin."""
        return self.top_pt + self.name_pt

    @property
    def gate_pt(self) -> float:
        """Height at which the gate's bar begins."""
        return self.first_pt + len(self.rows) * ROW_PT + 2

    @property
    def end_pt(self) -> float:
        """Height at which the lane ends."""
        return self.gate_pt + GATE_PT


def stacked(rows: Sequence[tuple[int, SettlementRow]]) -> tuple[tuple[tuple[int, SettlementRow], ...], ...]:
    """Distribute settlements over as few rows as keep their windows apart; at least one row."""
    stacks: list[list[tuple[int, SettlementRow]]] = [[]]
    for one in sorted(rows, key=lambda pair: (pair[1].start_s, pair[0])):
        free = next((s for s in stacks if not s or s[-1][1].end_s <= one[1].start_s), None)
        if free is None:
            stacks.append([one])
        else:
            free.append(one)
    return tuple(tuple(stack) for stack in stacks)


def lanes(data: ReportData, layout: PictureLayout) -> tuple[Lane, ...]:
    """Lay out one lane for each node, from the top downwards."""
    out: list[Lane] = []
    top = SPACE_PT / 2
    for node, role in nodes(data):
        mine = [(number, row) for number, row in live(data) if row.user == node]
        lane = Lane(node=node, role=role, top_pt=top, rows=stacked(mine), name_pt=0.0 if layout.roomy else NAME_PT)
        out.append(lane)
        top = lane.end_pt + SPACE_PT
    return tuple(out)


def by_row(lane: Lane, emitted: Sequence[ShownEmission]) -> tuple[list[list[ShownEmission]], list[ShownEmission]]:
    """Assign emissions to the rows whose settlements cover them; returns the rows, and the emissions left."""
    rows: list[list[ShownEmission]] = [[] for _ in lane.rows]
    stray: list[ShownEmission] = []
    for one in emitted:
        fitting = (own for own, row in zip(rows, lane.rows, strict=True) if any(covers(s, one) for _, s in row))
        next(fitting, stray).append(one)
    return rows, stray
