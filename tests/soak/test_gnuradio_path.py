"""Cost of a program's sample path: a flowgraph at 4 MS/s, compared with the same trial with built-in traffic.

BANDPACT_PATH_RUNS: how many pairs of trials; each takes half a minute. The figures are printed.
"""

import json
import os
import statistics
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.agent.test_gnuradio import need_gnuradio
from tests.agent.test_trial import bandpact

pytestmark = pytest.mark.feature("R11")

RUNS = int(os.environ.get("BANDPACT_PATH_RUNS", "3"))
CORE_MAX = 0.40


def cost(scenario: str, cwd: Path, number: int) -> dict[str, Any]:
    for again in range(3):  # a busy machine may settle nothing (exit code 3), and then shows nothing
        report = f"{number}-{again}"
        done = bandpact("trial", "--scenario", scenario, "--json", f"{number}.json", "--report", report, cwd=cwd)
        if done.returncode != 3:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads((cwd / f"{number}.json").read_text())
    return told


def test_the_path_takes_at_most_two_fifths_of_a_core(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The door, and what the warden takes more than it takes for built-in traffic."""
    need_gnuradio()
    text = (resources.files("sim") / "scenarios" / "gnuradio.toml").read_text()
    (tmp_path / "plain.toml").write_text(text.partition("[[trial.programs]]")[0])
    shares: list[float] = []
    for number in range(RUNS):
        plain = cost("plain.toml", tmp_path, 2 * number)["cpu"]["user"]
        program = cost("gnuradio", tmp_path, 2 * number + 1)
        mine = program["cpu"]["user"]
        shares.append(mine["door"] + mine["warden"] - plain["warden"])
        assert program["programs"][0]["tone"]["span_s"] > 4.8
        with capsys.disabled():
            carried = program["programs"][0]["door"]["samples"]
            print(f"\ndoor {mine['door']:.3f}, warden {mine['warden']:.3f} (without {plain['warden']:.3f}): {carried}")
    assert statistics.median(shares) <= CORE_MAX
