"""`bandpact bench gate`: time from each cause that closes the gate to RF off."""

from typing import Annotated, Literal

import typer

from agent.cli.common import Exit, errors_console, fail, interruptible, output_console, print_json


def gate(
    rounds: Annotated[int, typer.Option(min=1, help="Closings for each cause that leaves the processes alive.")] = 50,
    pulls: Annotated[int, typer.Option(min=0, help="Times each process is killed and stopped; 0: not at all.")] = 5,
    radio: Annotated[
        Literal["sim", "pluto"],
        typer.Option(help="Simulated radios, or the Pluto driver on simulated Plutos, which are also rebooted."),
    ] = "sim",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Time from cause to RF off, by the RF oracle: what closes the gate, and processes killed and stopped."""
    from agent.bench.gate.bench import run
    from agent.bench.gate.rig import RigFailed
    from agent.bench.gate.settler import NotSettled
    from agent.trial.processes import TrialError
    from agent.words.spread import spread_text

    with interruptible():
        try:
            found = run(rounds=rounds, pulls=pulls, talk=errors_console(), radio=radio)
        except (NotSettled, RigFailed, TrialError) as exc:
            fail(str(exc))
    if as_json:
        print_json(found)
    else:
        out = output_console()
        for row in found["causes"]:
            took = row.get("after_decision_ms", row["after_cause_ms"])
            of = "decision" if "after_decision_ms" in row else "cause"
            out.print(
                f"{row['cause']:16} {row['count']:4}  from {of} to RF off: {spread_text(took)} "
                f"(limit {row['limit_ms']:g} ms)",
                highlight=False,
            )
    if not found["met"]:
        raise typer.Exit(Exit.FAILURE)
