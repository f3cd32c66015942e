"""`bandpact sense`: what is going on in a band, with error bars."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, errors_console, fail, output_console, print_json

if TYPE_CHECKING:
    from agent.sense.session import SensePlan, SenseResult
    from agent.sense.sources import Look, Source
    from sensing.survey import LookResult

LIVE_SECONDS = 2.0
"""How long a source without an end is listened to unless told."""
PICTURES = (".svg", ".png")


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
    from agent.sense.bands import parse_band, parse_frequency  # noqa: PLC0415 - keeps --help fast
    from agent.sense.session import SensePlan  # noqa: PLC0415
    from agent.sense.sources import open_source  # noqa: PLC0415

    if plot is not None and plot.suffix not in PICTURES:
        fail(f"--plot {plot}: name a .svg or .png file", Exit.USAGE)
    with explained():
        plan = SensePlan(
            band=parse_band(band) if band else None,
            width_hz=parse_frequency(channel_width) if channel_width else None,
            duration_s=seconds,
            pfa=pfa,
        )
        result = _run(open_source(source), plan, quiet=json_out)
    if plot is not None:
        _plot(result, plot)
    _show(result, json_out=json_out)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what can go wrong with a source into one line and an exit code."""
    from agent.sense.bands import BandUnreadable  # noqa: PLC0415 - keeps --help fast
    from radio.errors import HardwareError, LocalError  # noqa: PLC0415
    from sensing.layout import ChannelOutside  # noqa: PLC0415

    try:
        yield
    except (BandUnreadable, ChannelOutside) as exc:
        fail(str(exc), Exit.USAGE)
    except HardwareError as exc:
        fail(str(exc), Exit.NOT_READY)
    except LocalError as exc:
        fail(str(exc))
    except KeyboardInterrupt:
        fail("interrupted", Exit.INTERRUPTED)


def _run(source: "Source", plan: "SensePlan", *, quiet: bool) -> "SenseResult":
    from dataclasses import replace  # noqa: PLC0415 - beside the ones below

    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from agent.sense.session import sense as run  # noqa: PLC0415

    if source.samples is None and plan.duration_s is None:
        plan = replace(plan, duration_s=LIVE_SECONDS)
    whole = source.samples / source.sample_rate_hz if source.samples is not None else plan.duration_s
    total = min(whole or 0.0, plan.duration_s or whole or 0.0)
    console = errors_console()
    if quiet or not console.is_terminal:
        return run(source, plan)
    columns = (TextColumn("sensing"), BarColumn(), TextColumn("{task.completed:.1f} s"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("sensing", total=total or None)

        def told(_look: "Look", result: "LookResult") -> None:
            progress.update(task, completed=result.end_ns / 1e9)

        return run(source, plan, on_look=told)


def _plot(result: "SenseResult", path: Path) -> None:
    from agent.sense.plots import spectrum_picture  # noqa: PLC0415 - matplotlib takes a second to load

    try:
        spectrum_picture(result, path)
    except OSError as exc:
        fail(f"{path}: cannot be written ({exc.strerror}); choose another place")


def _show(result: "SenseResult", *, json_out: bool) -> None:
    from agent.sense.view import as_json, as_table, incumbent_lines  # noqa: PLC0415 - keeps --help fast

    if json_out:
        print_json(as_json(result))
        return
    out = output_console()
    out.print(as_table(result))
    for line in incumbent_lines(result) or ["No radar heard."]:
        out.print(line, highlight=False)
