"""Tests that this node's list of base stations outranks a base station's own unsigned data."""

from dataclasses import replace

import pytest

from radio.cbrs.codes import Code, CodeFault
from radio.cbrs.messages import read_item
from radio.cbrs.registration import Cbsd, KnownCbsd, Registrar
from tests.radio.cbrs.made import PLACE

pytestmark = [pytest.mark.feature("R12"), pytest.mark.attack(75)]
LOW = {**PLACE, "height": 3.0, "heightType": "AGL", "indoorDeployment": False}
LISTED = KnownCbsd(fcc="fcc1", serial="s1", category="A", air_interface="NR", capabilities=(), installation=LOW)


def judged(listed: KnownCbsd, **said: object) -> Cbsd | CodeFault:
    item = {"userId": "u", "fccId": "fcc1", "cbsdSerialNumber": "s1", **said}
    asked = read_item("registration", item)
    assert not isinstance(asked, CodeFault), asked
    return Registrar(known=(listed,)).judge(asked, "cert")  # type: ignore[arg-type]


def test_a_device_of_category_a_does_not_call_itself_one_of_category_b() -> None:
    found = judged(LISTED, cbsdCategory="B")
    assert isinstance(found, CodeFault), f"allowed {found.eirp_max_dbm} dBm/MHz"
    assert found.code in (Code.INVALID_VALUE, Code.REG_PENDING)


def test_a_device_does_not_move_itself_from_where_the_list_has_it() -> None:
    elsewhere = {**LOW, "latitude": PLACE["latitude"] + 1.0, "horizontalAccuracy": 0.001}
    found, listed = judged(LISTED, installationParam=elsewhere), judged(LISTED)
    assert isinstance(listed, Cbsd)
    assert isinstance(found, CodeFault) or found.spot == listed.spot


def test_what_the_list_leaves_open_of_a_place_it_has_is_not_filled_by_the_device() -> None:
    bare = {name: value for name, value in LOW.items() if name != "horizontalAccuracy"}
    listed = replace(LISTED, installation=bare)
    found = judged(listed, installationParam={**bare, "horizontalAccuracy": 0.001})
    assert isinstance(found, Cbsd)
    assert found == judged(listed)


def test_a_mast_needs_a_signature_though_something_of_the_device_is_listed() -> None:
    partly = replace(LISTED, installation={"antennaGain": 3.0})
    found = judged(partly, installationParam={**LOW, "height": 60.0})
    assert isinstance(found, CodeFault), "an outdoor device at 60 m without an installer's signature"
    assert found.code is Code.REG_PENDING


UNPLACED = replace(LISTED, installation=None)


@pytest.mark.parametrize("claimed", [0, 1e-9, 0.5, 10.0, 50.0, None])
def test_what_a_device_claims_of_its_own_accuracy_makes_its_place_no_surer(claimed: float | None) -> None:
    """Nobody vouches for it: its place is known to the 50 m that 47 CFR 96.39(a) asks of every base station."""
    said = {**LOW, "horizontalAccuracy": claimed, "verticalAccuracy": 0}
    found = judged(UNPLACED, installationParam=said)
    assert isinstance(found, Cbsd), found
    assert found.spot.radius_mm >= 50_000


@pytest.mark.parametrize(("listed_m", "least_mm"), [(0, 50_000), (1e-9, 1000), (5.0, 5000), (None, 50_000)])
def test_an_accuracy_on_the_list_counts_and_is_never_none_at_all(listed_m: float | None, least_mm: int) -> None:
    found = judged(replace(LISTED, installation={**LOW, "horizontalAccuracy": listed_m}))
    assert isinstance(found, Cbsd)
    assert least_mm <= found.spot.radius_mm <= least_mm + 1


def test_an_accuracy_on_the_list_is_of_the_place_on_the_list() -> None:
    """Not of one that the device gives because the list has none."""
    for listed in ({"horizontalAccuracy": 2.0}, {"horizontalAccuracy": 2.0, "latitude": LOW["latitude"]}):
        found = judged(replace(LISTED, installation=listed), installationParam=LOW)
        assert isinstance(found, Cbsd)
        assert found.spot.radius_mm >= 50_000, listed
