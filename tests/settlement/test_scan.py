"""The byte scanner accepts exactly what a strict encoder makes, and says which rule a byte broke."""

from collections.abc import Iterator

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settlement.chain import scan as scanner
from settlement.chain.scan import MAX_DEPTH, scan
from settlement.core.reasons import Reason


@pytest.fixture(autouse=True, scope="module", params=["with the quick look", "item by item"])
def _both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test by the quick look first, as ever, and without it."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "item by item":
            patched.setattr(scanner, "surely_sound", lambda _data: False)
        yield


values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 2**40), inner, max_size=4),
    max_leaves=12,
)


def ascending(value: object) -> object:
    if isinstance(value, dict):
        return {key: ascending(value[key]) for key in sorted(value)}
    return [ascending(v) for v in value] if isinstance(value, list) else value


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_what_a_strict_encoder_makes_is_accepted_or_too_deep(value: object) -> None:
    refusal = scan(cbor2.dumps(ascending(value)))
    assert refusal is None or refusal.reason is Reason.TOO_LARGE


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_accepted_bytes_are_the_only_encoding_of_their_value(data: bytes) -> None:
    if scan(data) is None:
        assert cbor2.dumps(cbor2.loads(data)) == data


BAD = [
    ("duplicate", "a201000100", Reason.MALFORMED, 1),
    ("trailing", "a000", Reason.MALFORMED, 2),
    ("non-shortest", "1801", Reason.NONCANONICAL, 3),
    ("non-shortest length", "5801ff", Reason.NONCANONICAL, 3),
    ("indefinite", "9fff", Reason.NONCANONICAL, 3),
    ("misordered", "a202000100", Reason.NONCANONICAL, 3),
    ("misordered across widths", "a21818000100", Reason.NONCANONICAL, 3),
    ("float", "f97e00", Reason.FORBIDDEN_TYPE, 4),
    ("tag", "c000", Reason.FORBIDDEN_TYPE, 4),
    ("null", "f6", Reason.FORBIDDEN_TYPE, 4),
    ("text key", "a1616100", Reason.FORBIDDEN_TYPE, 4),
    ("negative key", "a12000", Reason.FORBIDDEN_TYPE, 4),
    ("depth", "81" * (MAX_DEPTH + 1) + "00", Reason.TOO_LARGE, 5),
    ("announced size", "9bffffffffffffffff", Reason.MALFORMED, 5),
    ("announced bytes", "5bffffffffffffffff", Reason.MALFORMED, 5),
    ("reserved", "1c", Reason.MALFORMED, 3),
    ("utf-8", "62c328", Reason.MALFORMED, 1),
    ("nothing", "", Reason.MALFORMED, 1),
]


@pytest.mark.parametrize(("hexadecimal", "reason"), [(b[1], b[2]) for b in BAD], ids=[b[0] for b in BAD])
def test_each_broken_rule_has_its_reason(hexadecimal: str, reason: Reason) -> None:
    refusal = scan(bytes.fromhex(hexadecimal))
    assert refusal is not None
    assert refusal.reason is reason


def test_depth_at_the_limit_passes() -> None:
    assert scan(bytes.fromhex("81" * MAX_DEPTH + "00")) is None


