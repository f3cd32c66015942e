"""The quick ways through scanner and codec: never more generous than the thorough ones, and taken by what nodes say."""

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.chain import codec, scan
from settlement.chain.codec import array, blob, encode, nested, sint, text, uint
from settlement.chain.quickscan import MAX_DEPTH, surely_sound
from settlement.chain.records import Unproven, parse
from settlement.chain.straight import Straight
from settlement.core.reasons import RefusedError
from tests.settlement.golden import FILE

STRAIGHT = Straight(codec.kinds_of)


def _golden() -> list[Unproven]:
    raws = [bytes.fromhex(one["record"]) for one in json.loads(FILE.read_text())["records"]]
    return [one for one in map(parse, raws) if isinstance(one, Unproven)]


def _thoroughly(data: bytes) -> bool:
    try:
        return scan._scan_item(data, 0, 0, signed_keys=False) == len(data)
    except RefusedError:
        return False


VALUES = st.recursive(
    st.integers(-(2**64), 2**64 - 1)
    | st.sampled_from([0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, -1, -24, -25, -256, -257, -(2**32) - 1])
    | st.binary(max_size=300)
    | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.integers(0, 30), inner, max_size=30),
    max_leaves=20,
)


@given(VALUES, st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=3), st.integers(-3, 2))
def test_what_the_quick_look_is_sure_of_holds(value: Any, changes: list[tuple[int, int]], longer: int) -> None:
    data = bytearray(cbor2.dumps(value))
    for at, byte in changes:
        data[at % len(data)] = byte
    said = bytes(data) + bytes(longer) if longer >= 0 else bytes(data[:longer])
    assert _thoroughly(said) or not surely_sound(said)


HEADS = [0, 23, 24, 31, *(major << 5 | low for major in range(8) for low in (0, 1, 2, 23, 24, 25, 26, 27, 28, 31))]


def test_every_pair_of_heads_is_looked_at_as_thoroughly() -> None:
    arguments = ["", "00", "17", "18", "ff", "0017", "0018", "00ff", "0100", "0000ffff", "00010000", "00" * 8]
    arguments += [
        "61" * 25,
        "00000000ffffffff",
        "0000000100000000",
        "61",
        "c3",
        "c3a4",
        "00" * 24,
        "00" * 256,
        "0018" + "00" * 24,
    ]
    for head in HEADS:
        for argument in map(bytes.fromhex, arguments):
            for before in (
                b"",
                b"\xa1\x01",
                b"\xa1\x17",
                b"\xa1\x18\x18",
                b"\x81",
                b"\xa2\x01\x00\x02",
                b"\xa2\x02\x00\x01",
            ):
                said = before + bytes([head]) + argument
                assert _thoroughly(said) or not surely_sound(said), said.hex()


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_depth_is_bounded_at_the_same_level(more: int) -> None:
    said = b"\x81" * (MAX_DEPTH + more) + b"\x00"
    assert surely_sound(said) is _thoroughly(said) is (more <= 0)


def test_the_quick_look_is_sure_of_whatever_nodes_say_but_of_rules() -> None:
    unsure = [one.typ for one in _golden() if not surely_sound(one.message.payload)]
    assert set(unsure) <= {"rule"}, "a rule has a list of more than 23 items, and comes once"


class Colour(IntEnum):
    """A number by its name."""

    RED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Two fields that depend on each other."""

    low: int = uint(1, high=9)
    high: int = uint(2, high=9)

    def flaw(self) -> str | None:
        """What is wrong before it is encoded."""
        return "low above high" if self.low > self.high else None

    def form_flaw(self) -> str | None:
        """What is wrong with what came."""
        return "nothing at all" if self.low == self.high == 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """One field of each kind, whole and optional."""

    number: int = sint(1, limit=9)
    name: str = text(2, 4)
    mark: bytes = blob(3, 4, least=2)
    inner: Inner = nested(4, Inner)  # noqa: RUF009
    many: tuple[Inner, ...] | None = array(5, Inner, 3, low=1, optional=True)
    numbers: tuple[int, ...] | None = array(6, uint(0, high=9), 3, optional=True)
    later: int | None = uint(7, high=9, optional=True)


GOOD = {1: -9, 2: "abcd", 3: b"ab", 4: {1: 1, 2: 2}, 5: [{1: 1, 2: 1}], 6: [0, 9], 7: 0}
ODD = [None, True, 1.0, -10, 10, 0, 5, "", "abcde", "aä", "äöü", b"", b"a", b"abcd", b"abcde", [], [1, 2, 3, 4], [10],
       [None], [[1]], [True], {}, {1: 1}, {1: 0, 2: 0}, {1: 2, 2: 1}, {1: 1, 2: 2, 3: 3}, [{1: 0, 2: 0}], [{1: 1}],
       [{1: 1, 2: 1}] * 4, (1, 2)]  # fmt: skip


def _field_by_field(plain: Any) -> Any:
    try:
        return codec._built(Outer, plain)
    except codec._Misfit:
        return None


def _maps() -> list[dict[int, Any]]:
    found = [GOOD, {}, GOOD | {8: 1}, GOOD | {True: 3}]
    for key in GOOD:
        found.append({k: v for k, v in GOOD.items() if k != key})
        found += [GOOD | {key: odd} for odd in ODD]
    return found


def test_a_map_is_taken_straight_only_where_it_is_taken_field_by_field_and_to_the_same() -> None:
    into = STRAIGHT.into(Outer)
    taken = [(plain, whole) for plain in _maps() if (whole := into(plain)) is not None]
    assert all(_field_by_field(plain) == whole for plain, whole in taken)
    assert into(GOOD) == _field_by_field(GOOD) is not None
    assert len(taken) > len(GOOD)


def _objects() -> list[Outer]:
    inner = Inner(low=1, high=2)
    good: dict[str, Any] = {"number": 1, "name": "ab", "mark": b"ab", "inner": inner}
    held = [*ODD, Colour.RED, inner, (inner,), (inner, 1), (inner,) * 4, Inner(low=2, high=1), (Inner(low=2, high=1),)]
    names = [name for name, _ in codec.kinds_of(Outer)]
    return [Outer(**good), *(Outer(**good | {name: odd}) for name in names for odd in held)]


def test_an_object_is_written_straight_only_where_it_is_field_by_field_and_to_the_same() -> None:
    out, written = STRAIGHT.out_of(Outer), 0
    for whole in _objects():
        plain = out(whole)
        if plain is not None:
            written += 1
            assert plain == codec._mapped(Outer, whole)
            assert all(type(plain[key]) in (int, str, bytes, list, dict) for key in plain)
    assert written > 10


def test_one_of_another_class_is_not_written_straight() -> None:
    assert STRAIGHT.out_of(Outer)(Inner(low=1, high=2)) is None


def test_every_golden_record_goes_straight_both_ways() -> None:
    for one in _golden():
        inner = one.payload[6]
        whole = STRAIGHT.into(one.schema)(inner)
        assert whole is not None, one.typ
        assert STRAIGHT.out_of(one.schema)(whole) == inner
        assert encode(whole) == cbor2.dumps(inner)
