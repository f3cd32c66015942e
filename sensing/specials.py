"""Loads scipy's compiled special functions without the package around them.

`import scipy.special` brings array libraries, documentation and polynomials with it: 20 MB and a sixth of a second in a
process that needs a dozen functions. They stand in one compiled file, and are the very objects that the package hands
on. Where this scipy keeps them somewhere else the package itself is imported.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

PACKAGE, FILE = "scipy.special", "scipy.special._ufuncs"
NAMES: Final = (
    "betainc", "betaincinv", "fdtrc", "fdtri", "gammainc", "gammaincc", "gammainccinv", "gammaincinv",
    "gammaln", "ndtri",
)  # fmt: skip


def _alone() -> ModuleType | None:
    """Load the compiled file under its own name, so that the package finds it where it is imported later."""
    found = find_spec("scipy")
    if PACKAGE in sys.modules or found is None or found.origin is None:
        return None
    # The file imports others beside it: meanwhile a stand-in names their package's folder.
    folder = ModuleType(PACKAGE)
    folder.__path__ = [str(Path(found.origin).parent / "special")]
    sys.modules[PACKAGE] = folder
    try:
        return import_module(FILE)
    except ImportError:
        return None
    finally:
        del sys.modules[PACKAGE]


def _chosen() -> ModuleType:
    module = _alone()
    if module is not None and all(hasattr(module, name) for name in NAMES):
        return module
    return import_module(PACKAGE)


_functions: Any = _chosen()

betainc: Any = _functions.betainc
betaincinv: Any = _functions.betaincinv
fdtrc: Any = _functions.fdtrc
fdtri: Any = _functions.fdtri
gammainc: Any = _functions.gammainc
gammaincc: Any = _functions.gammaincc
gammainccinv: Any = _functions.gammainccinv
gammaincinv: Any = _functions.gammaincinv
gammaln: Any = _functions.gammaln
ndtri: Any = _functions.ndtri
