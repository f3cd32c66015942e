"""Writes Python code that turns objects of one schema class into CBOR maps and back, once for each class.

`codec` handles any class field by field; this module generates one function for one class, as `dataclasses` generates
a class's constructor. The functions accept only plainly valid values; for all others they return None, and `codec`
decides field by field and names the field at fault. So they never accept more than `codec`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Fields = Sequence[tuple[str, Any]]
"""Names of a class's fields, each with its `codec.FieldKind`, in ascending key order."""
KindsOf = Callable[[type[Any]], Fields]
_Lines = Iterator[str]


class Straight:
    """The generated functions of every class so far; `kinds_of` returns a class's fields."""

    def __init__(self, kinds_of: KindsOf) -> None:
        self._kinds_of = kinds_of
        self._out: dict[type[Any], Callable[[Any], Any]] = {}
        self._in: dict[type[Any], Callable[[Any], Any]] = {}

    def out_of(self, cls: type[Any]) -> Callable[[Any], Any]:
        """Return the function from object to map; it returns None where the object is not plainly valid."""
        if cls not in self._out:
            self._out[cls] = _compiled(_out_lines(cls, self._kinds_of(cls)), self._names(cls, self.out_of))
        return self._out[cls]

    def into(self, cls: type[Any]) -> Callable[[Any], Any]:
        """Return the function from map to object; it returns None where the map is not plainly valid."""
        if cls not in self._in:
            self._in[cls] = _compiled(_in_lines(cls, self._kinds_of(cls)), self._names(cls, self.into))
        return self._in[cls]

    def _names(self, cls: type[Any], way: Callable[[type[Any]], Callable[[Any], Any]]) -> dict[str, Any]:
        """Return the names that a class's generated code uses: the class, and the functions of its nested classes."""
        names: dict[str, Any] = {"cls": cls}
        for number, (_, kind) in enumerate(self._kinds_of(cls)):
            if isinstance(kind.item, type):
                names[f"part{number}"] = way(kind.item)
        return names


def _compiled(lines: _Lines, names: dict[str, Any]) -> Callable[[Any], Any]:
    exec("\n".join(lines), names)  # noqa: S102 - made of our own schema's field names and bounds alone
    made: Callable[[Any], Any] = names["way"]
    return made


def _fits(kind: Any, held: str) -> str:
    """Return the source of a test whether a number, byte string or text is plainly valid for its kind."""
    if kind.name == "int":
        return f"{held}.__class__ is int and {kind.low} <= {held} <= {kind.high}"
    if kind.name == "bytes":
        return f"{held}.__class__ is bytes and {kind.low} <= len({held}) <= {kind.high}"
    size = f"(len({held}) if {held}.isascii() else len({held}.encode()))"
    return f"{held}.__class__ is str and {size} <= {kind.high}"


def _out_lines(cls: type[Any], fields: Fields) -> _Lines:
    yield "def way(whole):"
    yield " if whole.__class__ is not cls: return None"
    yield " found = {}"
    for number, (name, kind) in enumerate(fields):
        yield f" held = whole.{name}"
        yield " if held is not None:"
        yield from _out_value(number, kind)
        if not kind.optional:
            yield " else: return None"
    if hasattr(cls, "flaw"):
        yield " if whole.flaw() is not None: return None"
    yield " return found"


def _out_value(number: int, kind: Any) -> _Lines:
    if kind.name == "map":
        yield f"  held = part{number}(held)"
        yield "  if held is None: return None"
    elif kind.name == "array":
        yield f"  if held.__class__ is not tuple or not {kind.low} <= len(held) <= {kind.high}: return None"
        if isinstance(kind.item, type):
            yield f"  held = [part{number}(one) for one in held]"
            yield "  if None in held: return None"
        elif kind.item.name == "array":
            yield "  return None"
        else:
            yield "  for one in held:"
            yield f"   if not ({_fits(kind.item, 'one')}): return None"
            yield "  held = list(held)"
    else:
        if kind.name == "int":  # members of an enumeration are numbers too
            yield "  if held.__class__ is not int and isinstance(held, int): held = int(held)"
        yield f"  if not ({_fits(kind, 'held')}): return None"
    yield f"  found[{kind.key}] = held"


def _in_lines(cls: type[Any], fields: Fields) -> _Lines:
    yield "def way(plain):"
    yield " if plain.__class__ is not dict: return None"
    yield " taken = 0"
    for number, (_, kind) in enumerate(fields):
        at = f"value{number}"
        yield f" {at} = plain.get({kind.key})"
        yield f" if {at} is not None:"
        yield from _in_value(number, kind, at)
        yield "  taken += 1"
        if not kind.optional:
            yield " else: return None"
    yield " if taken != len(plain): return None"
    yield f" whole = cls({', '.join(f'{name}=value{number}' for number, (name, _) in enumerate(fields))})"
    if hasattr(cls, "form_flaw"):
        yield " if whole.form_flaw() is not None: return None"
    yield " return whole"


def _in_value(number: int, kind: Any, at: str) -> _Lines:
    if kind.name == "map":
        yield f"  {at} = part{number}({at})"
        yield f"  if {at} is None: return None"
    elif kind.name == "array":
        yield f"  if {at}.__class__ is not list or not {kind.low} <= len({at}) <= {kind.high}: return None"
        if isinstance(kind.item, type):
            yield f"  {at} = tuple([part{number}(one) for one in {at}])"
            yield f"  if None in {at}: return None"
        elif kind.item.name == "array":
            yield "  return None"
        else:
            yield f"  for one in {at}:"
            yield f"   if not ({_fits(kind.item, 'one')}): return None"
            yield f"  {at} = tuple({at})"
    else:
        yield f"  if not ({_fits(kind, at)}): return None"
