"""Running before others: what is granted is said, and no thread of the process holds the others up for long.

What strangers keep busy runs after others.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
"""Group of a process and its nice value; missing without autogroup, empty in the group that the kernel begins with."""
ASK = "import sys; from radio.priority import before_others; print(before_others(), sys.getswitchinterval())"


def test_what_was_granted_is_said_and_threads_give_way_soon() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    granted, interval_s = done.stdout.split()
    assert granted in ("real-time", "nice", "ordinary")
    assert float(interval_s) <= 0.001


YIELD = """
import os
from pathlib import Path
from radio.priority import after_others
after_others(5)
group = Path("/proc/self/autogroup")
print(os.nice(0), (group.read_text().rpartition(" ")[2] if group.exists() else "") or "none")
"""


@pytest.mark.feature("U3")
@pytest.mark.parametrize("apart", [True, False], ids=["leads its session", "in another's session"])
def test_whoever_yields_takes_the_session_along_that_it_leads_and_no_other(apart: bool) -> None:
    before = os.nice(0)
    if before > 14:
        pytest.skip("these tests themselves run behind others")
    ours = AUTOGROUP.read_text(encoding="ascii") if AUTOGROUP.exists() else ""
    done = subprocess.run(
        [sys.executable, "-c", YIELD], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
        start_new_session=apart,
    )  # fmt: skip
    nice, group = done.stdout.split()
    assert int(nice) == before + 5
    if not ours:
        pytest.skip("this kernel groups no processes by session")
    assert int(group) == (5 if apart else int(ours.rpartition(" ")[2]))
    assert AUTOGROUP.read_text(encoding="ascii") == ours
