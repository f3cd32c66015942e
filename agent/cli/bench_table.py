"""`bandpact bench table`, `bench load` and `bench world`: all benchmarks as a page, sensing load, simulated worlds."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import errors_console, fail, interruptible, output_console, print_json


def table(
    out: Annotated[Path, typer.Option(help="the page to write")] = Path("docs/benchmarks.md"),
    quick: Annotated[bool, typer.Option("--quick", help="every bench at its smallest: says it works, no more")] = False,
    only: Annotated[list[str] | None, typer.Option(help="this bench alone, by name; may be said again")] = None,
    limit: Annotated[
        int, typer.Option(min=10, max=7200, help="seconds for everything; what is not begun says so")
    ] = 600,
    folder: Annotated[
        Path | None, typer.Option(help="where the benches write; a disk, not memory; removed afterwards")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead, and write no page")] = False,
) -> None:
    """Run every bench and write the table: each target, ours, what it stands beside in the same run, the machine.

    Takes ten minutes or less and shows misses as misses. Exit code 0 says that the table was made, not that targets
    were met. Example: bandpact bench table --only chain --only world
    """
    from agent.bench.table.benchpage import page
    from agent.bench.table.commands import COMMANDS
    from agent.bench.table.whole import run
    from hw_profiles.wholefile import write_whole

    chosen = [one for one in COMMANDS if not only or one.name in only]
    unknown = sorted(set(only or ()) - {one.name for one in COMMANDS})
    if unknown:
        names = ", ".join(one.name for one in COMMANDS)
        raise typer.BadParameter(f"no bench is called {', '.join(unknown)}; there are {names}", param_hint="--only")
    if not as_json and not out.absolute().parent.is_dir():
        fail(f"there is no folder {out.absolute().parent} to write {out.name} to")
    talk = errors_console()
    with interruptible():
        found = run(folder or Path.cwd(), quick=quick, limit_s=limit, tell=talk.print, commands=chosen)
    if as_json:
        print_json(found.as_dict())
        return
    write_whole(out, page(found).encode())
    counts = ", ".join(f"{count} {name}" for name, count in found.counts().items() if count)
    output_console().print(f"{out}: {counts}, in {found.took_s:.0f} s", highlight=False)


def load(
    looks: Annotated[int, typer.Option(min=1, max=256, help="looks of 131072 samples in a round")] = 16,
    rounds: Annotated[int, typer.Option(min=1, help="rounds")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Time all that a node runs on its samples: on one core, on two at once, and with 200 radar pulses in each look."""
    from agent.bench.sensingload import run

    with interruptible():
        try:
            found = run(looks=looks, rounds=rounds)
        except (RuntimeError, EOFError) as exc:
            fail(str(exc))
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        output_console().print(f"{name:16} {value}", highlight=False)


def world(
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help="random worlds, one after the other")] = 60,
    nodes: Annotated[int, typer.Option(min=2, max=4096, help="members of the city")] = 256,
    hours: Annotated[int, typer.Option(min=1, max=720, help="virtual hours of the city")] = 1,
    neighbours: Annotated[int, typer.Option(min=2, max=256, help="members of the plain neighbourhood, a day long")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Time virtual time: seconds that pass in a simulated neighbourhood for each second of one core."""
    from agent.bench.virtual import run, run_cities

    with interruptible():
        found = run(seeds=seeds) | run_cities(nodes=nodes, hours=hours, neighbours=neighbours)
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        output_console().print(f"{name:16} {value}", highlight=False)
