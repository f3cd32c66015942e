"""Hypothesis strategies for this project's records: any value of a schema, and ways to corrupt, forge and repeat it."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from settlement.chain.bodies import BODIES
from settlement.chain.codec import FieldKind, kinds_of

EXTREMES = (0, 1, -1, 2**31, 2**53, 2**62, 2**63 - 1)
MANY = 6
"""Most items of an array, as far as its schema allows."""


def _integers(kind: FieldKind) -> st.SearchStrategy[int]:
    edges = [e for e in (*EXTREMES, kind.low, kind.high, kind.high - 1) if kind.low <= e <= kind.high]
    return st.sampled_from(edges) | st.integers(kind.low, kind.high)


def _text(kind: FieldKind) -> st.SearchStrategy[str]:
    most = max(0, kind.high // 4)
    words = [
        "cbrs",
        "place",
        "unit",
        "composite",
        "TIMEOUT",
        "SCOPE",
        "operator",
        "authority",
        "\x1b]0;x\x07",
        "\u202e",
    ]
    fitting = [w for w in words if len(w.encode()) <= kind.high]
    return st.sampled_from(fitting or [""]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=min(most, 40))


def of_kind(kind: FieldKind, known: st.SearchStrategy[bytes]) -> st.SearchStrategy[Any]:
    """Any value of a kind; where a hash is asked for, often one that means something."""
    match kind.name:
        case "int":
            return _integers(kind)
        case "bytes":
            some = st.binary(min_size=kind.low, max_size=min(kind.high, max(kind.low, 200)))
            return known | some if kind.low == kind.high == 32 else some
        case "text":
            return _text(kind)
        case "map":
            return of_class(kind.item, known)
        case _:
            item = of_kind(kind.item, known) if isinstance(kind.item, FieldKind) else of_class(kind.item, known)
            return st.lists(item, min_size=kind.low, max_size=min(kind.high, max(kind.low, MANY)))


def of_class(cls: type[Any], known: st.SearchStrategy[bytes]) -> st.SearchStrategy[dict[int, Any]]:
    """Any map of a schema's fields, each field independent of the others."""
    fields = {kind.key: (kind, of_kind(kind, known)) for _, kind in kinds_of(cls)}
    needed = {key: strategy for key, (kind, strategy) in fields.items() if not kind.optional}
    optional = {key: strategy for key, (kind, strategy) in fields.items() if kind.optional}
    return st.fixed_dictionaries(needed, optional=optional).map(lambda found: dict(sorted(found.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One message to send: a body of a type, its corruption, its claimed author and time, and its repetitions."""

    typ: str
    body: dict[int, Any]
    flips: list[int]
    cut: int | None
    name: int
    shift_ns: int
    times: int
    bare: bool


def attacks(known: st.SearchStrategy[bytes], names: int) -> st.SearchStrategy[Attack]:
    """The messages of an adversary that may use `names` neighbours' names."""

    def of_type(typ: str) -> st.SearchStrategy[Attack]:
        return st.builds(
            Attack,
            typ=st.just(typ),
            body=of_class(BODIES[typ], known),
            flips=st.just([]) | st.lists(st.integers(0, 4000), max_size=3),
            cut=st.none() | st.none() | st.integers(0, 2000),
            name=st.integers(0, names - 1) | st.just(0),
            shift_ns=st.sampled_from([0, 0, 0, 10**9, -(10**9), -60 * 10**9, 2**62]),
            times=st.sampled_from([1, 1, 1, 2, 20]),
            bare=st.sampled_from([False, False, False, True]),
        )

    return st.sampled_from(sorted(BODIES)).flatmap(of_type)
