"""The walk through docs/two-nodes.md, run as it is written: two nodes in two terminals, and no trial around them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.trial.processes import FRUGAL, free_ports
from tests.agent.test_plugs import waited

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "two-nodes.md"
BLOCK = re.compile(r"^```sh( terminal| after)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = ("30441", "30442", "4711", "4712")
LONG_S = 240


class Reader:
    """Somebody with as many terminals as needed."""

    def __init__(self, folder: Path) -> None:
        commands = folder / "bin"
        commands.mkdir()
        bandpact = commands / "bandpact"
        bandpact.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agent.cli.main "$@"\n')
        bandpact.chmod(0o700)
        self.folder = folder
        self.env = {
            **os.environ,
            **FRUGAL,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{commands}:{os.environ['PATH']}",
            "XDG_CONFIG_HOME": str(folder / "home"),
            "PYTHONWARNINGS": "error",
        }
        self.terminals: list[subprocess.Popen[bytes]] = []

    def open_terminal(self, text: str) -> None:
        with (self.folder / f"terminal-{len(self.terminals)}.log").open("wb") as log:
            shell = subprocess.Popen(
                ["sh", "-c", f"exec {text}"], cwd=self.folder, env=self.env, stdout=log, stderr=log, stdin=log
            )
        self.terminals.append(shell)

    def enter(self, text: str, limit_s: float = LONG_S) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", text],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("terminal-*.log")))

    def warnings(self) -> list[str]:
        """What any terminal said of a warning; warnings are errors there."""
        texts = (path.read_text() for path in sorted(self.folder.glob("terminal-*.log")))
        return [line for text in texts for line in text.splitlines() if "Warning" in line]

    def said_by(self, *beginning: str) -> list[str]:
        """What the simulated radio whose first line holds these words said of its antenna: on the air, and silent."""
        for path in sorted(self.folder.glob("terminal-*.log")):
            text = path.read_text()
            if all(word in text for word in beginning):
                lines = (line.split(":")[0] for line in text.splitlines())
                return [line for line in lines if line in ("radiating", "silent")]
        return []

    def interrupt(self) -> list[int]:
        """Ctrl-C in every terminal, the newest first."""
        codes = []
        for shell in reversed(self.terminals):
            shell.send_signal(signal.SIGINT)
            codes.append(shell.wait(LONG_S))
        return codes

    def close(self) -> None:
        for shell in self.terminals:
            shell.kill()
            shell.wait()


@pytest.fixture
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = Reader(tmp_path_factory.mktemp("w"))
    yield made
    made.close()


@pytest.mark.timeout(600)
@pytest.mark.feature("S1")
def test_two_nodes_in_two_terminals_settle(reader: Reader) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for written, free in zip(PORTS, free_ports(len(PORTS), None), strict=True):
        page = page.replace(written, str(free))
    said, after = "", ""
    for kind, text in BLOCK.findall(page):
        if kind == " terminal":
            reader.open_terminal(text)
        elif kind == " after":
            after += text
        else:
            said += reader.enter(text)
    assert "CONFIRM came: settled" in said
    assert "gate   OPEN" in said
    assert "OFF: muted, and read back as silent" in said
    assert "gate LATCHED" in said
    assert waited(lambda: reader.said_by("simulated Pluto", "user-a")[-1:] == ["silent"]), reader.logs()
    assert "radiating" in reader.said_by("simulated Pluto", "user-a")
    assert reader.interrupt()[:2] == [0, 0]
    assert reader.warnings() == []
    assert reader.enter(after).count("settlements on record: 1") == 2
