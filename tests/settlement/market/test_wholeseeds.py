"""All classes or none, in seeded runs; and each deliberate break of it is caught."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from settlement.pair.holderdecision import DecisionKeeper
from settlement.pair.table import UserState
from settlement.pair.wholes import WholeDecisions
from settlement.records.conduct import together
from tests.settlement.market.wholeseeds import Town, settled_wholes

SEEDS = 40


@pytest.mark.feature("A5")
def test_all_classes_or_none_whatever_is_lost(tmp_path: Path) -> None:
    stand = 0
    for seed in range(SEEDS):
        town = Town(tmp_path / str(seed), seed)
        assert town.run() == [], seed
        stand += settled_wholes(town)
    assert stand > SEEDS // 2


@contextmanager
def swapped(where: Any, name: str, other: Any) -> Iterator[None]:
    before = getattr(where, name)
    setattr(where, name, other)
    try:
        yield
    finally:
        setattr(where, name, before)


def _in_any_order(state: Any, step: Any, parts: Any) -> None:
    """Every part that is granted is accepted, whatever became of the others."""
    for pair in parts:
        admitted = state.admitted_of(pair.grant or b"")
        if pair.state == UserState.REQUESTED and admitted is not None:
            state.user.accept(step, pair, admitted)


UNASKED = (together, "judge_accept", lambda *_: None)
BREAKS: dict[str, tuple[range, list[tuple[Any, str, Any]]]] = {
    "each part is confirmed by itself": (range(3, 6), [(WholeDecisions, "confirm", DecisionKeeper.confirm)]),
    "parts are accepted in any order and nobody asks": (range(8, 11), [UNASKED, (together, "_accept", _in_any_order)]),
    "nothing is given back": (range(14, 17), [(together, "_roll_back", lambda *_: None)]),
}


@pytest.mark.feature("A5")
@pytest.mark.parametrize("name", BREAKS)
def test_a_deliberate_break_is_caught(name: str, tmp_path: Path) -> None:
    seeds, changes = BREAKS[name]
    with ExitStack() as stack:
        for where, what, other in changes:
            stack.enter_context(swapped(where, what, other))
        for seed in seeds:
            if Town(tmp_path / str(seed), seed).run():
                return
    pytest.fail(f"{len(seeds)} seeds and nothing broke")
