"""An honest node's log passes its audit, whatever its operator, its neighbours, its clock and its disk do."""

import shutil
import tempfile
from pathlib import Path

import pytest

from settlement.audit.verify import audit_lineage
from tests.agent.honest import problems_of
from tests.settlement.world import NETWORK, trio

LIVES = 100
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


@pytest.mark.feature("G6")
def test_no_life_of_an_honest_node_makes_its_log_fail_its_audit() -> None:
    found = lived(LIVES, FIRST_SEED)
    assert found == [], "\n".join(found[:5])


@pytest.mark.feature("G6")
def test_a_log_that_was_cut_off_in_its_first_moments_is_a_log(tmp_path: Path) -> None:
    """As a node leaves it that is killed before SQLite has folded anything of the write-ahead log into the file."""
    (tmp_path / "live").mkdir()
    world = trio(tmp_path / "live")
    world.settle()
    copy = tmp_path / "holder.db"
    for end in ("", "-wal"):
        shutil.copyfile(tmp_path / "live" / f"holder.db{end}", f"{copy}{end}")
    audited = audit_lineage(copy, network=NETWORK, anchors=world.anchors)
    assert audited.findings.problems == []
    assert audited.records > 0
