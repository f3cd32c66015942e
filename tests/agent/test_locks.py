"""One process at a time in a folder, and a word that names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config.locks import AGENT, InUse, held, not_running
from agent.config.settings import ConfigError

HOLDER = """
import sys, pathlib
from agent.config.locks import held
with held(pathlib.Path(sys.argv[1]), sys.argv[2] or None, "a test"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path, name: str) -> "subprocess.Popen[str]":
    """Another process that holds a folder until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("name", [AGENT, ""])
def test_a_second_process_is_refused_with_the_number_of_the_first(tmp_path: Path, name: str) -> None:
    first = holder(tmp_path, name)
    with pytest.raises(InUse, match=f"process {first.pid}"), held(tmp_path, name or None, "the second"):
        pytest.fail("two processes in one folder")
    first.kill()
    first.communicate()
    with held(tmp_path, name or None, "the second"):
        assert (tmp_path / AGENT).exists() == bool(name)


def test_what_writes_into_a_nodes_folder_is_refused_while_its_agent_runs(tmp_path: Path) -> None:
    with (
        held(tmp_path, AGENT, "bandpact run"),
        pytest.raises(InUse, match=rf"process {os.getpid()} \(bandpact run\)"),
        not_running(tmp_path, "bandpact node enrol"),
    ):
        pytest.fail("written under a running agent")


def test_a_folder_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"), held(tmp_path / "none", AGENT, "x"):
        pytest.fail("held nothing")
