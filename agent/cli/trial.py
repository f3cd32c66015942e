"""`bandpact trial`: runs a whole simulated trial on this machine."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, errors_console, fail, interruptible, output_console, print_json

SHORTEST_S, LONGEST_S = 2.0, 3600.0
PRINTED = "-"
"""File name that stands for standard output."""


class TrialGroup(Listed):
    """The `trial` group, whose --json may stand without a file: then the figures go to standard output."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments as Typer does, with `-` inserted for the file that --json lacks."""
        own = next((n for n, one in enumerate(args) if one in self.commands), len(args))
        given: list[str] = []
        for n, one in enumerate(args[:own]):
            given.append(one)
            if one == "--json" and (n + 1 == len(args) or (args[n + 1].startswith("-") and args[n + 1] != PRINTED)):
                given.append(PRINTED)
        given += args[own:]
        return super().parse_args(ctx, given)


app = typer.Typer(
    cls=TrialGroup,
    invoke_without_command=True,
    help="A whole trial on this machine; scenarios of your own.",
)


def _list(wanted: bool) -> None:
    """Print every scenario that comes with the product, with its paragraph."""
    if not wanted:
        return
    from sim.scenario import load, names

    for name in names():
        typer.echo(f"{name}\n    {' '.join(load(name).about.split())}")
    raise typer.Exit


@app.command("check")
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="a scenario: a .toml file, or the name of one")],
    as_json: Annotated[bool, typer.Option("--json", help="what is in it, as JSON")] = False,
) -> None:
    """Read a scenario as a trial would, and say what is in it; exit 1 names the key that is wrong, and the mend."""
    from agent.trial import speccheck

    try:
        said = speccheck.checked_scenario(file)
    except speccheck.EXPECTED as exc:
        fail(str(exc))
    typer.echo(json.dumps(said) if as_json else speccheck.in_words(said))


@app.callback()
def trial(
    ctx: typer.Context,
    scenario: Annotated[str, typer.Option(help="Name of a scenario, or a .toml file.")] = "neighbours",
    seed: Annotated[int, typer.Option(min=0, help="Same seed: same air. Keys are always fresh.")] = 1,
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Such as 30s, from 2s to 1h; the scenario is stretched to it."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the report and every node's lineage go; never one with evidence in it. "
            "If not said: trial-report, or the next free trial-report-N.",
        ),
    ] = None,
    recording: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .sigmf-meta recording, put on the air as one more emitter.")
    ] = None,
    json_out: Annotated[
        Path | None,
        typer.Option("--json", metavar="[FILE]", help="Write the figures here; if not said where, print them alone."),
    ] = None,
    radio: Annotated[
        Literal["sim", "pluto"],
        typer.Option(help="The nodes' radios: simulated ones, or the Pluto driver on simulated Plutos."),
    ] = "sim",
    listed: Annotated[
        bool, typer.Option("--list", is_eager=True, callback=_list, help="List the scenarios that come with it.")
    ] = False,
    base_port: Annotated[
        int | None,
        typer.Option(min=1024, max=65000, help="First of the loopback ports to use; any free ones if not said."),
    ] = None,
    suite: Annotated[
        Literal["winnf"] | None,
        typer.Option(help="Ask the CBSD certification's questions instead; the RF oracle answers."),
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Show it live in the browser while it runs.")] = False,
    page_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of that page; 9181, or the next that is free.")
    ] = None,
) -> None:
    """Run a whole trial on this laptop: nodes as real processes, real sockets, a simulated air.

    A holder offers 3550-3570 MHz, two users want the same half of it, an attacker replays, forges and answers late, and
    a radar appears. Ends with 0 only if no antenna radiated outside a live settlement and every lineage verifies;
    with 3 where nothing was settled or transmitted, so that nothing was shown.
    """
    del listed
    if ctx.invoked_subcommand is not None:
        return
    if suite is not None:
        _ask_suite(json_out)
        return
    from agent.trial.run import Options
    from agent.words.units import parse_time

    duration_s = None if duration is None else parse_time(duration, "--duration")
    if duration_s is not None and not SHORTEST_S <= duration_s <= LONGEST_S:
        fail(f"--duration {duration}: give 2s to 1h", Exit.USAGE)
    options = Options(
        scenario=scenario,
        seed=seed,
        duration_s=duration_s,
        recording=recording,
        base_port=base_port,
        radio=radio,
        page_port=page_port if serve or page_port is not None else 0,
    )
    with interruptible():
        result = _run(options, report, json_out)
    if not result["passed"]:
        raise typer.Exit(Exit.FAILURE)
    raise typer.Exit(Exit.WARNINGS if result["warnings"] else Exit.OK)


def _run(options: object, report: Path | None, json_out: Path | None) -> dict[str, Any]:
    from agent.trial import command

    try:
        result = command.run_and_report(
            options,  # type: ignore[arg-type]
            report=report,
            json_out=None if str(json_out) == PRINTED else json_out,
            talk=errors_console(),
            out=errors_console() if str(json_out) == PRINTED else output_console(),
        )
    except command.EXPECTED as exc:
        fail(str(exc))
    if str(json_out) == PRINTED:
        typer.echo(json.dumps(result))
    return result


def _ask_suite(json_out: Path | None) -> None:
    """Run the conformance suite, print each result, and exit 1 where one failed."""
    from agent.trial.processes import write_json
    from agent.trial.winnf.suite import run_suite

    result = run_suite()
    out = output_console()
    if json_out is not None and str(json_out) == PRINTED:
        print_json(result)
    else:
        for case in result["cases"]:
            line = f"{case['verdict']:14} {case['subject']:22} {case['case']}"
            out.print(f"{line}: {case['reason']}" if case["reason"] else line, highlight=False, markup=False)
        counts = ", ".join(f"{count} {name}" for name, count in result["counts"].items())
        out.print(f"{counts}; slowest stop {result['slowest_stop_ms']:g} ms", highlight=False, markup=False)
    if json_out is not None and str(json_out) != PRINTED:
        write_json(json_out, result)
    if not result["passed"]:
        raise typer.Exit(Exit.FAILURE)
