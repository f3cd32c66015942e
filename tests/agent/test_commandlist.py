"""The list of commands: each once, by what it is for, and no sentence cut off."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from agent.cli.commandlist import SECTIONS
from agent.cli.main import app

pytestmark = pytest.mark.feature("U2")


def test_every_command_stands_in_one_section() -> None:
    named = [name for _, names in SECTIONS for name in names]
    assert sorted(named) == sorted(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", [[], ["audit"], ["authority"], ["bench"], ["kit"], ["node"], ["lease"]])
def test_no_sentence_is_cut(words: list[str]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert "..." not in shown.stdout.partition("Commands:" if words else "Begin here:")[2], shown.stdout
