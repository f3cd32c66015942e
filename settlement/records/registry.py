"""The registry of record types: every module in this folder that declares TYPES is part of it.

A new type is a new row in its family's module. A new family is a new module in this folder; it needs no other entry.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

import settlement.records
from settlement.records.row import RecordType


def _families() -> list[RecordType]:
    room = settlement.records
    modules = (import_module(f"{room.__name__}.{found.name}") for found in iter_modules(room.__path__))
    return [row for module in modules for row in getattr(module, "TYPES", ())]


def _twice(values: Sequence[object]) -> object | None:
    return next((one for one in values if values.count(one) > 1), None)


def registry_of(rows: Sequence[RecordType]) -> Mapping[str, RecordType]:
    """Return the types by name, ordered by number. Raises ValueError where two share a name, a number or a body."""
    twice = _twice([row.name for row in rows]) or _twice([row.number for row in rows]) or _twice([r.body for r in rows])
    if twice is not None:
        raise ValueError(f"two record types share {twice}")
    return MappingProxyType({row.name: row for row in sorted(rows, key=lambda row: row.number)})


RECORDS = registry_of(_families())
BODIES: Mapping[str, Any] = MappingProxyType({name: row.body for name, row in RECORDS.items()})
TYPE_OF: Mapping[type[Any], str] = MappingProxyType({row.body: name for name, row in RECORDS.items()})


def row_of(body: type[Any]) -> RecordType:
    """Return the row of a body's class."""
    return RECORDS[TYPE_OF[body]]
