"""A hundred thousand histories of the interval clock of each kind."""

import pytest

from tests.agent.histories import Tally, honest, spoofed

HISTORIES = 100_000

pytestmark = pytest.mark.feature("S6")


def test_the_truth_is_inside_whenever_honest_sources_are_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    for seed in range(HISTORIES):
        honest(seed, tally)
    with capsys.disabled():
        print(f"\nhonest: {HISTORIES} histories, {tally.instants} instants, {tally.trusted} trusted, 0 outside")
    assert tally.trusted > tally.instants // 4


@pytest.mark.attack(36)
def test_one_liar_never_gets_the_error_past_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    for seed in range(HISTORIES):
        spoofed(seed, tally)
    with capsys.disabled():
        print(
            f"\nspoofed: {HISTORIES} histories, {tally.instants} instants, {tally.lying_and_trusted} trusted beside a"
            f" liar, {tally.caught} caught, 0 past the budget"
        )
    assert tally.lying_and_trusted > HISTORIES // 100
    assert tally.caught > HISTORIES
