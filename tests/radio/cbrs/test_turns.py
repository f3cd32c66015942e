"""Tests of the warden's book on disk: appended entries, recovery from any cut, and sums of power."""

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from radio.cbrs.book import BookLost, CbsdBook, Out, beside
from radio.cbrs.power import milliwatts
from radio.cbrs.turns import TURNS_MAX, TurnFile, turns_in
from settlement.core.fixes import TimeFix
from tests.radio.cbrs.made import at

pytestmark = pytest.mark.feature("R12")
NS = 1_000_000_000


def out(number: int, until_s: int = 100, sid: int = 0, **changes: int) -> Out:
    made = Out(device=f"cbsd:fcc1/s{number}", grant="g", sid=bytes([sid]) * 32, low_hz=1, high_hz=2, eirp_mdbm=20_000,
               transmit_until_ns=until_s * NS, silent_by_ns=(until_s + 1) * NS, returned=0)  # fmt: skip
    return replace(made, **changes)


def opened(path: Path) -> CbsdBook:
    book = CbsdBook(path=path)
    book.open()
    return book


def test_what_was_kept_is_there_again_wherever_the_file_was_cut_off(tmp_path: Path) -> None:
    path, whole = tmp_path / "book", tmp_path / "whole"
    book = opened(path)
    states = []
    for number in range(4):
        book.note(out(number))
        if number == 2:
            book.latch("cbsd:fcc1/s9", "heard")
        book.keep()
        states.append((book.all(), dict(book.latched_for), beside(path).stat().st_size))
    assert beside(path).stat().st_size > 0, "only what changed is written"
    turns = beside(path).read_bytes()
    whole.write_bytes(path.read_bytes())
    for length in range(len(turns) + 1):
        beside(whole).write_bytes(turns[:length])
        known, latched, _ = next(one for one in reversed(states) if one[2] <= length)
        again = opened(whole)
        assert (again.all(), again.latched_for) == (known, latched), length


def test_turns_of_an_earlier_page_count_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "book"
    book = opened(path)
    for number in range(3):
        book.note(out(number))
        book.keep()
    turns = beside(path).read_bytes()
    fresh = opened(path)
    fresh.returned("cbsd:fcc1/s0", ["g"])
    fresh.keep()  # the first of a process is whole
    beside(path).write_bytes(turns)
    assert [one.returned for one in opened(path).all()] == [1, 0, 0]
    path.unlink()
    assert opened(path).all() == [], "without the page they belong to nothing"


def test_a_disk_that_fails_gives_nothing_and_the_next_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "book"
    book = opened(path)
    book.note(out(0))
    book.keep()
    monkeypatch.setattr(os, "write", lambda _file, _data: 3)
    book.note(out(1))
    with pytest.raises(BookLost):
        book.keep()
    monkeypatch.undo()
    assert [one.device for one in opened(path).all()] == ["cbsd:fcc1/s0"]
    book.keep()
    assert [one.device for one in opened(path).all()] == ["cbsd:fcc1/s0", "cbsd:fcc1/s1"]


def test_a_damaged_turn_ends_what_is_read_and_a_book_is_begun_anew_before_it_grows(tmp_path: Path) -> None:
    turns = TurnFile(tmp_path / "t", b"n")
    for data in (b"one", b"two", b"three"):
        turns.add(data)
    turns.close()
    assert turns_in(tmp_path / "t", b"n") == [b"one", b"two", b"three"]
    assert turns_in(tmp_path / "t", b"other") == []
    assert turns_in(tmp_path / "t", None) == []
    data = bytearray((tmp_path / "t").read_bytes())
    data[-1] ^= 1
    (tmp_path / "t").write_bytes(bytes(data))
    assert turns_in(tmp_path / "t", b"n") == [b"one", b"two"]
    book = opened(tmp_path / "book")
    book.note(out(0))
    book.keep()
    assert book._turns is not None
    book._turns.size = TURNS_MAX + 1
    book.note(out(1))
    book.keep()
    assert beside(tmp_path / "book").stat().st_size == 0
    assert len(opened(tmp_path / "book").all()) == 2


def test_the_sum_of_power_is_what_the_entries_come_to(tmp_path: Path) -> None:
    """Over 2,000 random changes the sum kept up to date is the one taken anew."""
    rng, book = random.Random(5), CbsdBook()
    now: TimeFix = at(0)
    for _ in range(2_000):
        made = out(
            rng.randrange(12), rng.randrange(50, 200), rng.randrange(3), eirp_mdbm=rng.randrange(-20_000, 40_000)
        )
        match rng.randrange(5):
            case 0:
                book.returned(made.device, ["g"])
            case 1:
                book.forget(now)
            case _:
                book.note(replace(made, grant=rng.choice(("g", "h"))))
        sid, device, grant = bytes([rng.randrange(3)]) * 32, f"cbsd:fcc1/s{rng.randrange(12)}", rng.choice("gh")
        beyond = sum(milliwatts(one.eirp_mdbm) for one in book.under(sid, device, grant))
        assert book.power_beside(sid, device, grant) == pytest.approx(beyond, rel=1e-9, abs=1e-6)
