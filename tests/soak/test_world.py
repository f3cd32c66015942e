"""Ten thousand seeds of the virtual neighbourhood."""

import os

import pytest

from sim.world.many import run_seeds

SEEDS = 10_000


@pytest.mark.feature("S7")
@pytest.mark.timeout(3600)
def test_ten_thousand_seeds_break_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    tally = run_seeds(1_000, SEEDS, jobs=os.cpu_count() or 1)
    with capsys.disabled():
        print(f"\n{tally.seeds} seeds, {tally.counts['own confirm']} settlements, {len(tally.broken)} broken")
    assert not tally.broken, tally.report()
    assert tally.counts["own confirm"] > SEEDS
