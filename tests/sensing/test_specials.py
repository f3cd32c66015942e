"""Functions of probability without the package around them: the package's own, and the package stays whole."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from sensing import specials

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.feature("E1")


def done(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize("name", specials.NAMES)
def test_each_function_gives_what_the_package_gives(name: str) -> None:
    ours, theirs = getattr(specials, name), getattr(special, name)
    given = np.random.default_rng(3).uniform(0.05, 0.95, (3, 50))
    count = ours.nin
    np.testing.assert_array_equal(ours(*given[:count]), theirs(*given[:count]))


def test_the_package_is_not_loaded_and_can_be_loaded_later() -> None:
    assert done("import sys, sensing.specials; print('scipy.special' in sys.modules)") == "False"
    later = (
        "import sensing.specials as s, scipy.special as p, scipy.stats; print(s.gammainc is p.gammainc, p.jv(0, 0.0))"
    )
    assert done(later) == "True 1.0"


def test_where_the_file_is_elsewhere_the_package_serves() -> None:
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'scipy' else find(name, *more)\n"
        "import sys, sensing.specials as s\n"
        "print('scipy.special' in sys.modules, round(float(s.ndtri(0.975)), 4))"
    )
    assert done(code) == "True 1.96"
