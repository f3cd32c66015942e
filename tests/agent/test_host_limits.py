"""What the host gives a node or does not: open files, standard streams, a reader of its log lines."""

import logging
import os
import resource
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from agent.cli.entry import _ended
from agent.config.openfiles import ADDRESSES, AT_ONCE, ROOM, have_addresses, have_open_files
from agent.config.settings import ConfigError, load
from agent.service import logs
from agent.service.logstream import LogStream
from agent.service.snapshot import read_status
from settlement.chain.lineage import LineageError
from tests.agent.test_plugs import waited
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
    have_open_files(64)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (128 + ROOM + AT_ONCE, hard), "each connection is held twice"
    have_open_files(32)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (128 + ROOM + AT_ONCE, hard), "never lower"
    have_open_files(256, peers=2)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (512 + 4 + ROOM + AT_ONCE, hard)
    if hard == resource.RLIM_INFINITY:
        return
    most = (hard - ROOM) // 2
    have_open_files(most)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard), "as many as there are, where there are not all"
    with pytest.raises(
        ConfigError, match=rf"{hard} open files are allowed \(ulimit -n\), {2 * most + 2 + ROOM} are needed"
    ):
        have_open_files(most + 1)


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


@pytest.fixture
def addresses() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("addresses")
def test_a_node_raises_its_limit_of_address_space() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    have_addresses()
    assert resource.getrlimit(resource.RLIMIT_AS)[1] == hard
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES - 1, hard))
    have_addresses()
    assert resource.getrlimit(resource.RLIMIT_AS) == (ADDRESSES, hard)


@pytest.mark.parametrize("words", [["-m", "agent.node.process"], ["-m", "agent.cli.main", "run", "--config"]])
def test_a_node_that_may_have_too_little_address_space_says_so_and_does_not_start(
    tmp_path: Path, words: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, *words, str(laid_out(tmp_path).config_of("user-a"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)),
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "1048576 kB of address space are allowed (ulimit -v), 2097152 kB are needed" in done.stderr


def chained(text: str) -> ImportError:
    made = ImportError("\n\nIMPORTANT: PLEASE READ THIS")
    made.__cause__ = ImportError(text)
    return made


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (MemoryError(), "bandpact: not enough memory for this; free some, or allow more (ulimit -v)\n"),
        (
            chained("libx.so: failed to map segment from shared object"),
            "bandpact: not enough memory for this; free some, or allow more (ulimit -v)\n",
        ),
        (LineageError("x.db: out of memory"), "bandpact: x.db: out of memory\n"),
        (chained("no module named y"), "bandpact: a defect of bandpact itself: ImportError"),
        (ValueError("x"), "bandpact: a defect of bandpact itself: ValueError: x ("),
    ],
)
def test_a_command_without_memory_and_an_error_with_words_of_ours_are_no_defects(
    failure: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(failure)) as found:
        raise failure
    assert _ended(found.value) == 1
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["audit", "--help"], ["--version"], ["status", "--folder", "/"]])
def test_help_that_a_full_disk_does_not_take_is_a_line_and_no_defect(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli.main", *words],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "bandpact: standard output: No space left on device\n")


@pytest.mark.attack(65)
def test_a_node_that_for_a_while_may_open_nothing_more_goes_on(tmp_path: Path) -> None:
    """As where strangers' connections hold every file that its process may open, until they are cut."""
    config = laid_out(tmp_path).config_of("user-a")
    ready, said = tmp_path / "user-a" / "events.jsonl", tmp_path / "said"
    with said.open("wb") as stream:
        node = subprocess.Popen([sys.executable, "-m", "agent.node.process", str(config)], cwd=ROOT, stderr=stream)
    try:
        assert waited(lambda: said_ready(ready) and read_status(load(config).run_folder) is not None)
        kept = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
        held = len(list(Path(f"/proc/{node.pid}/fd").iterdir()))
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (held // 2, kept[1]))
        with pytest.raises(subprocess.TimeoutExpired):
            node.wait(4)  # it looks at its disk each second
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, kept)
        before = read_status(load(config).run_folder)
        assert waited(lambda: read_status(load(config).run_folder) != before), "it says how it is again"
    finally:
        node.terminate()
        assert node.wait(60) == 0, said.read_text(encoding="utf-8")


def opened(port: int, number: int) -> socket.socket | None:
    """A connection that says nothing, from one of many addresses of this host."""
    one = socket.socket()
    one.setblocking(False)
    one.bind((f"127.0.{1 + number % 50}.{1 + number % 200}", 0))
    try:
        one.connect(("127.0.0.1", port))
    except BlockingIOError:
        return one
    except OSError:
        one.close()
        return None
    return one


def said_ready(events: Path) -> bool:
    return events.is_file() and '"ready"' in events.read_text(encoding="utf-8")


@pytest.mark.attack(65)
def test_strangers_that_connect_faster_than_a_node_looks_do_not_end_it(tmp_path: Path) -> None:
    """From its first instant on, and with few files to open: a node that compiles, or waits for its clock, is busy."""
    config = laid_out(tmp_path).config_of("user-a")
    listen = tomllib.loads(config.read_text(encoding="utf-8"))["listen"]
    port, held, number = int(listen.rpartition(":")[2]), list[socket.socket](), 0
    limited = f"ulimit -n 1200; exec {sys.executable} -m agent.node.process {config}"
    with (tmp_path / "said").open("wb") as said:
        node = subprocess.Popen(["sh", "-c", limited], cwd=ROOT, stderr=said)
    ready = tmp_path / "user-a" / "events.jsonl"
    try:
        while node.poll() is None and number < 5_000_000 and (number < 8000 or not said_ready(ready)):
            fresh = [one for one in (opened(port, number + n) for n in range(400)) if one is not None]
            number += len(fresh)
            held += fresh
            for one in held[: max(0, len(held) - 4000)]:
                one.close()
            del held[: max(0, len(held) - 4000)]
        assert node.poll() is None, (tmp_path / "said").read_text(encoding="utf-8")
    finally:
        for one in held:
            one.close()
        node.terminate()
        assert node.wait(60) == 0
