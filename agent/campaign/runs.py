"""Runs what a campaign has not done yet, on all workers, and stores each outcome before the next is counted."""

import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.campaign.outcome import ERROR, FAILED, PASSED, RunOutcome
from agent.campaign.spec import WORLD, CampaignError, CampaignSpec, RunSpec
from agent.campaign.store import CampaignStore
from agent.campaign.trialruns import check_trial, run_trial
from agent.campaign.workers import made
from agent.campaign.worldruns import check_world, run_world

TELL_S = 2.0


@dataclass(slots=True)
class CampaignProgress:
    """Progress: number of runs done before and since, by outcome, and the time left at this rate."""

    total: int
    before: int
    tell: Callable[[str], None]
    counts: Counter[str] = field(default_factory=Counter)
    began_s: float = field(default_factory=time.monotonic)
    _told_s: float = 0.0

    def one(self, outcome: str) -> None:
        """Count one more run."""
        self.counts[outcome] += 1
        now_s = time.monotonic()
        since = sum(self.counts.values())
        if now_s < self._told_s + TELL_S and self.before + since < self.total:
            return
        self._told_s = now_s
        pace = since / max(1e-9, now_s - self.began_s)
        left = self.total - self.before - since
        said = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        self.tell(f"{self.before + since}/{self.total}: {said}; {pace:.2g}/s, {left / pace:.0f} s left")


def checked(spec: CampaignSpec) -> None:
    """Check every scenario with every set of values, as a run would read it. Raises CampaignError."""
    seen: set[tuple[str, tuple[tuple[str, Any], ...]]] = set()
    for run in spec.runs():
        if (run.scenario, run.parameters) in seen:
            continue
        seen.add((run.scenario, run.parameters))
        if run.scenario == WORLD:
            check_world(run.parameters)
        else:
            check_trial(run.scenario, run.parameters)


def run_one(spec: RunSpec) -> RunOutcome:
    """Do one run, on any machine; an error becomes its outcome, none is raised."""
    began_s, figures = time.monotonic(), dict[str, float]()
    try:
        why, figures = run_world(spec) if spec.scenario == WORLD else run_trial(spec)
        outcome = FAILED if why else PASSED
    except CampaignError as exc:
        outcome, why = ERROR, str(exc)
    except Exception as exc:  # noqa: BLE001 - one run of thousands ends none of the others
        outcome, why = ERROR, f"{exc!r:.300}"
    return RunOutcome(
        key=spec.key,
        outcome=outcome,
        why=why,
        took_s=round(time.monotonic() - began_s, 3),
        host=socket.gethostname(),
        figures=figures,
    )


def carry_out(
    spec: CampaignSpec, store: CampaignStore, *, jobs: int, scheduler: str | None, tell: Callable[[str], None]
) -> Counter[str]:
    """Do every run not done yet; returns the number of runs by outcome. Raises CampaignError, OSError."""
    runs = {run.key: run for run in spec.runs()}
    left = [runs[key] for key in store.left(runs)]
    progress = CampaignProgress(len(runs), len(runs) - len(left), tell)
    if progress.before:
        tell(f"{progress.before} of {len(runs)} runs were done before")
    for outcome in made(run_one, left, jobs=jobs, scheduler=scheduler) if left else ():
        store.keep(outcome)
        progress.one(outcome.outcome)
    return Counter(store.done[key].outcome for key in runs if key in store.done)


def asked_for(spec: CampaignSpec) -> dict[str, Any]:
    """Return a campaign's definition as plain values: equal ones continue in one folder."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(spec).items()}
