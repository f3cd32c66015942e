"""Where the compiled loops of sensing come from: a library linked ahead of time, or numba's compiler in this process.

Numba with LLVM takes 115 MB and half a second in every process that imports it, even where all its code is kept. So
whoever installs has the loops linked once into a shared library (`python -m sensing.compilation`, made by
`sensing/linkage.py` from the very code that numba would run), and a node loads that file and no compiler. Where there
is no such library, where it was made for another processor or from other sources, and for argument types that nobody
foresaw, numba compiles as it always did; the numbers are the same.

A library takes NumPy's arrays as they are: the code in it reads an array's type, shape and layout itself, and says
when they are not those it was made for.
"""

import ctypes
import importlib.util
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final, TypeVar, cast

import numpy as np

Compiled = TypeVar("Compiled", bound=Callable[..., Any])

HERE: Final = Path(__file__).parent
CHOICE: Final = "BANDPACT_LOOPS"
"""Environment: `numba` leaves the library alone; `fresh` compiles everything again and keeps nothing."""
BY_NUMBA, FRESH = "numba", "fresh"
OPTIONS: Final = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}
"""Sums may be taken in any order, as wide as the processor's registers; the interpreter's lock is released."""
DTYPES: Final = ("int16", "int64", "uint8", "uint32", "bool", "float32", "float64", "complex64")
"""Of arrays: their order is that of the library's table of types."""
INTEGERS: Final = (int, np.int64)
SCALARS: Final[dict[str, tuple[tuple[type, ...], Any, Callable[[Any], Any]]]] = {
    "int64": (INTEGERS, ctypes.c_int64, int),
    "uint8": ((np.uint8,), ctypes.c_int64, int),
    "float32": ((np.float32,), ctypes.c_double, float),
    "float64": ((float, np.float64), ctypes.c_double, float),
}
RESULTS: Final[dict[str, Any]] = {"none": ctypes.c_int64, "int64": ctypes.c_int64, "float64": ctypes.c_double}
DONE: Final = (0, -2)
"""What numba's code returns when nothing was raised: with a value, and without one."""
OTHER_TYPES: Final = -100
"""What a library's code returns when an array is not of the type, shape or layout that it was made for."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Argument and result types as the library's own table has them.

    Arguments are scalars by their type's name, and arrays as `r1 float32` (read, one dimension, in C order) or
    `w2 float32`; the result is `none`, a scalar, or `int64*4` for a tuple of four.
    """

    module: str
    name: str
    symbol: str
    arguments: tuple[str, ...]
    result: str


class _Entry:
    """One loop of the library for one set of argument types."""

    def __init__(self, library: ctypes.CDLL, signature: Signature) -> None:
        self._call = library[signature.symbol]
        self._call.restype = ctypes.c_int32
        kinds = [SCALARS.get(one) for one in signature.arguments]
        self._call.argtypes = [ctypes.c_void_p, *(ctypes.py_object if kind is None else kind[1] for kind in kinds)]
        self._scalars = [(at, kind[0], kind[2]) for at, kind in enumerate(kinds) if kind is not None]
        self._count = len(kinds)
        name, _, many = signature.result.partition("*")
        self._result = RESULTS[name] * int(many) if many else RESULTS[name]
        self._many, self._none = bool(many), name == "none"

    def run(self, given: tuple[Any, ...]) -> tuple[int, Any]:
        """Its status, and what it returned where that is in DONE."""
        if len(given) != self._count:
            return OTHER_TYPES, None
        sent = list(given)
        for at, kinds, plain in self._scalars:
            if type(sent[at]) not in kinds:
                return OTHER_TYPES, None
            sent[at] = plain(sent[at])
        result = self._result()
        status = self._call(ctypes.addressof(result), *sent)
        if self._none:
            return status, None
        return status, tuple(result) if self._many else result.value


class LinkedLoop:
    """A loop that is called from Python: in the library, and by numba for argument types that are not in it."""

    def __init__(self, function: FunctionType, entries: list[_Entry]) -> None:
        self.__name__, self.__doc__, self.__module__ = function.__name__, function.__doc__, function.__module__
        self.py_func = function
        self._entries = entries

    def __call__(self, *given: Any) -> Any:
        """Run it. Raises RuntimeError where the loop itself raised, TypeError for arguments that it never takes."""
        for entry in self._entries:
            status, value = entry.run(given)
            if status in DONE:
                return value
            if status != OTHER_TYPES:
                raise RuntimeError(f"{self.__name__} failed, with {status}")
        return self.by_numba()(*given)

    def by_numba(self) -> Callable[..., Any]:
        """The same loop as numba compiles it, here and now."""
        made: Callable[..., Any] = getattr(_module_by_numba(self.__module__), self.__name__)
        return made


@dataclass(slots=True)
class _Mode:
    """Whether a module with loops is being read for numba although there is a library; loops made, in their order."""

    numba: bool = False


_MODE: Final = _Mode()
MADE: Final[list[Any]] = []
"""Every loop that numba is to compile in this process: what `sensing/linkage.py` links."""


def compiled(function: Compiled) -> Compiled:
    """A loop compiled when it is first called, for the types it is called with."""
    return cast("Compiled", _made(function, None))


