"""The speed comparison names its contenders, and takes GNU Radio in only where it is installed."""

import sys
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from agent.bench.sensing import GNU_RADIO, contenders, gnuradio_chain, speeds

SAMPLES = np.zeros(4096, np.complex64)


class Blocks:
    """Stands in for every block and for the flow graph: remembers how it was made and connected."""

    made: ClassVar[list[str]] = []
    connected: ClassVar[list[int]] = []

    def __getattr__(self, name: str) -> object:
        def make(*_arguments: object) -> "Blocks":
            Blocks.made.append(name)
            return self

        return make

    def connect(self, *blocks: object) -> None:
        Blocks.connected.append(len(blocks))


@pytest.mark.feature("E1")
def test_without_gnu_radio_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gnuradio", None)
    assert gnuradio_chain(SAMPLES, 1024) is None
    assert GNU_RADIO not in contenders(np.zeros((4096, 2), np.int16), 1024)


@pytest.mark.feature("E1")
def test_with_gnu_radio_its_chain_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("gnuradio")
    monkeypatch.setitem(sys.modules, "gnuradio", package)
    for name in ("gr", "blocks", "fft"):
        module = ModuleType(f"gnuradio.{name}")
        module.__getattr__ = lambda wanted: getattr(Blocks(), wanted)  # type: ignore[method-assign]
        monkeypatch.setitem(sys.modules, f"gnuradio.{name}", module)
    chain = gnuradio_chain(SAMPLES, 1024)
    assert chain is not None
    chain()
    wanted = {"top_block", "vector_source_c", "fft_vcc", "complex_to_mag_squared", "null_sink", "run"}
    assert wanted <= set(Blocks.made)
    assert Blocks.connected == [4]
    assert GNU_RADIO in {one.baseline for one in speeds(1024, samples=1 << 16, rounds=1)}


@pytest.mark.feature("E1")
def test_a_ratio_is_the_median_of_the_rounds_and_lies_within_its_spread() -> None:
    found = speeds(1024, samples=1 << 18, rounds=3)
    assert all(0 < one.ratio_low <= one.ratio <= one.ratio_high for one in found)
    assert {one.baseline for one in found} >= {"scipy.signal.welch", "scipy.fft, batched", "numpy loop"}


@pytest.mark.skipif(gnuradio_chain(SAMPLES, 1024) is None, reason="GNU Radio is not installed")
def test_the_real_gnu_radio_runs() -> None:
    chain = gnuradio_chain(SAMPLES, 1024)
    assert chain is not None
    chain()
