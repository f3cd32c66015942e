"""The byte scanner accepts exactly what a strict encoder makes, and says which rule a byte broke."""

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settlement.chain.scan import MAX_DEPTH, scan
from settlement.reasons import Reason

values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 2**40), inner, max_size=4),
    max_leaves=12,
)


def ascending(value: object) -> object:
    if isinstance(value, dict):
        return {key: ascending(value[key]) for key in sorted(value)}
    return [ascending(v) for v in value] if isinstance(value, list) else value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_what_a_strict_encoder_makes_is_accepted_or_too_deep(value: object) -> None:
    refusal = scan(cbor2.dumps(ascending(value)))
    assert refusal is None or refusal.reason is Reason.TOO_LARGE


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
