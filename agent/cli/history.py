"""`bandpact history`: shows and exports what a node sensed and did over hours and days."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, print_json, say
from agent.cli.sources import ConfigOption, chosen

if TYPE_CHECKING:
    from agent.history.rows import Row
    from hw_profiles.wholefile import WholeFile

app = typer.Typer(
    cls=Listed, no_args_is_help=True, help="What this node heard and did, by the second, the minute, the quarter."
)

Source = Annotated[
    Path | None, typer.Argument(metavar="NODE", help="A node's folder or its node.toml; this node's, if not said.")
]
Length = Annotated[str, typer.Option("--for", metavar="TIME", help="How far back from the newest, like 1h or 1d.")]
Until = Annotated[
    str | None, typer.Option(metavar="UTC", help="Up to this instant, like 2026-11-28T12:00Z or 10min ago; the newest.")
]
Step = Annotated[
    str | None, typer.Option("--step", metavar="1s|1min|15min", help="Resolution; what fits, if not said.")
]
PICTURES = (".svg", ".png")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def _folder(source: Path | None, config: Path | None) -> Path:
    """Return the folder of the chosen node. Raises ConfigError."""
    from agent.config.files import load_found

    named = chosen(source, config)
    return named if named is not None and named.is_dir() else load_found(named).folder


def _window(
    source: Path | None, config: Path | None, length: str, until: str | None, step: str | None
) -> "tuple[list[Row], int, int, str, list[Path]]":
    """Return the rows of a window, its ends (UTC ns), its resolution, and those of its files that cannot be read."""
    from agent.config.settings import ConfigError
    from agent.history.store import LENGTHS, NoHistory
    from agent.history.windows import fitting, newest_ns, store_of
    from agent.words.units import parse_instant, parse_time

    span_ns = round(parse_time(length, "--for") * 1e9)
    try:
        store = store_of(_folder(source, config))
        to_ns = newest_ns(store) + LENGTHS["1s"]
        if until is not None:
            to_ns = parse_instant(until, "--until", now_ns=to_ns)
    except (ConfigError, NoHistory) as exc:
        fail(str(exc))
    resolution = step or fitting(to_ns - span_ns, to_ns)
    if resolution not in LENGTHS:
        fail(f"--step {resolution}: give one of {', '.join(LENGTHS)}", Exit.USAGE)
    try:
        rows = store.rows(resolution, to_ns - span_ns, to_ns)
    except NoHistory as exc:
        fail(str(exc))
    unread = sorted(store.unread)
    for path in unread:
        say(
            f"bandpact: {path}: cannot be read, and what it holds is missing here; delete it, or put a copy back",
            err=True,
        )
    return rows, to_ns - span_ns, to_ns, resolution, unread


@app.command()
def show(
    source: Source = None,
    length: Length = "1h",
    until: Until = None,
    step: Step = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Print each stretch: how full each channel was with its interval, the gate and why, the clock, incumbents.

    Ends with 3 where a file of the history cannot be read.
    """
    from agent.history.windows import plain

    rows, from_ns, to_ns, resolution, unread = _window(source, config, length, until, step)
    if as_json:
        found, missing = [plain(row) for row in rows], [str(path) for path in unread]
        print_json({"from_ns": from_ns, "to_ns": to_ns, "resolution": resolution, "rows": found, "unread": missing})
    else:
        for row in rows:
            say(_line(row))
        if not rows:
            say("nothing was kept in this window")
    raise typer.Exit(Exit.WARNINGS if unread else Exit.OK)


def _line(row: "Row") -> str:
    from agent.timekeeping.shown import duration
    from agent.words.units import band_text

    at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(row.start_ns // 10**9))
    heard = []
    for one in row.channels:
        full = one.occupancy
        how = (
            "not sensed" if full is None else f"{100 * full.value:.0f} % [{100 * full.low:.0f}, {100 * full.high:.0f}]"
        )
        heard.append(f"{band_text(one.low_hz, one.high_hz)} {how}")
    gate = f"gate {row.gate} {row.reason}".rstrip()
    clock = f"clock {'' if row.time_trusted else 'UNTRUSTED '}{duration(row.clock_bound_ns)}"
    radar = "".join(f"; INCUMBENT {i.kind} {band_text(i.low_hz, i.high_hz)}" for i in row.incumbents)
    return f"{at}  {'; '.join(heard) or 'no channels'}; {gate}, open {row.open_ms / 1000:.1f} s; {clock}{radar}"


@app.command()
def export(
    source: Source = None,
    length: Length = "1d",
    until: Until = None,
    step: Step = None,
    config: ConfigOption = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="One line a channel and stretch.")] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Two tables: channels, and -node beside.")
    ] = None,
    sigmf: Annotated[Path | None, typer.Option(metavar="FILE", help="Spectra, occupancy as annotations.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="A heat map, .png or .svg.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
) -> None:
    """Write a window as CSV, Parquet, SigMF or a heat map of how full each channel was by time of day.

    A file that is there is left as it is, and nothing is written, unless --force is given. Ends with 3 where a file of
    the history cannot be read.
    """
    from agent.history import windows
    from agent.history.heatmap import heat_map
    from agent.history.store import LENGTHS, NoHistory
    from hw_profiles.wholefile import WholeFile

    if not any((csv, parquet, sigmf, plot)):
        fail("as what? give --csv, --parquet, --sigmf or --plot FILE", Exit.USAGE)
    if plot is not None and plot.suffix not in PICTURES:
        fail(f"--plot {plot}: name a .svg or .png file", Exit.USAGE)
    rows, from_ns, to_ns, resolution, unread = _window(source, config, length, until, step)
    if not rows:
        fail("nothing was kept in this window")
    files: list[WholeFile] = []
    try:
        if csv is not None:
            files.append(WholeFile(path=csv, data=windows.csv_bytes(rows)))
        if parquet is not None:
            files += windows.parquet_files(rows, parquet)
        if sigmf is not None:
            files += windows.sigmf_files(rows, sigmf)
    except NoHistory as exc:
        fail(str(exc))
    if plot is not None:
        drawn = heat_map(
            rows,
            from_ns=from_ns,
            to_ns=to_ns,
            step_ns=LENGTHS[resolution],
            title=f"Channel occupancy, {time.strftime('%Y-%m-%d', time.gmtime(from_ns // 10**9))}",
            svg=plot.suffix == ".svg",
        )
        files.append(WholeFile(path=plot, data=drawn))
    _write(files, force=force)
    for path in (csv, parquet, sigmf, plot):
        if path is not None:
            say(f"wrote {path}: {len(rows)} stretches of {resolution}")
    raise typer.Exit(Exit.WARNINGS if unread else Exit.OK)


def _write(files: "list[WholeFile]", *, force: bool) -> None:
    """Write all files or none; ends the command where one is there already, unless `force` is set."""
    from dataclasses import replace

    from hw_profiles.wholefile import write_together

    if len({one.path for one in files}) < len(files):
        fail("two of them would be one file; give each a name of its own", Exit.USAGE)
    try:
        # What is no plain file, such as a pipe, is written to.
        write_together([replace(one, replace=force or (one.path.exists() and not one.path.is_file())) for one in files])
    except FileExistsError as exc:
        fail(f"{exc.filename}: is there already, and nothing was written; --force replaces it")
