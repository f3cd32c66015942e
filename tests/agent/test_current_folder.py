"""What lies in the folder that a program is started in is data: no process of a node imports it."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.trial.processes import spawn, stop

PLANTED = "import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\n"
NAMES = ("cbor2", "typing_extensions", "zmq", "numpy", "agent", "radio")


@pytest.mark.attack(69)
def test_a_module_left_in_the_current_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(PLANTED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    children = [spawn(one, one, tmp_path / "no.toml", tmp_path) for one in ("agent.node.process", "sim.airserver")]
    for child in children:
        child.process.wait(60)
    stop(children)
    assert [path.name for path in tmp_path.glob("*.ran")] == []
    plain = [sys.executable, "-m", "agent.node.process", "no.toml"]
    subprocess.run(plain, cwd=tmp_path, check=False, timeout=60, capture_output=True)
    assert list(tmp_path.glob("*.ran")), "the test plants nothing that Python would run"
