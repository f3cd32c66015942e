"""A real GNU Radio flowgraph as a node's application: Debian's package, through a settlement, on the simulated air."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.trial.programs import FLOWGRAPH, PYTHON, faults, missing, unshown
from tests.agent.test_trial import bandpact

pytestmark = pytest.mark.feature("R11")

ROOT = Path(__file__).resolve().parents[2]


def need_gnuradio() -> None:
    """Skip where GNU Radio is missing, or fail where that is not allowed."""
    why = missing()
    if why is not None:
        if os.environ.get("BANDPACT_REAL_PARTS") == "required":
            pytest.fail(why)
        pytest.skip(why)


@dataclass(frozen=True)
class Told:
    result: dict[str, Any]
    out: str

    @property
    def program(self) -> dict[str, Any]:
        found: dict[str, Any] = self.result["programs"][0]
        return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    need_gnuradio()
    for _ in range(2):  # a busy machine may settle nothing (exit code 3), and then shows nothing
        cwd = tmp_path_factory.mktemp("gnuradio")
        done = bandpact("trial", "--scenario", "gnuradio", "--json", "OUT.json", "--report", "DIR", cwd=cwd)
        if done.returncode != 3:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    return Told(json.loads((cwd / "OUT.json").read_text()), done.stdout)


@pytest.mark.feature("R6")
def test_the_oracle_sees_its_tone_inside_the_settlement_only(told: Told) -> None:
    assert told.result["settled"] == 1
    assert (told.result["emissions"]["outside_s"], told.result["emissions"]["violations"]) == (0, 0)
    tone = told.program["tone"]
    assert tone["bursts"] > 0
    assert tone["inside_s"] > 0.1
    assert tone["outside_s"] == 0
    assert 0.5 < tone["span_s"] <= 5.2  # of 5.1 s; how much of it, the soak test asks on a machine of its own


def test_what_was_on_the_air_is_what_the_flowgraph_sent(told: Told) -> None:
    """Every burst that the oracle saw was the program's: there is no built-in traffic beside it."""
    assert told.program["tone"]["bursts"] == told.result["emissions"]["bursts"] == told.program["door"]["gate"]["sent"]


def test_the_gate_closed_in_the_midst_and_the_flowgraph_went_on(told: Told) -> None:
    door, program = told.program["door"], told.program["program"]
    assert door["gate"]["state"] == "ARMED"
    assert door["sending"]
    assert door["reading"]
    assert door["samples"]["closed"] > 0
    assert door["samples"]["sent"] > 0
    assert program["sent"] > 4_000_000
    assert program["received"] > 4_000_000
    assert program["level"] > 0, "it heard nothing, not even its own transmitter"
    assert (door["samples"]["malformed"], door["samples"]["not_finite"], door["gate"]["refused"]) == (0, 0, 0)


@pytest.mark.parametrize("asks", [True, False])
def test_the_guides_flowgraph_runs(tmp_path: Path, asks: bool) -> None:
    """The example of docs/samples.md, against the sockets of a door: it sends, and it receives; so it does by PUSH."""
    need_gnuradio()
    from tests.agent.samples.loose import loose_door

    guide = (ROOT / "docs" / "samples.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len(example) == 2
    script = tmp_path / "tone.py"
    pushed = example[0].replace("rep_sink", "push_sink").replace("req_source", "pull_source")
    script.write_text(example[0] if asks else pushed)
    with loose_door(tmp_path, asks=asks) as door:
        done = subprocess.run(
            [PYTHON, str(script), str(tmp_path), "1000000", "2"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        counts = door()
    last = done.stdout.splitlines()[-1]
    sent, received = (int(number) for number in re.findall(r"\d+", last))
    assert done.returncode in (0, -6), done.stderr  # the interpreter may end before GNU Radio's threads do
    assert sent > 0
    assert received > 0
    assert counts["taken"] > 0
    assert counts["given"] > 0


def test_the_flowgraph_of_the_trial_needs_nothing_of_ours() -> None:
    assert not re.findall(r"^(?:from|import) (?:agent|radio|sim|settlement)", FLOWGRAPH.read_text(), re.MULTILINE)


def test_a_program_that_stood_still_fails_a_trial_and_one_that_never_ran_shows_nothing() -> None:
    still = {"sent": 1, "received": 1, "sent_still_s": 1.5, "received_still_s": 0.1, "level": 0.0}
    told = ({"node": "a", "program": still}, {"node": "b", "program": None})
    assert faults(told) == ["a: nothing was sent for 1500 ms by its program"]
    assert unshown(told) == ["b: its program sent or received nothing"]
