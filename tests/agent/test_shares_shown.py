"""What neighbours cost is counted, shown and bounded on the agent's side: disk, events, status, metrics."""

import time
from pathlib import Path
from typing import Any

import pytest

from agent.node import events as event_log
from agent.node import vitals as vital
from agent.node.assembly import allowance_of
from agent.node.events import BEFORE, FILE, EventLog, read_events
from agent.node.overdrawn import AGAIN_NS, Overdrawn
from agent.node.vitals import Vitals, strangers_fields
from agent.service.health import metrics
from agent.service.snapshot import strangers_line, strangers_lines
from settlement.core.reasons import Reason, refuse
from tests.agent.test_service import status
from tests.settlement.world import trio

OVER = refuse(Reason.BUDGET, "share.work", "used up", "less")


@pytest.mark.attack(66)
def test_events_fill_two_files_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "FILE_BYTES_MAX", 2000)
    log = EventLog(tmp_path, "here")
    for number in range(200):
        log.write("refusal", number=number)
    log.close()
    assert max((tmp_path / name).stat().st_size for name in (FILE, BEFORE)) <= 2000
    kept = [one["number"] for one in read_events(tmp_path)]
    assert kept == list(range(200 - len(kept), 200)), "the newest, in order"
    assert len(kept) > 20


@pytest.mark.attack(66)
def test_the_disk_alarm_comes_long_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Shares:
        disk_bytes = 1_000_000

    class Config:
        folder, shares = tmp_path, Shares()

    config: Any = Config()
    monkeypatch.setattr(vital, "_free", lambda _config: 1 << 40)
    held = Vitals(config)
    (tmp_path / "lineage.db").write_bytes(bytes(790_000))
    assert held.look_at_disk() is None
    (tmp_path / "lineage.db-wal").write_bytes(bytes(20_000))
    low = held.look_at_disk()
    assert low is not None
    assert "budget" in low
    (tmp_path / "lineage.db-wal").unlink()
    monkeypatch.setattr(vital, "_free", lambda _config: vital.LOW_FREE_BYTES - 1)
    assert "free" in (held.look_at_disk() or "")
    assert vital.LOW_FREE_BYTES >= 1 << 30, "a gigabyte is left when it is told"


def test_status_and_metrics_show_it(tmp_path: Path) -> None:
    world = trio(tmp_path)
    party = world.members["holder"].party
    party.shares.turned_away[b"peer", "log"] += 3
    party.faults = 2
    shown = status(
        log_bytes=5_000_000, log_budget_bytes=32 << 30, disk_low="almost full", strangers=strangers_fields(party)
    )
    line = strangers_line(shown)
    assert "5.0 MB" in line
    assert "3 log" in line
    assert "undone: 2" in line
    assert strangers_lines(shown) == [line, "ALARM  disk low: almost full"]
    assert strangers_lines(status()) == []
    text = metrics(shown).decode()
    for wanted in ('bandpact_over_share{share="log"} 3.0', "bandpact_disk_low 1.0", "bandpact_faults_undone 2.0"):
        assert wanted in text
    assert "bandpact_log_bytes 5e+06" in text
    assert "bandpact_over_share" not in metrics(status()).decode(), "what is not known is absent"


def test_an_overdrawn_neighbour_is_told_of_once_in_a_while() -> None:
    overdrawn = Overdrawn()
    assert not overdrawn.told(b"a", refuse(Reason.BUDGET, "request.open", "3 open", "<= 2"), 0)
    assert [overdrawn.told(b"a", OVER, n) for n in (0, 1, AGAIN_NS - 1, AGAIN_NS, AGAIN_NS + 1)] == [
        False, True, True, False, True,
    ]  # fmt: skip
    assert not overdrawn.told(b"b", OVER, 1), "each for itself"


def test_the_configured_shares_reach_the_party() -> None:
    from agent.config.settings import SharesSection

    class Config:
        shares = SharesSection(work_ms_per_s=100, log_bytes_per_s=2048)

    config: Any = Config()
    allowance = allowance_of(config)
    assert allowance.work.per_s == 100_000_000
    assert allowance.log.per_s == 2048
    assert time.thread_time_ns() >= 0
