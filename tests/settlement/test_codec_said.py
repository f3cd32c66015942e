"""The table-driven codec field by field: each bound at its last good and first bad value, by its path, both ways."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cbor2
import pytest

from settlement.chain import codec
from settlement.chain.codec import array, blob, cut, decode, encode, kinds_of, nested, sint, text, to_map, uint
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.core.reasons import Reason, Refusal, RefusedError


@pytest.fixture(autouse=True, scope="module", params=["straight", "field by field"])
def _both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test by the code written out for a class first, as ever, and without it."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "field by field":
            patched.setattr(codec._STRAIGHT, "out_of", lambda _cls: lambda _whole: None)
            patched.setattr(codec._STRAIGHT, "into", lambda _cls: lambda _plain: None)
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A map inside a map."""

    least: int = uint(1, high=9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """One field of each kind, declared out of order."""

    number: int = uint(2, high=10)
    signed: int | None = sint(1, limit=5, optional=True)
    some: bytes | None = blob(3, 4, least=2, optional=True)
    exact: bytes | None = blob(4, 2, optional=True)
    word: str | None = text(5, 3, optional=True)
    part: Part | None = nested(6, Part, optional=True)  # noqa: RUF009
    parts: tuple[Part, ...] | None = array(7, Part, 3, low=1, optional=True)
    numbers: tuple[int, ...] | None = array(8, uint(0, high=9), 2, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """Two fields that depend on each other; a stranger's are asked less of."""

    low: int = uint(1)
    high: int = uint(2)

    def flaw(self) -> str | None:
        """What is wrong before it is encoded."""
        return "low above high" if self.low > self.high else self.form_flaw()

    def form_flaw(self) -> str | None:
        """What is wrong with what came."""
        return "nothing at all" if self.low == self.high == 0 else None


GOOD: dict[str, tuple[Any, ...]] = {
    "number": (0, 10),
    "signed": (-5, 5),
    "some": (b"ab", b"abcd"),
    "exact": (b"ab",),
    "word": ("", "abc", "aä"),
    "part": (Part(least=0), Part(least=9)),
    "parts": ((Part(least=1),), (Part(least=1),) * 3),
    "numbers": ((), (0, 9)),
}
BAD: dict[str, tuple[tuple[Any, str, str, str], ...]] = {
    "number": ((11, "", "11", "integer 0 to 10"), (-1, "", "-1", "integer 0 to 10"),
               ("x", "", "x", "integer 0 to 10")),
    "signed": ((6, "", "6", "integer -5 to 5"), (-6, "", "-6", "integer -5 to 5")),
    "some": ((b"a", "", "bytes", "2 to 4 bytes"), (b"abcde", "", "bytes", "2 to 4 bytes"),
             (7, "", "int", "2 to 4 bytes")),
    "exact": ((b"a", "", "bytes", "2 to 2 bytes"), (b"abc", "", "bytes", "2 to 2 bytes")),
    "word": (("abcd", "", "str", "text of at most 3 bytes"), ("ää", "", "str", "text of at most 3 bytes"),
             (b"a", "", "bytes", "text of at most 3 bytes")),
    "part": ((Part(least=10), ".least", "10", "integer 0 to 9"),),
    "parts": (((), "", "{}", "array of 1 to 3 items"), ((Part(least=1),) * 4, "", "{}", "array of 1 to 3 items"),
              ((Part(least=1), Part(least=10)), "[1].least", "10", "integer 0 to 9")),
    "numbers": (((0,) * 3, "", "{}", "array of 0 to 2 items"), ((9, 10), "[1]", "10", "integer 0 to 9")),
}  # fmt: skip
KEYS = {name: kind.key for name, kind in kinds_of(Whole)}


def plain(value: Any) -> Any:
    """A value as it travels, whatever bounds it breaks."""
    if isinstance(value, Part):
        return {1: value.least}
    return [plain(one) for one in value] if isinstance(value, tuple) else value


def said(found: object) -> tuple[Reason, str, str, str] | None:
    return (found.reason, found.clause, found.measured, found.required) if isinstance(found, Refusal) else None


def encoded(value: Any, **how: Any) -> tuple[Reason, str, str, str] | None:
    try:
        encode(value, **how)
    except RefusedError as exc:
        return said(exc.refusal)
    return None


@pytest.mark.attack(6)
@pytest.mark.parametrize("name", GOOD)
def test_each_field_takes_its_last_good_values_both_ways(name: str) -> None:
    for value in GOOD[name]:
        whole = replace(Whole(number=1), **{name: value})
        assert decode(Whole, encode(whole), "x") == whole


@pytest.mark.attack(6)
@pytest.mark.parametrize("name", BAD)
def test_each_field_refuses_its_first_bad_values_both_ways_by_name(name: str) -> None:
    for value, path, measured, required in BAD[name]:
        data = cbor2.dumps(dict(sorted({2: 1, KEYS[name]: plain(value)}.items())))
        assert said(decode(Whole, data, "x")) == (
            Reason.MALFORMED, f"schema.x.{name}{path}", measured.format("list"), required)  # fmt: skip
        held = replace(Whole(number=1), **{name: value})
        assert encoded(held) == (
            Reason.MALFORMED, f"schema.Whole.{name}{path}", measured.format("tuple"), required)  # fmt: skip


def test_what_is_absent_unknown_or_no_map_is_named() -> None:
    assert said(decode(Whole, cbor2.dumps({1: 0}), "x")) == (Reason.MALFORMED, "schema.x.number", "absent", "key 2")
    assert said(decode(Whole, cbor2.dumps({2: 1, 9: 0, 11: 0}), "x")) == (
        Reason.MALFORMED, "schema.x", "unknown keys [9, 11]", "only the schema's keys")  # fmt: skip
    assert said(decode(Whole, cbor2.dumps([1]), "x")) == (Reason.MALFORMED, "schema.x", "list", "a map")
    assert said(decode(Whole, cbor2.dumps({2: 1, 6: 3}), "x")) == (Reason.MALFORMED, "schema.x.part", "int", "a map")
    assert encoded(Whole(number=None)) == (  # type: ignore[arg-type]
        Reason.MALFORMED, "schema.Whole.number", "absent", "key 2")  # fmt: skip
    assert encoded(Whole(number=1, part=7)) == (  # type: ignore[arg-type]
        Reason.MALFORMED, "schema.Whole.part", "int", "a Part")  # fmt: skip
    assert encoded(Whole(number=1, parts=[Part(least=1), 7])) == (  # type: ignore[arg-type, list-item]
        Reason.MALFORMED, "schema.Whole.parts[1]", "int", "a Part")  # fmt: skip
    assert encoded(Whole(number=1, numbers={1})) == (  # type: ignore[arg-type]
        Reason.MALFORMED, "schema.Whole.numbers", "set", "array of 0 to 2 items")  # fmt: skip
    assert said(decode(Whole, b"\xff", "x")) is not None


def test_keys_rise_and_what_is_none_does_not_travel() -> None:
    assert [kind.key for _, kind in kinds_of(Whole)] == list(range(1, 9))
    assert list(to_map(Whole(number=1, signed=2, word="a"))) == [1, 2, 5]
    assert to_map(Whole(number=True)) == {2: 1}
    assert type(to_map(Whole(number=True))[2]) is int
    assert to_map(Whole(number=1, numbers=[3])) == {2: 1, 8: [3]}  # type: ignore[arg-type]


@pytest.mark.attack(5)
def test_the_size_is_held_to_the_byte_both_ways() -> None:
    data = encode(Whole(number=1))
    assert encoded(Whole(number=1), limit=len(data)) is None
    assert encoded(Whole(number=1), limit=len(data) - 1) == (
        Reason.TOO_LARGE, "cbor.size", str(len(data)), f"<= {len(data) - 1} bytes")  # fmt: skip
    assert decode(Whole, data, "x", limit=len(data)) == Whole(number=1)
    assert said(decode(Whole, data, "x", limit=len(data) - 1)) == (
        Reason.TOO_LARGE, "cbor.size", str(len(data)), f"<= {len(data) - 1} bytes")  # fmt: skip
    with pytest.raises(RefusedError, match=f"<= {MAX_RECORD_BYTES} bytes"):
        codec.dumped({1: bytes(MAX_RECORD_BYTES)})
    assert len(codec.dumped({1: bytes(MAX_RECORD_BYTES - 5)})) <= MAX_RECORD_BYTES


def test_fields_that_depend_on_each_other_are_asked_of_both_sides() -> None:
    assert encoded(Halves(low=2, high=1)) == (Reason.MALFORMED, "schema.Halves", "low above high", "a whole halves")
    assert decode(Halves, cbor2.dumps({1: 2, 2: 1}), "x") == Halves(low=2, high=1), "a stranger's costs nothing much"
    assert said(decode(Halves, cbor2.dumps({1: 0, 2: 0}), "x")) == (
        Reason.MALFORMED, "schema.x", "nothing at all", "a whole halves")  # fmt: skip


def test_text_is_cut_to_bytes_and_never_in_the_middle_of_a_character() -> None:
    assert [cut("aäb", size) for size in range(5)] == ["", "a", "a", "aä", "aäb"]
    assert cut("\ud800a", 9) == "?a"


@pytest.mark.attack(57)
def test_what_is_meant_is_narrower_than_the_form_where_it_is_said() -> None:
    fields = dict(kinds_of(Whole))
    assert fields["number"].sensible == (0, 10)
    declared = uint(1, meant=(3, 4)).metadata["kind"]
    assert (declared.sensible, declared.low, declared.high) == ((3, 4), 0, codec.I64_MAX)
    assert sint(1).metadata["kind"].low == -codec.I64_MAX
    assert codec.lat_e7(1).metadata["kind"].sensible == (-900_000_000, 900_000_000)
    assert codec.lon_e7(1).metadata["kind"].sensible == (-1_800_000_000, 1_800_000_000)
    assert text(1).metadata["kind"].high == 128
