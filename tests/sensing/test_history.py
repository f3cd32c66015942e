"""What a survey remembers of its blocks, and where it lies."""

import weakref

import numpy as np
import pytest

from sensing.history import SHELF_BLOCKS, LevelShelf

pytestmark = pytest.mark.feature("E2")


def test_levels_lie_together_and_are_what_they_were() -> None:
    shelf, rng = LevelShelf(), np.random.default_rng(1)
    given = [rng.integers(-30000, 30000, (blocks, 65)).astype(np.int16) for blocks in (22, 1, 64, 22)]
    kept = [shelf.put(one) for one in given]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(kept, given, strict=True))
    assert len({id(one.base) for one in kept}) == 1, "pieces of a second lie in one array"
    kept[1] -= np.int16(7)
    assert np.array_equal(kept[2], given[2]), "what is taken from one piece is not taken from the next"


def test_an_array_goes_with_the_last_of_its_pieces() -> None:
    shelf = LevelShelf()
    kept = [shelf.put(np.zeros((SHELF_BLOCKS // 2, 4), np.int16)) for _ in range(3)]
    first = weakref.ref(kept[0].base)
    del kept[0]
    assert first() is not None
    del kept[0]
    assert first() is None


def test_a_piece_larger_than_an_array_and_other_groups_have_arrays_of_their_own() -> None:
    shelf = LevelShelf()
    large = shelf.put(np.full((SHELF_BLOCKS + 1, 3), 5, np.int16))
    narrow = shelf.put(np.full((2, 1), 6, np.int16))
    assert large.shape == (SHELF_BLOCKS + 1, 3)
    assert (large == 5).all()
    assert narrow.shape == (2, 1)
    assert (narrow == 6).all()
