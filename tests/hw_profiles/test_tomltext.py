"""Tests of the limits on TOML input: one exception for all, and no other TOML parser in use."""

import time
import tomllib
from pathlib import Path

import pytest

from hw_profiles.smallfile import NotText, read_small_text
from hw_profiles.tomltext import DEPTH_MAX, read_toml

pytestmark = [pytest.mark.feature("U9"), pytest.mark.attack(69)]
ROOT = Path(__file__).resolve().parents[2]
WITHOUT_END = {
    "lists": "a=" + "[" * 5000 + "]" * 5000,
    "tables": ".".join("a" * 3000) + "=1",
    "inline tables": "a=" + "{a=" * 3000 + "1" + "}" * 3000,
    "a number": "a=" + "9" * 5000,
    "just too deep": "a=" + "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1),
    "no TOML": "a=",
}


@pytest.mark.parametrize("text", WITHOUT_END.values(), ids=WITHOUT_END)
def test_what_cannot_be_read_is_one_error(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        read_toml(text)


@pytest.mark.parametrize(
    "text",
    [
        WITHOUT_END["lists"],
        WITHOUT_END["inline tables"],
        'a=["]",' * 40,
        'a=["""b"""",' + "[" * 40 + "]" * 41,
        "a=[TTTbTTTT,".replace("T", "'") + "[" * 40 + "]" * 41,
    ],
    ids=["lists", "tables", "closed in a string", "after a quote more", "after an apostrophe more"],
)
def test_what_nests_too_deep_is_not_given_to_a_parser_that_calls_itself(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomllib.loads", lambda _: pytest.fail("it was given"))
    with pytest.raises(tomllib.TOMLDecodeError, match="nested more than 32 deep"):
        read_toml(text)


def test_brackets_in_strings_and_remarks_nest_nothing() -> None:
    many = "[" * 50
    text = f"a = ['{many}', \"\\\"{many}\", \"\"\"\n\\\"\"{many}\"\"\", '''\n'{many}''', '']  # {many}\nb = 1\n"
    assert read_toml(text) == {"a": [many, f'"{many}', f'""{many}', f"'{many}", ""], "b": 1}


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_string_that_ends_with_quotes_of_its_own_ends_behind_them(quote: str, more: int) -> None:
    """TOML 1.0, String: one or two quotes before the three that end a string belong to it."""
    many = "[" * 20
    text = f"a = [{quote * 3}b{quote * (3 + more)}, {quote}{many}{quote}, {quote}{many}{quote}]"
    assert read_toml(text) == {"a": ["b" + quote * more, many, many]}


def test_what_is_plain_is_read() -> None:
    assert read_toml("a = [[1], {b = 2}]\n[c.d]\ne = 'f'\n") == {"a": [[1], {"b": 2}], "c": {"d": {"e": "f"}}}


def test_what_is_no_text_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff")
    with pytest.raises(NotText, match="no UTF-8 text") as raised:
        read_small_text(tmp_path / "x")
    assert isinstance(raised.value, OSError)
    assert isinstance(raised.value, ValueError)


def test_nobody_reads_toml_in_another_way() -> None:
    for package in ("agent", "hw_profiles", "radio", "sensing", "settlement", "sim"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "tomltext.py":
                assert "tomllib.load" not in path.read_text(encoding="utf-8"), path


@pytest.mark.attack(69)
@pytest.mark.parametrize(
    "text", ["a" + ".a" * 30_000 + " = 1", "[" + '"/".' * 30_000 + "a]", "x = {b" + ".b" * 30_000 + " = 1}"]
)
def test_a_key_of_very_many_parts_takes_no_time(text: str) -> None:
    began_s = time.process_time()
    with pytest.raises(tomllib.TOMLDecodeError, match="a line of more than 1024 dots"):
        read_toml(text)
    assert time.process_time() - began_s < 0.5


@pytest.mark.attack(69)
@pytest.mark.parametrize("text", ['"""\n' * 200_001 + "\\", "'''\n" * 200_001, '"\n' * 500_000, "[]" * 500_000])
def test_strings_without_end_take_no_time(text: str) -> None:
    began_s = time.process_time()
    with pytest.raises(tomllib.TOMLDecodeError):
        read_toml(text)
    assert time.process_time() - began_s < 5
