"""Tests that every command suggested by page, terminal and doctor exists and has its required arguments."""

import re
import shlex
from typing import Any

import pytest
import typer.main
from click import Context

from agent.cli.main import app
from agent.words.silence import AFTERWARDS, ELSEWHERE, GATE, UNKNOWN_MEND

SAID = [mend for _, mend in GATE.values()] + [then for _, then in AFTERWARDS] + [ELSEWHERE, UNKNOWN_MEND]
COMMANDS = sorted({found for mend in SAID for found in re.findall(r"`(bandpact [^`]*)`", mend)})


@pytest.mark.feature("U3")
@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_of_a_mend_has_all_that_it_needs(text: str) -> None:
    words = shlex.split(text)[1:]
    found: Any = typer.main.get_command(app)
    while hasattr(found, "get_command") and words:
        inner = found.get_command(Context(found), words[0])
        assert inner is not None, f"no such command: {text}"
        found, words = inner, words[1:]
    assert not hasattr(found, "get_command"), text
    options = {word for word in words if word.startswith("--")}
    values = {words[at + 1] for at, word in enumerate(words) if word.startswith("--")}
    given = [word for word in words if word not in options | values]
    needed = [one for one in found.params if one.param_type_name == "argument" and one.required]
    assert len(given) >= len(needed), f"{text}: lacks {[one.name for one in needed]}"
    known = {name.split()[0] for one in found.params for name in one.opts}
    assert options <= known, f"{text}: it has {sorted(known)}"
