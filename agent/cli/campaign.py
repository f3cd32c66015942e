"""`bandpact campaign` and `bandpact audit fleet`: many runs or many logs, on all cores or a cluster."""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import Exit, errors_console, fail, interruptible, print_json, say

Jobs = Annotated[int | None, typer.Option(min=1, max=1024, help="processes here; as many as there are cores")]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="a Dask scheduler with workers, such as tcp://10.0.0.1:8786, instead"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def campaign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the campaign, a .toml file: docs/campaigns.md")],
    out: Annotated[Path | None, typer.Option(help="folder of its results; FILE without .toml if not said")] = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="check it, say how many runs there are, run none")] = False,
    as_json: AsJson = False,
) -> None:
    """Run scenarios by seeds by parameters: every value with every other, each run a row of a table.

    The same command goes on where it was ended, and tries again what could not be run. Leaves runs.parquet and runs.png
    beside what it keeps. Ends with 0 when every run held, 1 when one did not or could not be run. Trials run in real
    time, each in several processes: give --jobs 1 on a small machine. Example: bandpact campaign lossy.toml --jobs 4
    """
    from agent.campaign.runs import asked_for, carry_out, checked
    from agent.campaign.spec import CampaignError, read_campaign
    from agent.campaign.store import CampaignStore
    from agent.campaign.tables import failed_runs, write_picture, write_table

    talk = errors_console()
    with interruptible():
        try:
            spec = read_campaign(file)
            checked(spec)
            if dry:
                say(f"{spec.name}: {spec.count} runs")
                return
            folder = out if out is not None else file.with_suffix("")
            with CampaignStore(folder, {"campaign": asked_for(spec)}) as store:
                try:
                    counts = carry_out(spec, store, jobs=jobs or _cores(), scheduler=scheduler, tell=talk.print)
                finally:
                    table = write_table(spec, store.done, folder)
                    picture = write_picture(spec, store.done, folder)
                failed = failed_runs(spec, store.done)
        except CampaignError as exc:
            fail(str(exc))
    if as_json:
        found = [{"scenario": r.scenario, "seed": r.seed, **dict(r.parameters), "why": o.why} for r, o in failed]
        print_json({"runs": spec.count, **counts, "not_held": found, "table": str(table), "picture": str(picture)})
    else:
        for run, one in failed[:20]:
            chosen = "".join(f", {name} {value}" for name, value in run.parameters)
            say(f"{one.outcome}: {run.scenario}, seed {run.seed}{chosen}: {one.why}")
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        say(f"{spec.name}: {told} of {spec.count}; {table}, {picture}")
    if failed:
        raise typer.Exit(Exit.FAILURE)


def fleet(
    paths: Annotated[list[Path], typer.Argument(metavar="PATHS...", help="logs, bundles, and folders of them")],
    anchor: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a root credential to trust, in hexadecimal; may be repeated")
    ] = None,
    network: Annotated[str | None, typer.Option(help="the network's name, with --anchor")] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder to keep outcomes in: goes on there, leaves logs.parquet")
    ] = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Audit many logs at once, each by itself; what they say of each other is for `audit verify`.

    Without --anchor each is held against the anchors.txt beside it. With --out a log is audited again only if its bytes
    are others. Ends with 0 when every log verifies, 5 when one was altered, 6 when one is of other anchors, 3 when one
    is only not sealed, 1 when one is no log. Example: bandpact audit fleet trials/ --out fleet
    """
    from agent.campaign.fleet import audit_fleet, logs_in, write_fleet
    from agent.campaign.spec import CampaignError
    from agent.campaign.store import CampaignStore

    talk = errors_console()
    with interruptible():
        try:
            logs = logs_in(paths, network=network, anchors=anchor or ())
            store = (
                None if out is None else CampaignStore(out, {"fleet": {"network": network, "anchors": anchor or []}})
            )
            try:
                done = audit_fleet(logs, store, jobs=jobs or _cores(), scheduler=scheduler, tell=talk.print)
            finally:
                if store is not None and out is not None:
                    write_fleet(logs, store.done, out)
                    store.__exit__(None, None, None)
        except CampaignError as exc:
            fail(str(exc))
    counts = Counter(one.outcome for one in done.values())
    rows = [
        {"log": log.path, "outcome": done[log.key].outcome, "why": done[log.key].why, **done[log.key].figures}
        for log in logs
    ]
    if as_json:
        print_json({"logs": len(logs), "counts": counts, "rows": rows})
    else:
        for row in rows:
            if row["outcome"] != "VERIFIED":
                say(f"{row['outcome']}: {row['log']}{': ' if row['why'] else ''}{row['why']}")
        entries = sum(one.figures.get("entries", 0) for one in done.values())
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        say(f"{len(logs)} logs, {entries:,.0f} entries: {told}")
    raise typer.Exit(_ended(counts))


def _ended(counts: Counter[str]) -> Exit:
    """Return the exit code of the gravest result."""
    gravest = (
        ("TAMPERED", Exit.TAMPERING),
        ("WRONG_ANCHOR", Exit.WRONG_ANCHOR),
        ("NOT_A_LINEAGE", Exit.FAILURE),
        ("error", Exit.FAILURE),
        ("DIFFERS", Exit.DIFFERS),
        ("NOT_SEALED", Exit.WARNINGS),
    )
    return next((code for name, code in gravest if counts[name]), Exit.OK)
