"""`bandpact bench node`: processor time and memory of a running node."""

from typing import Annotated

import typer

from agent.cli.common import fail, interruptible, output_console, print_json


def node(
    seconds: Annotated[float, typer.Option(min=2, max=7200, help="How long to measure.")] = 20.0,
    warm: Annotated[float, typer.Option(min=0, max=7200, help="How long the node works before that.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Processor time and memory of a node that runs, senses and transmits in a settlement, beside their targets."""
    from agent.bench.node import run
    from agent.trial.processes import TrialError

    with interruptible():
        try:
            found = run(seconds=seconds, warm_s=warm)
        except TrialError as exc:
            fail(str(exc))
    if as_json:
        print_json(found)
        return
    out = output_console()
    for part, limits in found["targets"].items():
        for whose, row in (("settled", found[part]), ("granting", found["granting"][part])):
            out.print(
                f"{whose:9} {part:7} {row['cpu_share']:7.2%} of a core (target {limits['cpu_share']:.0%}, "
                f"{row['loop_share']:.2%} its loop)  "
                f"{row['memory_mb']:6.1f} MB (target {limits['memory_mb']:.0f} MB)",
                highlight=False,
            )
