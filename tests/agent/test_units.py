"""Quantities as people write them: every unit, and bare numbers refused with the way to write them."""

from collections.abc import Callable

import pytest

from agent.words import units
from settlement.chain.quantities import DISTANCE_MAX_MM, MILLIDECIBEL_MAX

READ: list[tuple[Callable[[str], object], str, object]] = [
    (units.parse_time_ns, "250ms", 250_000_000),
    (units.parse_time_ns, "600s", 600 * 10**9),
    (units.parse_time_ns, "10min", 600 * 10**9),
    (units.parse_time_ns, "30d", 30 * 86_400 * 10**9),
    (units.parse_time, "1.5min", 90.0),
    (units.parse_days, "30d", 30),
    (units.parse_days, "48h", 2),
    (units.parse_power, "20dBm", 20_000),
    (units.parse_power, "-3.5 dbm", -3_500),
    (units.parse_length, "20km", 20_000_000),
    (units.parse_length, "1.5 m", 1_500),
    (units.parse_hz, "3.55GHz", 3_550_000_000),
    (units.parse_hz, "12.5 kHz", 12_500),
    (units.parse_edges, "3550-3560MHz", (3_550_000_000, 3_560_000_000)),
    (units.parse_edges, "3.55GHz - 3560 MHz", (3_550_000_000, 3_560_000_000)),
    (units.parse_latitude, "36.95", 369_500_000),
    (units.parse_latitude, "36.95S", -369_500_000),
    (units.parse_longitude, "-76.3", -763_000_000),
    (units.parse_longitude, "76.2966° W", -762_966_000),
    (units.parse_edges, "3550\u20133560\u00a0MHz", (3_550_000_000, 3_560_000_000)),
    (units.parse_amount, "3550\u20133560\u202fMHz", (3_550_000_000, 3_560_000_000, None)),
    (units.parse_power, "\u221213.5 dBm", -13_500),
    (units.parse_place, "36.95 N 76.30 W", (369_500_000, -763_000_000)),
    (units.parse_place, "36.95° N, 76.30° W", (369_500_000, -763_000_000)),
    (units.parse_place, "\u221236.95 \u221276.3", (-369_500_000, -763_000_000)),
    (units.parse_circle, "36.95 N 76.30 W 20 km", (369_500_000, -763_000_000, 20_000_000)),
]
REFUSED: list[tuple[Callable[[str], object], str]] = [
    *((units.parse_time_ns, text) for text in ("600", "10", "10m", "-5s", "0.1ns", "", "10 minutes", "nan", "1e3s")),
    *((units.parse_days, text) for text in ("30", "0d", "36h", "36501d")),
    *((units.parse_power, text) for text in ("20", "20dB", "20 W", "0.0001dBm", "20000mdBm")),
    *((units.parse_length, text) for text in ("20000", "20 miles", "0.1mm")),
    *((units.parse_hz, text) for text in ("3550", "3550M", "0.5Hz", "-1MHz")),
    *(
        (units.parse_edges, text)
        for text in ("3550-3560", "3550000000-3570000000", "3560-3550MHz", "3550MHz", "1.2.3-4MHz")
    ),
    *(
        (units.parse_amount, f"3550-3570{unit}")
        for unit in ("MH", "Mz", "THz", "MHx", "MHzz", "hertz", "Megahertz", "GH", "phz", "kZ")
    ),
    *((units.parse_latitude, text) for text in ("369500000", "90.1", "36.95E", "-36.95S", "36,95")),
    *((units.parse_longitude, text) for text in ("-763000000", "181", "76.3N")),
]


