"""Areas and bands as options of a command, with complaints that name the option."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from settlement.chain.scope import Area, Band, Corner

Circle = Annotated[
    tuple[int, int, int] | None,
    typer.Option("--area", help="A circle: latitude and longitude in degrees x 1e7, radius in mm."),
]
Corners = Annotated[
    list[str] | None,
    typer.Option("--corner", help="LAT,LON in degrees x 1e7; three or more, in order, outline an area."),
]


def some_area(circle: tuple[int, int, int] | None, corners: list[str] | None) -> "Area":
    """The area that was asked for. Raises ValueError where none was."""
    area = area_of(circle, corners)
    if area is None:
        raise ValueError("--area: missing; give a circle, or an outline with --corner")
    return area


def area_of(circle: tuple[int, int, int] | None, corners: list[str] | None) -> "Area | None":
    """The area that was asked for; None when none was. Raises ValueError, whose message names the option."""
    from settlement.chain import scope as s  # noqa: PLC0415

    if circle is not None and corners:
        raise ValueError("--corner: beside --area; a circle or an outline")
    if circle is not None:
        lat_e7, lon_e7, radius_mm = circle
        if not (abs(lat_e7) <= 90 * 10**7 and abs(lon_e7) <= 180 * 10**7 and radius_mm > 0):
            raise ValueError(f"--area {lat_e7} {lon_e7} {radius_mm}: not a latitude, longitude (x 1e7) and radius")
        return s.Area(lat_e7=lat_e7, lon_e7=lon_e7, radius_mm=radius_mm)
    if not corners:
        return None
    area = s.Area(outline=tuple(_corner(one) for one in corners))
    flaw = area.flaw()
    if flaw is not None:
        raise ValueError(f"--corner: {flaw}")
    return area


def _corner(value: str) -> "Corner":
    from settlement.chain.scope import Corner  # noqa: PLC0415

    lat, _, lon = value.partition(",")
    try:
        corner = Corner(lat_e7=int(lat), lon_e7=int(lon))
    except ValueError:
        raise ValueError(f"--corner {value}: not LAT,LON in whole degrees x 1e7") from None
    if abs(corner.lat_e7) > 90 * 10**7 or abs(corner.lon_e7) > 180 * 10**7:
        raise ValueError(f"--corner {value}: not on Earth; degrees x 1e7")
    return corner


def bands_of(values: list[str]) -> "tuple[Band, ...]":
    """Bands from LOW-HIGH. Raises ValueError."""
    from settlement.chain.scope import Band  # noqa: PLC0415

    made = []
    for one in values:
        low, _, high = one.partition("-")
        if not (low.isdigit() and high.isdigit() and int(low) < int(high)):
            raise ValueError(f"--band {one}: not LOW-HIGH in Hz")
        made.append(Band(low_hz=int(low), high_hz=int(high)))
    return tuple(made)
