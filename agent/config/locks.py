"""Locks on folders (flock(2)): one process at a time, released however that process ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agent.config.settings import ConfigError, NodeConfig

AGENT: Final = ".agent.lock"
WARDEN: Final = ".warden.lock"
HELPER: Final = ".mute.lock"
RETRY_S: Final = 0.05


class InUse(ConfigError):
    """Another live process holds the folder's lock; the message names it."""


@contextmanager
def held(folder: Path, name: str | None, who: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a folder's lock while the context lasts.

    Args: name: the lock's file; None locks the folder itself and creates no file. who: text naming the holder, shown
    to a process that is refused. wait_s: seconds to wait for the lock.
    Raises: InUse while another live process has it, ConfigError where the folder cannot be written to.
    """
    try:
        if name is None:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            handle = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise ConfigError(f"{folder}: {exc.strerror}; give a folder that is there and that you can write to") from exc
    try:
        until = time.monotonic() + wait_s
        while not _locked(handle):
            if time.monotonic() >= until:
                raise InUse(f"{folder}: in use by {_holder(handle, name)}; end that first, or use another folder")
            time.sleep(RETRY_S)
        _write(handle, name, f"process {os.getpid()} ({who})")
        yield
        _write(handle, name, "")
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(handle: int, name: str | None, text: str) -> None:
    """Write the holder's name into the lock file; a full disk does not prevent the lock."""
    if name is None:
        return
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)
    except OSError:
        return


def _holder(handle: int, name: str | None) -> str:
    said = os.pread(handle, 200, 0).decode("utf-8", errors="replace") if name is not None else ""
    return said or _process_of(os.fstat(handle).st_ino) or "another process"


def _process_of(inode: int) -> str:
    """Return who holds a lock on a file, by the kernel's list (proc(5), /proc/locks)."""
    try:
        rows = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return ""
    found = [row[4] for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5].endswith(f":{inode}")]
    return f"process {found[0]}" if found else ""


@contextmanager
def agents(config: NodeConfig, who: str) -> Iterator[None]:
    """Lock a node's folder and run folder for its agent; creates the run folder. Raises InUse, ConfigError."""
    with held(config.folder, AGENT, who):
        try:
            config.run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigError(f"run_folder {config.run_folder}: {exc.strerror}; name one that can be made") from exc
        if config.run_folder.resolve() == config.folder.resolve():
            yield
            return
        with held(config.run_folder, AGENT, who):
            yield


@contextmanager
def not_running(folder: Path, what: str) -> Iterator[None]:
    """Lock a node's folder for `what`, so that nothing else writes there. Raises InUse while the node's agent runs."""
    with held(folder, AGENT, what):
        yield
