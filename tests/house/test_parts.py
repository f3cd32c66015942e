"""Tests of the three parts of `make test`: each test file belongs to exactly one."""

import pytest

from tests.conftest import ROOT, in_time, not_in_part

PARTS = ("not realtime", "realtime and not alone", "alone")
FILES = {
    path.relative_to(ROOT / "tests").as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
}


def test_every_file_is_of_one_part_or_looked_into_by_all() -> None:
    for path, text in FILES.items():
        parts = [part for part in PARTS if not not_in_part(path, text, part)]
        marked = "mark.realtime" in text or "mark.alone" in text
        assert len(parts) == (3 if marked else 1), (path, parts)
        real, alone = in_time(path)
        assert PARTS[real + alone] in parts
    assert {in_time(path) for path in FILES} == {(False, False), (True, False), (True, True)}


def test_whoever_names_no_part_gets_every_file() -> None:
    assert not any(not_in_part(path, text, "") for path, text in FILES.items())


@pytest.mark.parametrize("part", PARTS)
def test_a_mark_in_a_file_has_every_part_look_into_it(part: str) -> None:
    assert not not_in_part("settlement/test_any.py", "pytestmark = pytest.mark.realtime", part)
