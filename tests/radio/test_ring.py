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


@pytest.mark.attack(48)
@pytest.mark.parametrize("before", [None, "sparse"])
def test_a_ring_has_its_place_on_the_disk_before_it_is_used(tmp_path: Path, before: str | None) -> None:
    """A page without a place, on a disk that is full by then, ends agent and warden at once with SIGBUS."""
    path, size = tmp_path / "rx", 4 * (64 + 4 * 30_000)
    if before is not None:
        with path.open("xb") as sparse:
            sparse.truncate(size)
        assert path.stat().st_blocks * 512 < size
    SampleRing(path, slots=4, slot_samples=30_000, create=True)
    assert path.stat().st_size == size
    assert path.stat().st_blocks * 512 >= size


def test_a_ring_that_the_disk_has_no_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(RingError, match="No space left on device"):
        SampleRing(tmp_path / "rx", slots=2, slot_samples=8, create=True)
