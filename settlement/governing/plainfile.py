"""Reading tables that people edit: what is missing, unknown or out of bounds is said with the key it is about."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from settlement.chain.codec import FieldKind


class RuleFileError(ValueError):
    """The rule cannot be used; the message names the key."""


def needed(table: dict[str, Any], key: str, path: str, kind: type) -> Any:
    """A value that must be there, of its kind."""
    if key not in table:
        raise RuleFileError(f"{path}{key}: missing; add it")
    value = table[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RuleFileError(f"{path}{key}: {value!r} is not {_called(kind)}")
    return value


def _called(kind: type) -> str:
    return {int: "a whole number", str: "text", list: "a list", dict: "a table", datetime: "a date and time"}[kind]


def known_keys(table: dict[str, Any], allowed: Iterable[str], path: str) -> None:
    """No key beyond those."""
    unknown = sorted(set(table) - set(allowed))
    if unknown:
        raise RuleFileError(f"{path}{unknown[0]}: no such key; known are {', '.join(sorted(allowed))}")


def scalar(value: Any, kind: FieldKind, path: str) -> Any:
    """A number or a text within what its field can mean."""
    size = value if kind.name == "int" else len(value.encode())
    low, high = kind.sensible
    if not low <= size <= high:
        raise RuleFileError(f"{path}: {value!r} is outside {low} to {high}")
    return value
