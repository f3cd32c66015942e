"""The trial's processes, air and nodes: each in its own session, and all ended in order after any error."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

STOP_S = 12.0
AIR_STOP_S = 130.0
"""Seconds that the air may take to end: its oracle first measures all emissions, delayed on a busy machine."""
KEPT_BYTES = str(256 << 20)
# Many processes share few cores here: waiting threads of a linear-algebra library would waste them.
FRUGAL = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Settings of glibc, by which a process keeps freed memory: returning each look's memory to the kernel would waste time.
# For simulators alone, as a node is to use as much memory in a trial as it does at its operator's.
KEEPING = dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), KEPT_BYTES)
SIMULATED = "sim."
COMMAND = "agent.cli.main"
"""The module of the `bandpact` command."""


class TrialError(Exception):
    """The trial cannot go on; the message is one line with the cause and the remedy."""


@dataclass(slots=True)
class Child:
    """A running process, and the file for its errors."""

    name: str
    process: "subprocess.Popen[bytes]"
    errors: Path

    def failed(self) -> str | None:
        """Return its last error line when it has ended; None while it runs."""
        if self.process.poll() is None:
            return None
        lines = self.errors.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self.process.returncode}"


def spawn(name: str, module: str, argument: Path, folder: Path) -> Child:
    """Start `python -m module argument`; a Ctrl-C on the terminal reaches only the trial, which ends it in order."""
    return _begun(name, [module, str(argument)], folder, KEEPING if module.startswith(SIMULATED) else {})


def serve(name: str, config: Path, folder: Path, *, health_port: int, page_port: int) -> Child:
    """Start a node as its operator does, by `bandpact run`, with its health probes and its page on these ports."""
    words = ["run", "--config", str(config), "--health-port", str(health_port), "--page-port", str(page_port)]
    return _begun(name, [COMMAND, *words], folder, {})


def _begun(name: str, words: list[str], folder: Path, environment: dict[str, str]) -> Child:
    errors = folder / f"{name}.err"
    with errors.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", *words],
            stdin=subprocess.DEVNULL,
            stdout=err,
            stderr=err,
            start_new_session=True,
            env={**os.environ, **FRUGAL, **environment},
        )
    return Child(name=name, process=process, errors=errors)


def stop(children: list[Child], wait_s: float = STOP_S) -> list[str]:
    """Ask all processes to end, wait, kill those that do not; returns the names of those killed."""
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    killed: list[str] = []
    for child in children:
        try:
            child.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
            killed.append(child.name)
    return killed


def free_ports(count: int, base: int | None) -> list[int]:
    """Return free loopback ports: from `base` upwards, or any. Raises TrialError when one is in use."""
    held = [socket.socket() for _ in range(count)]
    ports: list[int] = []
    try:
        for number, one in enumerate(held):
            wanted = 0 if base is None else base + number
            try:
                one.bind(("127.0.0.1", wanted))
            except (OSError, OverflowError) as exc:
                raise TrialError(
                    f"port {wanted} on 127.0.0.1 is in use or not allowed; give another --base-port"
                ) from exc
            ports.append(int(one.getsockname()[1]))
    finally:
        for one in held:
            one.close()
    return ports


def write_json(path: Path, value: object) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as exc:
        fresh.unlink(missing_ok=True)
        raise TrialError(f"cannot write {path}: {exc.strerror}; choose a place you can write to") from exc
