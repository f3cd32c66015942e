"""Loops compiled ahead: it is known whether they are, and a node's first look finds every one of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensing import compilation, loops
from sensing.compilation import is_compiled

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.feature("U10")


def test_code_is_there_only_beside_every_module_and_no_older_than_it(tmp_path: Path) -> None:
    kept = tmp_path / "__pycache__"
    kept.mkdir()
    for name in ("kernels", "otherkernels"):
        (tmp_path / f"{name}.py").write_text("")
    assert not is_compiled((tmp_path,), "")
    (kept / "kernels.windowed-37.py311.nbi").write_text("")
    assert not is_compiled((tmp_path,), "")
    (kept / "otherkernels.loop-3.py311.nbi").write_text("")
    assert is_compiled((tmp_path,), "")
    os.utime(tmp_path / "kernels.py", ns=(2 << 61, 2 << 61))
    assert not is_compiled((tmp_path,), "")


def test_code_is_looked_for_where_it_was_to_be_kept(tmp_path: Path) -> None:
    module, kept = tmp_path / "m", tmp_path / "kept" / "m_0a1b"
    module.mkdir()
    kept.mkdir(parents=True)
    (module / "kernels.py").write_text("")
    (kept / "kernels.windowed-37.py311.nbi").write_text("")
    assert not is_compiled((module,), "")
    assert is_compiled((module,), str(tmp_path / "kept"))


@pytest.mark.timeout(600)
def test_everything_that_is_asked_for_is_compiled() -> None:
    """A module with loops that `main` leaves out would be compiled at every node's first look, and told each time."""
    look = "from sensing.compilation import is_compiled, main; main(); assert is_compiled()"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment["BANDPACT_LOOPS"] = "numba"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_is_compiled_is_still_linked_where_there_is_a_linker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an installation that numba kept code for holds the compiler in every agent for ever."""
    monkeypatch.setattr(compilation, "is_linked", lambda: False)
    monkeypatch.setattr(compilation, "is_compiled", lambda: True)
    monkeypatch.setattr(compilation, "linker", lambda: ["ld", "-shared"])
    monkeypatch.setattr(loops, "folders", lambda: (tmp_path,))
    assert not compilation.is_ready()
    (tmp_path / f"{loops.file_name()}.failed").write_text("no such library")
    assert compilation.is_ready(), "what failed once is not tried at each start"
    (tmp_path / f"{loops.file_name()}.failed").unlink()
    monkeypatch.setattr(compilation, "linker", lambda: None)
    assert compilation.is_ready()
