"""Tests of the folder lock: one process at a time, and a message that names it."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.config.locks import AGENT, HELPER, WARDEN, InUse, held, not_running
from agent.config.settings import ConfigError
from agent.node import apart, warden_process
from agent.node.mutehelper import MUTE
from agent.witness import server as witnessing
from radio.ports import RfState

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
    try:
        assert process.stdout.readline() == "held\n"
    except BaseException:
        process.kill()
        process.communicate()
        raise
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


def apart_config(folder: Path) -> Mock:
    """What the two services of a warden that runs apart read of a configuration."""
    (folder / "rx").touch()
    config = Mock(run_folder=folder)
    config.warden.apart = True
    return config


@pytest.mark.feature("R7")
@pytest.mark.attack(73)
def test_a_second_mute_helper_takes_no_socket_from_the_first(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("m")
    monkeypatch.setattr(apart, "BEFORE_S", 0.0)
    config, stop = apart_config(folder), threading.Event()
    first = holder(folder, HELPER)
    try:
        with pytest.raises(InUse, match=f"process {first.pid}"):
            apart.serve_mute(config, stop)
        assert not (folder / MUTE).exists()
    finally:
        first.communicate()
    stop.set()
    apart.serve_mute(config, stop)


@pytest.mark.feature("R7")
@pytest.mark.attack(73)
def test_a_second_warden_that_runs_apart_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "BEFORE_S", 0.0)
    ran = Mock(side_effect=lambda _, stop: stop.set())
    monkeypatch.setattr(apart, "run", ran)
    config, stop = apart_config(tmp_path), threading.Event()
    first = holder(tmp_path, WARDEN)
    try:
        with pytest.raises(InUse, match=f"process {first.pid}"):
            apart.guard_apart(config, stop, print)
        assert ran.call_count == 0
    finally:
        first.communicate()
    apart.guard_apart(config, stop, print)
    assert ran.call_count == 1


@pytest.mark.feature("R7")
@pytest.mark.attack(73)
def test_a_second_warden_of_a_node_touches_no_radio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two wardens of one device would each undo what the other has read back."""
    ran = Mock(return_value=RfState.OFF)
    for name in ("never_paused", "die_with_parent", "before_others"):
        monkeypatch.setattr(warden_process, name, lambda: None)
    monkeypatch.setattr(warden_process, "BEFORE_S", 0.0)
    monkeypatch.setattr(warden_process, "stop_on_signals", lambda **_: threading.Event())
    monkeypatch.setattr(warden_process, "load", lambda _: Mock(folder=tmp_path))
    monkeypatch.setattr(warden_process, "run", ran)
    first = holder(tmp_path, WARDEN)
    try:
        assert warden_process.main(["node.toml"]) == 4
        said = capsys.readouterr().err
        assert f"process {first.pid}" in said
        assert said.count("\n") == 1
        assert ran.call_count == 0
    finally:
        first.communicate()
    assert warden_process.main(["node.toml"]) == 0
    assert ran.call_count == 1


@pytest.mark.attack(32)
def test_a_second_witness_of_one_key_is_refused(tmp_path: Path) -> None:
    """Each remembers in memory what it cosigned: two would cosign two logs that contradict each other."""
    folder = tmp_path / "w"
    witnessing.make(folder, "w")
    (folder / witnessing.LOGS).write_text("")
    first = holder(folder, "")
    try:
        done = CliRunner().invoke(app, ["witness", "serve", str(folder), "--port", "1"])
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert f"process {first.pid}" in done.stderr
    finally:
        first.communicate()
