"""A trial never deletes or overwrites what it did not make: the folder is chosen, or refused, before it runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.trial import command
from agent.trial.processes import TrialError

EVIDENCE = ["holder.db", "x.seal", "case.bundle", "anchors.txt", "report.html", "live.db-wal"]


@pytest.mark.parametrize("name", EVIDENCE)
def test_a_folder_with_evidence_is_refused_before_the_trial(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("evidence")
    (tmp_path / "notes.txt").write_text("mine")
    told = CliRunner().invoke(app, ["trial", "--duration", "2s", "--report", str(tmp_path)])
    assert told.exit_code == 1
    assert f"{tmp_path / name}: evidence" in told.stderr
    assert told.stderr.count("\n") == 1
    assert {one.name for one in tmp_path.iterdir()} == {name, "notes.txt"}
    assert (tmp_path / name).read_text() == "evidence"


def test_a_folder_of_other_things_is_used_and_they_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert command.place_for(tmp_path) == tmp_path


def test_a_folder_that_was_not_named_is_the_next_free_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.place_for(None) == Path("trial-report")
    for name in ("trial-report", "trial-report-2"):
        Path(name).mkdir()
        (Path(name) / "holder.db").write_text("evidence")
    assert command.place_for(None) == Path("trial-report-3")
    Path("trial-report-3").write_text("a file")
    assert command.place_for(None) == Path("trial-report-4")


def test_what_appeared_meanwhile_is_not_overwritten_and_the_result_is_kept(tmp_path: Path) -> None:
    fresh, target = tmp_path / "fresh", tmp_path / "report"
    fresh.mkdir()
    target.mkdir()
    for name in ("holder.db", "holder.seal", "report.html"):
        (fresh / name).write_text("this run")
    (target / "holder.db").write_text("stranger")
    with pytest.raises(TrialError, match="stays") as told:
        command._move_all(fresh, target)
    assert (target / "holder.db").read_text() == "stranger"
    kept = Path(str(told.value).rpartition(" ")[2])
    assert {one.name for one in kept.iterdir()} == {"holder.db", "holder.seal", "report.html"}
