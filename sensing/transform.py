"""FFT of rows of samples: loads scipy's compiled FFT without the package around it.

`import scipy.fft` brings array libraries, documentation and a backend registry with it: 23 MB and a third of a second
in every process of a node, for one compiled file (pocketfft, Reinecke 2019, which takes several rows at once in the
processor's wide registers; numpy's takes one and is up to five times slower). Where this scipy keeps that file
somewhere else, or it takes other arguments, the package itself is imported.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = TypeVar("Rows", NDArray[np.complex64], NDArray[np.complex128])
C2c: TypeAlias = Callable[[Any, tuple[int, ...], bool, int, Any, int], Any]
NAME: Final = "scipy.fft._pocketfft.pypocketfft"
PLAIN, BY_LENGTH = 0, 2
"""How pocketfft scales a result: not at all, or by one over its length."""


def _file() -> Path | None:
    """The path of the compiled file; scipy is located, not imported."""
    found = find_spec("scipy")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "fft" / "_pocketfft"
    names = (folder / f"pypocketfft{suffix}" for suffix in EXTENSION_SUFFIXES)
    return next((path for path in names if path.is_file()), None)


def _alone() -> ModuleType | None:
    """Load the compiled module under its own name, so that `scipy.fft` finds it where it is imported later."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    path = _file()
    if path is None:
        return None
    spec = spec_from_loader(NAME, ExtensionFileLoader(NAME, str(path)))
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[NAME] = module
    return module


def _sound(c2c: C2c) -> bool:
    """Whether the module transforms, in place and back, with this module's arguments."""
    given = np.array([[1, 2, 3, 4], [1j, 0, 0, 0]], np.complex64)
    rows = given.copy()
    expected = np.fft.fft(rows, axis=1)
    there = c2c(rows, (1,), True, PLAIN, rows, 1)
    back = c2c(there, (1,), False, BY_LENGTH, None, 1)
    return bool(np.allclose(rows, expected) and np.allclose(back, given))


def _packaged() -> C2c:
    package: Any = import_module("scipy.fft")

    def c2c(rows: Any, axes: tuple[int, ...], forward: bool, *rest: Any) -> Any:
        _, out, workers = rest
        made = (package.fft if forward else package.ifft)(rows, axis=axes[0], overwrite_x=out is rows, workers=workers)
        if out is None or made is out:
            return made
        out[...] = made
        return out

    return c2c


def _choose() -> C2c:
    try:
        module = _alone()
        if module is not None and _sound(module.c2c):
            c2c: C2c = module.c2c
            return c2c
    except (ImportError, AttributeError, TypeError, ValueError):
        pass
    return _packaged()


_c2c: Final = _choose()


def fft(rows: Rows, *, out: Rows | None = None) -> Rows:
    """Discrete Fourier transform along the last axis, unscaled, zero frequency first.

    Args: rows complex64 or complex128 of shape (..., n); the result has its precision. out where the result goes,
        `rows` itself too; None for a new array.
    """
    made: Rows = _c2c(rows, (rows.ndim - 1,), True, PLAIN, out, 1)
    return made


def ifft(rows: Rows, *, out: Rows | None = None) -> Rows:
    """Inverse transform along the last axis, scaled by 1/n; arguments as `fft`."""
    made: Rows = _c2c(rows, (rows.ndim - 1,), False, BY_LENGTH, out, 1)
    return made
