"""The whole attack table against nodes that run."""

import pytest

from agent.attacking.run import carry_out
from agent.attacking.table import CaseOutcome, Word


@pytest.mark.timeout(1800)
def test_the_whole_table() -> None:
    said: list[CaseOutcome] = []
    carry_out(None, said.append)
    assert [one for one in said if one.result is Word.FAIL] == []
