"""`bandpact record`: writes samples to disk as SigMF, with annotations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, fail, output_console, print_json
from agent.cli.sourceoptions import (
    LIVE_SECONDS,
    SOURCE_HELP,
    Bandwidth,
    Calibration,
    Dwell,
    Every,
    Frequency,
    Gain,
    Rate,
    Rounds,
    SweepSpan,
    explained,
    scale_by,
    seconds_of,
    sweep_of,
    wanted_of,
)
from agent.words.shell import quoted

if TYPE_CHECKING:
    from agent.sense.sources import Origin

HEIGHT_MAX_M = 100_000.0
"""Largest height in metres above or below the ellipsoid that --place takes."""


def record(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE_HELP)],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="PATH.sigmf-meta and -data, or one archive PATH.sigmf")],
    seconds: Annotated[str | None, typer.Option("--for", metavar="TIME", help="how long to record, like 2s")] = None,
    frequency: Frequency = None,
    rate: Rate = None,
    bandwidth: Bandwidth = None,
    gain_db: Gain = None,
    sweep: SweepSpan = None,
    dwell: Dwell = None,
    times: Rounds = 1,
    every: Every = None,
    place: Annotated[str | None, typer.Option(metavar="LAT,LON[,HEIGHT]", help="degrees WGS 84, and metres")] = None,
    place_radius: Annotated[str | None, typer.Option(help="how sure the place is, like 10m")] = None,
    calibration: Calibration = None,
    licence: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="stamp the licence of a class on it: a class file, or spectrum or backhaul"),
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Record SOURCE as SigMF: when with its bound, where, gaps, and what was noticed; `sense` says the same of it."""
    from agent.sense.receivers import open_source
    from agent.sense.recorder import RecordRefused
    from agent.sense.recorder import record as run
    from agent.sense.session import SensePlan

    if licence is not None and path.suffix == ".sigmf":
        fail(f"--licence {licence}: `recordings` reads no archive; give {path.with_suffix('')} as PATH", Exit.USAGE)
    with explained():
        wanted = wanted_of(None, frequency, rate, bandwidth, gain_db)
        given = _origin(place, place_radius)
        opened = open_source(source, wanted, sweep_of(sweep, dwell, times, every))
        try:
            limit = seconds_of(seconds)
            if limit is None and opened.samples is None and getattr(opened, "seconds", None) is None:
                limit = LIVE_SECONDS
            measured = None
            if calibration is not None:
                from agent.sense.calibrated import measured_by_table

                measured = measured_by_table(Path(calibration), opened.origin.device, opened.tunings[0])
            plan = SensePlan(duration_s=limit, scale_of=scale_by(calibration, opened.origin.device))
            done = run(opened, plan, path, origin=given, measured=measured, stamp=_stamp(licence))
        except RecordRefused as exc:
            fail(str(exc), Exit.FAILURE)
        finally:
            opened.close()
    if json_out:
        print_json(
            {
                "path": str(done.meta),
                "samples": done.samples,
                "captures": done.captures,
                "annotations": done.annotations,
            }
        )
        return
    out = output_console()
    out.print(
        f"{done.meta}: {done.samples} samples in {done.captures} captures, {done.annotations} annotations",
        highlight=False,
    )
    out.print(f"Look at it with: bandpact sense {quoted(done.meta)}", highlight=False)


def _stamp(licence: str | None) -> dict[str, object]:
    """Return a class's licence in a recording's form; ends the command where the class has none."""
    if licence is None:
        return {}
    import time

    from agent.config.settings import ConfigError
    from agent.desk.classes import checked_class
    from agent.recordings.licences import stamp_of

    try:
        stamp = stamp_of(checked_class(licence), time.time_ns())
    except ConfigError as exc:
        fail(str(exc))
    if not stamp:
        fail(f"--licence {licence}: that class has no [licence]", Exit.USAGE)
    return stamp


def _origin(place: str | None, radius: str | None) -> "Origin | None":
    """Return the recording's place from the options; raises UnitMissing."""
    if place is None:
        if radius is not None:
            fail(f"--place-radius {radius}: of which place? give --place LAT,LON beside it", Exit.USAGE)
        return None
    from agent.sense.sources import Origin
    from agent.words.units import UnitMissing, parse_length
    from radio.recording.metadata import RecordedPlace

    lat_deg, lon_deg, height = _place(place)
    metres = None if radius is None else parse_length(radius, "--place-radius") / 1000
    if metres is not None and metres <= 0:
        raise UnitMissing(f"--place-radius {radius!r}: no place is known so well; give one above 0, such as 10m")
    return Origin(place=RecordedPlace(lat_deg=lat_deg, lon_deg=lon_deg, height_m=height, radius_m=metres))


def _place(text: str) -> tuple[float, float, float | None]:
    """Parse a place: degrees, as numbers or as 36.95N,76.30W, and a height in metres or None. Raises UnitMissing."""
    from agent.words.units import DEGREE_E7, UnitMissing, parse_place

    parts, height = text.split(","), None
    complaint = UnitMissing(f"--place {text!r}: write it as 52.5163,13.3777 or with a height in metres as a third")
    if len(parts) == 3:
        try:
            height = float(parts.pop())
        except ValueError:
            raise complaint from None
        if not -HEIGHT_MAX_M <= height <= HEIGHT_MAX_M:
            raise complaint
    try:
        lat_deg, lon_deg = (float(one) for one in parts)
    except ValueError:
        try:
            lat_e7, lon_e7 = parse_place(",".join(parts))
        except UnitMissing:
            raise complaint from None
        return lat_e7 / DEGREE_E7, lon_e7 / DEGREE_E7, height
    if not (-90 <= lat_deg <= 90 and -180 <= lon_deg <= 180):
        raise complaint
    return lat_deg, lon_deg, height
