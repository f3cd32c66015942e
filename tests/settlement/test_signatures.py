"""An audit that checks signatures on other cores finds exactly what one on a single core finds."""

import shutil
from pathlib import Path

import apsw
import pytest

from settlement.audit import signatures
from settlement.audit.findings import Audited
from settlement.audit.signatures import Ahead
from settlement.audit.verify import audit_lineage
from settlement.chain import keys
from settlement.chain.credentials import Registry
from tests.settlement.world import NETWORK, World, trio


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = trio(tmp_path_factory.mktemp("live"))
    world.settle()
    for member in world.members.values():
        member.party.lineage.close()
    return world


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "FEW", 1)
    monkeypatch.setattr(signatures, "CHUNK", 3)
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def audit(world: World, path: Path) -> Audited:
    return audit_lineage(path, network=NETWORK, anchors=world.anchors)


def said(audited: Audited) -> tuple[object, ...]:
    return audited.findings.problems, audited.root, audited.records, audited.own, audited.replayed, audited.by_sid


@pytest.mark.usefixtures("everywhere")
def test_an_audit_on_all_cores_says_the_same(history: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = Path(shutil.copy(history.folder / "holder.db", tmp_path / "holder.db"))
    asked: list[bool] = []
    real = keys.verify

    def counted(public: bytes, signature: bytes, message: bytes) -> bool:
        asked.append(True)
        return real(public, signature, message)

    monkeypatch.setattr("settlement.chain.keys.verify", counted)
    parallel, here = said(audit(history, path)), len(asked)
    monkeypatch.setattr(signatures, "FEW", 1 << 40)
    assert said(audit(history, path)) == parallel
    assert parallel[0] == []
    assert here < len(asked) - here, "workers checked nothing"


@pytest.mark.attack(50)
@pytest.mark.usefixtures("everywhere")
def test_a_forged_signature_is_found_on_all_cores(history: World, tmp_path: Path) -> None:
    path = Path(shutil.copy(history.folder / "holder.db", tmp_path / "holder.db"))
    db = apsw.Connection(str(path))
    index, body = db.execute("SELECT idx, body FROM leaf WHERE typ='confirm'").fetchone() or (0, b"")
    at = bytes(body).index(b"bandpact/confirm")
    signature_at = bytes(body).index(b"\x58\x40", at) + 10
    forged = bytearray(body)
    forged[signature_at] ^= 1
    db.execute("UPDATE leaf SET body=? WHERE idx=?", (bytes(forged), index))
    db.close()
    problems = audit(history, path).findings.problems
    assert f"entry {index}: admitted, but it does not prove" in problems
    assert f"entry {index} does not hash to the stored tree" in problems


def test_what_no_worker_vouched_for_is_checked_here(history: World) -> None:
    ahead = Ahead(Registry(NETWORK, history.anchors), processes=2)
    key = history.members["holder"].key
    assert ahead.verify(key.public, key.sign(b"x"), b"x")
    assert not ahead.verify(key.public, key.sign(b"x"), b"y")
