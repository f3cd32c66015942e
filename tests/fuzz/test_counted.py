"""A few thousand executions of every parser; `make fuzz` runs a million of each."""

import pytest

from tests.fuzz.counted import run
from tests.fuzz.targets import TARGETS, seeds_of

COUNT = 1500


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_keeps_its_promise_for_any_bytes(name: str) -> None:
    assert seeds_of(name)
    run(name, COUNT)
