"""`bandpact sense`: what is going on in a band, with error bars."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from agent.sense.bands import BandUnreadable, parse_band, parse_frequency
from agent.sense.session import SensePlan, SenseResult
from agent.sense.session import sense as run_session
from agent.sense.sources import Look, Source, open_source
from agent.sense.view import as_json, as_table, incumbent_lines
from radio.errors import HardwareError, LocalError
from sensing.layout import ChannelOutside
from sensing.survey import LookResult

FAILED, USAGE, NOT_READY, INTERRUPTED = 1, 2, 4, 130
LIVE_SECONDS = 2.0
"""How long a source without an end is listened to unless told."""


def sense(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="file:PATH.sigmf-meta, sim: or pluto:URI")],
    band: Annotated[str | None, typer.Argument(metavar="[BAND]", help="like 3550-3570MHz; default: all of it")] = None,
    seconds: Annotated[float | None, typer.Option("--for", min=0.001, help="seconds to listen")] = None,
    channel_width: Annotated[str | None, typer.Option(help="cut the band into channels, like 10MHz")] = None,
    pfa: Annotated[float, typer.Option(min=1e-9, max=0.5, help="false alarms per channel and block")] = 1e-3,
    plot: Annotated[Path | None, typer.Option(help="write a picture of the spectrum, .svg or .png")] = None,
    json_out: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Show how full each channel of SOURCE is, how well that is known, and which radars were heard."""
    err = Console(stderr=True)
    try:
        if plot is not None and plot.suffix not in (".svg", ".png"):
            raise BandUnreadable(f"--plot {plot}: name a .svg or .png file")
        plan = SensePlan(
            band=parse_band(band) if band else None,
            width_hz=parse_frequency(channel_width) if channel_width else None,
            duration_s=seconds,
            pfa=pfa,
        )
        result = _run(open_source(source), plan, err, quiet=json_out)
    except (BandUnreadable, ChannelOutside) as exc:
        raise _exit(err, str(exc), USAGE) from exc
    except HardwareError as exc:
        raise _exit(err, str(exc), NOT_READY) from exc
    except LocalError as exc:
        raise _exit(err, str(exc), FAILED) from exc
    except KeyboardInterrupt as exc:
        raise _exit(err, "interrupted", INTERRUPTED) from exc
    if plot is not None:
        _plot(result, plot, err)
    _show(result, json_out=json_out)


def _exit(err: Console, message: str, code: int) -> typer.Exit:
    err.print(f"bandpact sense: {message}", style="red", highlight=False, soft_wrap=True, markup=False)
    return typer.Exit(code)


def _run(source: Source, plan: SensePlan, err: Console, *, quiet: bool) -> SenseResult:
    if source.samples is None and plan.duration_s is None:
        plan = SensePlan(band=plan.band, width_hz=plan.width_hz, duration_s=LIVE_SECONDS, pfa=plan.pfa)
    whole = source.samples / source.sample_rate_hz if source.samples is not None else plan.duration_s
    total = min(whole or 0.0, plan.duration_s or whole or 0.0)
    if quiet or not err.is_terminal:
        return run_session(source, plan)
    columns = (TextColumn("sensing"), BarColumn(), TextColumn("{task.completed:.1f} s"), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("sensing", total=total or None)

        def told(_look: Look, result: LookResult) -> None:
            progress.update(task, completed=result.end_ns / 1e9)

        return run_session(source, plan, on_look=told)


def _plot(result: SenseResult, path: Path, err: Console) -> None:
    from agent.sense.plots import spectrum_picture  # matplotlib takes a second to load  # noqa: PLC0415

    try:
        spectrum_picture(result, path)
    except OSError as exc:
        raise _exit(err, f"{path}: cannot be written ({exc.strerror}); choose another place", FAILED) from exc


def _show(result: SenseResult, *, json_out: bool) -> None:
    if json_out:
        json.dump(as_json(result), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    out = Console()
    out.print(as_table(result))
    for line in incumbent_lines(result):
        out.print(line, style="bold", highlight=False)
    if not result.report.incumbents:
        out.print("No radar heard.", highlight=False)
