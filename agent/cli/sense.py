"""`bandpact sense`: what is going on in a band, with error bars."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, errors_console, fail, output_console, print_json
from agent.cli.listening import (
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
    plot: Annotated[Path | None, typer.Option(help="write a picture of the spectrum over time, .svg or .png")] = None,
    frequency: Frequency = None,
    rate: Rate = None,
    bandwidth: Bandwidth = None,
    gain_db: Gain = None,
    sweep: SweepSpan = None,
    dwell: Dwell = "100ms",
    times: Rounds = 1,
    every: Every = None,
    calibration: Calibration = None,
    json_out: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Show how full each channel of SOURCE is, how well that is known, and which radars were heard."""
    from agent.sense.bands import parse_band, parse_frequency  # noqa: PLC0415 - keeps --help fast
    from agent.sense.receivers import open_source  # noqa: PLC0415
    from agent.sense.session import SensePlan  # noqa: PLC0415

    if plot is not None and plot.suffix not in PICTURES:
        fail(f"--plot {plot}: name a .svg or .png file", Exit.USAGE)
    with explained():
        asked = parse_band(band) if band else None
        wanted = wanted_of(asked, frequency, rate, bandwidth, gain_db)
        plan = SensePlan(
            band=asked,
            width_hz=parse_frequency(channel_width) if channel_width else None,
            duration_s=seconds_of(seconds),
            pfa=pfa,
        )
        opened = open_source(source, wanted, sweep_of(sweep, dwell, times, every))
        try:
            plan = replace(plan, scale_of=scale_by(calibration, opened.origin.device))
            picture = _spectrogram(plot)
            results = _run(opened, plan, picture, quiet=json_out)
        finally:
            opened.close()
    if picture is not None and plot is not None:
        _plot(results, picture, plot)
    _show(results, json_out=json_out)


def _spectrogram(plot: Path | None) -> "Spectrogram | None":
    if plot is None:
        return None
    from agent.sense.picture import Spectrogram  # noqa: PLC0415 - only where it is asked for

    return Spectrogram()


def _run(
    source: "Source", plan: "SensePlan", picture: "Spectrogram | None", *, quiet: bool
) -> "tuple[SenseResult, ...]":
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from agent.sense.session import sense as run  # noqa: PLC0415

    planned = getattr(source, "seconds", None)
    if source.samples is None and plan.duration_s is None and planned is None:
        plan = replace(plan, duration_s=LIVE_SECONDS)
    whole = planned or plan.duration_s
    if source.samples is not None:
        whole = source.samples / source.tunings[0].sample_rate_hz
    total = min(whole or 0.0, plan.duration_s or whole or 0.0)
    console = errors_console()

    def drawn(look: "Look", result: "LookResult") -> None:
        if picture is not None:
            picture.add(look, result)

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
    from agent.sense.plots import spectrum_picture  # noqa: PLC0415 - matplotlib takes a second to load

    try:
        spectrum_picture(results, picture, path)
    except OSError as exc:
        fail(f"{path}: cannot be written ({exc.strerror}); choose another place")


def _show(results: "Sequence[SenseResult]", *, json_out: bool) -> None:
    from agent.sense.view import as_json, as_table, radar_lines  # noqa: PLC0415 - keeps --help fast

    if json_out:
        print_json(as_json(results))
        return
    out = output_console()
    for result in results:
        out.print(as_table(result))
        for line in radar_lines(result):
            out.print(line, highlight=False)
