"""What a trial's nodes offer and want is held against the trial's own rule before anybody is invited."""

from pathlib import Path

import pytest

from agent.config.settings import ConfigError
from agent.kit.invitations import make
from tests.agent.kit.trials import TRIAL, written


@pytest.mark.feature("U9")
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('for = "2min"', 'for = "11min"', r"alice.*11 min: class cbrs has 10 min at the most"),
        ('for = "2min"', 'for = "1500us"', r"alice.*1\.5 ms: class cbrs counts in 1 ms"),
        ('wants = [{ band = "3560-3570MHz"', 'wants = [{ band = "3562-3567MHz"', r"alice.*multiples of 5 MHz"),
        ('for = "5min", eirp', 'for = "5min", price = 1000001, eirp', r"holder.*price 1000001.*0-1000000"),
    ],
)
def test_what_no_node_could_settle_is_refused_and_leaves_nothing(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    file = written(tmp_path, TRIAL.replace(before, after, 1))
    with pytest.raises(ConfigError, match=said):
        make(file, None)
    assert not file.with_suffix("").exists()


def test_an_offer_may_be_longer_than_one_settlement(tmp_path: Path) -> None:
    file = written(tmp_path, TRIAL.replace('for = "5min"', 'for = "2d"', 1).replace('"2min"', '"10min"', 1))
    assert [one.node for one in make(file, None)[1]] == ["holder", "alice"]
