"""The rest of the sweep over every command: missing and unreadable files, read-only disks, Ctrl-C, two at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.sweep import as_nobody, elsewhere, invoked
from tests.agent.test_sweep import NOWHERE, ROOT, TABLE, WRITERS, Prepared, prepared, refused_by_disk, run_in

__all__ = ["prepared"]


def spawned(words: list[str], folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "agent.cli.main", *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_it_works_as_it_stands_or_says_in_one_line_why_not(prepared: Prepared, name: str) -> None:
    row = TABLE[name]
    ended = run_in(prepared, prepared.words(name, row.words))
    assert ended.code in ((0, 3) if not row.fails else (row.fails,)), ended
    assert "Traceback" not in ended.out + ended.err
    if row.fails and name not in ("doctor", "status", "stop"):
        ended.one_line()


@pytest.mark.parametrize(("name", "read"), [(name, read) for name, row in TABLE.items() for read in row.reads])
def test_what_is_missing_is_named(prepared: Prepared, name: str, read: str) -> None:
    ended = run_in(prepared, prepared.words(name, TABLE[name].words.replace(read, NOWHERE, 1)))
    assert ended.code in (1, 2), ended
    assert NOWHERE in ended.one_line()


@pytest.mark.parametrize(("name", "read"), [(name, read) for name, row in TABLE.items() for read in row.reads])
def test_what_cannot_be_read_is_named(prepared: Prepared, name: str, read: str) -> None:
    ended = as_nobody(prepared.folder, prepared.words(name, TABLE[name].words), read)
    assert ended.code in (1, 2), ended
    assert read.split("/", maxsplit=1)[0] in ended.one_line()


@pytest.mark.parametrize(("name", "option"), [(name, unit) for name, row in TABLE.items() for unit in row.units])
def test_a_bare_number_is_refused_with_the_way_to_write_it(prepared: Prepared, name: str, option: str) -> None:
    ended = run_in(prepared, prepared.words(name, f"{TABLE[name].words} {option}"))
    assert ended.code == 2, ended
    assert "write it" in ended.one_line()


@pytest.mark.parametrize(
    ("words", "code"),
    [("sim pluto --port 0", (0, 130)), ("clock watch --config node/node.toml", (130,))],
)
def test_ctrl_c_ends_with_a_word_and_the_code_shells_expect(
    prepared: Prepared, words: str, code: tuple[int, ...]
) -> None:
    process = spawned(words.split(), prepared.folder)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode in code, err
    assert "Traceback" not in err


def test_two_at_one_desk_sign_one_after_the_other(prepared: Prepared) -> None:
    with elsewhere(prepared.folder) as place:
        for n in range(3):
            assert invoked(["node", "init", str(place / f"n{n}"), "--device", f"radio {n}"]).code == 0
        requests = [f"authority issue n{n}/enrol.request --name n{n} --role user --out n{n}.chain" for n in range(3)]
        processes = [spawned(words.split(), place) for words in requests]
        said = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], said
        os.chdir(place)
        shown = [line.split() for line in invoked(["authority", "show"]).out.splitlines()]
    numbers = [line[0] for line in shown if any(f"n{n}" in line for n in range(3))]
    assert len(set(numbers)) == len(numbers) == 3, shown


@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_disk_leaves_nothing_half_written(prepared: Prepared, name: str) -> None:
    refused_by_disk(prepared, name, full=False)
