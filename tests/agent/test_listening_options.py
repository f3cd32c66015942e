"""Options of the commands that listen: each is a quantity that means something, or is refused in one line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.common import Exit
from agent.cli.main import app
from agent.cli.record import _place

pytestmark = pytest.mark.feature("R4")


@pytest.mark.parametrize(
    "words",
    [
        "sense sim: --channel-width 0Hz",
        "sense sim: --rate 0Hz",
        "sense sim: --bandwidth 0MHz",
        "record sim: tape --frequency 0Hz",
        "sense sim: --sweep 3550-3570MHz --dwell 0s",
        "sense sim: --dwell 1s",
        "record sim: tape --dwell 1s",
        "record sim: tape --place 36.95,-76.3,nan",
        "record sim: tape --place 36.95,-76.3,1e400",
        "record sim: tape --place nan,-76.3",
        "record sim: tape --place 36.95,-76.3,1,2",
        "record sim: tape --place 36.95,-76.3 --place-radius=-1m",
        "record sim: tape --place 36.95,-76.3 --place-radius 0m",
        "calibrate sim: table.toml --enr-db 15 --diode 'on",
    ],
)
def test_what_means_nothing_is_refused_in_one_line(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words.split())
    assert (done.exit_code, done.stdout) == (Exit.USAGE, "")
    assert len(done.stderr.splitlines()) == 1
    option = [word.partition("=")[0] for word in words.split() if word.startswith("--")][-1]
    assert option in done.stderr or "--place " in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("36.95,-76.3", (36.95, -76.3, None)),
        ("36.951234567,-76.3,12.5", (36.951234567, -76.3, 12.5)),
        ("36.95N,76.30W", (36.95, -76.3, None)),
        ("36.95 N 76.30 W", (36.95, -76.3, None)),
        ("36.95N,76.30W,-3", (36.95, -76.3, -3.0)),
    ],
)
def test_a_place_is_read_as_elsewhere(text: str, place: tuple[float, float, float | None]) -> None:
    assert _place(text) == place


@pytest.mark.parametrize("path", ["", "/"])
def test_a_path_that_names_no_file_is_refused(path: str) -> None:
    done = CliRunner().invoke(app, ["record", "sim:", path, "--for", "2ms"])
    assert done.exit_code == Exit.USAGE
    assert done.stderr == "bandpact: an empty path, or the root, where a file is meant; give the file's name\n"


@pytest.mark.parametrize("time", ["0s", "400ms"])
def test_a_status_list_that_is_over_at_once_is_refused(time: str, tmp_path: Path) -> None:
    words = ["authority", "revoke", "--desk", str(tmp_path / "desk"), "--out", str(tmp_path / "list"), "--for", time]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == Exit.USAGE
    assert done.stderr == f"bandpact: --for '{time}': a list has to speak for 1s or more, such as 7d\n"
