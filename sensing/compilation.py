"""Compiles the loops of sensing ahead of their first use: `python -m sensing.compilation`; some 20 s of processor time.

The code is kept beside the modules, or where numba keeps it for a user who cannot write there; it is made anew when a
module changes. Whoever installs runs this once; without it the first node to start takes that much longer.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
LOOPS: Final = (HERE, HERE / "detectors")
LATER: Final = frozenset({"productkernels"})
"""What only `bandpact sense --products` uses."""
INDEX: Final = ".nbi"
"""How the names of numba's index files end: one for each compiled function, beside its module."""


def is_compiled(folders: tuple[Path, ...] = LOOPS, kept: str | None = None) -> bool:
    """Whether every module with loops has compiled code that is not older than the module.

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


def main() -> None:
    """Compile everything that a node's first look needs."""
    import_module("sensing.survey")
    import_module("sensing.detectors.pulses").warm()


if __name__ == "__main__":
    main()