def precompiled(*signatures: str, result: str = "none") -> Callable[[Compiled], Compiled]:
    """A loop for these argument types, each written as in `Signature`, separated by commas."""

    def build(function: Compiled) -> Compiled:
        return cast("Compiled", _made(function, [(one.split(", "), result) for one in signatures]))

    return build


def _made(function: Any, signatures: list[tuple[list[str], str]] | None) -> Any:
    held = None if _MODE.numba else library()
    if held is not None:
        return LinkedLoop(function, held.get((function.__module__, function.__name__), []))
    from numba import njit  # noqa: PLC0415 - the compiler is loaded only where there is no library

    given = [] if signatures is None else [[_numba_signature(*one) for one in signatures]]
    options: dict[str, Any] = dict(OPTIONS)
    made = None
    if os.environ.get(CHOICE) != FRESH:
        try:
            made = njit(*given, cache=True, **options)(function)
        except RuntimeError:  # no folder to keep compiled code in
            made = None
    made = njit(*given, **options)(function) if made is None else made
    MADE.append(made)
    return made


def _numba_signature(arguments: list[str], result: str) -> Any:
    from numba.core import types  # noqa: PLC0415 - as above

    def one(text: str) -> Any:
        layout, _, name = text.rpartition(" ")
        kind = types.boolean if name == "bool" else getattr(types, name)
        return types.Array(kind, int(layout[1]), "C", readonly=layout[0] == "r") if layout else kind

    return getattr(types, "void" if result == "none" else result)(*map(one, arguments))


@cache
def _module_by_numba(name: str) -> ModuleType:
    """A module with loops read once more, every loop in it made by numba; the module itself stays as it is."""
    spec = importlib.util.spec_from_file_location(name, sys.modules[name].__file__)
    if spec is None or spec.loader is None:
        raise ImportError(f"no source of {name}")
    module = importlib.util.module_from_spec(spec)
    before, _MODE.numba = _MODE.numba, True
    try:
        spec.loader.exec_module(module)
    finally:
        _MODE.numba = before
    for key, value in list(vars(module).items()):
        if isinstance(value, LinkedLoop):
            setattr(module, key, value.by_numba())
    return module


# -- the library's file ------------------------------------------------------------------------------------------


def folders() -> tuple[Path, ...]:
    """Where a library may lie: beside the modules, or where those cannot be written in the cache named for numba."""
    kept = os.environ.get("NUMBA_CACHE_DIR")
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return HERE / "__pycache__", Path(kept) if kept else cache_home / "bandpact"


def file_name() -> str:
    """The name of a library for these sources, this interpreter and this processor."""
    return f"loops-{_sources()}-{_machine()}.so"


@cache
def _sources() -> str:
    digest = sha256()
    for path in sorted([*HERE.rglob("*kernels.py"), HERE / "loops.py", HERE / "linkage.py"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def _machine() -> str:
    """What compiled code goes by: interpreter, array layout, and every feature that the processor says it has."""
    said = [sys.implementation.cache_tag, str(np.lib.NumpyVersion(np.__version__).major), *os.uname()[4:]]
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if not line.strip():
                    break
                if name.strip() in {"flags", "Features", "model name", "CPU part", "CPU implementer"}:
                    said.append(value.strip())
    except OSError:
        said.append("unknown")
    return sha256("\n".join(said).encode()).hexdigest()[:16]


def _ours(path: Path) -> bool:
    """Whether only root and this user can have written a file: it is about to be run."""
    try:
        told = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(told.st_mode) and told.st_uid in {0, os.geteuid()} and not told.st_mode & 0o022


@cache
def library() -> dict[tuple[str, str], list[_Entry]] | None:
    """The loops of the library by module and name, None where there is none that can be used here."""
    if os.environ.get(CHOICE) or os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return None
    path = found()
    try:
        return None if path is None else opened(path)
    except (OSError, AttributeError, ValueError, TypeError):
        return None


def found() -> Path | None:
    """The library's file for these sources, this interpreter and this processor, where there is one to be trusted."""
    if sys.implementation.name != "cpython" or sys.maxsize != (1 << 63) - 1 or hasattr(sys, "gettotalrefcount"):
        return None
    return next((path for folder in folders() if _ours(path := folder / file_name())), None)


def opened(path: Path) -> dict[tuple[str, str], list[_Entry]]:
    """The loops of a library file. Raises OSError, AttributeError or ValueError where it is none of ours."""
    held = ctypes.CDLL(str(path))
    table = (ctypes.c_void_p * (1 + len(DTYPES))).in_dll(held, "bandpact_types")
    table[0] = id(np.ndarray)
    for at, name in enumerate(DTYPES):
        table[1 + at] = id(np.dtype(name))
    loops: dict[tuple[str, str], list[_Entry]] = {}
    for one in signatures_of(held):
        loops.setdefault((one.module, one.name), []).append(_Entry(held, one))
    return loops


def signatures_of(held: ctypes.CDLL) -> Iterator[Signature]:
    """What a library says it holds."""
    size = ctypes.c_int64.in_dll(held, "bandpact_said_size").value
    text = bytes((ctypes.c_char * size).in_dll(held, "bandpact_said"))
    for module, name, symbol, arguments, result in json.loads(text):
        yield Signature(module, name, symbol, tuple(arguments), result)
