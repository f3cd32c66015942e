"""The sample ring: what is read is what was announced, or nothing."""

from pathlib import Path

import numpy as np
import pytest

from radio.ring import RingError, SampleRing


def block(value: int, samples: int = 100) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    return np.full((samples, 2), value, dtype=np.int16)


def test_two_ends_share_blocks_of_any_size(tmp_path: Path) -> None:
    writer = SampleRing(tmp_path / "r", slots=4, slot_samples=100, create=True)
    reader = SampleRing(tmp_path / "r", slots=4, slot_samples=100, create=False)
    for number in range(1, 20):
        ticket = writer.write(block(number, number))
        found = reader.read(ticket)
        assert found is not None
        assert found.shape == (number, 2)
        assert (found == number).all()


def test_an_overrun_is_seen(tmp_path: Path) -> None:
    ring = SampleRing(tmp_path / "r", slots=2, slot_samples=100, create=True)
    first = ring.write(block(1))
    ring.write(block(2))
    ring.write(block(3))
    assert ring.read(first) is None
    assert ring.read(99) is None
    assert ring.read(0) is None


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    ring = SampleRing(tmp_path / "r", slots=2, slot_samples=100, create=True)
    with pytest.raises(RingError, match="does not fit"):
        ring.write(block(1, 101))
    with pytest.raises(RingError, match="cannot map"):
        SampleRing(tmp_path / "missing", slots=2, slot_samples=100, create=False)
