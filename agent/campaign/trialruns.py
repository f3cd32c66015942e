"""A campaign's run as a trial: the scenario with some values replaced, in its own processes."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w

from agent.campaign.outcome import figures_of
from agent.campaign.spec import CampaignError, RunSpec
from agent.trial.run import work_folder
from agent.trial.speccheck import EXPECTED, checked_scenario
from hw_profiles.smallfile import read_small_text
from hw_profiles.tomltext import read_toml

BESIDE_S = 300.0
"""Seconds that a trial may take beyond its own duration: process starts on a busy machine, audit, report."""
ANSWERED = (0, 1, 3)


def scenario_text(scenario: str, parameters: Iterable[tuple[str, Any]]) -> str:
    """Return the scenario as TOML with values replaced. Raises CampaignError for a path that does not exist."""
    found = read_toml(_source(scenario))
    for name, value in parameters:
        *way, last = name.split(".")
        at: Any = found
        for step in way:
            at = _into(at, step)
        if not isinstance(at, dict):
            raise CampaignError(f"parameters.{name}: {scenario} has no {'.'.join(way)}")
        at[last] = value
    return tomli_w.dumps(found)


def _into(at: Any, step: str) -> Any:
    if isinstance(at, list):
        return next((one for one in at if isinstance(one, dict) and one.get("name") == step), None)
    return at.setdefault(step, {}) if isinstance(at, dict) else None


def _source(scenario: str) -> str:
    try:
        if scenario.endswith(".toml"):
            return read_small_text(Path(scenario))
        return resources.files("sim").joinpath("scenarios", f"{scenario}.toml").read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise CampaignError(f"campaign.scenarios: {scenario} cannot be read: {exc}") from exc


def check_trial(scenario: str, parameters: tuple[tuple[str, Any], ...]) -> None:
    """Read the scenario as a trial would. Raises CampaignError, which names the key at fault."""
    with tempfile.TemporaryDirectory(prefix="bandpact-") as work:
        file = Path(work) / "scenario.toml"
        file.write_text(scenario_text(scenario, parameters), encoding="utf-8")
        try:
            checked_scenario(str(file))
        except EXPECTED as exc:
            chosen = ", ".join(f"{name} = {value!r}" for name, value in parameters) or "nothing replaced"
            raise CampaignError(f"{scenario} with {chosen}: {str(exc).replace(str(file), scenario)}") from exc


def run_trial(spec: RunSpec) -> tuple[str, dict[str, float]]:
    """Run the trial; returns why it failed, "" if it passed, and every number of its result. Raises CampaignError."""
    with work_folder() as work:
        folder = Path(work)
        file, said = folder / "s.toml", folder / "result.json"
        file.write_text(scenario_text(spec.scenario, spec.parameters), encoding="utf-8")
        words = ["trial", "--scenario", str(file), "--seed", str(spec.seed), "--report", str(folder / "report")]
        words += ["--json", str(said)]
        words += [] if spec.duration_s is None else ["--duration", f"{spec.duration_s:g}s"]
        limit_s = BESIDE_S + (spec.duration_s or 60.0)
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "agent.cli.main", *words],
                cwd=folder, capture_output=True, text=True, timeout=limit_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as exc:
            raise CampaignError(f"the trial took longer than {limit_s:g} s") from exc
        if done.returncode not in ANSWERED or not said.is_file():
            last = [line for line in done.stderr.splitlines() if line.strip()]
            raise CampaignError(last[-1] if last else f"the trial ended with {done.returncode}")
        found = json.loads(said.read_text(encoding="utf-8"))
    why = "" if found["passed"] else "; ".join(str(one) for one in found.get("problems", ())) or "the trial failed"
    return why, dict(figures_of(found))
