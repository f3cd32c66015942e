"""Quantities as people write and read them: always with a unit. Every command reads and shows them through this module.

Reading gives the whole numbers that records hold: Hz, thousandths of a dBm, mm, degrees x 1e7, ns. A bare number is
refused with the way to write it; so is what is no whole number of the record's unit.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

TIMES_NS: Final = {
    "ns": Decimal(1),
    "us": Decimal(1_000),
    "ms": Decimal(1_000_000),
    "s": Decimal(10**9),
    "min": Decimal(60 * 10**9),
    "h": Decimal(3600 * 10**9),
    "d": Decimal(86_400 * 10**9),
}
FREQUENCIES_HZ: Final = {"hz": Decimal(1), "khz": Decimal(1_000), "mhz": Decimal(10**6), "ghz": Decimal(10**9)}
LENGTHS_MM: Final = {"mm": Decimal(1), "cm": Decimal(10), "m": Decimal(1_000), "km": Decimal(10**6)}
POWER_MAX_MDBM: Final = 1_000_000
LENGTH_MAX_MM: Final = 20_037_508_343
"""As records bound them; written here too, as reading a unit loads no records."""
DEGREE_E7: Final = 10**7
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = r"[+-]?\d{1,20}(?:\.\d{1,12})?"
_QUANTITY: Final = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z]*)\s*", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,18}")
_BAND: Final = re.compile(r"\s*(\d[\d.]*\s*[A-Za-z]*)\s*-\s*(\d[\d.]*\s*[A-Za-z]*)\s*", re.ASCII)
_AMOUNT: Final = re.compile(
    r"\s*(\d{1,20}(?:\.\d{1,12})?)\s*-\s*(\d{1,20}(?:\.\d{1,12})?)\s*([A-Za-z]+(?:/[A-Za-z]+)?)\s*", re.ASCII
)
PREFIXES: Final = {"k": Decimal(1_000), "M": Decimal(10**6), "G": Decimal(10**9)}
_WATTS: Final = re.compile(r".*\d\s*(?:dBW|[mk]?W)\s*", re.IGNORECASE)
_ANGLE: Final = re.compile(rf"\s*({_NUMBER})\s*(?:°|deg)?\s*([NSEWnsew]?)\s*", re.ASCII)


_AS_TYPED: Final = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-") | dict.fromkeys("\xa0\u2009\u202f", " ")
)
"""Dashes, minus signs and spaces as word processors and web pages have them: a quantity copied from there is read."""
_BEFORE_UNIT: Final = re.compile(r"(?<=[0-9°])\s+(?=[A-Za-z°])")
"""The space between a number and its unit or side, as this module shows places and lengths."""


_LIKE_HERTZ: Final = re.compile(r"[a-z]?hz.?|[kmgt]h[sxy]?|[kmgt]z|.*hert[zs].*", re.IGNORECASE)
"""Mistyped spellings of hertz, which are not taken for a commodity's unit: `MHx`, `THz` or `Mz`."""


class UnitMissing(ValueError):
    """A quantity is not understood; the message shows how to write it."""


class BandUnreadable(UnitMissing):
    """A frequency or band is not understood; the message shows how to write it."""


def _quantity(text: str, units: Mapping[str, Decimal], complaint: UnitMissing) -> Decimal:
    """Return the number times its unit. Raises the complaint."""
    match = _QUANTITY.fullmatch(text.translate(_AS_TYPED))
    if match is None or match[2] not in units:
        raise complaint
    return Decimal(match[1]) * units[match[2]]


def _whole(value: Decimal, finest: UnitMissing) -> int:
    """The number, which a record holds whole. Raises `finest`, which says how fine it may be."""
    if value != value.to_integral_value():
        raise finest
    return int(value)


LONGEST_NS: Final = 36_525 * 86_400 * 10**9
"""Longest time accepted: an instant that much later than now can still be signed."""


def is_count(text: str) -> bool:
    """Return whether a text is a whole number in plain digits, no longer than a record's numbers are."""
    return _COUNT.fullmatch(text) is not None


def parse_time_ns(text: str, what: str = "time") -> int:
    """Read `250ms`, `60s`, `10min`, `2h` or `30d` as nanoseconds; 0 needs no unit. Raises UnitMissing."""
    if text.strip() == "0":
        return 0
    complaint = UnitMissing(f"{what} {text!r}: write it as 60s or 10min, with a unit of {_listed(TIMES_NS)}")
    value = _whole(_quantity(text, TIMES_NS, complaint), UnitMissing(f"{what} {text!r}: write it in whole ns"))
    if value < 0:
        raise UnitMissing(f"{what} {text!r}: is below 0")
    if value > LONGEST_NS:
        raise UnitMissing(f"{what} {text!r:.80}: is longer than 100 years")
    return value


