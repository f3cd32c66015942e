"""What `bandpact trial` makes of its words, without running one; and when it says that a radar's channel was silent."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.trial import command, result

SHOWN = {"passed": True, "warnings": []}


@dataclass(slots=True)
class Asked:
    """What the command line asked of the trial."""

    json_out: Path | None = None
    others: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    heard = Asked()

    def instead(options: object, *, json_out: Path | None, out: Any, **others: Any) -> dict[str, Any]:
        heard.json_out, heard.others = json_out, {"options": options, **others}
        out.print("a table for people")
        return SHOWN

    monkeypatch.setattr(command, "run_and_report", instead)
    return heard


@pytest.mark.feature("U1")
@pytest.mark.parametrize("words", [["--json"], ["--json", "--seed", "7"], ["--seed", "7", "--json", "-"]])
def test_json_without_a_file_prints_the_figures_and_nothing_else(asked: Asked, words: list[str]) -> None:
    done = CliRunner().invoke(app, ["trial", *words])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == SHOWN
    assert asked.json_out is None
    assert "a table for people" in done.stderr


def test_json_with_a_file_leaves_the_table_on_the_output(asked: Asked) -> None:
    done = CliRunner().invoke(app, ["trial", "--json", "OUT.json", "--seed", "7"])
    assert done.exit_code == 0, done.output
    assert asked.json_out == Path("OUT.json")
    assert "a table for people" in done.stdout


def test_the_json_of_a_check_is_its_own(asked: Asked) -> None:
    done = CliRunner().invoke(app, ["trial", "check", "neighbours", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["name"] == "neighbours"
    assert not asked.others


def _collected(events: list[dict[str, Any]], ends: list[tuple[int, int]]) -> Any:
    """A trial of 10 s whose radar is on 3555 MHz from second 1; bursts there as (start, end), ns."""
    radar = SimpleNamespace(kind="radar", start_s=1.0, center_hz=3_555_000_000)
    layout = SimpleNamespace(duration_s=10.0, scenario=SimpleNamespace(emitters=[radar]))
    bursts = [
        SimpleNamespace(burst=SimpleNamespace(start_ns=a, end_ns=b, low_hz=3_550_000_000, high_hz=3_560_000_000))
        for a, b in ends
    ]
    finished = SimpleNamespace(zero_ns=0, layout=layout)
    return SimpleNamespace(finished=finished, events={"alice": events}, judged=bursts)


@pytest.mark.feature("E6")
def test_what_is_sent_after_the_lease_was_given_again_is_not_sent_in_spite_of_the_radar() -> None:
    heard = {"event": "incumbent", "mono_ns": 1_020_000_000}
    again = {"event": "resumed", "mono_ns": 6_000_000_000}
    ends = [(1_010_000_000, 1_050_000_000), (6_100_000_000, 6_200_000_000)]
    assert result.incumbent(_collected([heard, again], ends))["rf_off_ms"] == 50.0
    assert result.incumbent(_collected([heard], ends))["rf_off_ms"] == 5200.0
    assert result.incumbent(_collected([], ends))["rf_off_ms"] is None
