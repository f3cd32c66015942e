"""Linear algebra takes one thread in a process that senses, in whatever order things were loaded."""

import os
import subprocess
import sys

import pytest

SHOWN = """
import {first}
import {second}
import numpy, scipy.linalg
from threadpoolctl import threadpool_info
print(max(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"))
"""


@pytest.mark.feature("E1")
@pytest.mark.parametrize(("first", "second"), [("numpy", "sensing.survey"), ("sensing.survey", "numpy")])
def test_one_thread_of_linear_algebra(first: str, second: str) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    code = SHOWN.format(first=first, second=second)
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
