"""Tests that an event nested too deeply is skipped in a history, and the others are shown."""

import pytest

from agent.page.app import _event

pytestmark = [pytest.mark.feature("U5"), pytest.mark.attack(69)]


@pytest.mark.parametrize("depth", [900, 980, 100_000])
def test_fields_that_read_and_cannot_be_written_out_are_left_out(depth: int) -> None:
    fields = '{"a":' + "[" * depth + "]" * depth + "}"
    assert _event({"fields": fields, "at_ns": 1, "event": "x"}) is None
    assert _event({"fields": '{"a":[[1]]}', "at_ns": 1, "event": "x"}) == {"a": [[1]], "at_ns": 1, "event": "x"}
