"""Tests of the fleet audit: each log is audited separately; an altered one is found, and only that is audited again."""

import json
import shutil
from pathlib import Path

import apsw
import pytest
from pyarrow import parquet

from agent.campaign import fleet
from agent.campaign.fleet import LogToAudit, audit_fleet, audit_one, logs_in
from agent.campaign.spec import CampaignError
from agent.campaign.store import CampaignStore
from tests.agent.sweep import invoked
from tests.settlement.world import NETWORK, trio

pytestmark = [pytest.mark.feature("X3"), pytest.mark.feature("G6")]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Logs of a holder and its users, each in a folder of its own, and the anchor they are held against."""
    live, folder = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("fleet")
    world = trio(live)
    world.settle()
    for name, member in world.members.items():
        (folder / name).mkdir()
        member.party.lineage.close()
        shutil.copy(live / f"{name}.db", folder / name / "lineage.db")
    (anchor,) = world.registry().anchors
    return folder, anchor.hex()


def altered(path: Path) -> None:
    db = apsw.Connection(str(path))
    db.execute("UPDATE leaf SET body = x'a0' WHERE idx = 3")
    db.close()


@pytest.mark.timeout(120)
def test_the_altered_log_is_named_and_the_others_verify(kept: tuple[Path, str], tmp_path: Path) -> None:
    folder, anchor = kept
    shutil.copytree(folder, tmp_path / "fleet")
    altered(tmp_path / "fleet" / "alice" / "lineage.db")
    (tmp_path / "fleet" / "bob" / "notes.db").write_text("no log")
    words = ["audit", "fleet", str(tmp_path / "fleet"), "--network", NETWORK, "--anchor", anchor]
    words += ["--jobs", "1", "--json", "--out", str(tmp_path / "out")]
    done = invoked(words)
    assert done.code == 5, done
    found = json.loads(done.out)
    assert found["logs"] == 4
    assert found["counts"] == {"TAMPERED": 1, "NOT_SEALED": 2, "NOT_A_LINEAGE": 1}
    (bad,) = [row for row in found["rows"] if row["outcome"] == "TAMPERED"]
    assert bad["log"].endswith("alice/lineage.db")
    assert bad["why"]
    table = parquet.read_table(tmp_path / "out" / fleet.FLEET_TABLE).to_pylist()
    assert sorted(row["outcome"] for row in table) == ["NOT_A_LINEAGE", "NOT_SEALED", "NOT_SEALED", "TAMPERED"]
    assert sum(row["entries"] or 0 for row in table) > 10


def test_a_log_is_audited_again_only_when_its_bytes_are_others(
    kept: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, anchor = kept
    shutil.copytree(folder, tmp_path / "fleet")
    audited: list[str] = []

    def here(work: object, tasks: list[LogToAudit], **_: object) -> object:
        for task in tasks:
            audited.append(Path(task.path).parent.name)
            yield audit_one(task)

    monkeypatch.setattr(fleet, "made", here)

    def once() -> dict[str, str]:
        logs = logs_in([tmp_path / "fleet"], network=NETWORK, anchors=[anchor])
        with CampaignStore(tmp_path / "out", {"fleet": 1}) as store:
            done = audit_fleet(logs, store, jobs=1, scheduler=None, tell=lambda _: None)
        return {Path(log.path).parent.name: done[log.key].outcome for log in logs}

    assert set(once().values()) == {"NOT_SEALED"}
    assert sorted(audited) == ["alice", "bob", "holder"]
    audited.clear()
    assert set(once().values()) == {"NOT_SEALED"}
    assert audited == []
    altered(tmp_path / "fleet" / "holder" / "lineage.db")
    assert once() == {"alice": "NOT_SEALED", "bob": "NOT_SEALED", "holder": "TAMPERED"}
    assert audited == ["holder"]


def test_another_anchor_is_said_to_be_another(kept: tuple[Path, str]) -> None:
    folder, _ = kept
    (log, *_) = logs_in([folder / "bob"], network=NETWORK, anchors=["00" * 32])
    assert audit_one(log).outcome == "WRONG_ANCHOR"


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="no log"):
        logs_in([tmp_path], network=None, anchors=())


def test_a_log_named_twice_is_audited_once(kept: tuple[Path, str]) -> None:
    folder, anchor = kept
    logs = logs_in([folder, folder / "bob", folder / "bob" / "lineage.db"], network=NETWORK, anchors=[anchor])
    assert len(logs) == 3