@pytest.mark.parametrize(("parse", "text", "value"), READ, ids=[text for _, text, _ in READ])
def test_units_are_read(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(("parse", "text"), REFUSED, ids=[f"{parse.__name__}:{text}" for parse, text in REFUSED])
def test_what_has_no_unit_is_refused_with_the_way_to_write_it(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(units.UnitMissing, match=r"write it|below|whole days"):
        parse(text)


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (units.parse_power, "1W", r"in dBm; 1 W is 30dBm"),
        (units.parse_power, "0 dBW", r"in dBm; 1 W is 30dBm"),
        (units.parse_power, "30.0001dBm", "three decimals"),
        (units.parse_power, "9999dBm", "within 1000 dBm of 0 dBm"),
        (units.parse_power, "-1000.001dBm", "within 1000 dBm of 0 dBm"),
        (units.parse_length, "20038km", "no place on earth"),
        (units.parse_circle, "36.95N 76.30W 99999km", "no place on earth"),
        (units.parse_hz, "0.5Hz", "whole Hz"),
        (units.parse_edges, "3550-3550.0000001MHz", "whole Hz"),
        (units.parse_length, "0.1mm", "whole mm"),
        (units.parse_time_ns, "0.1ns", "whole ns"),
        (units.parse_latitude, "36.95000001N", "seven decimals"),
        (units.parse_place, "36 57 N 76 18 W", r"36\.95N 76\.30W"),
        (units.parse_place, "36.95N76.30W", r"36\.95N 76\.30W"),
    ],
)
def test_a_refusal_says_what_is_wrong(parse: Callable[[str], object], text: str, said: str) -> None:
    with pytest.raises(units.UnitMissing, match=said):
        parse(text)


@pytest.mark.parametrize("unit", ["Wh", "kWh", "bit/s", "Gbit/s", "h", "ha", "MB", "Hash/s"])
def test_units_of_other_classes_are_read(unit: str) -> None:
    low, high, said = units.parse_amount(f"1-2{unit}")
    assert (high, said) == (2 * low, unit[1:] if unit[0] in "kMG" else unit)


def test_a_band_is_shown_to_the_last_hertz() -> None:
    assert units.band_text(3_550_000_001, 3_560_000_000) == "3550.000001-3560 MHz"
    assert units.band_text(3_550_100_000.0, 10**20) == "3550.1-100000000000000 MHz"


def test_what_is_shown_can_be_read_again() -> None:
    assert (units.band_text(3.55e9, 3.5701e9), units.hz_text(10e6)) == ("3550-3570.1 MHz", "10 MHz")
    assert (units.power_text(20_000), units.power_text(-13_500)) == ("20 dBm", "-13.5 dBm")
    assert (units.length_text(20_000_000), units.length_text(1_500)) == ("20 km", "1.5 m")
    assert units.place_text(369_500_000, -763_000_000) == "36.95 N 76.3 W"
    assert units.parse_place(units.place_text(-369_500_001, 763_000_000)) == (-369_500_001, 763_000_000)
    assert units.parse_place(units.degrees_text(36.95, -76.3)) == (369_500_000, -763_000_000)
    told = {600: "10 min", 90: "90 s", 86_400: "1 d", 0.25: "250 ms", 0: "0 s", 1.5: "1.5 s", 2e-5: "20 us"}
    assert {seconds: units.time_text(seconds) for seconds in told} == told
    for seconds in told:
        assert units.parse_time(units.time_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("2026-11-28 12:00Z", 1_795_867_200 * 10**9),
        ("2026-11-28T12:00:00.250000Z", 1_795_867_200_250 * 10**6),
        ("10min ago", 5_000 * 10**9 - 600 * 10**9),
        ("0 ago", 5_000 * 10**9),
    ],
)
def test_instants_are_read_as_utc(text: str, ns: int) -> None:
    assert units.parse_instant(text, now_ns=5_000 * 10**9) == ns


@pytest.mark.parametrize("text", ["2026-11-28T12:00:00", "12:00Z", "1795867200", "10 ago", "yesterday", "Z", ""])
def test_an_instant_without_its_zone_or_its_unit_is_refused_with_the_way_to_write_it(text: str) -> None:
    with pytest.raises(units.UnitMissing, match=r"60s|2026-11-28T12:00:00Z"):
        units.parse_instant(text, now_ns=0)


def test_bounds_are_those_of_records() -> None:
    assert (units.POWER_MAX_MDBM, units.LENGTH_MAX_MM) == (MILLIDECIBEL_MAX, DISTANCE_MAX_MM)
