"""Codec between frozen dataclasses and CBOR maps with unsigned-integer keys, driven by one table per class.

A field is declared once, with its key and kind; encoding, strict decoding and the protocol document come from that.
Absent means None; a null never travels. Unknown keys are refused, so a record says nothing its schema does not name.

Values that are plainly valid are handled by code generated for their class (`straight`); all others go field by field,
as below, which names the field at fault.
"""

from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

import cbor2

from settlement.chain.scan import MAX_RECORD_BYTES, scan
from settlement.chain.straight import Straight
from settlement.core.reasons import Reason, Refusal, RefusedError, refuse

U64_MAX = 2**64 - 1
I64_MAX = 2**63 - 1
T = TypeVar("T")
_Check = Callable[[Any, "FieldKind"], Any]
Flaw = tuple[str, object, str]
"""A value outside its meaning: the path to the value from the checked object, what it holds, what would be valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldKind:
    """Form of one field in CBOR: `name` is int, bytes, text, map or array; bounds are inclusive lengths or values.

    `meant` is the range of an integer that has a meaning: narrower than its form, and checked in a record only once
    its signature holds (see `meaning`).
    """

    key: int
    name: str
    low: int = 0
    high: int = 0
    item: Any = None
    optional: bool = False
    meant: tuple[int, int] | None = None

    @property
    def sensible(self) -> tuple[int, int]:
        """Return the range of values that have a meaning; the form's whole range where none is declared."""
        return self.meant or (self.low, self.high)


def _declare(kind: FieldKind) -> Any:
    default = None if kind.optional else MISSING
    return field(default=default, metadata={"kind": kind})


def uint(key: int, *, high: int = I64_MAX, optional: bool = False, meant: tuple[int, int] | None = None) -> Any:
    """Declare an unsigned integer, 0 to `high` (63 bits: the limit of SQLite); `meant` is the meaningful range."""
    return _declare(FieldKind(key=key, name="int", low=0, high=high, optional=optional, meant=meant))


def sint(key: int, *, limit: int = I64_MAX, optional: bool = False, meant: tuple[int, int] | None = None) -> Any:
    """Declare a signed integer of at most `limit` in size; `meant` is the meaningful range."""
    return _declare(FieldKind(key=key, name="int", low=-limit, high=limit, optional=optional, meant=meant))


def lat_e7(key: int, *, optional: bool = False) -> Any:
    """Declare a latitude in degrees x 1e7."""
    return sint(key, limit=90 * 10**7, optional=optional)


def lon_e7(key: int, *, optional: bool = False) -> Any:
    """Declare a longitude in degrees x 1e7."""
    return sint(key, limit=180 * 10**7, optional=optional)


def cut(value: str, size: int) -> str:
    """Cut text to at most `size` bytes of UTF-8, so that long text of another party never prevents a record."""
    return value.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def blob(key: int, size: int, *, least: int | None = None, optional: bool = False) -> Any:
    """Declare a byte string of exactly `size` bytes, or of `least` to `size` bytes."""
    return _declare(
        FieldKind(key=key, name="bytes", low=size if least is None else least, high=size, optional=optional)
    )


def text(key: int, high: int = 128, *, optional: bool = False) -> Any:
    """Declare a text of at most `high` bytes of UTF-8."""
    return _declare(FieldKind(key=key, name="text", high=high, optional=optional))


def nested(key: int, item: type[Any], *, optional: bool = False) -> Any:
    """Declare a map with a schema of its own."""
    return _declare(FieldKind(key=key, name="map", item=item, optional=optional))


def array(key: int, item: Any, high: int, *, low: int = 0, optional: bool = False) -> Any:
    """Declare an array of `low` to `high` items; `item` is a dataclass or a kind made by one of the functions above."""
    kind = item if is_dataclass(item) else item.metadata["kind"]
    return _declare(FieldKind(key=key, name="array", low=low, high=high, item=kind, optional=optional))


_KINDS: dict[type[Any], tuple[tuple[str, FieldKind], ...]] = {}


