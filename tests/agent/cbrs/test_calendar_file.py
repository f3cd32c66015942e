"""Tests of the incumbents' calendar file: an older one, or one with a used serial, is refused, after a restart too."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.cbrs.calendarfile import CalendarFile, CalendarLost
from agent.config.cbrs import CalendarSection
from radio.cbrs.calendar import Calendar, Reservation, seal
from settlement.chain.keys import SigningKey
from settlement.chain.scope import Band

pytestmark = [pytest.mark.feature("R14"), pytest.mark.attack(59)]
KEY = SigningKey.from_seed(b"\x07" * 32)
NS = 10**9
RADAR = Reservation(
    name="radar", band=Band(low_hz=3_550_000_000, high_hz=3_560_000_000), start_ns=10 * NS, end_ns=20 * NS
)
NEWER = Calendar(name="coast", serial=4, valid_until_ns=100 * NS, reservations=(RADAR,))
OLDER = replace(NEWER, serial=3, reservations=())


def current(folder: Path, given: Calendar | None, key: SigningKey = KEY) -> tuple[Calendar | None, str | None]:
    """What a warden that starts now goes by, and what it has to say."""
    file = folder / "calendar.signed"
    file.unlink(missing_ok=True)
    if given is not None:
        file.write_bytes(seal(given, key))
    started = CalendarFile(CalendarSection(file=file, keys=[key.public.hex()]), folder / "kept")
    started.close()
    return started.current(), started.fault


def test_what_was_taken_once_is_not_undone_by_a_restart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert current(tmp_path, NEWER) == (NEWER, None)
    for given in (OLDER, replace(NEWER, reservations=()), replace(NEWER, name="other", serial=9)):
        taken, fault = current(tmp_path, given)
        assert taken == NEWER
        assert "ROLLBACK" in str(fault)
        assert "ROLLBACK" in capsys.readouterr().err
    assert current(tmp_path, None)[0] == NEWER
    assert current(tmp_path, replace(OLDER, serial=5)) == (replace(OLDER, serial=5), None)


def test_a_kept_calendar_of_a_key_that_does_not_count_any_more_says_nothing(tmp_path: Path) -> None:
    current(tmp_path, NEWER)
    assert current(tmp_path, OLDER, SigningKey.from_seed(b"\x09" * 32)) == (OLDER, None)


def test_one_that_cannot_be_kept_counts_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    with pytest.raises(CalendarLost):
        current(tmp_path, NEWER)
    (tmp_path / "kept").rmdir()
    (tmp_path / "calendar.signed").write_bytes(seal(NEWER, KEY))
    section = CalendarSection(file=tmp_path / "calendar.signed", keys=[KEY.public.hex()])
    started = CalendarFile(section, tmp_path / "nowhere" / "kept")
    started.close()
    assert started.current() == NEWER
    assert "forgotten" in str(started.fault)
