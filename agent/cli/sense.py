"""`bandpact sense`: occupancy, noise floor and radars of a band, with error bars."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, errors_console, fail, output_console, print_json
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

if TYPE_CHECKING:
    from agent.sense.picture import Spectrogram
    from agent.sense.productfile import ProductMakers
    from agent.sense.session import SensePlan, SenseResult
    from agent.sense.sources import Look, Source
    from sensing.survey import LookResult

PICTURES = (".svg", ".png")


def sense(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCE_HELP)],
    band: Annotated[str | None, typer.Argument(metavar="[BAND]", help="like 3550-3570MHz; default: all of it")] = None,
    seconds: Annotated[str | None, typer.Option("--for", metavar="TIME", help="how long to listen, like 2s")] = None,
    channel_width: Annotated[str | None, typer.Option(help="cut the band into channels, like 10MHz or 12.5kHz")] = None,
    pfa: Annotated[float, typer.Option(min=1e-9, max=0.5, help="false alarms per channel and block")] = 1e-3,
    detector: Annotated[str, typer.Option(help="what decides on the channels")] = "channel",
    plot: Annotated[Path | None, typer.Option(help="write a picture of the spectrum over time, .svg or .png")] = None,
    frequency: Frequency = None,
    rate: Rate = None,
    bandwidth: Bandwidth = None,
    gain_db: Gain = None,
    sweep: SweepSpan = None,
    dwell: Dwell = None,
    times: Rounds = 1,
    every: Every = None,
    calibration: Calibration = None,
    products: Annotated[
        Path | None,
        typer.Option(help="write spectra, power in 10 ms, periodic-frame power, APD: NAME.json, NAME.sigmf, or NAME"),
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Show how full each channel of SOURCE is, how well that is known, and which radars were heard."""
    from agent.sense.bands import parse_band, parse_frequency
    from agent.sense.receivers import open_source
    from agent.sense.session import SensePlan
    from sensing.detectors.registry import DECIDERS

    if detector not in DECIDERS:
        fail(f"--detector {detector}: no such detector; give one of: {', '.join(DECIDERS)}", Exit.USAGE)
    if plot is not None and plot.suffix not in PICTURES:
        fail(f"--plot {plot}: name a .svg or .png file", Exit.USAGE)
    with explained():
        asked = None if band is None else parse_band(band)
        wanted = wanted_of(asked, frequency, rate, bandwidth, gain_db)
        plan = SensePlan(
            band=asked,
            width_hz=None if channel_width is None else parse_frequency(channel_width, "--channel-width"),
            duration_s=seconds_of(seconds),
            pfa=pfa,
            detector=detector,
        )
        opened = open_source(source, wanted, sweep_of(sweep, dwell, times, every))
        try:
            plan = replace(plan, scale_of=scale_by(calibration, opened.origin.device))
            picture = _spectrogram(plot)
            makers = _makers(opened, plan) if products is not None else None
            results = _run(opened, plan, [one.add for one in (picture, makers) if one is not None], quiet=json_out)
        finally:
            opened.close()
        made = _write(opened, makers, products, calibration)
    if picture is not None and plot is not None:
        _plot(results, picture, plot)
    _show(results, made, json_out=json_out)


def _makers(source: "Source", plan: "SensePlan") -> "ProductMakers":
    from agent.sense.productfile import ProductMakers
    from sensing.zoom import ZoomImpossible

    try:
        return ProductMakers(source, plan)
    except ZoomImpossible as exc:
        fail(f"--products: {exc}", Exit.USAGE)


def _write(source: "Source", makers: "ProductMakers | None", path: Path | None, table: str | None) -> list[str]:
    """Write the products; returns lines to print. Raises what reading the calibration table raises."""
    if makers is None or path is None:
        return []
    from agent.sense.productfile import shown, write_products

    measured = None
    if table is not None:
        from agent.sense.calibrated import measured_by_table

        measured = measured_by_table(Path(table), source.origin.device, source.tunings[0])
    try:
        written = write_products(source, makers, path, measured=measured)
    except FileExistsError as exc:
        fail(f"{exc.filename}: exists already; choose another name")
    except OSError as exc:
        fail(f"{path}: cannot be written ({exc.strerror}); choose another place")
    return [*shown(makers), f"Written to {written}"]


def _spectrogram(plot: Path | None) -> "Spectrogram | None":
    if plot is None:
        return None
    from agent.sense.picture import Spectrogram

    return Spectrogram()


def _run(
    source: "Source", plan: "SensePlan", takers: "Sequence[Callable[[Look, LookResult], None]]", *, quiet: bool
) -> "tuple[SenseResult, ...]":
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from agent.sense.session import sense as run

    planned = getattr(source, "seconds", None)
    if source.samples is None and plan.duration_s is None and planned is None:
        plan = replace(plan, duration_s=LIVE_SECONDS)
    whole = planned or plan.duration_s
    if source.samples is not None:
        whole = source.samples / source.tunings[0].sample_rate_hz
    total = min(whole or 0.0, plan.duration_s or whole or 0.0)
    console = errors_console()

    def drawn(look: "Look", result: "LookResult") -> None:
        for taker in takers:
            taker(look, result)

    if quiet or not console.is_terminal:
        return run(source, plan, on_look=drawn)
    columns = (TextColumn("sensing"), BarColumn(), TextColumn("{task.completed:.1f} s"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("sensing", total=total or None)

        def told(look: "Look", result: "LookResult") -> None:
            drawn(look, result)
            progress.advance(task, len(look.iq) / look.tuning.sample_rate_hz)

        return run(source, plan, on_look=told)


def _plot(results: "Sequence[SenseResult]", picture: "Spectrogram", path: Path) -> None:
    from agent.sense.plots import spectrum_picture

    try:
        spectrum_picture(results, picture, path)
    except OSError as exc:
        fail(f"{path}: cannot be written ({exc.strerror}); choose another place")


def _show(results: "Sequence[SenseResult]", made: list[str], *, json_out: bool) -> None:
    from agent.sense.view import as_json, as_table, radar_lines

    if json_out:
        print_json(as_json(results))
        return
    out = output_console()
    for result in results:
        out.print(as_table(result))
        for line in radar_lines(result):
            out.print(line, highlight=False)
    for line in made:
        out.print(line, highlight=False)
