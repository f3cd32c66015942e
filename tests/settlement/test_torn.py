"""Power lost at any write, files cut off anywhere: no acknowledged entry is lost, the next start finds a whole log."""

import random
import shutil
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from settlement.chain import lineage as lineage_module
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage, LineageError
from settlement.state import logpacker
from settlement.state.logpacker import PACKED
from settlement.state.retention import RENEWALS
from tests.settlement.packedlog import CURSOR_OF_RENEWALS, check_entries, grow, let_go, packed
from tests.settlement.tornfiles import PowerLostError, torn_disk
from tests.settlement.world import seed

pytestmark = pytest.mark.feature("G6")
ORIGIN, KEY = "bandpact/test-net/torn", SigningKey.from_seed(seed("torn"))
GROUPS = (1, 3, 2, 7)
EVERY = 16
KEPT, STRETCH = 10, 8
"""Bodies that stay, and rows packed in a step."""
POWER_LOSSES = 60


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage_module, "SNAPSHOT_EVERY", EVERY)
    monkeypatch.setattr(logpacker, "STRETCH", STRETCH)


def step(log: Lineage, group: int) -> int:
    """One durable step of so many entries with state, a counter, a head and the standing; returns the size.

    It also lets old bodies go and packs the pages behind them.
    """
    with log.transaction():
        grow(log, group)
        let_go(log, max(0, log.size - KEPT - log.counted(CURSOR_OF_RENEWALS)))
        packed(log, KEY)
        log.put("kind", b"%d" % (log.size % 5), b"x" * (log.size % 300 + 1))
        log.count("fence")
        if group == 3:
            log.checkpoint(KEY)
        log.stand(KEY)
    return log.size


def packed_to(path: Path) -> int:
    """How many of a log's oldest entries were packed."""
    log = Lineage(path, origin=ORIGIN)
    found = log.counted(f"{PACKED}{RENEWALS}")
    log.close()
    return found


def whole(path: Path, acknowledged: int, at_most: int) -> int:
    """The size of a log that a start finds whole, with every acknowledged entry as it was."""
    log = Lineage(path, origin=ORIGIN)
    look = log.start_look(KEY.public)
    assert look.refusal is None, look
    assert acknowledged <= log.size <= at_most
    for index in range(log.size):
        log.leaf_body(index)
    assert check_entries(log) == max(0, log.size - KEPT)
    assert log._one("PRAGMA integrity_check") == "ok"
    assert log.verify(KEY.public, standing=True) is None
    size = log.size
    log.close()
    return size


@pytest.mark.parametrize("at", range(3))
def test_a_write_ahead_log_cut_off_anywhere_loses_no_step_before(tmp_path: Path, at: int) -> None:
    path, chosen = tmp_path / "log.db", random.Random(at)
    log = Lineage(path, origin=ORIGIN)
    log._db.execute("PRAGMA wal_autocheckpoint=0")
    wal = path.with_name("log.db-wal")
    reached = [(wal.stat().st_size, 0)]
    for number in range(12):
        size = step(log, GROUPS[number % len(GROUPS)])
        reached.append((wal.stat().st_size, size))
    cuts = {length + more for length, _ in reached[1:] for more in (-1, 0, 1, 24, 4119)}
    cuts |= {chosen.randrange(reached[0][0], reached[-1][0]) for _ in range(20)}
    for cut in sorted(one for one in cuts if reached[1][0] <= one <= reached[-1][0]):
        copy = tmp_path / "copy.db"
        for leftover in tmp_path.glob("copy.db*"):
            leftover.unlink()
        shutil.copy(path, copy)
        copy.with_name("copy.db-wal").write_bytes(wal.read_bytes()[:cut])
        held = max(size for length, size in reached if length <= cut)
        assert whole(copy, held, held) == held
    log.close()


@pytest.mark.parametrize("first", range(0, POWER_LOSSES, 20))
def test_power_lost_in_any_write_loses_no_acknowledged_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """A seed says after how many writes; writes that were not synced are kept, lost or torn sector by sector."""
    unsynced = died = packed_before = 0
    for number in range(first, first + 20):
        path, chosen = tmp_path / f"{number}.db", random.Random(number)
        Lineage(path, origin=ORIGIN).close()
        acknowledged = tried = 0
        with torn_disk(monkeypatch, chosen) as disk:
            log = Lineage(path, origin=ORIGIN)
            log._db.execute(f"PRAGMA wal_autocheckpoint={chosen.choice((4, 20, 1000))}")
            disk.fuse = chosen.randrange(1, 800)
            try:
                while acknowledged < 150:
                    group = chosen.choice(GROUPS)
                    tried = log.size + group
                    acknowledged = step(log, group)
            except (LineageError, PowerLostError, apsw.Error):
                died += 1
            unsynced += disk.lose_power()
            with suppress(PowerLostError, apsw.Error):
                log._db.close()
        whole(path, acknowledged, max(acknowledged, tried))
        packed_before += packed_to(path) >= 2 * STRETCH
    assert died > 10
    assert packed_before > 5
    assert unsynced > 20


def test_a_page_torn_in_the_file_itself_is_never_taken_for_a_log_that_holds(tmp_path: Path) -> None:
    """What no sync was promised for: each page of the file with its second half gone. Found at start or by reading."""
    path = tmp_path / "log.db"
    log = Lineage(path, origin=ORIGIN)
    while log.size < 120:
        step(log, 7)
    log.close()
    data, found = path.read_bytes(), 0
    pages = len(data) // 4096
    for page in range(1, pages):
        torn = bytearray(data)
        half = torn[page * 4096 + 2048 : (page + 1) * 4096]
        if not any(half):
            continue
        torn[page * 4096 + 2048 : (page + 1) * 4096] = bytes(2048)
        path.write_bytes(torn)
        path.with_name("log.db-wal").unlink(missing_ok=True)
        found += _noticed(path)
    assert found >= pages // 2


def _noticed(path: Path) -> bool:
    try:
        again = Lineage(path, origin=ORIGIN)
    except LineageError:
        return True
    try:
        refusal = again.start_look(KEY.public).refusal or again.verify(KEY.public, standing=True)
        # An index alone may be torn: SQLite's own check is for that, and nothing of the log is missing.
        assert refusal is not None or list(again.bodies()) != []
        return refusal is not None
    finally:
        again._db.close()
