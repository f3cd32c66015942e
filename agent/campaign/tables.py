"""A campaign's results as Parquet and as a picture: a row for each run, a column for each parameter and figure."""

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agent.campaign.outcome import PASSED, RunOutcome
from agent.campaign.spec import CampaignSpec, RunSpec
from hw_profiles.wholefile import write_whole

TABLE, PICTURE = "runs.parquet", "runs.png"
PARAMETER, FIGURE = "parameter.", "figure."
PANELS: Final = 6


def write_table(spec: CampaignSpec, done: Mapping[str, RunOutcome], folder: Path) -> Path:
    """Write every finished run, in the campaign's order. Raises OSError."""
    import pyarrow as pa
    from pyarrow import parquet

    runs = [run for run in spec.runs() if run.key in done]
    names = sorted({name for run in runs for name in done[run.key].figures})
    columns: dict[str, Any] = {
        "key": [run.key for run in runs],
        "scenario": [run.scenario for run in runs],
        "seed": pa.array([run.seed for run in runs], pa.int64()),
        **{PARAMETER + name: _column([dict(run.parameters)[name] for run in runs]) for name, _ in spec.parameters},
        "outcome": [done[run.key].outcome for run in runs],
        "why": [done[run.key].why for run in runs],
        "took_s": pa.array([done[run.key].took_s for run in runs], pa.float64()),
        "host": [done[run.key].host for run in runs],
        **{FIGURE + name: pa.array([done[run.key].figures.get(name) for run in runs], pa.float64()) for name in names},
    }
    target = folder / TABLE
    fresh = target.with_suffix(".new")
    parquet.write_table(pa.table(columns), fresh)
    fresh.replace(target)
    return target


def _column(values: Sequence[Any]) -> Sequence[Any]:
    """Return a column: numbers stay numbers; values of several kinds become text."""
    kinds = {type(one) for one in values}
    return values if len(kinds) == 1 or kinds <= {int, float} else [str(one) for one in values]


def shares(spec: CampaignSpec, done: Mapping[str, RunOutcome]) -> dict[str, dict[str, dict[Any, list[bool]]]]:
    """Return by parameter, scenario and value which of the runs held, without runs that could not be made."""
    found: dict[str, dict[str, dict[Any, list[bool]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for run in spec.runs():
        one = done.get(run.key)
        if one is None or one.outcome == "error":
            continue
        for name, value in run.parameters or (("seed", run.seed),):
            found[name][Path(run.scenario).stem][value].append(one.outcome == PASSED)
    return found


def write_picture(spec: CampaignSpec, done: Mapping[str, RunOutcome], folder: Path) -> Path:
    """Draw by parameter and scenario the share of runs that held, with its exact 95 % interval. Raises OSError."""
    from scipy.stats import beta

    from agent.words.figures import Figure

    found = dict(list(shares(spec, done).items())[:PANELS]) or {"nothing was run": {}}
    figure = Figure(figsize=(6, 3 * len(found)), layout="constrained")
    for axes, (name, scenarios) in zip(figure.subplots(len(found), 1, squeeze=False)[:, 0], found.items(), strict=True):
        for scenario, values in scenarios.items():
            held = [(sum(one), len(one)) for one in values.values()]
            middle = [k / n for k, n in held]
            low = [
                m - float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0 for (k, n), m in zip(held, middle, strict=True)
            ]
            high = [
                float(beta.ppf(0.975, k + 1, n - k)) - m if k < n else 0.0
                for (k, n), m in zip(held, middle, strict=True)
            ]
            at = [str(value) for value in values]
            axes.errorbar(at, middle, yerr=[low, high], fmt="o", capsize=3, label=scenario)
        axes.set(xlabel=name, ylabel="share that held", ylim=(-0.05, 1.05))
        if scenarios:
            axes.legend()
    figure.suptitle(f"{spec.name}: {len(done)} of {spec.count} runs")
    target = folder / PICTURE
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    write_whole(target, drawn.getvalue())
    return target


def failed_runs(spec: CampaignSpec, done: Mapping[str, RunOutcome]) -> list[tuple[RunSpec, RunOutcome]]:
    """Return the runs that did not hold or could not be made, in the campaign's order."""
    found = ((run, done[run.key]) for run in spec.runs() if run.key in done)
    return [(run, one) for run, one in found if one.outcome != PASSED]
