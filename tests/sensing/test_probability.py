"""Our few distributions against scipy.stats, which no node imports."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from sensing.probability import binomial_sf, f_sf, normal_isf

pytestmark = pytest.mark.feature("E2")


def test_they_are_what_scipy_stats_says() -> None:
    for q in (1e-12, 1e-3, 0.025, 0.5, 0.975):
        assert normal_isf(q) == pytest.approx(stats.norm.isf(q), rel=1e-12, abs=1e-15)
    for shape in (0.6, 1.0, 24.5, 4000.0):
        for x in (0.2, 0.9, 1.0, 1.7):
            assert f_sf(x, 2 * shape, 2000) == pytest.approx(stats.f.sf(x, 2 * shape, 2000), rel=1e-12)


def test_counts_are_what_scipy_stats_says() -> None:
    rng = np.random.default_rng(1)
    for _ in range(2000):
        n, p = int(rng.integers(1, 3000)), float(rng.random())
        k = int(rng.integers(-1, n + 2))
        assert binomial_sf(k, n, p) == pytest.approx(stats.binom.sf(k, n, p), rel=1e-9, abs=1e-300)


def test_a_node_does_without_the_slow_import() -> None:
    program = "import sys, agent.node.daemon, agent.node.warden_process; print('scipy.stats' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.strip() == "False"
