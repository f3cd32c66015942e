"""The server's bytes, as measured on Debian's own daemon 0.24, and its real client programs against it."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.iiod.antenna import LoopAntenna
from sim.iiod.context import Firmware
from sim.iiod.host import Hosted
from sim.iiod.pluto import Pluto
from sim.iiod.protocol import Bad, Name, Open, Read, Write, parse
from sim.iiod.server import IiodServer

pytestmark = pytest.mark.feature("R2")

ROOT = Path(__file__).parents[3]
LOOP = bytes(range(256)) * 64
PHY = "ad9361-phy"
LINES = {
    "version": (b"VERSION\r\n", b"0.24.v0.24  \n"),
    "any case, bare newline": (b"version\n", b"0.24.v0.24  \n"),
    "an empty line is not answered": (b"\r\nVERSION\r\n", b"0.24.v0.24  \n"),
    "compressed description": (b"ZPRINT\r\n", b"-22\n"),
    "binary protocol": (b"BINARY\r\n", b"-22\n"),
    "unknown command": (b"FROBNICATE\r\n", b"-22\n"),
    "timeout": (b"TIMEOUT 2500\r\n", b"0\n"),
    "trigger": (b"GETTRIG iio:device0\r\n", b"0\n"),
    "kernel buffers": (b"SET cf-ad9361-lpc BUFFERS_COUNT 4\r\n", b"0\n"),
    "the length counts the NUL": (b"READ ad9361-phy ensm_mode\r\n", b"4\nfdd\0\n"),
    "by id": (b"READ iio:device0 ensm_mode\r\n", b"4\nfdd\0\n"),
    "gain reads like the kernel's": (b"READ ad9361-phy OUTPUT voltage0 hardwaregain\r\n", b"14\n-10.000000 dB\0\n"),
    "no such device": (b"READ iio:device9 ensm_mode\r\n", b"-19\n"),
    "no such channel": (b"READ ad9361-phy INPUT voltage7 hardwaregain\r\n", b"-6\n"),
    "no such attribute": (b"READ ad9361-phy nonsense\r\n", b"-2\n"),
    "write": (b"WRITE ad9361-phy OUTPUT voltage0 hardwaregain 7\r\n-20.00\0", b"7\n"),
    "write out of range": (b"WRITE ad9361-phy OUTPUT voltage0 hardwaregain 4\r\n5.0\0", b"-22\n"),
    "read without opening": (b"READBUF cf-ad9361-lpc 4096\r\n", b"-9\n"),
    "close without opening": (b"CLOSE cf-ad9361-lpc\r\n", b"-9\n"),
    "short mask": (b"OPEN cf-ad9361-lpc 64 3\r\n", b"-22\n"),
    "empty mask": (b"OPEN cf-ad9361-lpc 64 00000000\r\n", b"-22\n"),
    "open, close": (b"OPEN cf-ad9361-lpc 64 00000003\r\nCLOSE cf-ad9361-lpc\r\n", b"0\n0\n"),
    "under one sample": (b"OPEN cf-ad9361-lpc 64 00000003\r\nREADBUF cf-ad9361-lpc 3\r\n", b"0\n0\n"),
    "cyclic is alone": (
        b"OPEN cf-ad9361-dds-core-lpc 64 00000003 CYCLIC\r\nOPEN cf-ad9361-dds-core-lpc 64 00000003\r\n",
        b"0\n-16\n",
    ),
    "samples, the mask with the first chunk": (
        b"OPEN cf-ad9361-lpc 2 00000003\r\nREADBUF cf-ad9361-lpc 16\r\n",
        b"0\n8\n00000003\n........8\n........",
    ),
    "samples out": (
        b"OPEN cf-ad9361-dds-core-lpc 4 00000003\r\nWRITEBUF cf-ad9361-dds-core-lpc 16\r\n" + bytes(16),
        b"0\n0\n16\n",
    ),
}


@pytest.fixture
def hosted() -> Iterator[Hosted]:
    antenna = LoopAntenna(LOOP)
    made = Hosted(IiodServer(Pluto(Firmware(), antenna), antenna, paced=False))
    yield made
    made.stop()


def answers(port: int, said: bytes) -> bytes:
    """What a server says until it closes after our leave."""
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        wire.sendall(said + b"EXIT\r\n")
        parts = []
        while part := wire.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("what", list(LINES))
def test_line(hosted: Hosted, what: str) -> None:
    said, expected = LINES[what]
    found = answers(hosted.port, said)
    assert len(found) == len(expected)
    assert all(e in (ord("."), f) for e, f in zip(expected, found, strict=True)), found


def test_the_description_is_as_long_as_it_says(hosted: Hosted) -> None:
    length, _, rest = answers(hosted.port, b"PRINT\r\n").partition(b"\n")
    assert len(rest) == int(length) + 1
    assert rest.startswith(b"<?xml")
    assert PHY.encode() in rest


def test_a_buffer_belongs_to_its_connection(hosted: Hosted) -> None:
    with socket.create_connection(("127.0.0.1", hosted.port), 10) as owner:
        owner.sendall(b"OPEN cf-ad9361-lpc 64 00000003\r\n")
        assert owner.recv(16) == b"0\n"
        assert answers(hosted.port, b"CLOSE cf-ad9361-lpc\r\n") == b"-6\n"


def test_lines_are_parsed_to_what_they_ask() -> None:
    name = Name(device=PHY, kind="output", channel="altvoltage1", attribute="powerdown")
    assert parse(b"READ ad9361-phy OUTPUT altvoltage1 powerdown\r") == Read(name)
    assert parse(b"write ad9361-phy output altvoltage1 powerdown 2") == Write(name, 2)
    assert parse(b"OPEN x 10 00000003 cyclic") == Open("x", 10, "00000003", True)
    assert parse(b"  ") is None
    for nonsense in (b"READ", b"OPEN x -1 00000003", b"WRITE x y 99999999", b"\xff\xfe", b"OPEN x 1 00000003 TWICE"):
        assert isinstance(parse(nonsense), Bad), nonsense


def client(name: str, *arguments: str) -> str:
    """What one of libiio's own programs prints."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not here: apt-get install libiio-utils")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_libiios_own_programs_understand_it() -> None:
    command = [sys.executable, "-m", "agent.cli.main", "sim", "pluto", "--port", "0", "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            uri = served.stdout.readline().split()[-1]
            told = client("iio_info", "-u", uri)
            assert "IIO context has" in told
            assert all(name in told for name in (PHY, "cf-ad9361-lpc", "cf-ad9361-dds-core-lpc"))
            assert client("iio_attr", "-u", uri, "-o", "-c", PHY, "altvoltage1", "powerdown").strip() == "1"
            samples = subprocess.run(
                [shutil.which("iio_readdev") or "iio_readdev", "-u", uri, "-b", "1024", "-s", "4096", "cf-ad9361-lpc"],
                capture_output=True,
                timeout=30,
                check=True,
            )
            assert len(samples.stdout) == 4096 * 4
        finally:
            served.send_signal(signal.SIGINT)
