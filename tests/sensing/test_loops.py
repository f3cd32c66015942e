"""Loops linked ahead of time: the very numbers that numba's compiler gives, no compiler in the process."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensing import floorkernels, loops, samplekernels
from sensing.compilation import is_linked
from sensing.detectors import channelkernels, pathkernels, pulsekernels, pulses, shapekernels, weakkernels
from sensing.linkage import linker
from sensing.tracker import POWER_OF

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.feature("S1"),
    pytest.mark.skipif(linker() is None, reason="no linker here: loops are compiled by numba in each process"),
]
FIND = """
import hashlib, sys
import numpy as np
from sensing.detectors.pulses import PulseFinder
from sensing.survey import Survey, SurveySettings
from sensing.values import Channel
rng, told = np.random.default_rng(5), hashlib.sha256()
for rate in (4e6, 20e6):
    finder = PulseFinder(sample_rate_hz=rate, full_scale=2048)
    channels = (Channel(low_hz=-rate / 4, high_hz=0.0), Channel(low_hz=0.0, high_hz=rate / 4))
    survey = Survey(SurveySettings(center_hz=0.0, sample_rate_hz=rate, full_scale=2048, channels=channels))
    for turn in range(4):
        x = rng.standard_normal((1 << 16, 2)) * 100
        for _ in range(12 * turn):
            at, long = rng.integers(0, 60_000), rng.integers(5, 400)
            n = np.arange(long)
            turns = rng.uniform(-0.4, 0.4) * n + rng.uniform(-1e-3, 1e-3) * n**2
            wave = rng.uniform(50, 800) * np.exp(2j * np.pi * turns)
            x[at : at + long] += np.stack((wave.real, wave.imag), 1)
        iq = x.astype(np.int16)
        for one in finder.find(iq, contiguous=turn > 0):
            told.update(repr(one).encode() + one.wave.iq.tobytes() + one.wave.under.tobytes() if one.wave else b"")
        look = survey.feed(iq, start_ns=turn * round(65536 / rate * 1e9))
        told.update(look.psd.tobytes() + repr((look.channels, look.incumbents)).encode())
    told.update(repr([one.occupancy for one in survey.report(10**9).channels]).encode())
