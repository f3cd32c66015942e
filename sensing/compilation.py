"""Compiles the loops of sensing ahead of their first use: `python -m sensing.compilation`; some 30 s of processor time.

Where there is a linker they become one library (`sensing/linkage.py`), and a node needs no compiler in its memory. The
file lies beside the modules, or in the user's cache where those cannot be written; it is for these sources and this
processor only. Where there is no linker numba keeps its own code in the same places and is loaded with it. Whoever
installs runs this once; without it the first node to start takes that much longer, and each holds the compiler.
"""

import os
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final

import numpy as np

from sensing import loops
from sensing.linkage import LinkageError, link, linker

HERE: Final = Path(__file__).parent
LOOPS: Final = (HERE, HERE / "detectors")
LATER: Final = frozenset({"productkernels"})
"""Kernel modules that only `bandpact sense --products` uses, compiled at its first use."""
INDEX: Final = ".nbi"
"""Suffix of numba's index files: one for each compiled function, beside its module."""
COMPILING_S: Final = 600.0
FAILED: Final = ".failed"


def is_linked() -> bool:
    """Whether there is a library of the loops for these sources and this processor."""
    return loops.found() is not None


def is_compiled(folders: tuple[Path, ...] = LOOPS, kept: str | None = None) -> bool:
    """Whether numba's cache has code of every kernel module that is not older than the module.

    Args: kept: the folder that numba was told to keep code in (NUMBA_CACHE_DIR); beside each module if it was not.
    """
    where = os.environ.get("NUMBA_CACHE_DIR") if kept is None else kept
    for folder in folders:
        places = list(Path(where).glob("*")) if where else [folder / "__pycache__"]
        for module in (path for path in folder.glob("*kernels.py") if path.stem not in LATER):
            held = [path for place in places for path in place.glob(f"{module.stem}.*{INDEX}")]
            if not held or max(path.stat().st_mtime for path in held) < module.stat().st_mtime:
                return False
    return True


def is_ready() -> bool:
    """Whether a node that starts now compiles nothing, and need not load the compiler where a linker can spare it."""
    return is_linked() or (is_compiled() and (linker() is None or any(one.is_file() for one in _failures())))


def _failures() -> list[Path]:
    """Marker files noting that these sources could not be linked on this machine: not tried again at each start."""
    return [folder / f"{loops.file_name()}{FAILED}" for folder in loops.folders()]


def make_ready() -> str:
    """Compile what this installation lacks in a separate process, before this process imports any compiled loop.

    Returns why that failed, "" where nothing is lacking: then each process compiles for itself, and needs longer.
    """
    if is_ready():
        return ""
    command = [sys.executable, "-P", "-m", "sensing.compilation"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMPILING_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not done within {COMPILING_S:g} s: is this machine busy?"
    except OSError as exc:
        return f"no process to compile by: {exc.strerror}"
    said = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else said[-1] if said else f"the compiler ended with {done.returncode}"


def _run_all() -> None:
    """Call every loop that a node uses, with the argument types that the node calls it with."""
    import_module("sensing.survey")
    import_module("sensing.detectors.pulses").warm()


def _run_products() -> None:
    """Call the loops of `bandpact sense --products`, which a running node does not need."""
    products, channel = import_module("sensing.products"), import_module("sensing.values").Channel
    settings = products.ProductSettings(
        center_hz=0.0, sample_rate_hz=1e6, full_scale=2048, channels=(channel(low_hz=-2e5, high_hz=2e5),)
    )
    products.ProductMaker(settings).feed(np.zeros((200_000, 2), np.int16), start_ns=0)


def _link() -> None:
    """Compile everything anew and link it. Raises LinkageError, OSError."""
    _run_all()
    _run_products()
    failed: OSError | None = None
    for folder in loops.folders():
        try:
            link(loops.MADE, folder / loops.file_name())
        except OSError as exc:
            failed = exc
            continue
        for old in folder.glob("loops-*.so") if folder == loops.folders()[0] else ():
            if old.name != loops.file_name():
                old.unlink(missing_ok=True)
        return
    if failed is not None:
        raise failed


def main() -> int:
    """Compile everything that a node's first look needs, unless that is done already."""
    if os.environ.get(loops.CHOICE) or linker() is None:
        _run_all()
        return 0
    if is_linked():
        return 0
    os.environ[loops.CHOICE] = loops.FRESH
    try:
        _link()
    except (LinkageError, OSError) as exc:
        sys.stderr.write(f"the loops of sensing are not linked, each process compiles or loads them: {exc}\n")
        for note in _failures():
            with suppress(OSError):
                note.write_text(f"{exc}\n", encoding="utf-8")
        environment = {**os.environ, loops.CHOICE: loops.BY_NUMBA}
        again = [sys.executable, "-P", "-m", "sensing.compilation"]
        return subprocess.run(again, env=environment, check=False).returncode
    finally:
        del os.environ[loops.CHOICE]
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
