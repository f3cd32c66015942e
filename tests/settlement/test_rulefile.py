"""Rules people edit: every mistake named by its key, successors ordered, the version in force at signing."""

from dataclasses import replace

import pytest

from settlement.chain.admission import RuleInForce
from settlement.chain.bodies import BODIES
from settlement.chain.records import Attestation
from settlement.chain.taxonomy import response_of
from settlement.core.reasons import Reason
from settlement.governing.rulefile import RuleFileError, judge_successor, read_rule, rule_at
from tests.settlement.world import NS, RULE, T0, fix

TEXT = """
name = "coast"
version = 1
effective_from = 2026-01-01T00:00:00Z
effective_until = 2027-01-01T00:00:00Z
time_sources = ["gps", "chrony"]
position_sources = ["surveyed"]
time_bound_ns_max = 1_000_000
position_radius_mm_max = 50_000
record_age_ns_max = 5_000_000_000
sensing_age_ns_max = 1_000_000_000
witness_quorum = 1
outside_authorisation = 0
[area]
lat_e7 = 369_500_000
lon_e7 = -763_000_000
radius_mm = 20_000_000
[[bands]]
low_hz = 3_550_000_000
high_hz = 3_570_000_000
[[levels]]
name = "authority"
response = "obey"
weight_ppm = 1_000_000
admits = ["*"]
[[levels]]
name = "guest"
response = "record only"
weight_ppm = 0
admits = ["envelope"]
[[classes]]
name = "cbrs"
raster_hz = 5_000_000
time_unit_ns = 1_000_000
max_window_ns = 600_000_000_000
max_eirp_mdbm = 30_000
accept_ns = 1_000_000_000
confirm_ns = 1_000_000_000
lease_ns = 3_000_000_000
vacate_ns = 500_000_000
price_low = 0
price_high = 100
out_of_band_mdbm_per_mhz = -13_000
[[budgets]]
level = "guest"
commodity = "cbrs"
window_ns = 3_600_000_000_000
amount_hz_s = 100_000_000
first_share_ppm = 100_000
step_ppm = 50_000
"""


@pytest.mark.feature("G2")
def test_a_whole_rule() -> None:
    rule = read_rule(TEXT)
    assert (rule.name, rule.version, rule.witness_quorum) == ("coast", 1, 1)
    assert rule.levels[0].admits == tuple(BODIES)
    assert (response_of(rule, "authority"), response_of(rule, "guest")) == ("obey", "record only")
    assert response_of(rule, "nobody") == "record only"
    assert rule.budgets is not None
    assert rule.budgets[0].amount_hz_s == 100_000_000


MISTAKES = {
    "name = ": ("nome = ", "nome"),
    'response = "obey"': ('response = "serve"', r"levels\[0\].response"),
    "raster_hz = 5_000_000\n": ("", r"classes\[0\].raster_hz"),
    "lease_ns = 3_000_000_000": ("lease_ns = 86_400_000_000_001", r"classes\[0\].lease_ns"),
    "version = 1": ("version = true", "version"),
    "high_hz = 3_570_000_000": ("high_hz = 1", r"bands\[0\].high_hz"),
    '"gps", "chrony"': ('"sundial"', "time_sources"),
    "2027-01-01T00:00:00Z": ("2025-01-01T00:00:00Z", "effective_until"),
    "2026-01-01T00:00:00Z": ("2026-01-01T00:00:00", "effective_from"),
    '["envelope"]': ('["gossip"]', r"levels\[1\].admits"),
    "radius_mm = 20_000_000": ('radius_mm = "far"', "area.radius_mm"),
    "step_ppm = 50_000": ("step_ppm = 50_000\nstep = 1", r"budgets\[0\].step"),
    "[area]": ("[area", "TOML"),
    "lat_e7 = 369_500_000\n": ("", "area.lat_e7: missing"),
    "radius_mm = 20_000_000\n": ("radius_mm = 1\noutline = []\n", "area.outline: beside lat_e7, lon_e7, radius_mm"),
}
CIRCLE = "lat_e7 = 369_500_000\nlon_e7 = -763_000_000\nradius_mm = 20_000_000\n"
SQUARE = "[370_000_000, -764_000_000], [370_000_000, -762_000_000], [369_000_000, -762_000_000]"
OUTLINES = {
    SQUARE + ", [369_000_000, -764_000_000]": None,
    SQUARE: None,
    "[370_000_000, -764_000_000], [370_000_000, -762_000_000]": "area.outline: 2 corners",
    SQUARE + ", [369_000_000]": r"area.outline\[3\]: .*not \[latitude, longitude\]",
    SQUARE + ", [36.9, -76.4]": r"area.outline\[3\]",
    SQUARE + ", [969_000_000, 0]": r"area.outline\[3\]: 969000000 is outside",
    SQUARE + ", [371_000_000, -763_000_000]": "area.outline: sides",
    SQUARE + ", [0, 0]": "area.outline: a corner is more than 500 km",
}


