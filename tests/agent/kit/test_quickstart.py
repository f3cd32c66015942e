"""docs/quickstart.md, run as it is written: from empty folders to two nodes that settled, and the report of it."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.trial.processes import free_ports
from tests.agent.test_walkthrough import ROOT, Reader

PAGE = ROOT / "docs" / "quickstart.md"
BLOCK = re.compile(r"^```(\w+) ([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = ("30441", "30442", "4711", "4712", "4713", "4714")
COORDINATOR_MAX, NODE_MAX = 6, 2


@pytest.fixture
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = Reader(tmp_path_factory.mktemp("q"))
    for machine in ("coordinator", "holder", "alice"):
        (made.folder / machine).mkdir()
    yield made
    made.close()


@pytest.mark.timeout(900)
@pytest.mark.feature("U9")
def test_from_empty_folders_to_two_nodes_settled(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.agent.test_walkthrough.LONG_S", 500)  # two nodes and their radios on a busy machine
    page = PAGE.read_text(encoding="utf-8")
    for written, free in zip(PORTS, free_ports(len(PORTS), None), strict=True):
        page = page.replace(written, str(free))
    commands = Counter[str]()
    said = ""
    for language, where, text in BLOCK.findall(page):
        machine = where.split()[-1] if language == "sh" else where
        if language == "toml":
            tomllib.loads(text)
            (reader.folder / where).write_text(text)
        elif where == "hand over":
            reader.enter(text)
        elif where.startswith("terminal"):
            inside = f"cd {machine} && " if machine != "terminal" else ""
            reader.open_terminal(f"sh -c '{inside}exec {text.strip()}'")
            commands[machine] += machine != "terminal"
        else:
            machine = where.split()[0]
            said += reader.enter(f"cd {machine}\n{text}")
            commands[machine] += text.count("bandpact ")
    assert commands["coordinator"] <= COORDINATOR_MAX, commands
    assert commands["holder"] <= NODE_MAX, commands
    assert commands["alice"] <= NODE_MAX, commands
    assert "settlements on record: 1" in said
    assert "VERIFIED" in said
    seen = json.loads(reader.enter("cd coordinator; bandpact kit status --json || test $? = 3"))
    assert [one["reachable"] for one in seen] == [True, True]
    assert [one["settlements"] for one in seen] == [1, 1]
    # A fresh list, handed to both while they run; a log gathered again goes on from what was gathered before.
    assert reader.enter("cd coordinator; bandpact kit tell").count("taken") == 2
    assert reader.interrupt()[:2] == [0, 0]
    again = json.loads(reader.enter("cd coordinator; bandpact kit collect ../holder/holder ../alice/alice --json"))
    assert all(one["missing"] is None for one in again["nodes"])
    reader.enter(
        "cd alice; bandpact kit logs alice; cd ../coordinator; bandpact kit collect ../alice/alice.logs || test $? = 3"
    )
    assert reader.enter("cd coordinator; bandpact audit verify harbour/logs").count("yes") == 2
    # The log of before, laid in the place of the newer one, is refused.
    assert Path(reader.folder, "coordinator/harbour/logs/alice.db").is_file()
