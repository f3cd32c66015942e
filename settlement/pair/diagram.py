"""The state diagrams of a settlement as Mermaid text, made from the transition tables and from nothing else."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from settlement.pair.grants import GRANTS, GrantState
from settlement.pair.table import HOLDER, USER, HolderState, UserState

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


def mermaid(table: Mapping[tuple[S, E], S], start: S) -> str:
    """Return one diagram: an arrow for each pair of states, labelled with its events, in the table's order."""
    between: dict[tuple[S, S], list[str]] = {}
    for (before, event), after in table.items():
        between.setdefault((before, after), []).append(event.value)
    lines = ["stateDiagram-v2", f"    [*] --> {start.name}"]
    lines += [f"    {a.name} --> {b.name}: {', '.join(events)}" for (a, b), events in between.items()]
    left = {before for before, _ in table}
    lines += [f"    {last.name} --> [*]" for last in type(start) if last not in left]
    return "\n".join(lines)


def page() -> str:
    """Return the generated part of docs/pair.md."""
    parts = (
        ("Holder", mermaid(HOLDER, HolderState.NONE)),
        ("User", mermaid(USER, UserState.NONE)),
        ("The transmit lease, in the words of CBRS", mermaid(GRANTS, GrantState.IDLE)),
    )
    return "\n".join(f"### {title}\n\n```mermaid\n{text}\n```\n" for title, text in parts)


if __name__ == "__main__":
    print(page())
