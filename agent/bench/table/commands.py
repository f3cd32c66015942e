"""Runs the table's benchmarks, each in its own process with a time limit, and keeps each result or failure."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.bench.table.benchrow import BenchRow
from agent.bench.table.devicerows import COST, DRIVER, SILENCE, START, gate_rows, node_rows, radio_rows, start_rows
from agent.bench.table.logrows import AREA as LOG
from agent.bench.table.logrows import audit_rows, chain_rows
from agent.bench.table.pairrows import AREA as SETTLEMENT
from agent.bench.table.pairrows import pair_rows
from agent.bench.table.sensingrows import RATES, SPEED, load_rows, rate_rows, speed_rows
from agent.bench.table.worldrows import AREA as WORLD
from agent.bench.table.worldrows import identity_rows, world_rows

ENDS_S = 30.0
"""Seconds for a benchmark to end its processes when its time is up."""
ANSWERED = (0, 1)
"""Exit codes with figures: 1 means that some limit was not met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchCommand:
    """One `bandpact bench` of the table: its arguments in full and quick, its share of the time, its rows."""

    name: str
    area: str
    full: str
    quick: str
    limit_s: float
    rows: Callable[[Any], Iterator[BenchRow]]

    def words(self, *, quick: bool) -> tuple[str, ...]:
        """Return the command's arguments."""
        return ("bench", self.name, *(self.quick if quick else self.full).split(), "--json")


COMMANDS = (
    BenchCommand(
        name="chain", area=LOG, full="--size 200000 --rounds 200", quick="--size 1000 --rounds 20", limit_s=60,
        rows=chain_rows,
    ),
    BenchCommand(
        name="audit", area=LOG, full="--entries 40000", quick="--entries 1000", limit_s=90, rows=audit_rows,
    ),
    BenchCommand(
        name="world", area=WORLD, full="--seeds 20 --nodes 256 --hours 1", quick="--seeds 1 --nodes 8 --hours 1",
        limit_s=90, rows=world_rows,
    ),
    BenchCommand(
        name="identities", area=WORLD, full="--rounds 5", quick="--count 5000 --rounds 1", limit_s=60,
        rows=identity_rows,
    ),
    BenchCommand(
        name="sensing", area=SPEED, full="--samples 1048576 --rounds 5", quick="--samples 262144 --rounds 1",
        limit_s=120, rows=speed_rows,
    ),
    BenchCommand(name="radio", area=DRIVER, full="--seconds 3", quick="--seconds 0.5", limit_s=30, rows=radio_rows),
    BenchCommand(
        name="node", area=COST, full="--seconds 15 --warm 5", quick="--seconds 2 --warm 0", limit_s=90, rows=node_rows
    ),
    BenchCommand(name="start", area=START, full="--rounds 5", quick="--rounds 1", limit_s=60, rows=start_rows),
    BenchCommand(
        name="load", area=SPEED, full="--looks 4 --rounds 3", quick="--looks 2 --rounds 1", limit_s=90, rows=load_rows
    ),
    BenchCommand(
        name="settlement", area=SETTLEMENT, full="--count 120 --peers 4 --peers 64",
        quick="--count 20 --peers 1 --in-flight 2 --open 20", limit_s=270, rows=pair_rows,
    ),
    BenchCommand(
        name="gate", area=SILENCE, full="--rounds 20 --pulls 1", quick="--rounds 1 --pulls 0", limit_s=240,
        rows=gate_rows,
    ),
    BenchCommand(
        name="detection", area=RATES, full="--trials 20 --noise-s 5", quick="--trials 20 --noise-s 1", limit_s=150,
        rows=rate_rows,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A benchmark that was run, or not: its arguments, duration, rows."""

    words: tuple[str, ...]
    took_s: float
    rows: tuple[BenchRow, ...]
    why: str = ""


def run_command(command: BenchCommand, folder: Path, *, quick: bool, left_s: float) -> Ran:
    """Run one benchmark in `folder`, for at most its own limit and the time left of the whole run."""
    words = list(command.words(quick=quick))
    if command.name == "detection":
        words += ["--out", str(folder)]
    limit_s = min(command.limit_s, left_s)
    began_s = time.monotonic()
    if limit_s <= 0:
        return _nothing(command, 0.0, "the time of the whole run was up before it began", quick=quick)
    found, why = _answer(words, folder, limit_s)
    took_s = time.monotonic() - began_s
    if why:
        return _nothing(command, took_s, why, quick=quick)
    try:
        rows = tuple(command.rows(found))
    except (KeyError, TypeError, ValueError) as exc:
        return _nothing(command, took_s, f"its JSON has another form than this table reads: {exc!r}", quick=quick)
    return Ran(words=command.words(quick=quick), took_s=took_s, rows=rows)


def _nothing(command: BenchCommand, took_s: float, why: str, *, quick: bool) -> Ran:
    row = BenchRow(area=command.area, what=f"all of `bench {command.name}`", unit="", why=why)
    return Ran(words=command.words(quick=quick), took_s=took_s, rows=(row,), why=why)


def _answer(words: list[str], folder: Path, limit_s: float) -> tuple[Any, str]:
    """Return a command's JSON output, or why there is none."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "agent.cli.main", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    late = False
    try:
        out, said = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        late = True
        out, said = _ended(process)
    except BaseException:
        _ended(process)
        raise
    if late:
        return None, f"took longer than {limit_s:.0f} s"
    if process.returncode not in ANSWERED:
        return None, _last_line(said) or f"ended with {process.returncode}"
    try:
        return json.loads(out), ""
    except (ValueError, RecursionError):
        return None, _last_line(said) or "printed no JSON"


def _ended(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Interrupt a benchmark so that it ends its own processes; after a while, end its whole session."""
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=ENDS_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
