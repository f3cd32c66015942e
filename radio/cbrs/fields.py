"""Checks parameters of SAS-CBSD messages against tables: name, kind, range, required or not; returns the fault.

A missing parameter is told before an invalid one (102 before 103); a parameter that no table names is ignored, as
WINNF-TS-0016 asks. A parameter of null is missing. Values are checked, never converted: a number in quotes is none.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from radio.cbrs.codes import Code, CodeFault

TEXT_MAX = 2048
ITEMS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One parameter. `kind`: text, number, integer, flag, object or list; a list holds `inner` objects or texts."""

    name: str
    kind: str
    required: bool = False
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    inner: "tuple[Field, ...]" = ()
    text_max: int = TEXT_MAX
    least: int = 0


@dataclass(slots=True)
class Flaws:
    """The names of missing and of invalid parameters, in the order of checking."""

    missing: list[str]
    invalid: list[str]

    def fault(self) -> CodeFault | None:
        """102 where something is missing, else 103 where something is invalid, else None."""
        if self.missing:
            return CodeFault(code=Code.MISSING_PARAM, data=tuple(dict.fromkeys(self.missing)))
        if self.invalid:
            return CodeFault(code=Code.INVALID_VALUE, data=tuple(dict.fromkeys(self.invalid)))
        return None


def check(fields: tuple[Field, ...], item: object, name: str) -> CodeFault | None:
    """The fault in the parameters of one object, None if none; `name` is reported where it is not an object."""
    flaws = Flaws([], [])
    _object(fields, item, name, flaws)
    return flaws.fault()


def _object(fields: tuple[Field, ...], item: object, name: str, flaws: Flaws) -> None:
    if not isinstance(item, dict):
        flaws.invalid.append(name)
        return
    for field in fields:
        value = item.get(field.name)
        if value is None:
            if field.required:
                flaws.missing.append(field.name)
        else:
            _value(field, value, flaws)


def _value(field: Field, value: object, flaws: Flaws) -> None:
    if field.kind == "object":
        _object(field.inner, value, field.name, flaws)
    elif field.kind == "list":
        _list(field, value, flaws)
    elif not _scalar(field, value):
        flaws.invalid.append(field.name)


def _list(field: Field, value: object, flaws: Flaws) -> None:
    if not isinstance(value, list) or not field.least <= len(value) <= ITEMS_MAX:
        flaws.invalid.append(field.name)
        return
    for one in value:
        if field.inner:
            _object(field.inner, one, field.name, flaws)
        elif not isinstance(one, str) or (field.choices and one not in field.choices):
            flaws.invalid.append(field.name)


def _scalar(field: Field, value: object) -> bool:
    if field.kind == "flag":
        return isinstance(value, bool)
    if field.kind == "text":
        fits = isinstance(value, str) and 0 < len(value) <= field.text_max and value.isprintable()
        return fits and (not field.choices or value in field.choices)
    number = whole(value) if field.kind == "integer" else real(value)
    return number is not None and field.low <= number <= field.high


def real(value: object) -> float | None:
    """The value as a finite float; None where it is not a number (a boolean is none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        made = float(value)
    except OverflowError:
        return None
    return made if math.isfinite(made) else None


def whole(value: object) -> int | None:
    """The value as an integer, also where written as a float (3.55e9); None for anything else."""
    made = real(value)
    return int(value) if made is not None and isinstance(value, int | float) and made.is_integer() else None


def names(fields: tuple[Field, ...]) -> Mapping[str, Field]:
    """The fields of a table by name."""
    return {field.name: field for field in fields}


Item = dict[str, Any]
