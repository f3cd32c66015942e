"""Flips every single bit of a small bundle, one after the other: none may verify."""

from pathlib import Path

import pytest

from tests.settlement.bundles import flipped, small_bundle, verifies


@pytest.mark.feature("M7")
def test_every_changed_bit_of_a_small_bundle_is_refused(tmp_path: Path) -> None:
    world, data = small_bundle(tmp_path)
    taken = [(at, bit) for at in range(len(data)) for bit in range(8) if verifies(world, flipped(data, at, bit))]
    assert taken == []
