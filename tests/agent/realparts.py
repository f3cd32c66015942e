"""Fixtures of Debian's own gpsd, gpsfake and chronyd, and generated NMEA logs.

They are looked for on the PATH and in `parts` beside the environment's `bin` (deploy/setup.sh unpacks them there).
Where they are absent tests skip with the reason, or fail if BANDPACT_REAL_PARTS is `required`.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path

import pytest

PARTS = Path(os.environ.get("BANDPACT_PARTS", Path(sys.prefix) / "parts" / "root"))
PYTHON = "/usr/bin/python3"
LAT, LON = 36.95, -76.30
STARTS, START_S = 3, 8.0


def environment() -> dict[str, str]:
    """The process environment that finds unpacked programs before installed ones."""
    libraries = ":".join(str(path) for path in [*PARTS.glob("usr/lib/*-linux-*"), *PARTS.glob("lib/*-linux-*")])
    return {
        **os.environ,
        "PATH": f"{PARTS}/usr/sbin:{PARTS}/usr/bin:{os.environ['PATH']}:/usr/sbin",
        "PYTHONPATH": str(PARTS / "usr/lib/python3/dist-packages"),
        "LD_LIBRARY_PATH": libraries,
        "PYTHONWARNINGS": "ignore",
    }


def need(*programs: str) -> dict[str, str]:
    """The environment to run the programs in; without them the test is skipped, or fails where they are required."""
    env = environment()
    missing = [program for program in programs if shutil.which(program, path=env["PATH"]) is None]
    if missing:
        message = f"{', '.join(missing)} not here; run deploy/setup.sh, or apt-get install gpsd gpsd-clients chrony"
        if os.environ.get("BANDPACT_REAL_PARTS") == "required":
            pytest.fail(message)
        pytest.skip(message)
    return env


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(condition: Callable[[], bool], limit_s: float, pause: Callable[[float], None] = time.sleep) -> bool:
    """Wait for a condition of a real program; returns False on timeout."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        pause(0.02)
    return condition()


# -- NMEA ----------------------------------------------------------------------------------------------------------


def sentence(body: str) -> str:
    checksum = reduce(lambda total, char: total ^ ord(char), body, 0)
    return f"${body}*{checksum:02X}\r\n"


def degrees(value: float, width: int, letters: str) -> str:
    whole = int(abs(value))
    return f"{whole:0{width}d}{(abs(value) - whole) * 60:07.4f},{letters[value < 0]}"


def epoch(
    at: datetime, *, lat: float = LAT, lon: float = LON, used: int = 8, quality: int = 1, fixed: bool = True
) -> str:
    """One second of a receiver: GSA, GSV, GGA, RMC."""
    clock, day = at.strftime("%H%M%S.%f")[:9], at.strftime("%d%m%y")
    place = f"{degrees(lat, 2, 'NS')},{degrees(lon, 3, 'EW')}"
    numbers = list(range(1, used + 1))
    listed = ",".join(f"{n:02d}" for n in numbers) + "," * (12 - len(numbers))
    out = [sentence(f"GPGSA,A,{3 if fixed else 1},{listed},1.5,0.9,1.2")]
    pages = [numbers[i : i + 4] for i in range(0, len(numbers), 4)] or [[]]
    for number, page in enumerate(pages, 1):
        seen = "".join(f",{n:02d},{40 + n},{30 * n},45" for n in page)
        out.append(sentence(f"GPGSV,{len(pages)},{number},{used:02d}{seen}"))
    out.append(sentence(f"GPGGA,{clock},{place},{quality if fixed else 0},{used:02d},0.9,10.0,M,-35.0,M,,"))
    out.append(sentence(f"GPRMC,{clock},{'A' if fixed else 'V'},{place},0.00,0.00,{day},,"))
    return "".join(out)


# -- programs ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def ended(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> Iterator[None]:
    """A context that ends the process and closes its pipes, whatever becomes of the test."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@contextlib.contextmanager
def gpsfake(log: Path, *, per_line_s: float) -> Iterator[int]:
    """A real gpsd fed line by line from a log; yields its port once it reports the receiver. Retried if it does not."""
    env = need("gpsd", "gpsfake")
    script = shutil.which("gpsfake", path=env["PATH"]) or ""
    with (log.parent / "gpsfake.err").open("ab") as errors:
        for _ in range(STARTS):
            port = free_port()
            process = subprocess.Popen(
                [PYTHON, script, "-q", "-1", "-c", str(per_line_s), "-P", str(port), "-s", "115200", str(log)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
            with ended(process):
                if until(lambda: tells(port), START_S):  # noqa: B023 - called here, not later
                    yield port
                    return
    pytest.fail(
        f"gpsd told of no receiver in {STARTS} starts of {START_S} s: {(log.parent / 'gpsfake.err').read_text()}"
    )


def tells(port: int) -> bool:
    """Whether a gpsd answers on the port, and reports a fix or satellites within two seconds."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2.0) as one:
        one.sendall(b'?WATCH={"enable":true,"json":true};\n')
        said, end = b"", time.monotonic() + 2.0
        while time.monotonic() < end and (more := one.recv(65536)):
            said += more
            if b'"class":"TPV"' in said or b'"class":"SKY"' in said:
                return True
    return False


def start_log(path: Path, epochs: list[str]) -> Path:
    path.write_text("# Written by a test\n" + "".join(epochs), encoding="ascii")
    return path


def seconds(start: datetime, count: int, step_s: float = 1.0) -> list[datetime]:
    return [start + timedelta(seconds=n * step_s) for n in range(count)]


START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def quiet(lines: int) -> str:
    """Lines that hold no fix and no known sentence: the receiver has stopped sending."""
    return sentence("GPTXT,01,01,02,NOTHING") * lines


@contextlib.contextmanager
def chronyd(folder: Path, *lines: str) -> Iterator[tuple[str, ...]]:
    """A chronyd that leaves this machine's clock alone (-x); yields the chronyc command that asks it."""
    env, port = need("chronyd", "chronyc"), free_port(socket.SOCK_DGRAM)
    folder.mkdir()
    settings = [*lines, f"cmdport {port}", "bindcmdaddress 127.0.0.1", "bindcmdaddress /"]
    settings += [f"pidfile {folder}/chronyd.pid"]
    (folder / "chrony.conf").write_text("\n".join(settings) + "\n")
    program = shutil.which("chronyd", path=env["PATH"]) or ""
    client = shutil.which("chronyc", path=env["PATH"]) or ""
    errors = (folder / "err").open("wb")
    process = subprocess.Popen(
        [program, "-x", "-d", "-U", "-u", str(os.environ.get("USER", "root")), "-f", str(folder / "chrony.conf")],
        stdin=subprocess.DEVNULL,
        stdout=errors,
        stderr=errors,
        start_new_session=True,
    )
    with errors, ended(process):
        yield (client, "-h", "127.0.0.1", "-p", str(port))
