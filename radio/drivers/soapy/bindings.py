"""Loads SoapySDR's Python binding, which the system's packages provide and no index of wheels does.

A virtual environment does not see the system's packages, and shall not: they would stand before its own. So exactly two
modules are loaded from the system's folder, the binding and its compiled half, and only where that half is built for
the interpreter that runs. See docs/adr/0050-soapy-from-the-system.md.
"""

import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from types import ModuleType
from typing import Final

from radio.errors import LibraryMissing

FOLDER: Final = "BANDPACT_SOAPY"
"""Environment variable: the only folder to search for the binding, instead of the system's folders."""
MEND: Final = "run 'sudo apt-get install python3-soapysdr', and the package of the radio's own Soapy module"
BINDING, COMPILED = "SoapySDR", "_SoapySDR"


@cache
def soapy() -> ModuleType:
    """SoapySDR's binding; raises LibraryMissing with what to install."""
    try:
        if FOLDER not in os.environ and importlib.util.find_spec(BINDING) is not None:
            return importlib.import_module(BINDING)
        for folder in folders():
            compiled = _compiled(folder)
            if compiled is not None and (folder / f"{BINDING}.py").is_file():
                _load(COMPILED, compiled)
                return _load(BINDING, folder / f"{BINDING}.py")
    except (ImportError, OSError) as exc:
        raise LibraryMissing(f"the Soapy driver cannot load SoapySDR ({exc}); {MEND}") from exc
    looked = ", ".join(map(str, folders()))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise LibraryMissing(
        f"the Soapy driver needs SoapySDR's binding for Python {version}, and none is in "
        f"{looked}; {MEND}, with this system's own Python in the virtual environment"
    )


def folders() -> tuple[Path, ...]:
    """The folders that are searched for the binding, in order."""
    named = os.environ.get(FOLDER)
    return (Path(named),) if named else tuple(dict.fromkeys(_systems()))


def _systems() -> Iterator[Path]:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    yield Path("/usr/lib/python3/dist-packages")
    for base in (Path("/usr/local/lib"), Path("/usr/lib")):
        yield base / version / "dist-packages"
        yield base / version / "site-packages"
    yield Path(sysconfig.get_path("platlib", vars={"base": sys.base_prefix, "platbase": sys.base_prefix}))


def _compiled(folder: Path) -> Path | None:
    """The binding's compiled half in a folder, if it is built for this interpreter; None if not."""
    return next((path for suffix in EXTENSION_SUFFIXES if (path := folder / f"{COMPILED}{suffix}").is_file()), None)


def _load(name: str, path: Path) -> ModuleType:
    loader = ExtensionFileLoader(name, str(path)) if name == COMPILED else None
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
