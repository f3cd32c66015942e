"""Prices in every form: examples worked by hand, properties of the functions, refusals with both figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.chain.scope import Area, Band, Cell, Window
from settlement.core.reasons import Reason, Refusal
from settlement.market.prices import Pricing, discovered_price, judge_price, occupancy_price, price_of, tariff_price
from settlement.records.marketterms import PricePoint, Tariff
from settlement.records.sizes import PPM

NS, MHZ = 1_000_000_000, 1_000_000
AREA = Area(lat_e7=0, lon_e7=0, radius_mm=1000)


def cell(width_hz: int = 10 * MHZ, begins_s: int = 0, length_s: int = 60) -> Cell:
    window = Window(start_ns=begins_s * NS, end_ns=(begins_s + length_s) * NS)
    return Cell(band=Band(low_hz=3550 * MHZ, high_hz=3550 * MHZ + width_hz), area=AREA, window=window)


@pytest.mark.feature("M3")
def test_a_parametric_price_is_the_rules_function() -> None:
    """10 MHz x 60 s at 2 each on a base of 100 is 1,300; 3 dB above at a tenth a dB is 1,690; the rush hour doubles."""
    hours = tuple(2 * PPM if hour == 1 else PPM for hour in range(24))
    tariff = Tariff(base=100, per_mhz_s=2, free_eirp_mdbm=20_000, per_db_ppm=100_000, hour_ppm=hours)
    assert tariff_price(tariff, cell(), 20_000) == 1300
    assert tariff_price(tariff, cell(), 23_000) == 1690
    assert tariff_price(tariff, cell(begins_s=3600), 23_000) == 3380
    by = Pricing(form="parametric", price=0, begins_ns=0, tariff=tariff)
    assert judge_price(by, cell(), 20_000, 1300) is None
    refusal = judge_price(by, cell(), 20_000, 1299)
    assert refusal is not None
    assert (refusal.reason, refusal.measured, refusal.required) == (Reason.PRICE, "1299", "1300")


@pytest.mark.feature("M3")
def test_a_dynamic_price_is_the_curves_at_the_beginning() -> None:
    curve = (PricePoint(after_ns=0, price=5), PricePoint(after_ns=100 * NS, price=9))
    by = Pricing(form="dynamic", price=5, begins_ns=0, curve=curve)
    assert [price_of(by, cell(begins_s=s), 0) for s in (0, 99, 100, 500)] == [5, 5, 9, 9]


@pytest.mark.feature("M3")
def test_a_discovered_price_is_the_median_and_too_few_say_nothing() -> None:
    assert discovered_price([9, 1, 5]) == 5
    assert discovered_price([1, 9, 5, 6]) == 6
    refusal = discovered_price([1, 9])
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.PRICE


@pytest.mark.feature("M3")
def test_a_form_that_is_none_has_no_price() -> None:
    refusal = price_of(Pricing(form="haggled", price=5, begins_ns=0), cell(), 0)
    assert isinstance(refusal, Refusal)
    assert "fixed" in refusal.required


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, PPM), st.integers(0, PPM))
def test_a_price_by_occupancy_rises_with_it_and_stays_inside(price: int, high: int, one: int, other: int) -> None:
    low_ppm, high_ppm = sorted((one, other))
    first, second = occupancy_price(price, high, low_ppm), occupancy_price(price, high, high_ppm)
    assert price <= first <= second <= max(price, high)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 600), st.integers(0, 30_000), st.integers(0, 30_000))
def test_a_tariff_never_costs_less_for_more(mhz: int, more: int, length_s: int, eirp: int, louder: int) -> None:
    tariff = Tariff(base=3, per_mhz_s=7, free_eirp_mdbm=10_000, per_db_ppm=50_000)
    small = tariff_price(tariff, cell(mhz * MHZ, length_s=length_s), eirp)
    assert tariff_price(tariff, cell((mhz + more) * MHZ, length_s=length_s), eirp + louder) >= small
