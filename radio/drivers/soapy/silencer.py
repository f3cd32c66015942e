"""A separate process whose handle only mutes a Soapy device: `python -m radio.drivers.soapy.silencer ARGUMENTS`.

It says `ready` once it has the device, or why it has not; then answers each line `mute` or `state` with what reads
back, and ends when its input does. So a driver that hangs inside a device's module, holding the interpreter, is muted
all the same.
"""

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from typing import Final

from radio.drivers.soapy.handle import OPEN_S, Handle
from radio.errors import HardwareError, RadioError
from radio.ports import RfState

READY: Final = "ready"
ANSWER_S: Final = 2.0


class SilencerProcess:
    """The muting process, as seen by the process that started it. Safe to use from several threads."""

    def __init__(self, arguments: str, *, answer_s: float = ANSWER_S) -> None:
        """Start the process and wait until it has opened the device; raises HardwareError with its reason if not."""
        self._answer_s = answer_s
        self._lock = threading.Lock()
        self._read = b""
        command = [sys.executable, "-P", "-m", "radio.drivers.soapy.silencer", arguments]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        except OSError as exc:
            raise HardwareError(f"soapy:{arguments}: no process for the second handle: {exc.strerror}") from exc
        if self._process.stdin is None or self._process.stdout is None:
            raise HardwareError(f"soapy:{arguments}: the second handle's process has no pipes")
        self._asking, self._answering = self._process.stdin, self._process.stdout
        try:
            said = self._line(OPEN_S)
        except BaseException:
            self.close()
            raise
        if said != READY:
            self.close()
            raise HardwareError(said or f"soapy:{arguments}: no second handle within {OPEN_S:g} s")

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, word: str) -> RfState:
        """Send `mute` or `state`; returns UNKNOWN where no answer comes in time."""
        with self._lock:
            try:
                self._read = b""
                self._asking.write(f"{word}\n".encode())
                return RfState(self._line(self._answer_s))
            except (OSError, ValueError):
                return RfState.UNKNOWN

    def _line(self, limit_s: float) -> str:
        """Read the next line of its output; "" where none comes in time."""
        stream = self._answering
        end = time.monotonic() + limit_s
        while b"\n" not in self._read:
            ready, _, _ = select.select([stream], [], [], max(0.0, end - time.monotonic()))
            more = os.read(stream.fileno(), 4096) if ready else b""
            if not more:
                return ""
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line.decode("utf-8", "replace")

    def close(self) -> None:
        """End the process."""
        for pipe in (self._asking, self._answering):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self._process.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main(arguments: str) -> int:
    """Answer commands from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a module prints must not mix with the answers on standard output
    try:
        handle = Handle(arguments)
    except RadioError as exc:
        answers.write(f"{exc}\n")
        return 4
    answers.write(f"{READY}\n")
    for line in sys.stdin:
        try:
            found = handle.quiet() if line.strip() == "mute" else handle.state()
        except RadioError:
            found = RfState.UNKNOWN
        answers.write(f"{found.value}\n")
    handle.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