# Bytes, whether negative keys may be, and what is said of them, word for word: the words reach people in refusals.
EXACT: list[tuple[str, bool, tuple[Reason, str, str, str] | None]] = [
    ("", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "a whole item")),
    ("18", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "a whole head")),
    ("19ff", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "a whole head")),
    ("1aff", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "a whole head")),
    ("1bff", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "a whole head")),
    ("1800", False, (Reason.NONCANONICAL, "cbor.length", "at byte 0", "the shortest form")),
    ("1817", False, (Reason.NONCANONICAL, "cbor.length", "at byte 0", "the shortest form")),
    ("1818", False, None),
    ("1900ff", False, (Reason.NONCANONICAL, "cbor.length", "at byte 0", "the shortest form")),
    ("190100", False, None),
    ("1a0000ffff", False, (Reason.NONCANONICAL, "cbor.length", "at byte 0", "the shortest form")),
    ("1a00010000", False, None),
    ("1b00000000ffffffff", False, (Reason.NONCANONICAL, "cbor.length", "at byte 0", "the shortest form")),
    ("1b0000000100000000", False, None),
    ("3817", False, (Reason.NONCANONICAL, "cbor.length", "at byte 0", "the shortest form")),
    ("3818", False, None),
    ("1c", False, (Reason.MALFORMED, "cbor.reserved", "at byte 0", "additional information 0-27")),
    ("1d", False, (Reason.MALFORMED, "cbor.reserved", "at byte 0", "additional information 0-27")),
    ("1e", False, (Reason.MALFORMED, "cbor.reserved", "at byte 0", "additional information 0-27")),
    ("1f", False, (Reason.NONCANONICAL, "cbor.indefinite", "at byte 0", "a definite length")),
    ("3f", False, (Reason.NONCANONICAL, "cbor.indefinite", "at byte 0", "a definite length")),
    ("5c", False, (Reason.MALFORMED, "cbor.reserved", "at byte 0", "additional information 0-27")),
    ("5f", False, (Reason.NONCANONICAL, "cbor.indefinite", "at byte 0", "a definite length")),
    ("7f", False, (Reason.NONCANONICAL, "cbor.indefinite", "at byte 0", "a definite length")),
    ("9f", False, (Reason.NONCANONICAL, "cbor.indefinite", "at byte 0", "a definite length")),
    ("bf", False, (Reason.NONCANONICAL, "cbor.indefinite", "at byte 0", "a definite length")),
    ("c0", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("d818", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("e0", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("f4", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("f5", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("f6", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("f7", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("f97e00", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("fb0000000000000000", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("ff", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 0", "integer, string, array or map")),
    ("41", False, (Reason.MALFORMED, "cbor.truncated", "at byte 1", "1 bytes")),
    ("4100", False, None),
    ("420000", False, None),
    (
        "58170000000000000000000000000000000000000000000000",
        False,
        (Reason.NONCANONICAL, "cbor.length", "at byte 0", "the shortest form"),
    ),
    ("5818000000000000000000000000000000000000000000000000", False, None),
    (
        "58180000000000000000000000000000000000000000000000",
        False,
        (Reason.MALFORMED, "cbor.truncated", "at byte 2", "24 bytes"),
    ),
    ("61", False, (Reason.MALFORMED, "cbor.truncated", "at byte 1", "1 bytes")),
    ("6161", False, None),
    ("62c328", False, (Reason.MALFORMED, "cbor.utf8", "at byte 1", "valid UTF-8")),
    ("62c3a9", False, None),
    ("63e282", False, (Reason.MALFORMED, "cbor.truncated", "at byte 1", "3 bytes")),
    ("80", False, None),
    ("81", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("8100", False, None),
    ("820000", False, None),
    ("82000000", False, (Reason.MALFORMED, "cbor.trailing", "1 bytes behind the item", "none")),
    ("8200", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("a0", False, None),
    ("a1", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("a100", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("a10000", False, None),
    ("a2010001", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("a201000100", False, (Reason.MALFORMED, "cbor.duplicate", "at byte 3", "each key once")),
    ("a202000100", False, (Reason.NONCANONICAL, "cbor.order", "at byte 3", "ascending keys")),
    ("a201000200", False, None),
    ("a21818000100", False, (Reason.NONCANONICAL, "cbor.order", "at byte 4", "ascending keys")),
    ("a2181800181900", False, None),
    ("a1616100", False, (Reason.FORBIDDEN_TYPE, "cbor.key", "at byte 1", "an unsigned integer key")),
    ("a14100", False, (Reason.FORBIDDEN_TYPE, "cbor.key", "at byte 1", "an unsigned integer key")),
    ("a18000", False, (Reason.FORBIDDEN_TYPE, "cbor.key", "at byte 1", "an unsigned integer key")),
    ("a1a000", False, (Reason.FORBIDDEN_TYPE, "cbor.key", "at byte 1", "an unsigned integer key")),
    ("a12000", False, (Reason.FORBIDDEN_TYPE, "cbor.key", "at byte 1", "an unsigned integer key")),
    ("a12000", True, None),
    ("a1c000", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 1", "integer, string, array or map")),
    ("a1f600", False, (Reason.FORBIDDEN_TYPE, "cbor.type", "at byte 1", "integer, string, array or map")),
    ("a20000", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("a1181700", False, (Reason.NONCANONICAL, "cbor.length", "at byte 1", "the shortest form")),
    (
        "a10058170000000000000000000000000000000000000000000000",
        False,
        (Reason.NONCANONICAL, "cbor.length", "at byte 2", "the shortest form"),
    ),
    ("a1005818000000000000000000000000000000000000000000000000", False, None),
    (
        "a10058180000000000000000000000000000000000000000000000",
        False,
        (Reason.MALFORMED, "cbor.truncated", "at byte 4", "24 bytes"),
    ),
    ("a1001b00000000ffffffff", False, (Reason.NONCANONICAL, "cbor.length", "at byte 2", "the shortest form")),
    ("a1001b0000000100000000", False, None),
    ("a1001b00000001000000", False, (Reason.MALFORMED, "cbor.truncated", "at byte 2", "a whole head")),
    ("818181818181818100", False, None),
    ("81818181818181818100", False, (Reason.TOO_LARGE, "cbor.depth", "at byte 8", "at most 8 levels")),
    ("a100a100a100a100a100a100a100a10000", False, None),
    (
        "a100a100a100a100a100a100a100a100a10000",
        False,
        (Reason.TOO_LARGE, "cbor.depth", "at byte 16", "at most 8 levels"),
    ),
    ("99ffff", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("b90001", False, (Reason.NONCANONICAL, "cbor.length", "at byte 0", "the shortest form")),
    ("9a00010000", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("9bffffffffffffffff", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("5bffffffffffffffff", False, (Reason.MALFORMED, "cbor.truncated", "at byte 9", "18446744073709551615 bytes")),
    ("7bffffffffffffffff", False, (Reason.MALFORMED, "cbor.truncated", "at byte 9", "18446744073709551615 bytes")),
    ("bbffffffffffffffff", False, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("0000", False, (Reason.MALFORMED, "cbor.trailing", "1 bytes behind the item", "none")),
    ("a000", False, (Reason.MALFORMED, "cbor.trailing", "1 bytes behind the item", "none")),
    ("000000", False, (Reason.MALFORMED, "cbor.trailing", "2 bytes behind the item", "none")),
    ("a2002000", True, (Reason.MALFORMED, "cbor.truncated", "at byte 0", "as many items as announced")),
    ("a301002000210000", True, (Reason.MALFORMED, "cbor.trailing", "1 bytes behind the item", "none")),
    ("a220002100", True, None),
    ("a221002000", True, (Reason.NONCANONICAL, "cbor.order", "at byte 3", "ascending keys")),
    ("a220002000", True, (Reason.MALFORMED, "cbor.duplicate", "at byte 3", "each key once")),
    ("a220000100", True, (Reason.NONCANONICAL, "cbor.order", "at byte 3", "ascending keys")),
    ("a1200000", True, (Reason.MALFORMED, "cbor.trailing", "1 bytes behind the item", "none")),
]


@pytest.mark.attack(3)
@pytest.mark.parametrize(("hexadecimal", "signed_keys", "expected"), EXACT, ids=range(len(EXACT)))
def test_what_is_said_of_each_form(
    hexadecimal: str, signed_keys: bool, expected: tuple[Reason, str, str, str] | None
) -> None:
    found = scan(bytes.fromhex(hexadecimal), signed_keys=signed_keys)
    assert (None if found is None else (found.reason, found.clause, found.measured, found.required)) == expected


def test_the_size_counts_first_and_is_said() -> None:
    found = scan(bytes(9), limit=8)
    assert found is not None
    assert (found.reason, found.clause, found.measured, found.required) == (
        Reason.TOO_LARGE, "cbor.size", "9", "<= 8 bytes",
    )  # fmt: skip
    assert scan(b"\x87" + bytes(7), limit=8) is None


@pytest.mark.parametrize(
    ("hexadecimal", "good"),
    [
        ("a2005818" + "00" * 24 + "0100", True), ("a2001bffffffffffffffff0100", True), ("a20018180100", True),
        ("a100", False), ("a10018", False), ("a1001817", False), ("a2005818" + "00" * 23 + "0100", False),
        ("a10058", False), ("a1001b", False), ("a1005817" + "00" * 23, False), ("a200a000000100", False),
    ],
)  # fmt: skip
def test_the_short_way_through_a_map_ends_where_the_long_one_does(hexadecimal: str, good: bool) -> None:
    assert (scan(bytes.fromhex(hexadecimal)) is None) is good


CLAIMS = {15: {8: {1: {1: 1, -1: 6, -2: b"x" * 32}}}}


@pytest.mark.parametrize("value", [CLAIMS, {15: [{1: 1, -1: 6}]}], ids=["maps in maps", "maps in arrays"])
def test_negative_keys_are_taken_at_every_level_of_a_header_and_at_none_of_a_payload(value: object) -> None:
    data = cbor2.dumps(value)
    assert scan(data, signed_keys=True) is None
    refusal = scan(data)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.FORBIDDEN_TYPE, "cbor.key")


@pytest.mark.attack(3)
@pytest.mark.parametrize(
    ("hexadecimal", "reason"),
    [
        ("a1015820" + "61" * 31, Reason.MALFORMED),
        ("a1017818" + "ff" * 24, Reason.MALFORMED),
        ("a1015805" + "ff" * 5, Reason.NONCANONICAL),
        ("a1181e5805" + "01" * 5, Reason.NONCANONICAL),
        ("a101d81820" + "00" * 32, Reason.FORBIDDEN_TYPE),
        ("a1019818" + "00" * 23, Reason.MALFORMED),
        ("a1011b00000000ffffffff", Reason.NONCANONICAL),
        ("a20142aabb", Reason.MALFORMED),
    ],
    ids=["bytes cut short", "text that is none", "length not shortest", "key that looks like a length", "a tag",
         "an array cut short", "number not shortest", "no second pair"],
)  # fmt: skip
def test_the_short_way_through_a_map_lets_nothing_else_through(hexadecimal: str, reason: Reason) -> None:
    """A value of a form that it does not know goes the long way, whatever its bytes look like."""
    refusal = scan(bytes.fromhex(hexadecimal))
    assert refusal is not None
    assert refusal.reason is reason