print(told.hexdigest(), "numba" in sys.modules)
"""


@pytest.fixture(scope="module", autouse=True)
def linked() -> None:
    """The library as `make setup` leaves it; made here where a loop was changed since."""
    if not is_linked():
        done = subprocess.run([sys.executable, "-m", "sensing.compilation"], cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0
        assert is_linked(), done.stderr


def said(choice: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != loops.CHOICE}
    done = subprocess.run(
        [sys.executable, "-c", FIND], cwd=ROOT, capture_output=True, text=True,
        env={**environment, loops.CHOICE: choice} if choice else environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_pulses_and_surveys_are_the_same_to_the_last_bit_and_no_compiler_is_loaded() -> None:
    ours, theirs = said(""), said("numba")
    assert ours[0] == theirs[0]
    assert (ours[1], theirs[1]) == ("False", "True")


CALLED_BY_LOOPS = {"segment"}


def test_every_loop_that_python_calls_is_in_the_library() -> None:
    """One that only warms up under a rare signal would load the compiler, 115 MB, into a node that meets it."""
    lacking = []
    for path in (ROOT / "sensing").rglob("*kernels.py"):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        made = (one for one in vars(module).values() if isinstance(one, loops.LinkedLoop))
        lacking += [one.__name__ for one in made if one.__module__ == module.__name__ and not one._entries]
    if loops.library() is None:
        pytest.skip("this process began before the library was there")
    assert {name for name in lacking if not name.startswith("_")} == CALLED_BY_LOOPS


def given() -> dict[str, tuple[Any, list[Any]]]:
    """Each loop with arguments of its own types, random, and what it fills empty."""
    rng = np.random.default_rng(11)
    power = rng.gamma(1, size=(320, 32)).astype(np.float32)
    for at in rng.integers(20, 300, 12):
        power[at : at + 6, rng.integers(0, 32)] *= 40
    level = power.reshape(40, 8, 32).mean(axis=1)
    cells = np.minimum(power * 8, 255).astype(np.uint8)
    over = np.maximum(level, np.float32(0.5))
    shallow, places = pathkernels.SHALLOW, pulses.STEEP
    line, where = np.array([100.0, 12.0, 0.1, 0.0]), np.array([90, 112, 0])
    channel = rng.gamma(64, 1 / 64, size=(128, 5))
    even = np.ones(5)
    return {
        "squared_blocks": (
            pulsekernels.squared_blocks,
            [np.sqrt(power).astype(np.complex64), np.zeros((320, 32), np.float32), np.zeros((40, 32), np.float32),
             np.zeros((40, 32), np.float32)],
        ),
        "surroundings": (
            pulsekernels.surroundings,
            [level, over, np.ones(32, np.float32), np.ones(32, np.float32), np.array([2, 8]), np.float32(4),
             np.float32(12), np.float32(4), np.zeros((40, 32), np.float32), np.zeros((40, 32), np.float32),
             np.zeros(40, np.float32), np.zeros(40, np.int64)],
        ),
        "path_hits": (
            pathkernels.path_hits,
            [power, over, np.zeros(40, np.float32), np.float32(0.01), np.float32(20), shallow, places,
             np.zeros((99, 2), np.int64), np.zeros(99)],
        ),
        "outline": (
            shapekernels.outline,
            [power, np.ones(32, np.float32), np.zeros(32, bool), line, where, np.zeros(400, np.int64),
             np.zeros(400, np.int64), np.zeros(400, np.float32)],
        ),
        "search": (
            weakkernels.search,
            [cells, np.argwhere(cells > 50), 0, 20.0, 40.0, 60.0, np.zeros((99, 6))],
        ),
        "quiet_levels": (
            floorkernels.quiet_levels,
            [np.sort(channel, axis=0), even + 1, even, np.full(len(even), 4), 40, np.zeros((3, len(even)))],
        ),
        "mark_risen": (
            floorkernels.mark_risen,
            [np.linspace(-1, 2, 20), np.full(20, 0.9), np.arange(20)[::-1].copy(), np.array([4, 8]), 0.25,
             np.zeros(20, np.bool_)],
        ),
        "level_powers": (
            channelkernels.level_powers,
            [
                np.arange(-20, 20, dtype=np.int16).reshape(10, 4), np.array([0, 3, 10]), np.array([1.0, 2.0]), POWER_OF,
                np.zeros((10, 4)),
            ],
        ),
        "probed": (samplekernels.probed, [np.arange(-999, 999, dtype=np.int16), 3, 300, 2048.0, np.zeros(6)]),
        "block_ratios": (channelkernels.block_ratios, [channel, even, even, 1.2, even, np.zeros(128), np.zeros(128)]),
    }  # fmt: skip


@pytest.mark.parametrize("name", given())
def test_each_loop_fills_and_returns_what_numba_does(name: str) -> None:
    loop, ours = given()[name]
    _, theirs = given()[name]
    if loops.library() is None:
        pytest.skip("this process began before the library was there")
    assert repr(loop(*ours)) == repr(loop.by_numba()(*theirs))
    for mine, other in zip(ours, theirs, strict=True):
        assert np.asarray(mine).tobytes() == np.asarray(other).tobytes()


def test_arrays_of_another_type_shape_or_layout_do_not_reach_the_library() -> None:
    """A wrong array handed to machine code would be read past its end."""
    held = loops.library()
    if held is None:
        pytest.skip("this process began before the library was there")
    (entry,) = held["sensing.detectors.pulsekernels", "squared_blocks"]
    cells, out = np.ones((8, 4), np.complex64), np.zeros((8, 4), np.float32)
    blocks = np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32)
    locked = out.copy()
    locked.flags.writeable = False
    wrong = {
        "precision": (cells.astype(np.complex128), out, *blocks),
        "dimensions": (cells[0], out, *blocks),
        "layout": (np.asfortranarray(cells), out, *blocks),
        "steps": (np.ones((8, 8), np.complex64)[:, ::2], out, *blocks),
        "locked": (cells, locked, *blocks),
        "subclass": (cells.view(np.recarray), out, *blocks),
        "no array": (cells.tolist(), out, *blocks),
        "count": (cells, out),
        "byte order": (cells.astype(">c8"), out, *blocks),
    }
    assert {name: entry.run(some)[0] for name, some in wrong.items()} == dict.fromkeys(wrong, loops.OTHER_TYPES)
    assert entry.run((cells, out, *blocks))[0] in loops.DONE
    pulsekernels.squared_blocks(2 * cells.astype(np.complex128), out, *blocks)
    assert (out == 4).all()


def test_a_library_that_others_can_write_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "folders", lambda: (tmp_path,))
    file = tmp_path / loops.file_name()
    file.write_bytes(b"")
    file.chmod(0o644)
    assert loops.found() == file
    file.chmod(0o664)
    assert loops.found() is None


def test_a_changed_loop_has_another_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kernels.py", "loops.py", "linkage.py"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(loops, "HERE", tmp_path)
    monkeypatch.setattr(loops, "_sources", loops._sources.__wrapped__)
    before = loops.file_name()
    (tmp_path / "kernels.py").write_text("#")
    assert loops.file_name() != before
