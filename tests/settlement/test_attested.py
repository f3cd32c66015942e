"""Attestation as a peer judges it, from signed bytes: attacks 13 and 36 to 39."""

from dataclasses import replace

import pytest

from settlement.chain.admission import TIME_FLOOR_NS, confidence
from settlement.chain.records import Attestation
from settlement.core.fixes import PositionSource, TimeSource, place_inside, time_inside
from settlement.core.reasons import Reason
from tests.settlement.world import LAT, LON, RULE, T0, fix

pytestmark = pytest.mark.feature("S6")


def judged(**changes: object) -> Reason | None:
    attestation = replace(Attestation.of(fix(5.0)), **changes)  # type: ignore[arg-type]
    refusal = confidence(attestation, RULE)
    return refusal.reason if refusal else None


def test_a_good_attestation_is_believed() -> None:
    assert judged() is None


@pytest.mark.attack(36)
@pytest.mark.parametrize("source", [0, 1, 2, 3, 200])
def test_a_source_class_the_rule_does_not_name_is_not_believed(source: int) -> None:
    assert judged(time_source=source) is Reason.TIME_UNTRUSTED


@pytest.mark.attack(36)
def test_what_a_node_does_not_trust_itself_it_signs_without_a_source() -> None:
    untrusted = fix(5.0, trusted=False)
    attestation = Attestation.of(replace(untrusted, position=replace(untrusted.position, trusted=False)))
    assert (attestation.time_source, attestation.position_source) == (TimeSource.NONE, PositionSource.NONE)
    assert judged(time_source=attestation.time_source) is Reason.TIME_UNTRUSTED
    assert judged(position_source=attestation.position_source) is Reason.POSITION_UNTRUSTED


@pytest.mark.attack(36)
def test_a_bound_over_the_rules_is_not_believed() -> None:
    assert judged(latest_ns=fix(5.0).time.earliest_ns + 2_000_002) is Reason.TIME_UNTRUSTED


@pytest.mark.attack(39)
@pytest.mark.parametrize("source", [TimeSource.GPS, TimeSource.CHRONY, TimeSource.KERNEL])
def test_a_claim_of_no_error_counts_as_its_class_can_be(source: TimeSource) -> None:
    attestation = replace(Attestation.of(fix(5.0, bound_ns=0)), time_source=source)
    floor_ns = TIME_FLOOR_NS[source]
    strict = replace(RULE, time_sources=(source,), time_bound_ns_max=floor_ns - 1)
    lax = replace(strict, time_bound_ns_max=floor_ns)
    refused = confidence(attestation, strict)
    assert refused is not None
    assert refused.reason is Reason.TIME_UNTRUSTED
    assert refused.measured == f"{floor_ns} ns"
    assert confidence(attestation, lax) is None


@pytest.mark.attack(38)
@pytest.mark.feature("S3")
def test_a_disc_across_the_edge_is_undecided_with_both_figures() -> None:
    position = replace(fix(5.0).position, radius_mm=50_000)
    refusal = place_inside(position, lat_e7=LAT, lon_e7=LON + 100, radius_mm=30_000, clause="x")
    assert refusal is not None
    assert refusal.reason is Reason.SPATIAL_UNDECIDED
    assert "50000 mm" in refusal.measured
    assert "30000 mm" in refusal.required


@pytest.mark.attack(13)
@pytest.mark.feature("S3")
@pytest.mark.parametrize(
    ("start_ns", "end_ns", "reason"),
    [
        (-10_000, -5_000, Reason.EXPIRED),
        (5_000, 10_000, Reason.NOT_YET),
        (0, 10_000, Reason.TIME_UNDECIDED),
        (-10_000, 0, Reason.TIME_UNDECIDED),
        (-10_000, 10_000, None),
    ],
)
def test_windows_open_late_and_close_early(start_ns: int, end_ns: int, reason: Reason | None) -> None:
    refusal = time_inside(fix(0.0).time, T0 + start_ns, T0 + end_ns, "x")
    assert (refusal.reason if refusal else None) is reason
    assert refusal is None or (refusal.measured and refusal.required)