def kinds_of(cls: type[Any]) -> tuple[tuple[str, FieldKind], ...]:
    """Return field names and kinds of a schema class, in ascending key order."""
    if cls not in _KINDS:
        declared: list[Field[Any]] = [f for f in fields(cls) if "kind" in f.metadata]
        _KINDS[cls] = tuple(sorted(((f.name, f.metadata["kind"]) for f in declared), key=lambda pair: pair[1].key))
    return _KINDS[cls]


_STRAIGHT = Straight(kinds_of)


class _Misfit(Exception):
    """A value that its schema does not allow; `where` is built from the field outwards, only when a check fails."""

    def __init__(self, measured: object, required: object, where: str = "") -> None:
        super().__init__(where)
        self.measured, self.required, self.where = measured, required, where

    def inside(self, part: str) -> "_Misfit":
        """Return the same fault with `part` put before its path."""
        self.where = part + self.where
        return self

    def refused(self, path: str) -> RefusedError:
        return RefusedError(refuse(Reason.MALFORMED, f"schema.{path}{self.where}", self.measured, self.required))


def _checked_int(value: Any, kind: FieldKind) -> int:
    if not isinstance(value, int) or not kind.low <= value <= kind.high:
        raise _Misfit(value, f"integer {kind.low} to {kind.high}")
    return value


def _checked_bytes(value: Any, kind: FieldKind) -> bytes:
    if not isinstance(value, bytes) or not kind.low <= len(value) <= kind.high:
        raise _Misfit(type(value).__name__, f"{kind.low} to {kind.high} bytes")
    return value


def _checked_text(value: Any, kind: FieldKind) -> str:
    if not isinstance(value, str) or len(value.encode()) > kind.high:
        raise _Misfit(type(value).__name__, f"text of at most {kind.high} bytes")
    return value


def _checked_array(value: Any, kind: FieldKind) -> tuple[Any, ...]:
    if not isinstance(value, list) or not kind.low <= len(value) <= kind.high:
        raise _Misfit(type(value).__name__, f"array of {kind.low} to {kind.high} items")
    return tuple(_each(value, kind, _CHECK, _built))


def _checked_map(value: Any, kind: FieldKind) -> Any:
    return _built(kind.item, value)


_CHECK: dict[str, _Check] = {
    "int": _checked_int,
    "bytes": _checked_bytes,
    "text": _checked_text,
    "array": _checked_array,
    "map": _checked_map,
}


def _each(
    values: Iterable[Any], kind: FieldKind, scalar: dict[str, _Check], whole: Callable[[Any, Any], Any]
) -> list[Any]:
    """Convert the items of an array, each by its own kind or class."""
    item, done = kind.item, list[Any]()
    try:
        for value in values:
            done.append(scalar[item.name](value, item) if isinstance(item, FieldKind) else whole(item, value))
    except _Misfit as exc:
        raise exc.inside(f"[{len(done)}]") from None
    return done


def _flawless(value: Any, wrong: str | None) -> None:
    """Refuse an object of which its class says that the fields together are wrong (`wrong`).

    For encoding `wrong` comes from `flaw`; for received bytes from `form_flaw`, which is cheap to compute.
    """
    if wrong is not None:
        raise _Misfit(wrong, f"a whole {type(value).__name__.lower()}")


def _plain_int(value: Any, kind: FieldKind) -> int:
    return int(_checked_int(value, kind))


def _plain_array(value: Any, kind: FieldKind) -> list[Any]:
    if not isinstance(value, (tuple, list)) or not kind.low <= len(value) <= kind.high:
        raise _Misfit(type(value).__name__, f"array of {kind.low} to {kind.high} items")
    return _each(value, kind, _PLAIN, _mapped)


def _plain_map(value: Any, kind: FieldKind) -> dict[int, Any]:
    return _mapped(kind.item, value)


_PLAIN: dict[str, _Check] = {
    "int": _plain_int,
    "bytes": _checked_bytes,
    "text": _checked_text,
    "array": _plain_array,
    "map": _plain_map,
}


