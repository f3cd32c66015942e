"""`bandpact bench cbrs`: response time to base stations' heartbeats, and time from a SAS's suspension to RF off."""

from typing import Annotated, Any

import typer

from agent.cli.common import Exit, errors_console, fail, interruptible, output_console, print_json


def cbrs(
    cbsds: Annotated[int, typer.Option(min=1, max=1000, help="Base stations below the node.")] = 200,
    batches: Annotated[
        int, typer.Option(min=0, help="Batches of 100 heartbeats, and as many single ones; 0: not at all.")
    ] = 200,
    suspensions: Annotated[
        int, typer.Option(min=0, help="Times a SAS suspends the node's own radio, about 2 s each; 0: not at all.")
    ] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Time a batch of heartbeats to its answer, and a SAS's suspension to RF off (ms), through real processes.

    Exit 1 when a limit was missed: a batch of 100 in 50 ms (p99), 10 % of a core for 60 s heartbeats, RF off in 100 ms
    (p99) by the oracle. Example: bandpact bench cbrs --batches 50 --suspensions 20
    """
    from agent.bench.cbrs import batches as batching
    from agent.bench.cbrs import suspension
    from agent.bench.gate.rig import RigFailed
    from agent.bench.gate.settler import NotSettled
    from agent.trial.processes import TrialError

    rows: list[dict[str, Any]] = []
    with interruptible():
        try:
            rows += batching.measure(cbsds, batches) if batches else []
            rows += [suspension.measure(suspensions, errors_console())] if suspensions else []
        except (NotSettled, RigFailed, TrialError) as exc:
            fail(str(exc))
    if as_json:
        print_json({"met": all(row["met"] for row in rows), "rows": rows})
    else:
        for row in rows:
            output_console().print(_line(row), highlight=False)
    if not all(row["met"] for row in rows):
        raise typer.Exit(Exit.FAILURE)


def _line(row: dict[str, Any]) -> str:
    from agent.words.spread import spread_text

    if row["what"] == "batch":
        took = f"{spread_text(row['answered_ms'])} (limit {row['limit_ms']:g} ms)"
        return (
            f"batch of {row['of']} heartbeats answered: {took}, {row['cpu_ms']:g} ms CPU each, {row['refused']} refused"
        )
    if row["what"] == "single":
        cost = f"{row['cbsds']} base stations at {row['heartbeat_s']} s: {100 * row['core_share']:.2f} % of a core"
        return (
            f"one heartbeat answered: {spread_text(row['answered_ms'])}; {cost} (limit {100 * row['limit_share']:g} %)"
        )
    return f"{row['what']}: {spread_text(row['after_cause_ms'])} (limit {row['limit_ms']:g} ms)"
