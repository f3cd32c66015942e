"""Checks that the values of a proven record make sense: bounds of each field by its quantity, and relations of fields.

A record may be well formed and signed and still hold values that make no sense: an envelope with a confidence of 0 ppm,
a band that ends where it begins, a window of centuries. The check runs right after the signature check, on every record
from every source (a neighbour, the log at a start, an artifact, an auditor), so that no later code has to check again.
It solves no geometry; whether an outline is valid is checked in `entitlement`, for authors that may sign the type at
all. Relations between the fields of a schema class are in its `meaning_flaw`.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from settlement.chain.codec import FieldKind, Flaw, kinds_of
from settlement.core.fixes import PositionSource, TimeSource
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.row import RecordType

_Check = Callable[[Any], Flaw | None]
_CHECKS: dict[type[Any], _Check] = {}
_TIME_SOURCE_MAX, _POSITION_SOURCE_MAX = int(max(TimeSource)), int(max(PositionSource))


def flaw(row: RecordType, body: Any, attestation: Any) -> Refusal | None:
    """Return the first senseless value of a record, or None. `attestation` says when and where it was signed."""
    found = _sources(attestation) or _of_class(row.body)(body) or _to_signing(row, body, attestation.latest_ns)
    if found is None:
        return None
    path, measured, required = found
    return refuse(Reason.TERMS, f"meaning.{row.name}{path}", measured, required)


def flaw_of(value: Any) -> Refusal | None:
    """Return the first senseless value of a body that is not signed yet, or None."""
    found = _of_class(type(value))(value)
    return None if found is None else refuse(Reason.TERMS, f"meaning{found[0]}", found[1], found[2])


def _sources(attestation: Any) -> Flaw | None:
    if attestation.time_source > _TIME_SOURCE_MAX:
        return ".attestation.time_source", attestation.time_source, f"<= {_TIME_SOURCE_MAX}"
    if attestation.position_source > _POSITION_SOURCE_MAX:
        return ".attestation.position_source", attestation.position_source, f"<= {_POSITION_SOURCE_MAX}"
    return None


def _none(_value: Any) -> Flaw | None:
    return None


def _of_class(cls: type[Any]) -> _Check:
    """Return the check of a schema class: its fields, nested classes and the whole object. Cached for each class."""
    if cls not in _CHECKS:
        _CHECKS[cls] = _made(cls)
    return _CHECKS[cls]


def _made(cls: type[Any]) -> _Check:
    parts = [(name, check) for name, kind in kinds_of(cls) if (check := _of_kind(kind)) is not _none]
    whole: _Check | None = getattr(cls, "meaning_flaw", None)
    if not parts and whole is None:
        return _none

    def check_all(value: Any) -> Flaw | None:
        for name, check in parts:
            held = getattr(value, name)
            found = check(held) if held is not None else None
            if found is not None:
                return f".{name}{found[0]}", found[1], found[2]
        return whole(value) if whole is not None else None

    return check_all


def _of_kind(kind: FieldKind) -> _Check:
    if kind.name == "int":
        return _none if kind.meant is None else _within(*kind.meant)
    if kind.name == "map":
        return _of_class(kind.item)
    if kind.name == "array":
        return _each(_of_kind(kind.item) if isinstance(kind.item, FieldKind) else _of_class(kind.item))
    return _none


def _within(low: int, high: int) -> _Check:
    def check(value: int) -> Flaw | None:
        return None if low <= value <= high else ("", value, f"{low} to {high}")

    return check


def _each(item: _Check) -> _Check:
    if item is _none:
        return _none

    def check(values: tuple[Any, ...]) -> Flaw | None:
        for number, value in enumerate(values):
            found = item(value)
            if found is not None:
                return f"[{number}]{found[0]}", found[1], found[2]
        return None

    return check


def _to_signing(row: RecordType, body: Any, signed_ns: int) -> Flaw | None:
    """Check what relates a body to the instant at which it was signed."""
    for path, most_ns in row.ahead:
        until_ns = attrgetter(path)(body)
        if until_ns > signed_ns + most_ns:
            return f".{path}", until_ns, f"<= {most_ns} ns after its signing"
    return None
