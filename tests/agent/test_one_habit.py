"""Tests that every command takes a node or logs as positional arguments in the same way."""

from pathlib import Path

import pytest
import typer.main
from click.testing import CliRunner

from agent.cli.main import app
from tests.agent.kit.trials import written

COMMAND = typer.main.get_command(app)
OF_A_NODE = ["run", "status", "doctor", "warden", "stop", "offer", "acquire", "relinquish"]
OF_A_NODE += [
    "page",
    "watch",
    "history show",
    "history export",
    "cbsd serve",
    "cbsd status",
    "clock watch",
    "config check",
    "config show",
    "node tell",
    "node rotate",
]
OF_LOGS = ["audit verify", "audit show", "audit replay", "audit report", "audit bundle", "audit export", "audit public"]
OF_LOGS += ["lease list", "lease show", "report"]
ARMED = ["tx arm", "tx disarm", "tx clear", "tx status"]


def _arguments(words: str) -> list[str]:
    command = COMMAND
    for word in words.split():
        command = command.commands[word]  # type: ignore[attr-defined]
    return [str(one.metavar or one.name) for one in command.params if one.param_type_name == "argument"]


@pytest.mark.feature("U9")
@pytest.mark.parametrize("words", OF_A_NODE + ARMED)
def test_a_node_is_meant_by_its_place(words: str) -> None:
    assert _arguments(words)[-1] == "NODE"


@pytest.mark.feature("U9")
@pytest.mark.parametrize("words", OF_LOGS)
def test_logs_are_meant_by_their_place(words: str) -> None:
    assert "SOURCE" in _arguments(words)


@pytest.mark.feature("U9")
def test_a_folder_and_its_file_are_one_node_and_two_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    written(tmp_path)
    assert run(COMMAND, ["kit", "make", "harbour.toml"]).exit_code == 0
    assert run(COMMAND, ["kit", "join", "harbour/kits/alice.kit"]).exit_code == 0
    by_folder = run(COMMAND, ["config", "show", "alice", "--json"])
    assert by_folder.exit_code == 0
    for words in (["alice/node.toml"], ["--config", "alice/node.toml"], ["--config", "alice"]):
        assert run(COMMAND, ["config", "show", *words, "--json"]).output.replace("/node.toml", "") == (
            by_folder.output.replace("/node.toml", "")
        )
    assert run(COMMAND, ["config", "show", "alice", "--config", "other.toml"]).exit_code == 2
    # No log yet, and the trial's folder without logs: each says what to do.
    assert "no log yet" in run(COMMAND, ["audit", "verify", "alice"]).output
    assert "kit collect" in run(COMMAND, ["audit", "verify", "harbour"]).output
