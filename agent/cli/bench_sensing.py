"""`bandpact bench sensing` and `bench detection`: speed of sensing, and its error rates against theory."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import output_console, print_json


def sensing(
    samples: Annotated[int, typer.Option(min=1 << 18, help="samples in a round")] = 1 << 22,
    rounds: Annotated[int, typer.Option(min=1, help="rounds, of which the median counts")] = 11,
    json_out: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Time the sensing pipeline on one core beside welch, the bare transform and a loop, on the same samples."""
    from agent.bench.sensing import one_core, speeds

    with one_core():
        found = [speed for size in (1024, 4096) for speed in speeds(size, samples=samples, rounds=rounds)]
    rows = [
        {
            "name": s.name,
            "msps": round(s.msps, 1),
            "baseline": s.baseline,
            "baseline_msps": round(s.baseline_msps, 1),
            "ratio": round(s.ratio, 3),
            "ratio_low": round(s.ratio_low, 3),
            "ratio_high": round(s.ratio_high, 3),
        }
        for s in found
    ]
    if json_out:
        print_json(rows)
        return
    from rich.table import Table

    table = Table(title="Million samples a second on one core")
    for heading in ("Ours", "MS/s", "Beside", "MS/s", "Ratio", "4 of 5 rounds"):
        table.add_column(heading)
    for s in found:
        middle = f"{s.ratio_low:.2f} to {s.ratio_high:.2f}"
        table.add_row(s.name, f"{s.msps:.1f}", s.baseline, f"{s.baseline_msps:.1f}", f"{s.ratio:.2f}", middle)
    output_console().print(table)


def detection(
    out: Annotated[Path, typer.Option(help="folder for the table and its pictures")] = Path("docs"),
    trials: Annotated[int, typer.Option(min=20, help="trials for each radar point; others scale with it")] = 200,
    noise_s: Annotated[int, typer.Option(min=1, help="seconds of noise, or each impostor, searched for radar")] = 300,
    seed: Annotated[int, typer.Option(help="of every random number")] = 1,
    part: Annotated[list[str] | None, typer.Option(help="only this part, e.g. systems; may be given again")] = None,
    json_out: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Measure false alarms, detection, interval coverage and radar detection against theory; write table and plots."""
    from agent.bench.detection import PARTS, USUAL, Effort, measure, write_report

    parts = part or USUAL
    if unknown := [one for one in parts if one not in PARTS]:
        raise typer.BadParameter(f"{unknown[0]} is no part of the table: choose from {', '.join(PARTS)}")
    results = measure(Effort(trials=trials, noise_s=noise_s, seed=seed), parts=parts)
    written = write_report(results, out)
    if json_out:
        print_json([row.as_dict() for row in results.rows])
        return
    for path in written:
        output_console().print(str(path), highlight=False)