def parse_instant(text: str, what: str = "time", *, now_ns: int) -> int:
    """Read `2026-11-28T12:00:00Z`, `2026-11-28 12:00Z` or `10min ago` as UTC ns. Raises UnitMissing."""
    said = text.strip()
    if said.endswith("ago"):
        return now_ns - parse_time_ns(said.removesuffix("ago"), what)
    complaint = UnitMissing(f"{what} {text!r}: write it as 2026-11-28T12:00:00Z, with the Z of UTC, or as 10min ago")
    if not said.endswith("Z"):
        raise complaint
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise complaint from None
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def parse_time(text: str, what: str = "time") -> float:
    """Read `250ms`, `60s`, `10min`, `2h` or `30d` as seconds. Raises UnitMissing."""
    return parse_time_ns(text, what) / 1e9


def parse_days(text: str, what: str = "time", *, most: int = 36_500) -> int:
    """Read `30d` as whole days, as credentials and rules live. Raises UnitMissing."""
    days, rest = divmod(parse_time_ns(text, what), int(TIMES_NS["d"]))
    if rest or not 1 <= days <= most:
        raise UnitMissing(f"{what} {text!r}: give whole days, from 1d to {most}d")
    return days


def parse_power(text: str, what: str = "power") -> int:
    """Read `20dBm` as thousandths of a dBm. Raises UnitMissing."""
    in_watts = _WATTS.fullmatch(text) is not None
    wanted = "in dBm; 1 W is 30dBm" if in_watts else "with a unit"
    complaint = UnitMissing(f"{what} {text!r}: write it as 20dBm, {wanted}")
    finest = UnitMissing(f"{what} {text!r}: write it with three decimals at the most")
    value = _whole(_quantity(text.lower(), {"dbm": Decimal(1_000)}, complaint), finest)
    if abs(value) > POWER_MAX_MDBM:
        raise UnitMissing(f"{what} {text!r}: is not within {power_text(POWER_MAX_MDBM)} of 0 dBm")
    return value


def parse_length(text: str, what: str = "length") -> int:
    """Read `20km` or `150m` as mm. Raises UnitMissing."""
    complaint = UnitMissing(f"{what} {text!r}: write it as 20km or 150m, with a unit")
    value = _whole(_quantity(text, LENGTHS_MM, complaint), UnitMissing(f"{what} {text!r}: write it in whole mm"))
    if value > LENGTH_MAX_MM:
        raise UnitMissing(f"{what} {text!r}: no place on earth is so far from another")
    return value


def parse_hz(text: str, what: str = "frequency") -> int:
    """Read `3550MHz` or `3.55GHz` as whole hertz. Raises BandUnreadable."""
    complaint = BandUnreadable(f"{what} {text!r}: write it as 10MHz, with a unit")
    finest = BandUnreadable(f"{what} {text!r}: write it in whole Hz")
    value = _whole(_quantity(text.lower(), FREQUENCIES_HZ, complaint), finest)
    if value < 0:
        raise BandUnreadable(f"{what} {text!r}: is below 0")
    return value


def parse_edges(text: str, what: str = "band") -> tuple[int, int]:
    """Read `3550-3560MHz` or `3.55GHz-3560MHz` as two whole numbers of hertz; a unit at the end serves both edges.

    Raises: BandUnreadable.
    """
    match = _BAND.fullmatch(text.translate(_AS_TYPED))
    if match is None or not match[2][-1].isalpha():
        raise BandUnreadable(f"{what} {text!r}: write it as 3550-3560MHz, with a unit")
    unit = match[2].lstrip("0123456789. ")
    low_text = match[1] if match[1].strip()[-1].isalpha() else match[1] + unit
    complaint = BandUnreadable(f"{what} {text!r}: write it as 3550-3560MHz, with a unit")
    finest = BandUnreadable(f"{what} {text!r}: write its edges in whole Hz")
    low, high = (_whole(_quantity(edge.lower(), FREQUENCIES_HZ, complaint), finest) for edge in (low_text, match[2]))
    if not low < high:
        raise BandUnreadable(f"{what} {text!r}: its lower edge is not below its upper edge")
    return low, high


def parse_amount(text: str, what: str = "band") -> tuple[int, int, str | None]:
    """Read `3550-3560MHz`, `0-100Mbit/s` or `10-20kWh` as two whole numbers and their unit, None for Hz.

    A prefix k, M or G may stand before a unit of two letters or more. Raises BandUnreadable.
    """
    match = _AMOUNT.fullmatch(text.translate(_AS_TYPED))
    if match is None or match[3].lower() in FREQUENCIES_HZ:
        return *parse_edges(text, what), None
    said, size = match[3], Decimal(1)
    if _LIKE_HERTZ.fullmatch(said):
        raise BandUnreadable(f"{what} {text!r}: {said!r} is no unit; write it as 3550-3560MHz, in Hz, kHz, MHz or GHz")
    if len(said) > 1 and said[0] in PREFIXES:
        said, size = said[1:], PREFIXES[said[0]]
    complaint = BandUnreadable(f"{what} {text!r}: write it as 3550-3560MHz or 0-100Mbit/s, in whole {said}")
    low, high = (_whole(Decimal(one) * size, complaint) for one in (match[1], match[2]))
    if not low < high:
        raise BandUnreadable(f"{what} {text!r}: its lower edge is not below its upper edge")
    return low, high, said


