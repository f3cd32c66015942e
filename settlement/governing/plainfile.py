"""Reads tables from TOML that people edit: each error names the key that is missing, unknown or out of bounds."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from settlement.chain.codec import FieldKind, kinds_of
from settlement.chain.scope import Area, Corner


class RuleFileError(ValueError):
    """The file cannot be used; the message names the key."""


def is_table(value: Any, path: str) -> dict[str, Any]:
    """Return the value if it is a table. Raises RuleFileError otherwise."""
    if not isinstance(value, dict):
        raise RuleFileError(f"{path.rstrip('.')}: not a table")
    return value


def tables(values: Iterable[Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    """Return each table of a list with the path of its keys in messages. Raises RuleFileError for what is no table."""
    return [(f"{path}[{number}].", is_table(one, f"{path}[{number}]")) for number, one in enumerate(values)]


def needed(table: dict[str, Any], key: str, path: str, kind: type) -> Any:
    """Return the value of a key. Raises RuleFileError where the key is missing or its value is not of that kind."""
    if key not in table:
        raise RuleFileError(f"{path}{key}: missing; add it")
    value = table[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RuleFileError(f"{path}{key}: {value!r} is not {_called(kind)}")
    return value


def _called(kind: type) -> str:
    return {int: "a whole number", str: "text", list: "a list", dict: "a table", datetime: "a date and time"}[kind]


def known_keys(table: dict[str, Any], allowed: Iterable[str], path: str) -> None:
    """Raise RuleFileError where the table has a key that is not allowed."""
    unknown = sorted(set(table) - set(allowed))
    if unknown:
        raise RuleFileError(f"{path}{unknown[0]}: no such key; known are {', '.join(sorted(allowed))}")


def scalar(value: Any, kind: FieldKind, path: str) -> Any:
    """Return a number, or a text (by its length in bytes), that its field allows. Raises RuleFileError otherwise."""
    size = value if kind.name == "int" else len(value.encode())
    low, high = kind.sensible
    if not low <= size <= high:
        raise RuleFileError(f"{path}: {value!r} is outside {low} to {high}")
    return value


def area_of(table: dict[str, Any], path: str) -> Area:
    """Return a circle (lat_e7, lon_e7, radius_mm) or an outline of [latitude, longitude] corners, degrees x 1e7.

    Raises RuleFileError where the table has both, or the outline is not valid.
    """
    kinds = dict(kinds_of(Area))
    known_keys(table, kinds, path)
    if "outline" not in table:
        names = ("lat_e7", "lon_e7", "radius_mm")
        return Area(**{n: scalar(needed(table, n, path, int), kinds[n], f"{path}{n}") for n in names})
    if len(table) > 1:
        raise RuleFileError(
            f"{path}outline: beside {', '.join(sorted(set(table) - {'outline'}))}; a circle or an outline"
        )
    corners = needed(table, "outline", path, list)
    area = Area(outline=tuple(_corner(one, f"{path}outline[{n}]") for n, one in enumerate(corners)))
    flaw = area.flaw()
    if flaw is not None:
        raise RuleFileError(f"{path}outline: {flaw}")
    return area


def _corner(value: Any, path: str) -> Corner:
    if not isinstance(value, list) or len(value) != 2 or not all(type(v) is int for v in value):
        raise RuleFileError(f"{path}: {value!r} is not [latitude, longitude] in degrees x 1e7")
    fields = {name: scalar(v, kind, path) for v, (name, kind) in zip(value, kinds_of(Corner), strict=True)}
    return Corner(**fields)


def instant_ns(table: dict[str, Any], key: str) -> int:
    """Return a date and time as ns since the Unix epoch (UTC). Raises RuleFileError where it has no time zone."""
    value: datetime = needed(table, key, "", datetime)
    if value.tzinfo is None:
        raise RuleFileError(f"{key}: {value} has no time zone; write it with a Z")
    return int(value.timestamp()) * 1_000_000_000 + value.microsecond * 1000