def _mapped(cls: type[Any], value: Any) -> dict[int, Any]:
    if not isinstance(value, cls):
        raise _Misfit(type(value).__name__, f"a {cls.__name__}")
    found: dict[int, Any] = {}
    for name, kind, key, _, plain in _plan(cls):
        held = getattr(value, name)
        if held is None:
            if not kind.optional:
                raise _Misfit("absent", f"key {key}", f".{name}")
            continue
        try:
            found[key] = plain(held, kind)
        except _Misfit as exc:
            raise exc.inside(f".{name}") from None
    if hasattr(cls, "flaw"):
        _flawless(value, value.flaw())
    return found


_PLANS: dict[type[Any], tuple[tuple[str, FieldKind, int, _Check, _Check], ...]] = {}


def _plan(cls: type[Any]) -> tuple[tuple[str, FieldKind, int, _Check, _Check], ...]:
    """Return, for each field of a class in ascending key order, the functions that decode and encode the field."""
    if cls not in _PLANS:
        _PLANS[cls] = tuple(
            (name, kind, kind.key, _CHECK[kind.name], _PLAIN[kind.name]) for name, kind in kinds_of(cls)
        )
    return _PLANS[cls]


def to_map(value: Any) -> dict[int, Any]:
    """Return the CBOR map of a schema object, keys ascending, absent fields left out.

    Raises RefusedError for an object that `from_map` would not accept: nothing is encoded that we would not decode.
    """
    plain: dict[int, Any] | None = _STRAIGHT.out_of(type(value))(value)
    if plain is not None:
        return plain
    try:
        return _mapped(type(value), value)
    except _Misfit as exc:
        raise exc.refused(type(value).__name__) from None


def encode(value: Any, *, limit: int = MAX_RECORD_BYTES) -> bytes:
    """Return the only valid encoding of a schema object. Raises RefusedError for bytes that we would not accept.

    A checked map of integers, strings and arrays has one encoding in cbor2, and it is the one that `scan` accepts;
    only its size is left to check.
    """
    return dumped(to_map(value), limit=limit)


def dumped(plain: dict[int, Any], *, limit: int = MAX_RECORD_BYTES) -> bytes:
    """Encode a map that `to_map` made. Raises RefusedError for more than `limit` bytes."""
    data = cbor2.dumps(plain)
    if len(data) > limit:
        raise RefusedError(refuse(Reason.TOO_LARGE, "cbor.size", len(data), f"<= {limit} bytes"))
    return data


def _built(cls: type[T], raw: Any) -> T:
    if not isinstance(raw, dict):
        raise _Misfit(type(raw).__name__, "a map")
    taken: dict[str, Any] = {}
    for name, kind, key, check, _ in _plan(cls):
        if key in raw:
            try:
                taken[name] = check(raw[key], kind)
            except _Misfit as exc:
                raise exc.inside(f".{name}") from None
        elif not kind.optional:
            raise _Misfit("absent", f"key {key}", f".{name}")
    if len(taken) != len(raw):
        unknown = set(raw) - {kind.key for _, kind in kinds_of(cls)}
        raise _Misfit(f"unknown keys {sorted(unknown)}", "only the schema's keys")
    value = cls(**taken)
    if hasattr(cls, "form_flaw"):
        _flawless(value, value.form_flaw())  # type: ignore[attr-defined]
    return value


def from_map(cls: type[T], raw: Any, path: str) -> T:
    """Build a schema object from a decoded CBOR map; raises RefusedError (MALFORMED) naming the field."""
    whole: T | None = _STRAIGHT.into(cls)(raw)
    if whole is not None:
        return whole
    try:
        return _built(cls, raw)
    except _Misfit as exc:
        raise exc.refused(path) from None


def decode(cls: type[T], data: bytes, path: str, *, limit: int = MAX_RECORD_BYTES) -> T | Refusal:
    """Scan and parse bytes into a schema object; return a refusal where they are not one."""
    refusal = scan(data, limit=limit)
    if refusal is not None:
        return refusal
    try:
        return from_map(cls, cbor2.loads(data), path)
    except RefusedError as exc:
        return exc.refusal
