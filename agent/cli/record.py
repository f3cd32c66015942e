"""`bandpact record`: samples to disk, annotated."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import Exit, fail, output_console, print_json
from agent.cli.sense import LIVE_SECONDS, explained


def record(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="sim:, pluto:URI or file:PATH.sigmf-meta")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="writes PATH.sigmf-meta and PATH.sigmf-data")],
    seconds: Annotated[float | None, typer.Option("--for", min=0.001, help="seconds to record")] = None,
    json_out: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Record SOURCE as SigMF, with annotations for busy channels, radars and doubtful samples."""
    from agent.sense.recorder import RecordRefused  # noqa: PLC0415 - keeps --help fast
    from agent.sense.recorder import record as run  # noqa: PLC0415
    from agent.sense.session import SensePlan  # noqa: PLC0415
    from agent.sense.sources import open_source  # noqa: PLC0415

    with explained():
        opened = open_source(source)
        limit = LIVE_SECONDS if seconds is None and opened.samples is None else seconds
        try:
            done = run(opened, SensePlan(duration_s=limit), path)
        except RecordRefused as exc:
            fail(str(exc), Exit.FAILURE)
    if json_out:
        print_json({"path": str(done.meta), "samples": done.samples, "annotations": done.annotations})
        return
    out = output_console()
    out.print(f"{done.meta}: {done.samples} samples, {done.annotations} annotations", highlight=False)
    out.print(f"Look at it with: bandpact sense file:{done.meta}", highlight=False)
