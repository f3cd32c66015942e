"""`bandpact tx …`: an operator arms for a bounded time, takes it back, clears a fault; asked of a warden's own door."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from agent.cli.main import app
from agent.node.warden_process import OPERATOR, operate
from radio.operator import OperatorDoor
from radio.ports import RfState
from tests.agent.test_service import written
from tests.radio.test_warden import Bench

pytestmark = pytest.mark.feature("R8")


class Armable:
    """A warden that nobody has armed, its door, and a node's configuration that leads there."""

    def __init__(self, folder: Path) -> None:
        self.node = written(folder)
        self.bench = Bench(folder / "bench", armed_for_ns=0)
        self._door = OperatorDoor(folder / OPERATOR, partial(operate, self.bench.warden))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.wait(0.005):
            self._door.serve()

    def run(self, word: str, *more: str) -> Result:
        return CliRunner().invoke(app, ["tx", word, str(self.node), *more])

    def said(self, word: str, *more: str) -> dict[str, Any]:
        done = self.run(word, *more, "--json")
        assert done.exit_code == 0, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._door.close()
        self.bench.warden.close()


@pytest.fixture
def armable(tmp_path: Path) -> Iterator[Armable]:
    (tmp_path / "bench").mkdir()
    made = Armable(tmp_path)
    yield made
    made.close()


def test_it_is_armed_for_so_long_and_no_longer(armable: Armable) -> None:
    assert armable.said("status")["armed_for_s"] == 0
    assert armable.said("arm", "--for", "60s", "--yes")["armed_for_s"] in (59, 60)
    armable.bench.radio.clock.now_ns += 61_000_000_000
    assert armable.said("status")["armed_for_s"] == 0


def test_it_is_taken_back_at_once(armable: Armable) -> None:
    armable.said("arm", "--for", "60s", "--yes")
    assert armable.said("disarm")["armed_for_s"] == 0


def test_a_person_is_asked_first(armable: Armable) -> None:
    assert CliRunner().invoke(app, ["tx", "arm", str(armable.node), "--for", "60s"], input="n\n").exit_code == 1
    assert armable.said("status")["armed_for_s"] == 0


@pytest.mark.parametrize("words", [(), ("--for", "0s"), ("--for", "86401s"), ("--for", "60"), ("--for", "forever")])
def test_no_bound_or_a_senseless_one_is_refused(armable: Armable, words: tuple[str, ...]) -> None:
    assert armable.run("arm", *words, "--yes").exit_code == 2
    assert armable.said("status")["armed_for_s"] == 0


def test_a_fault_is_cleared_only_when_the_device_is_silent(armable: Armable) -> None:
    armable.bench.radio.muted_reads = RfState.UNKNOWN
    loud = armable.run("clear")
    assert loud.exit_code == 4
    assert "does not read back as silent" in loud.stderr
    armable.bench.radio.muted_reads = RfState.OFF
    assert armable.said("clear")["armed_for_s"] == 0


def test_without_a_running_node_it_says_so_and_ends_with_4(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["tx", "status", str(written(tmp_path))])
    assert done.exit_code == 4
    assert len(done.stderr.strip().splitlines()) == 1
