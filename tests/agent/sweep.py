"""Runs a command in a process of its own under conditions that go wrong: a full or read-only disk, unreadable files."""

import ctypes
import json
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from typer.testing import CliRunner

from agent.cli.main import app

NOBODY = 65_534
CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_REC, MS_PRIVATE = 0x20000, 1, 32, 16384, 1 << 18
DISK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The result of a command, and the files that it created."""

    code: int
    out: str
    err: str
    left: tuple[str, ...] = ()
    again: int | None = None

    def one_line(self) -> str:
        """Its standard error, where that is one clear line; fails otherwise."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self
        assert lines[0].startswith("bandpact: "), self
        assert "Traceback" not in self.err + self.out, self
        assert "a defect of bandpact" not in self.err, self
        return lines[0]


def commands() -> list[str]:
    """Every command of the command line, as its words."""

    def below(command: object, words: tuple[str, ...]) -> Iterator[str]:
        subs = getattr(command, "commands", None)
        if subs is None:
            yield " ".join(words)
            return
        if words and getattr(command, "invoke_without_command", False):
            yield " ".join(words)
        for name, sub in subs.items():
            yield from below(sub, (*words, name))

    return sorted(below(typer.main.get_command(app), ()))


def invoked(words: list[str]) -> Ended:
    """Run a command in this process."""
    done = CliRunner().invoke(app, words)
    return Ended(code=int(done.exit_code), out=done.stdout, err=done.stderr)


def forked(act: Callable[[], Ended]) -> Ended:
    """Run a function in a child process, which may give up its rights and its file systems."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            ended = act()
        except BaseException as exc:  # noqa: BLE001 - told to the parent, whatever it is
            ended = Ended(code=-1, out="", err=f"the case itself failed: {exc!r}")
        fields = {name: getattr(ended, name) for name in Ended.__dataclass_fields__}
        os.write(writer, json.dumps(fields).encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = json.loads(pipe.read())
    os.waitpid(child, 0)
    return Ended(**{**said, "left": tuple(said["left"])})


@contextmanager
def elsewhere(prepared: Path) -> Iterator[Path]:
    """A copy of a prepared folder, in a place that any user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="bandpact-"))
    try:
        folder.chmod(0o755)
        shutil.copytree(prepared, folder / "w", symlinks=True)
        yield folder / "w"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != ".agent.lock"}


_LIBC = ctypes.CDLL(None, use_errno=True)


def _mount(source: str, target: Path, kind: str, flags: int, data: str = "") -> None:
    if _LIBC.mount(source.encode(), str(target).encode(), kind.encode(), flags, data.encode()):
        raise OSError(ctypes.get_errno(), f"mount {target}")


def may_mount() -> bool:
    """Whether this process may mount a file system of its own."""

    def tried() -> Ended:
        with tempfile.TemporaryDirectory() as folder:
            _own_disk(Path(folder))
            return Ended(code=0, out="", err="")

    return os.geteuid() == 0 and forked(tried).code == 0


def _own_disk(folder: Path) -> None:
    if _LIBC.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("none", Path("/"), "", MS_REC | MS_PRIVATE)
    _mount("tmpfs", folder, "tmpfs", 0, f"size={DISK_BYTES}")


def on_a_disk(prepared: Path, words: list[str], *, full: bool, mounted: bool) -> Ended:
    """Run a command with the disk full or read-only; then once more with that repaired."""

    def act() -> Ended:
        if not full and not mounted:
            _loaded(prepared, words)
        with elsewhere(prepared) as place:
            if mounted:
                shutil.rmtree(place)
                place.mkdir()
                _own_disk(place)
                shutil.copytree(prepared, place, symlinks=True, dirs_exist_ok=True)
            os.chdir(place)
            before = _files(place)
            _spoil(place, full=full, mounted=mounted)
            with _mere_user(place, wanted=not full and not mounted):
                ended = invoked(words)
            _mend(place, full=full, mounted=mounted)
            left = tuple(sorted(_files(place) - before))
            again = invoked(words)
            said = again.err if again.code not in (0, 3) else ""
            return Ended(code=ended.code, out=ended.out, err=ended.err + said, left=left, again=again.code)

    return forked(act)


def _spoil(place: Path, *, full: bool, mounted: bool) -> None:
    if not full:
        _read_only(place, on=True, mounted=mounted)
    elif mounted:
        with (place / "filler").open("wb", buffering=0) as filler:
            for size in (65_536, 1):
                try:
                    while filler.write(b"\0" * size):
                        pass
                except OSError:
                    continue
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def _mend(place: Path, *, full: bool, mounted: bool) -> None:
    if not full:
        _read_only(place, on=False, mounted=mounted)
    elif mounted:
        (place / "filler").unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _read_only(place: Path, *, on: bool, mounted: bool) -> None:
    if mounted:
        _mount("tmpfs", place, "tmpfs", MS_REMOUNT | (MS_RDONLY if on else 0), f"size={DISK_BYTES}")
        return
    for folder in (place, *(path for path in place.rglob("*") if path.is_dir())):
        folder.chmod(0o555 if on else 0o755)


def _loaded(prepared: Path, words: list[str]) -> None:
    """Run the command once first: another user may not be able to read the libraries that it loads."""
    with elsewhere(prepared) as place:
        os.chdir(place)
        invoked(words)
        os.chdir("/")


@contextmanager
def _mere_user(place: Path, *, wanted: bool) -> Iterator[None]:
    """Become an unprivileged user for a while, as root may read and write everything."""
    if not wanted or os.geteuid() != 0:
        yield
        return
    for path in (place, *place.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


def as_nobody(prepared: Path, words: list[str], hidden: str) -> Ended:
    """Run a command as a user who may not read one of the files it needs."""

    def act() -> Ended:
        _loaded(prepared, words)
        with elsewhere(prepared) as place:
            os.chdir(place)
            Path(hidden).chmod(0)
            with _mere_user(place, wanted=True):
                return invoked(words)

    return forked(act)
