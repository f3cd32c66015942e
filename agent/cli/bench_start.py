"""`bandpact bench start`: time until `--help` is printed, and until a node is ready."""

from typing import Annotated

import typer

from agent.cli.common import fail, interruptible, output_console, print_json


def start(
    rounds: Annotated[int, typer.Option(min=1, max=100, help="How often each is started.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """How long `bandpact --help` takes, and `bandpact run` until its node is ready, beside their targets."""
    from agent.bench.start import run
    from agent.trial.processes import TrialError

    with interruptible():
        try:
            found = run(rounds=rounds)
        except TrialError as exc:
            fail(str(exc))
    if as_json:
        print_json(found)
        return
    out = output_console()
    for name, said in (("help", "bandpact --help"), ("ready", "bandpact run, until the node is ready")):
        row, limit_s = found[name], found["targets"][f"{name}_s"]
        out.print(
            f"{said:38} median {row['median_s']:.3f} s, at most {row['max_s']:.3f} s of {row['count']} "
            f"(target {limit_s:g} s)",
            highlight=False,
        )
