"""One table-driven way between frozen dataclasses and CBOR maps with unsigned-integer keys.

A field is declared once, with its key and kind; encoding, strict decoding and the protocol document come from that.
Absent means None; a null never travels. Unknown keys are refused, so a record says nothing its schema does not name.
"""

from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

import cbor2

from settlement.chain.scan import MAX_RECORD_BYTES, scan
from settlement.reasons import Reason, Refusal, RefusedError, refuse

U64_MAX = 2**64 - 1
I64_MAX = 2**63 - 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one field travels: `name` is int, bytes, text, map or array; bounds are inclusive lengths or values."""

    key: int
    name: str
    low: int = 0
    high: int = 0
    item: Any = None
    optional: bool = False


def _declare(kind: Kind) -> Any:
    default = None if kind.optional else MISSING
    return field(default=default, metadata={"kind": kind})


def uint(key: int, *, high: int = I64_MAX, optional: bool = False) -> Any:
    """Unsigned integer, 0 to `high` (SQLite and other languages hold 63 bits)."""
    return _declare(Kind(key=key, name="int", low=0, high=high, optional=optional))


def sint(key: int, *, limit: int = I64_MAX, optional: bool = False) -> Any:
    """Signed integer of at most `limit` in size."""
    return _declare(Kind(key=key, name="int", low=-limit, high=limit, optional=optional))


def lat_e7(key: int, *, optional: bool = False) -> Any:
    """Latitude in degrees x 1e7."""
    return sint(key, limit=90 * 10**7, optional=optional)


def lon_e7(key: int, *, optional: bool = False) -> Any:
    """Longitude in degrees x 1e7."""
    return sint(key, limit=180 * 10**7, optional=optional)


def cut(value: str, size: int) -> str:
    """Text cut to at most `size` bytes of UTF-8: what others wrote must never keep us from writing."""
    return value.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def blob(key: int, size: int, *, least: int | None = None, optional: bool = False) -> Any:
    """Byte string of exactly `size`, or `least` to `size` bytes."""
    return _declare(Kind(key=key, name="bytes", low=size if least is None else least, high=size, optional=optional))


def text(key: int, high: int = 128, *, optional: bool = False) -> Any:
    """Text of at most `high` bytes of UTF-8."""
    return _declare(Kind(key=key, name="text", high=high, optional=optional))


def nested(key: int, item: type[Any], *, optional: bool = False) -> Any:
    """A map with a schema of its own."""
    return _declare(Kind(key=key, name="map", item=item, optional=optional))


def array(key: int, item: Any, high: int, *, low: int = 0, optional: bool = False) -> Any:
    """An array of `low` to `high` items; `item` is a dataclass or a Kind made by one of the functions above."""
    kind = item if is_dataclass(item) else item.metadata["kind"]
    return _declare(Kind(key=key, name="array", low=low, high=high, item=kind, optional=optional))


_KINDS: dict[type[Any], tuple[tuple[str, Kind], ...]] = {}


def kinds_of(cls: type[Any]) -> tuple[tuple[str, Kind], ...]:
    """Field names and kinds of a schema class, in ascending key order."""
    if cls not in _KINDS:
        declared: list[Field[Any]] = [f for f in fields(cls) if "kind" in f.metadata]
        _KINDS[cls] = tuple(sorted(((f.name, f.metadata["kind"]) for f in declared), key=lambda pair: pair[1].key))
    return _KINDS[cls]


def _plain(value: Any, kind: Kind) -> Any:
    if kind.name == "map":
        return to_map(value)
    if kind.name == "array":
        return [to_map(v) if is_dataclass(v) else v for v in value]
    return int(value) if kind.name == "int" else value


def to_map(value: Any) -> dict[int, Any]:
    """The CBOR map of a schema object, keys ascending, absent fields left out."""
    pairs = ((kind, getattr(value, name)) for name, kind in kinds_of(type(value)))
    return {kind.key: _plain(v, kind) for kind, v in pairs if v is not None}


def encode(value: Any, *, limit: int = MAX_RECORD_BYTES) -> bytes:
    """The one encoding of a schema object; refuses to make bytes that we would not accept."""
    data = cbor2.dumps(to_map(value))
    refusal = scan(data, limit=limit)
    if refusal is not None:
        raise RefusedError(refusal)
    from_map(type(value), cbor2.loads(data), type(value).__name__)
    return data


def _fail(path: str, measured: object, required: object) -> RefusedError:
    return RefusedError(refuse(Reason.MALFORMED, f"schema.{path}", measured, required))


def _checked_int(value: Any, kind: Kind, path: str) -> int:
    if not isinstance(value, int) or not kind.low <= value <= kind.high:
        raise _fail(path, value, f"integer {kind.low} to {kind.high}")
    return value


def _checked_bytes(value: Any, kind: Kind, path: str) -> bytes:
    if not isinstance(value, bytes) or not kind.low <= len(value) <= kind.high:
        raise _fail(path, type(value).__name__, f"{kind.low} to {kind.high} bytes")
    return value


def _checked_text(value: Any, kind: Kind, path: str) -> str:
    if not isinstance(value, str) or len(value.encode()) > kind.high:
        raise _fail(path, type(value).__name__, f"text of at most {kind.high} bytes")
    return value


def _checked_array(value: Any, kind: Kind, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or not kind.low <= len(value) <= kind.high:
        raise _fail(path, type(value).__name__, f"array of {kind.low} to {kind.high} items")
    if isinstance(kind.item, Kind):
        return tuple(_CHECK[kind.item.name](v, kind.item, f"{path}[{i}]") for i, v in enumerate(value))
    return tuple(from_map(kind.item, v, f"{path}[{i}]") for i, v in enumerate(value))


def _checked_map(value: Any, kind: Kind, path: str) -> Any:
    return from_map(kind.item, value, path)


_CHECK = {
    "int": _checked_int,
    "bytes": _checked_bytes,
    "text": _checked_text,
    "array": _checked_array,
    "map": _checked_map,
}


def from_map(cls: type[T], raw: Any, path: str) -> T:
    """Build a schema object from a decoded CBOR map; raises RefusedError (MALFORMED) naming the field."""
    if not isinstance(raw, dict):
        raise _fail(path, type(raw).__name__, "a map")
    taken: dict[str, Any] = {}
    for name, kind in kinds_of(cls):
        if kind.key in raw:
            taken[name] = _CHECK[kind.name](raw[kind.key], kind, f"{path}.{name}")
        elif not kind.optional:
            raise _fail(f"{path}.{name}", "absent", f"key {kind.key}")
    if len(taken) != len(raw):
        unknown = set(raw) - {kind.key for _, kind in kinds_of(cls)}
        raise _fail(path, f"unknown keys {sorted(unknown)}", "only the schema's keys")
    value = cls(**taken)
    # A class whose fields depend on each other says by `flaw` what is wrong with it as a whole.
    flaw = getattr(cls, "flaw", None)
    wrong = flaw(value) if flaw is not None else None
    if wrong is not None:
        raise _fail(path, wrong, f"a whole {cls.__name__.lower()}")
    return value


def decode(cls: type[T], data: bytes, path: str, *, limit: int = MAX_RECORD_BYTES) -> T | Refusal:
    """Scan, then parse bytes into a schema object, or say why not."""
    refusal = scan(data, limit=limit)
    if refusal is not None:
        return refusal
    try:
        return from_map(cls, cbor2.loads(data), path)
    except RefusedError as exc:
        return exc.refusal
