"""Whatever somebody wrote at any key of a rule, a class or a jurisdiction is read, or refused with the key."""

import copy
import datetime as dt
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from hw_profiles.tomltext import read_toml
from settlement.governing.classfile import read_class
from settlement.governing.jurisdictionfile import read_jurisdiction
from settlement.governing.plainfile import RuleFileError
from settlement.governing.rulefile import read_rule
from tests.settlement.market.test_rule_page import blocks
from tests.settlement.test_rulefile import TEXT

pytestmark = [pytest.mark.feature("S3"), pytest.mark.attack(69)]
CLASSES = Path(__file__).resolve().parents[2] / "settlement" / "governing" / "classes"
MORE = """
[desk]
time_sources = ["gps"]
position_sources = ["surveyed"]
time_bound_ns_max = 1_000_000
position_radius_mm_max = 50_000
[long_leases]
most_ns = 300_000_000_000
protected = [{ lat_e7 = 369_500_000, lon_e7 = -763_000_000, radius_mm = 20_000_000 }]
[[coordination]]
name = "all"
mode = "neighbours"
need = 1
[[modalities]]
name = "energy"
reliability_ppm = 500_000
"""
FILES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "rule": (TEXT + MORE, read_rule),
    "class": ((CLASSES / "backhaul.toml").read_text(encoding="utf-8"), read_class),
    "jurisdiction": (blocks("jurisdiction"), read_jurisdiction),
}
ENDLESS = 987_654_321_987
ODD = (
    0, -1, 2**63, -(2**64), 10**30, ENDLESS, float("nan"), float("inf"), -0.0, 5e-324, "", "x" * 300, "\u202e", [], {},
    [[]], [{}], [0], ["a", "a"], {"a": 1}, True, dt.date(1, 1, 1), dt.time(0, 0),
    dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC), dt.datetime(1, 1, 1, tzinfo=dt.UTC),
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and every item, those of tables in tables too."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*at, key)
        yield from places(value[key], (*at, key))


def changed(table: dict[str, Any], at: tuple[Any, ...], to: Any) -> dict[str, Any]:
    made = copy.deepcopy(table)
    inner: Any = made
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = to
    return made


@pytest.mark.parametrize("name", FILES)
def test_an_odd_value_at_any_key_is_read_or_refused(name: str) -> None:
    text, read = FILES[name]
    assert read(text)
    table, refused = tomllib.loads(text), 0
    for at in places(table):
        for odd in ODD:
            written = tomli_w.dumps(changed(table, at, odd)).replace(str(ENDLESS), "0x" + "f" * 5000)
            said = why_not(read, written)
            assert said is None or len(said.splitlines()) == 1, (at, odd)
            refused += said is not None
    assert refused > 300


def why_not(read: Callable[[str], Any], text: str) -> str | None:
    """Why a text is refused; whatever else it raises fails the test."""
    try:
        read(text)
    except RuleFileError as exc:
        return str(exc)
    return None


def test_a_number_of_any_number_of_digits_is_no_toml() -> None:
    """In hexadecimal it can be read, and then neither be printed nor be counted with."""
    for text in (f"a = 0x{'f' * 5000}", f"a = [[{{ b = 0b{'1' * 300} }}]]", f"a = {'9' * 5000}"):
        with pytest.raises(tomllib.TOMLDecodeError, match="thousands of digits"):
            read_toml(text)
    assert read_toml(f"a = {2**64}") == {"a": 2**64}