def parse_latitude(text: str, what: str = "latitude") -> int:
    """Read `36.95`, `36.95N` or `36.95S`, in degrees, as degrees x 1e7. Raises UnitMissing."""
    return _angle(text, "NS", 90, UnitMissing(f"{what} {text!r}: write it in degrees, from -90 to 90, as 36.95"))


def parse_longitude(text: str, what: str = "longitude") -> int:
    """Read `-76.3`, `76.3W` or `8.5E`, in degrees, as degrees x 1e7. Raises UnitMissing."""
    return _angle(text, "EW", 180, UnitMissing(f"{what} {text!r}: write it in degrees, from -180 to 180, as -76.3"))


def parse_place(text: str, what: str = "place") -> tuple[int, int]:
    """Read `36.95N 76.30W` or `36.95 -76.3` (a comma may stand between) as degrees x 1e7. Raises UnitMissing."""
    parts = _parts(text)
    if len(parts) != 2:
        raise UnitMissing(f"{what} {text!r}: write it as 36.95N 76.30W, or in degrees as 36.95 -76.3")
    return parse_latitude(parts[0], what), parse_longitude(parts[1], what)


def parse_circle(text: str, what: str = "area") -> tuple[int, int, int]:
    """Read `36.95N 76.30W 20km` as a centre in degrees x 1e7 and a radius in mm. Raises UnitMissing."""
    *place, radius = _parts(text) or [""]
    if len(place) != 2:
        raise UnitMissing(f"{what} {text!r}: write it as 36.95N 76.30W 20km, a place and a radius")
    radius_mm = parse_length(radius, what)
    if radius_mm <= 0:
        raise UnitMissing(f"{what} {text!r}: its radius is not above 0")
    return *parse_place(" ".join(place), what), radius_mm


def _parts(text: str) -> list[str]:
    """The numbers of a place or circle, each with its side or unit."""
    return _BEFORE_UNIT.sub("", text.translate(_AS_TYPED).replace(",", " ")).split()


def _angle(text: str, sides: str, most: int, complaint: UnitMissing) -> int:
    match = _ANGLE.fullmatch(text.translate(_AS_TYPED))
    side = match[2].upper() if match is not None else ""
    if match is None or side not in {"", *sides} or (side and match[1][0] in "+-"):
        raise complaint
    degrees = -Decimal(match[1]) if side == sides[1] else Decimal(match[1])
    if abs(degrees) > most:
        raise complaint
    return _whole(
        degrees * DEGREE_E7,
        UnitMissing(f"{str(complaint).partition(':')[0]}: write it with seven decimals at the most"),
    )


def _listed(units: Mapping[str, Decimal]) -> str:
    return ", ".join(units)


def _short(value: float) -> str:
    """Return a number with up to nine digits, without trailing zeros."""
    return f"{value:.9g}"


def hz_text(hz: float) -> str:
    """A frequency or a width for people, such as `3560 MHz`."""
    for name, size in (("MHz", 1e6), ("kHz", 1e3)):
        if abs(hz) >= size:
            return f"{_short(hz / size)} {name}"
    return f"{_short(hz)} Hz"


def band_text(low_hz: float, high_hz: float) -> str:
    """A band for people, such as `3550-3560 MHz`; whole hertz are shown to the last one."""
    return f"{_megahertz(low_hz)}-{_megahertz(high_hz)} MHz"


def _megahertz(hz: float) -> str:
    return f"{Decimal(hz).scaleb(-6).normalize():f}" if isinstance(hz, int) else _short(hz / 1e6)


def power_text(mdbm: float) -> str:
    """A power for people, such as `20 dBm`, from thousandths of a dBm."""
    return f"{_short(mdbm / 1000)} dBm"


def length_text(mm: float) -> str:
    """A length for people, such as `20 km`, from mm."""
    if abs(mm) >= LENGTHS_MM["km"]:
        return f"{_short(mm / 1e6)} km"
    return f"{_short(mm / 1e3)} m"


def time_text(seconds: float) -> str:
    """A duration for people, such as `10 min`, `1.5 s` or `250 ms`."""
    ns = round(seconds * 1e9)
    for name in ("d", "h", "min"):
        size = int(TIMES_NS[name])
        if ns and ns % size == 0:
            return f"{ns // size} {name}"
    if not ns or abs(ns) >= TIMES_NS["s"]:
        return f"{_short(ns / 1e9)} s"
    return f"{_short(ns / 1e6)} ms" if abs(ns) >= TIMES_NS["ms"] else f"{_short(ns / 1e3)} us"


def degrees_text(lat_deg: float, lon_deg: float) -> str:
    """A place for people, such as `36.95000 N 76.30000 W`: to a metre, always as many digits."""
    return f"{abs(lat_deg):.5f} {'S' if lat_deg < 0 else 'N'} {abs(lon_deg):.5f} {'W' if lon_deg < 0 else 'E'}"


def place_text(lat_e7: int, lon_e7: int) -> str:
    """A place for people, such as `36.95 N 76.3 W`."""
    lat, lon = lat_e7 / DEGREE_E7, lon_e7 / DEGREE_E7
    return f"{_short(abs(lat))} {'S' if lat < 0 else 'N'} {_short(abs(lon))} {'W' if lon < 0 else 'E'}"
