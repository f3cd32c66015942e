"""An honest node's log passes its audit, whatever its operator, its neighbours, its clock and its disk do."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.agent.honest import problems_of

LIVES = 300
FIRST_SEED = 1_000


def lived(count: int, first: int) -> list[str]:
    """What an auditor finds after so many lives, each on a file of its own in memory."""
    found: list[str] = []
    shared = Path("/dev/shm")
    for seed in range(first, first + count):
        folder = Path(tempfile.mkdtemp(prefix="bandpact-", dir=shared if shared.is_dir() else None))
        try:
            found += problems_of(folder, seed)
        finally:
            shutil.rmtree(folder)
    return found


@pytest.mark.feature("L1")
def test_no_life_of_an_honest_node_makes_its_log_fail_its_audit() -> None:
    found = lived(LIVES, FIRST_SEED)
    assert found == [], "\n".join(found[:5])