@pytest.mark.parametrize("corners", OUTLINES, ids=range(len(OUTLINES)))
def test_an_area_may_be_an_outline(corners: str) -> None:
    text, wrong = TEXT.replace(CIRCLE, f"outline = [{corners}]\n"), OUTLINES[corners]
    if wrong is None:
        assert len(read_rule(text).area.ring) == corners.count("[")
        return
    with pytest.raises(RuleFileError, match=wrong):
        read_rule(text)


@pytest.mark.parametrize("old", MISTAKES)
def test_a_mistake_is_named_by_its_key(old: str) -> None:
    new, named = MISTAKES[old]
    assert old in TEXT
    with pytest.raises(RuleFileError, match=named):
        read_rule(TEXT.replace(old, new, 1))


@pytest.mark.feature("G7")
@pytest.mark.attack(20)
@pytest.mark.attack(21)
def test_successors() -> None:
    old = RuleInForce(hash=bytes(32), rule=replace(RULE, version=5))
    later = replace(RULE, version=6, previous=bytes(32))
    assert judge_successor(old, later) is None
    cases = (
        (replace(later, version=5), Reason.ROLLBACK),
        (replace(later, version=4), Reason.ROLLBACK),
        (replace(later, version=2**63), Reason.FAST_FORWARD),
        (replace(later, previous=None), Reason.ROLLBACK),
        (replace(later, name="other"), Reason.RULE_UNKNOWN),
    )
    for rule, reason in cases:
        refusal = judge_successor(old, rule)
        assert refusal is not None
        assert refusal.reason is reason


@pytest.mark.feature("G7")
def test_the_rule_in_force_at_signing() -> None:
    first = RuleInForce(hash=b"1" * 32, rule=RULE)
    start_ns = T0 + 60 * NS
    second = RuleInForce(
        hash=b"2" * 32,
        rule=replace(RULE, version=2, previous=first.hash, effective=replace(RULE.effective, start_ns=start_ns)),
    )
    both = [second, first]
    assert rule_at(both, Attestation.of(fix(59.0))) is first
    assert rule_at(both, Attestation.of(fix(61.0))) is second
    assert rule_at(both, Attestation.of(fix(99_999.0))) is None


@pytest.mark.feature("A5")
def test_long_leases_are_read_and_every_mistake_is_named() -> None:
    text = TEXT + "[long_leases]\nmost_ns = 3_600_000_000_000\nprotected = []\n"
    found = read_rule(text).long_leases
    assert found is not None
    assert (found.most_ns, found.protected) == (3600 * NS, ())
    area = "[{lat_e7 = 369500000, lon_e7 = -763000000, radius_mm = 5000}]"
    there = read_rule(text.replace("[]", area)).long_leases
    assert there is not None
    assert [one.radius_mm for one in there.protected] == [5000]
    for old, new in (("3_600_000_000_000", "86_400_000_000_001"), ("most_ns", "most"), ("[]", "[3]"), ("[]", "[{}]")):
        with pytest.raises(RuleFileError, match="long_leases"):
            read_rule(text.replace(old, new) if old != "[]" else text.replace("protected = []", f"protected = {new}"))
