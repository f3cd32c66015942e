"""Tests that a process's peak memory does not include its parent's."""

import subprocess
import sys

import numpy as np
import pytest

from hw_profiles.memory import peak_mib

ASK = "from hw_profiles.memory import peak_mib; print(peak_mib())"
PROOF = f"import resource; {ASK}; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"


@pytest.mark.skipif(sys.platform != "linux", reason="what exec carries over is Linux'")
def test_a_small_process_of_a_large_one_is_small() -> None:
    large = np.ones(300 << 17)  # 300 MiB
    told = subprocess.run([sys.executable, "-c", PROOF], capture_output=True, text=True, check=True).stdout.split()
    assert large[0] == 1
    assert peak_mib() > 300
    assert float(told[0]) < 100
