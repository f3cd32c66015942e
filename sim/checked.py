"""Converts plain data to dataclasses with strict checks: each error is one line with key and remedy."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


class BadValue(ValueError):
    """Data that cannot be used; the message begins with the key."""


def checked(kind: type[T], data: dict[str, Any]) -> T:
    """Convert plain data to a dataclass of `sim`; raises BadValue for the first error."""
    try:
        text = json.dumps(data)
    except TypeError as exc:
        raise BadValue(f"{exc}; use numbers, text, lists and tables only") from exc
    return checked_json(kind, text)


def checked_json(kind: type[T], text: str | bytes) -> T:
    """Convert JSON to a dataclass of `sim`; raises BadValue for the first error."""
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as exc:
        raise BadValue(_line(kind, exc.errors()[0])) from exc


def _line(kind: type[Any], error: Mapping[str, Any]) -> str:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    match error["type"]:
        case "unexpected_keyword_argument":
            return f"{key}: unknown key; {_advice(kind, str(error['loc'][-1]))}"
        case "missing_argument" | "missing" | "missing_keyword_only_argument":
            return f"{key}: missing; add it"
        case "json_invalid":
            return f"{error['msg']}; mend the JSON"
    said = str(error["msg"]).removeprefix("Value error, ")
    message = said[:1].lower() + said[1:]
    given = "" if isinstance(error["input"], dict | list) else f" ({error['input']!r} given)"
    return f"{key}: {message}{given}; correct it"


def _advice(kind: type[Any], key: str) -> str:
    close = difflib.get_close_matches(key, sorted(_keys(kind)), n=1, cutoff=0.8)
    return f"did you mean {close[0]}?" if close else "remove it"


def _keys(kind: Any) -> set[str]:
    """Every key that a type accepts: a dataclass's own, and those of all types inside it."""
    inside = [field.type for field in fields(kind)] if is_dataclass(kind) else list(getattr(kind, "__args__", ()))
    own = {field.name for field in fields(kind)} if is_dataclass(kind) else set()
    return own.union(*(_keys(one) for one in inside))
