"""What each refusal of a deal says, to the word: the clause, what was measured and what is required; and each edge."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from settlement.chain.bodies import Request
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.scope import Area, Band, Window
from settlement.core.reasons import Reason, Refusal
from settlement.pair.terms import Deal, deal_of_grant, deal_of_request, judge_terms
from settlement.records.complaintterms import FallbackTerms
from settlement.records.marketterms import TierTerms
from tests.settlement.collusion import CELL, NONCE, Collusion
from tests.settlement.world import LAT, LON, NS, RULE, T0, TERMS, UPPER, fix, scope

SMALL = Area(lat_e7=LAT, lon_e7=LON, radius_mm=1_000_000)
WIDE = Band(low_hz=3_550_000_000, high_hz=3_560_000_000)
SUBJECT = Subject(
    hash=bytes(32), issuer=None, name="a", public=bytes(32), kid=bytes(16), level="operator",
    scope=scope(("request",)), transport_key=None, device=None, not_before_ns=0, expires_ns=T0 + 3600 * NS, chain=(),
)  # fmt: skip
DEAL = Deal(
    cell=CELL, commodity="cbrs", tier=SUBJECT.scope.tier, eirp_mdbm=20_000, price=7, earliest_ns=T0, latest_ns=T0 + 10,
    lease_ns=3 * NS, accept_by_ns=T0 + 10 + NS, confirm_by_ns=T0 + 10 + 2 * NS,
)  # fmt: skip
LIFE = T0 + 12 * NS
SIGNED = SimpleNamespace(attestation=SimpleNamespace(earliest_ns=T0 + 1, latest_ns=T0 + 2))


def judged(deal: dict[str, Any], terms: dict[str, Any], rule: dict[str, Any], **who: Any) -> Refusal | None:
    """A deal with changes under a class and a rule with changes; `user` and `holder` are changes to a credential."""
    parties = {
        role: replace(
            SUBJECT,
            scope=replace(SUBJECT.scope, **{k: v for k, v in who.get(role, {}).items() if k != "expires_ns"}),
            **{k: v for k, v in who.get(role, {}).items() if k == "expires_ns"},
        )
        for role in ("user", "holder")
    }
    classes = (replace(TERMS, **terms),)
    return judge_terms(replace(DEAL, **deal), replace(RULE, **{"classes": classes, **rule}), **parties)


def cell(**changes: Any) -> dict[str, Any]:
    return {"cell": replace(CELL, **changes)}


def lasting(length_ns: int) -> dict[str, Any]:
    return cell(window=Window(start_ns=T0 + 2 * NS, end_ns=T0 + 2 * NS + length_ns))


ODD = Band(low_hz=3_550_000_001, high_hz=3_560_000_000)
UNITS = "at most 600000000000 ns in units of 1000000 ns"
BITS = replace(CELL.band, unit="bit/s")
MOVED = FallbackTerms(number=4, scope="any", notice_ns=NS, owed="none", amount=0)
FIRST = TierTerms(
    tier=SUBJECT.scope.tier, displaces=(), condition="none", notice_ns=0, owed="none", amount=0,
    levels=("community", "authority"),
)  # fmt: skip
HERE = f"{LAT / 1e7:.7f}, {LON / 1e7:.7f}"
SAID: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "class": (
        ({"commodity": "5g"}, {}, {}), (Reason.TERMS, "terms.class", "5g", "['cbrs']"),
    ),
    "rule band": (
        ({}, {}, {"bands": (UPPER, ODD)}),
        (Reason.SCOPE, "terms.rule.band", "3550-3560 MHz", "3560-3570 MHz, 3550.000001-3560 MHz"),
    ),
    "rule area": (
        ({}, {}, {"area": SMALL}),
        (Reason.SCOPE, "terms.rule.area", f"circle of 20000000 mm round {HERE}", f"circle of 1000000 mm round {HERE}"),
    ),
    "raster": (
        (cell(band=WIDE), {"raster_hz": 7_000_000}, {}),
        (Reason.TERMS, "terms.raster", "3550-3560 MHz", "edges on 7000000 Hz"),
    ),
    "no raster": (({}, {"raster_hz": 0}, {}), (Reason.TERMS, "terms.raster", "3550-3560 MHz", "edges on 0 Hz")),
    "window": ((lasting(10 * NS + 1), {}, {}), (Reason.TERMS, "terms.window", "10000000001 ns", UNITS)),
    "no time unit": (
        ({}, {"time_unit_ns": 0}, {}),
        (Reason.TERMS, "terms.window", "10000000000 ns", "at most 600000000000 ns in units of 0 ns"),
    ),
    "a band of another unit": (
        (cell(band=BITS), {}, {"bands": (BITS,)}), (Reason.TERMS, "terms.unit", "bit/s", "Hz"),
    ),
    "a band in Hz": (({}, {"unit": "bit/s"}, {}), (Reason.TERMS, "terms.unit", "Hz", "bit/s")),
    "a fallback that the class has not": (
        ({"fallback": 5}, {"fallbacks": (MOVED,)}, {}), (Reason.TERMS, "terms.fallback", "5", "4"),
    ),
    "a tier of other levels": (
        ({}, {"tiers": (FIRST,)}, {}),
        (Reason.TIER, "tier.level", "operator", f"community, authority, for tier {SUBJECT.scope.tier}"),
    ),
    "price": (({"price": 101}, {}, {}), (Reason.PRICE, "terms.price", "101", "0-100")),
    "eirp": (({"eirp_mdbm": 30_001}, {}, {}), (Reason.POWER, "terms.eirp", "30001 mdBm", "<= 30000 mdBm")),
    "lease": (({"lease_ns": 3 * NS + 1}, {}, {}), (Reason.LEASE, "terms.lease", "3000000001 ns", "<= 3000000000 ns")),
    "accept": (
        ({"accept_by_ns": T0 + 11 + NS}, {}, {}),
        (Reason.TERMS, "terms.accept_by", f"{T0 + 11 + NS} ns", f"<= {T0 + 10 + NS} ns"),
    ),
    "confirm": (
        ({"confirm_by_ns": T0 + 11 + 2 * NS}, {}, {}),
        (Reason.TERMS, "terms.confirm_by", f"{T0 + 11 + 2 * NS} ns", f"<= {T0 + 10 + 2 * NS} ns"),
    ),
}  # fmt: skip
CREDENTIAL: dict[str, tuple[dict[str, Any], Reason, str, str]] = {
    "class": ({"classes": ("x", "y")}, Reason.SCOPE, "cbrs", "x, y"),
    "band": ({"bands": (UPPER, ODD)}, Reason.SCOPE, "3550-3560 MHz", "3560-3570 MHz, 3550.000001-3560 MHz"),
    "area": (
        {"area": SMALL}, Reason.SCOPE, f"circle of 20000000 mm round {HERE}", f"circle of 1000000 mm round {HERE}",
    ),
    "tier": ({"tier": 9}, Reason.TIER, str(SUBJECT.scope.tier), ">= 9"),
    "eirp": ({"max_eirp_mdbm": 19_999}, Reason.POWER, "20000 mdBm", "<= 19999 mdBm"),
    "life": (
        {"expires_ns": LIFE - 1},
        Reason.SCOPE,
        f"a window until {LIFE} ns",
        f"<= {LIFE - 1} ns, when the credential ends",
    ),
}  # fmt: skip


@pytest.mark.feature("G4")
@pytest.mark.parametrize("name", SAID)
def test_a_deal_beyond_its_class_is_told_which_term(name: str) -> None:
    (deal, terms, rule), (reason, clause, measured, required) = SAID[name]
    assert judged(deal, terms, rule) == Refusal(reason=reason, clause=clause, measured=measured, required=required)


@pytest.mark.parametrize("role", ["user", "holder"])
@pytest.mark.parametrize("axis", CREDENTIAL)
def test_a_deal_beyond_a_credential_is_told_whose(role: str, axis: str) -> None:
    change, reason, measured, required = CREDENTIAL[axis]
    refusal = judged({}, {}, {}, **{role: change})
    assert refusal == Refusal(reason=reason, clause=f"terms.{role}.{axis}", measured=measured, required=required)


EDGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as it stands": ({}, {}),
    "the longest window": (lasting(600 * NS), {}),
    "one unit": (lasting(1_000_000), {}),
    "a unit of a nanosecond": (lasting(1), {"time_unit_ns": 1}),
    "any raster": (cell(band=ODD), {"raster_hz": 1}),
    "a fallback of the class": ({"fallback": 4}, {"fallbacks": (MOVED,)}),
    "a tier of its level": ({}, {"tiers": (replace(FIRST, levels=("operator",)),)}),
    "a tier of others, unused": ({}, {"tiers": (replace(FIRST, tier=SUBJECT.scope.tier + 1),)}),
    "the lowest price": ({"price": 0}, {}),
    "the highest price": ({"price": 100}, {}),
    "as loud as the class": ({}, {"max_eirp_mdbm": 20_000}),
    "the shortest lease": ({"lease_ns": 1}, {}),
    "no lease yet": ({"lease_ns": None, "accept_by_ns": None, "confirm_by_ns": None}, {}),
    "a time to confirm and none to accept": ({"accept_by_ns": None}, {}),
}


@pytest.mark.feature("A4")
@pytest.mark.parametrize("name", EDGES)
def test_what_is_just_inside_is_taken(name: str) -> None:
    deal, terms = EDGES[name]
    assert (
        judged(deal, terms, {}, user={"expires_ns": LIFE} if name == "as it stands" else {"expires_ns": 2 * T0}) is None
    )


def test_a_request_is_judged_by_the_interval_in_which_it_came() -> None:
    body = Request(
        declaration=bytes(32), cell=CELL, commodity="cbrs", tier=2, eirp_mdbm=20_000, price=7, nonce=NONCE,
        partial=False, fallback=4,
    )  # fmt: skip
    now = fix(0).time
    deal = deal_of_request(body, now)
    assert (deal.earliest_ns, deal.latest_ns) == (now.earliest_ns, now.latest_ns)
    assert (deal.lease_ns, deal.accept_by_ns, deal.confirm_by_ns) == (None, None, None)
    assert deal.fallback == 4
    assert deal.jurisdictions is None


@pytest.mark.feature("A6")
def test_a_grant_names_its_fallback_and_its_jurisdictions_or_none(tmp_path: Path) -> None:
    body, names = Collusion(tmp_path).grant_body(), (bytes(32), b"j" * 32)

    def deal(**changes: Any) -> Deal:
        return deal_of_grant(cast("Record", SimpleNamespace(body=replace(body, **changes), frame=SIGNED)))

    assert (deal().fallback, deal().jurisdictions) == (None, ())
    assert (deal(fallback=4).fallback, deal(jurisdictions=names).jurisdictions) == (4, names)
    assert (deal().earliest_ns, deal().latest_ns) == (T0 + 1, T0 + 2)
    assert (deal().lease_ns, deal().accept_by_ns, deal().confirm_by_ns) == (
        body.lease_ns, body.accept_by_ns, body.confirm_by_ns,
    )  # fmt: skip
