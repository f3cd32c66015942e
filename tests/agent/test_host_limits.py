"""What the host gives a node or does not: open files, standard streams, a reader of its log lines."""

import logging
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from agent.config.openfiles import ROOM, have_open_files
from agent.config.settings import ConfigError
from agent.service import logs
from agent.service.logstream import LogStream
from tests.agent.test_run import laid_out

ROOT = Path(__file__).resolve().parents[2]
STREAMS = """
import os, sys
from agent.cli.common import guard_streams
guard_streams()
made = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
print("lost"), print("lost", file=sys.stderr), sys.stdin.read()
os.write(made, b"%d" % made)
"""


@pytest.fixture
def files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("files")
def test_a_node_raises_its_limit_of_open_files_and_refuses_one_that_neighbours_could_use_up() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    have_open_files(128)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (256, hard)
    have_open_files(256, peers=2)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (256 + 4 + ROOM, hard)
    if hard == resource.RLIM_INFINITY:
        return
    with pytest.raises(ConfigError, match=rf"{hard} open files are allowed \(ulimit -n\), {hard + 1} are needed"):
        have_open_files(hard + 1 - ROOM)


def test_standard_streams_that_were_closed_are_nobody_elses(tmp_path: Path) -> None:
    said = tmp_path / "said"
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", STREAMS, str(said)]
    assert subprocess.run(shell, cwd=ROOT, check=False, timeout=60).returncode == 0
    assert int(said.read_text()) > 2


def test_a_log_line_that_nobody_takes_is_lost_and_holds_nothing_up() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        stream = LogStream(pipe)
        stream.write("taken\n")
        assert os.read(reader, 100) == b"taken\n"
        while not stream.lost:
            stream.write("x" * 5000)
        os.read(reader, 1 << 20)
        stream.write("taken again\n")
        assert os.read(reader, 1 << 20).endswith(b"taken again\n")
        os.close(reader)
        lost = stream.lost
        stream.write("nobody\n")
        assert stream.lost == lost + 1
    with Path("/dev/full").open("w") as full:
        stream = LogStream(full)
        stream.write("no room\n")
        stream.flush()
        assert stream.lost == 1


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = kept, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("root_logger")
def test_a_node_that_logs_into_a_pipe_that_nobody_reads_goes_on() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        logs.begin(pipe)
        for number in range(2000):  # far more than a pipe holds
            logs.tell("gate", {"number": number, "text": "x" * 100})
        logging.getLogger("library").error("as well")
    assert b'"number": 0' in os.read(reader, 1 << 20)
    os.close(reader)


def test_a_node_that_may_open_too_few_files_says_so_and_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent.node.process", str(laid_out(tmp_path).config_of("user-a"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)),
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "200 open files are allowed" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["audit", "--help"], ["--version"], ["status", "--folder", "/"]])
def test_help_that_a_full_disk_does_not_take_is_a_line_and_no_defect(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli.main", *words],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "bandpact: standard output: No space left on device\n")
