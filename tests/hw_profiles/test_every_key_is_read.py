"""Tests that the code reads each key of every shipped profile, by its full name."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from hw_profiles.loader import FOLDER, ProfileError, load_radio, names

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agent", "radio", "hw_profiles")
SAME = {
    "rx": {"self"},  # its own validator
    "gain_tables": {"t", "table"},
    "atten_db": {"self", "steps"},
    "max_output_dbm": {"level"},
    "model_match": {"self"},
    "outside": {"s"},
    "guarded": {"g"},
    "": {"profile", "found", "self", "p", "limits", "service"},
}
"""By which other names the code reads a table."""
FIXED = {("", "kind"), ("", "schema_version"), ("tx", "cyclic_allowed")}
"""Keys with one value that is allowed: the loader's check reads them, and says no to any other."""


@cache
def reads() -> frozenset[tuple[str, str]]:
    """Every attribute in the code with the name it is taken from."""
    found: set[tuple[str, str]] = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    owner = node.value
                    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                    found.add((name, node.attr))
    return frozenset(found)


def keys(table: dict[str, Any], name: str = "") -> Iterator[tuple[str, str]]:
    """Each key with the table it is in; a table of free names, such as transports, counts as one key."""
    for key, value in table.items():
        free = key == "sustained_msps_by_transport"
        if isinstance(value, dict) and not free:
            yield from keys(value, key)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield (name, key)
            yield from (pair for one in value for pair in keys(one, key))
        else:
            yield (name, key)


@pytest.mark.feature("R5")
@pytest.mark.parametrize("profile", names())
def test_each_key_of_each_profile_is_read(profile: str) -> None:
    table = tomllib.loads((FOLDER / f"{profile}.toml").read_text(encoding="utf-8"))
    unread = [
        f"{name}.{key}".strip(".")
        for name, key in keys(table)
        if (name, key) not in FIXED and not any((owner, key) in reads() for owner in {name, *SAME.get(name, set())})
    ]
    assert unread == []


@pytest.mark.feature("R5")
@pytest.mark.parametrize(
    ("table", "key", "value"),
    [("", "kind", "limits"), ("", "schema_version", 2), ("tx", "cyclic_allowed", True), ("rx", "full_scale", 4096)],
)
def test_a_key_with_one_value_is_held_to_it(tmp_path: Path, table: str, key: str, value: object) -> None:
    values = tomllib.loads((FOLDER / "pluto-ad9363.toml").read_text(encoding="utf-8"))
    (values[table] if table else values)[key] = value
    path = tmp_path / "changed.toml"
    path.write_text(tomli_w.dumps(values))
    with pytest.raises(ProfileError, match=key):
        load_radio(str(path))
