"""Files that appear whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from hw_profiles import wholefile
from hw_profiles.wholefile import SECRET_MODE, Staged, WholeFile, write_together, write_whole


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_written_with_its_mode_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    write_whole(path, b"one", mode=SECRET_MODE)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o600)
    write_whole(path, b"two", mode=SECRET_MODE)
    assert (path.read_bytes(), names(tmp_path)) == (b"two", {"a.key"})


def test_what_is_there_gives_way_only_where_it_may(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_together(
            [WholeFile(path=tmp_path / "b", data=b"new"), WholeFile(path=path, data=b"other", replace=False)]
        )
    assert (path.read_bytes(), names(tmp_path)) == (b"mine", {"a"})


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_full_disk_leaves_everything_as_it_was(failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").write_bytes(b"old")
    files = [WholeFile(path=tmp_path / name, data=b"new") for name in ("old", "b", "c")]
    synced: list[int] = []

    def full(handle: int) -> None:
        synced.append(handle)
        if len(synced) == failing + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(wholefile.os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_together(files)
    assert caught.value.filename == str(files[failing].path)
    assert (names(tmp_path), (tmp_path / "old").read_bytes()) == ({"old"}, b"old")


def test_what_cannot_take_its_name_takes_the_others_back(tmp_path: Path) -> None:
    files = [WholeFile(path=tmp_path / "a", data=b"1"), WholeFile(path=tmp_path / "b", data=b"2", replace=False)]
    with Staged(files) as staged:
        (tmp_path / "b").write_bytes(b"somebody was faster")
        with pytest.raises(FileExistsError):
            staged.commit()
    assert names(tmp_path) == {"b"}
    assert (tmp_path / "b").read_bytes() == b"somebody was faster"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert names(tmp_path) == {"pipe"}
