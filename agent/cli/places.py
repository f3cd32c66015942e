"""Options of commands for areas and bands, with error messages that name the option."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent.words.units import UnitMissing

if TYPE_CHECKING:
    from settlement.chain.scope import Area, Band, Corner

Circle = Annotated[
    tuple[str, str, str] | None,
    typer.Option("--area", metavar="LAT LON RADIUS", help="A circle: degrees and a length, such as 36.95 -76.3 20km."),
]
Corners = Annotated[
    list[str] | None,
    typer.Option(
        "--corner", metavar="LAT,LON", help="Degrees, such as 36.95,-76.3; three or more, in order, outline an area."
    ),
]


def some_area(circle: tuple[str, str, str] | None, corners: list[str] | None) -> "Area":
    """Return the area of the options. Raises UnitMissing where none was given."""
    area = area_of(circle, corners)
    if area is None:
        raise UnitMissing("--area: missing; give a circle, or an outline with --corner")
    return area


def area_of(circle: tuple[str, str, str] | None, corners: list[str] | None) -> "Area | None":
    """Return the area of the options; None when none was given. Raises UnitMissing, whose message names the option."""
    from agent.words.units import parse_latitude, parse_length, parse_longitude
    from settlement.chain import scope as s

    if circle is not None and corners:
        raise UnitMissing("--corner: beside --area; a circle or an outline")
    if circle is not None:
        lat_e7, lon_e7 = parse_latitude(circle[0], "--area"), parse_longitude(circle[1], "--area")
        radius_mm = parse_length(circle[2], "--area")
        if radius_mm <= 0:
            raise UnitMissing(f"--area {' '.join(circle)}: its radius is not above 0")
        return s.Area(lat_e7=lat_e7, lon_e7=lon_e7, radius_mm=radius_mm)
    if not corners:
        return None
    area = s.Area(outline=tuple(_corner(one) for one in corners))
    flaw = area.flaw()
    if flaw is not None:
        raise UnitMissing(f"--corner: {flaw}")
    return area


def _corner(value: str) -> "Corner":
    from agent.words.units import parse_latitude, parse_longitude
    from settlement.chain.scope import Corner

    lat, _, lon = value.partition(",")
    return Corner(lat_e7=parse_latitude(lat, "--corner"), lon_e7=parse_longitude(lon, "--corner"))


def bands_of(values: list[str]) -> "tuple[Band, ...]":
    """Parse bands such as 3550-3570MHz, or ranges of another quantity such as 0-1Gbit/s. Raises UnitMissing."""
    from agent.words.units import parse_amount
    from settlement.chain.scope import Band

    amounts = [parse_amount(one, "--band") for one in values]
    for text, (low, _, unit) in zip(values, amounts, strict=True):
        if unit is None and low == 0:
            raise UnitMissing(f"--band {text!r}: begins at 0 Hz; give a band above it, such as 3550-3570MHz")
    return tuple(Band(low_hz=low, high_hz=high, unit=unit) for low, high, unit in amounts)


def link_of(values: list[str], corridor_mm: int, what: str = "--link") -> "Area":
    """Return the strip `corridor_mm` to each side of the line between two places, LAT,LON each. Raises UnitMissing."""
    from settlement.market.link import corridor

    if len(values) != 2:
        raise UnitMissing(f"{what}: give it twice, once for each end, such as {what} 36.95,-76.3 {what} 37.0,-76.3")
    ends = [(one.lat_e7, one.lon_e7) for one in map(_corner, values)]
    area = corridor(ends[0], ends[1], corridor_mm)
    flaw = area.flaw()
    if flaw is not None:
        raise UnitMissing(f"{what}: {flaw}")
    return area
