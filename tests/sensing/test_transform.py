"""The transform of rows is scipy's, however it was loaded."""

import subprocess
import sys

import numpy as np
import pytest

from sensing import transform
from sensing.transform import fft, ifft

pytestmark = pytest.mark.feature("E1")
RNG = np.random.default_rng(11)


def rows(kind: type, *shape: int) -> np.ndarray:
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(kind)


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(16,), (3, 128), (5, 1000), (2, 3, 64)])
def test_rows_are_transformed_in_their_precision(kind: type, shape: tuple[int, ...]) -> None:
    x = rows(kind, *shape)
    there = fft(x)
    assert there.dtype == kind
    near = 1e-5 if kind is np.complex64 else 1e-12
    np.testing.assert_allclose(there, np.fft.fft(x.astype(np.complex128)), atol=near * shape[-1], rtol=near)
    np.testing.assert_allclose(ifft(there), x, atol=near * 10)


def test_in_place_means_in_place() -> None:
    x = rows(np.complex64, 4, 256)
    expected = fft(x.copy())
    assert fft(x, out=x) is x
    np.testing.assert_array_equal(x, expected)
    into = np.empty_like(x)
    ifft(x, out=into)
    np.testing.assert_array_equal(into, ifft(x))


def test_it_is_the_compiled_one_alone_and_the_package_finds_it_later() -> None:
    code = (
        "import sys, numpy as np\nfrom sensing.transform import fft\n"
        "assert 'scipy.fft' not in sys.modules and 'scipy' not in sys.modules, 'the package was imported'\n"
        "import scipy.fft\nx = np.arange(8, dtype=np.complex64)\n"
        "assert np.array_equal(scipy.fft.fft(x), fft(x))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("lost", ["moved", "other"])
def test_another_layout_of_scipy_costs_memory_and_nothing_else(monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    if lost == "moved":
        monkeypatch.delitem(sys.modules, transform.NAME, raising=False)
        monkeypatch.setattr(transform, "_file", lambda: None)
    else:
        monkeypatch.setattr(transform, "_sound", lambda c2c: c2c(1))
    chosen = transform._choose()
    assert chosen is not transform._c2c
    x = rows(np.complex64, 3, 64)
    expected, back = fft(x), ifft(x)
    np.testing.assert_array_equal(chosen(x, (1,), False, transform.BY_LENGTH, None, 1), back)
    chosen(x, (1,), True, transform.PLAIN, x, 1)
    np.testing.assert_array_equal(x, expected)
