"""Small files are read up to a size, and only where they are files; every reader says so in one line."""

import errno
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from hw_profiles.smallfile import LIMIT, read_small, read_small_text


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a\r\nb" * 10)
    assert read_small(tmp_path / "x") == b"a\r\nb" * 10
    assert read_small_text(tmp_path / "x") == "a\nb" * 10


@pytest.mark.attack(69)
def test_what_is_too_large_or_no_file_is_an_error_at_once(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    os.mkfifo(tmp_path / "pipe")
    for name, number in (("huge", errno.EFBIG), ("pipe", errno.EINVAL), (".", errno.EISDIR), ("none", errno.ENOENT)):
        with pytest.raises(OSError) as told:  # noqa: PT011 - the number is what is asked
            read_small(tmp_path / name)
        assert told.value.errno == number
    with (tmp_path / "most").open("wb") as file:
        file.truncate(LIMIT)
    assert len(read_small(tmp_path / "most")) == LIMIT


READERS = {
    "config": ("config", "check", "--config", "{}"),
    "status of a configuration": ("doctor", "--wait", "0", "--config", "{}"),
    "scenario": ("trial", "--duration", "2", "--scenario", "{}"),
    "rule": ("authority", "rule", "sign", "{}", "--out", "rule.signed"),
    "request": ("authority", "issue", "{}", "--name", "x", "--role", "user", "--out", "x.chain"),
    "stop": ("stop", "--config", "{}"),
    "tx": ("tx", "status", "{}"),
}


@pytest.mark.attack(69)
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("what", ["huge.toml", "pipe.toml", "deep.toml", "random.toml"])
def test_every_reader_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str) -> None:
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "huge.toml").open("wb") as file:
        file.truncate(1 << 40)
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "deep.toml").write_text("x = " + "[" * 100_000)
    (tmp_path / "random.toml").write_bytes(bytes(range(256)) * 16)
    told = CliRunner().invoke(app, [part.format(tmp_path / what) for part in READERS[name]])
    assert told.exit_code not in (0, None)
    assert told.exception is None or isinstance(told.exception, SystemExit)
    if name != "status of a configuration":
        assert told.stderr.count("\n") == 1, told.stderr
    assert "defect" not in told.stderr
