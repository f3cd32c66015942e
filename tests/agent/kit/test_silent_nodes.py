"""Nodes that cannot be reached keep nobody waiting, and nothing is said of them that they did not say."""

import json
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
from typer.testing import CliRunner

from agent.cli.common import Exit
from agent.cli.main import app
from agent.kit import collection, doors, notices
from agent.kit.enrolment import enrol
from agent.kit.folder import Trial
from agent.kit.invitations import make
from agent.kit.join import join
from agent.kit.status import look
from tests.agent.kit.trials import written

pytestmark = pytest.mark.feature("U9")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A trial whose two nodes have joined, and do not run."""
    root = tmp_path_factory.mktemp("made")
    found = make(written(root), None)[0]
    names = ("holder", "alice")
    enrol(found, [join(found.root / "kits" / f"{name}.kit", root / name).enrolment for name in names])
    return found


def test_for_programs_too_what_a_silent_node_has_is_not_said(trial: Trial) -> None:
    ended = CliRunner().invoke(app, ["kit", "status", str(trial.root), "--wait", "50ms", "--json"])
    assert [one["settlements"] for one in json.loads(ended.output)] == [None, None]
    ended = CliRunner().invoke(app, ["kit", "status", str(trial.root), "--wait", "0s"])
    assert ended.exit_code == Exit.USAGE
    assert ended.output == "bandpact: --wait '0s': nobody answers in no time; give a second or more\n"


def test_who_does_not_answer_is_asked_for_no_copy_and_its_records_are_not_counted(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "look", partial(look, wait_s=0.05))
    monkeypatch.setattr(doors.Asking, "logs", lambda self: pytest.fail("asked for a copy that takes a minute"))
    ended = CliRunner().invoke(app, ["kit", "collect", "--trial", str(trial.root), "--json"])
    assert ended.exit_code == Exit.WARNINGS
    rows = json.loads(ended.output)["nodes"]
    assert [one["records"] for one in rows] == [None, None]
    assert all("does not answer" in one["missing"] or "has not joined" in one["missing"] for one in rows)


def test_a_word_is_told_to_all_at_once(trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = Barrier(2, timeout=30)

    def tell(self: doors.Asking, record: bytes) -> None:
        together.wait()

    monkeypatch.setattr(doors.Asking, "tell", tell)
    monkeypatch.setattr(notices, "registry_of", lambda *_: bytes(32))
    told = notices.tell(trial, notices.fresh_list(trial, []))
    assert [(one.node, one.why) for one in told] == [("holder", ""), ("alice", "")]


def test_taking_in_needs_a_welcome(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["kit", "run", str(tmp_path / "no where"), "--only-take-in"])
    assert ended.exit_code == Exit.USAGE
    assert f"bandpact kit run '{tmp_path / 'no where'}' welcome.kit --only-take-in" in ended.output


def test_a_folder_with_spaces_is_one_word_of_the_command_that_comes_next(trial: Trial, tmp_path: Path) -> None:
    archive = trial.root / "kits" / "alice.kit"
    ended = CliRunner().invoke(app, ["kit", "join", str(archive), "--folder", str(tmp_path / "my node")])
    assert ended.exit_code == Exit.OK, ended.output
    assert f"bandpact kit run '{tmp_path / 'my node'}' welcome.kit" in ended.output
