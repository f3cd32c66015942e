"""An audit that checks signatures on other cores finds exactly what one on a single core finds."""

import shutil
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import apsw
import pytest

from settlement.audit import signatures
from settlement.audit.checker import CheckingProcess, held_in
from settlement.audit.findings import Audited
from settlement.audit.signatures import Ahead
from settlement.audit.verify import audit_lineage
from settlement.chain import keys
from settlement.chain.credentials import Registry
from settlement.chain.records import aad
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
    return (
        audited.findings.problems,
        audited.root,
        audited.records,
        audited.own,
        audited.replayed,
        audited.held.by_sid(),
    )


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


PROGRAM = """
import sys
from pathlib import Path
from settlement.audit import signatures
from settlement.audit.verify import audit_lineage
print("ran")
signatures.FEW, signatures.CHUNK, signatures.os.cpu_count = 1, 3, lambda: 2
path, network, anchor = sys.argv[1:]
found = audit_lineage(Path(path), network=network, anchors=[bytes.fromhex(anchor)])
print(found.findings.problems, found.records > 0)
"""


def ran(arguments: list[str], history: World, path: Path, program: str | None = None) -> list[str]:
    told = subprocess.run(
        [sys.executable, *arguments, str(path), NETWORK, history.anchors[0].hex()],
        input=program, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return told.stdout.splitlines() + told.stderr.splitlines()


def test_an_audit_works_from_a_script_without_a_guard_and_from_a_pipe(history: World, tmp_path: Path) -> None:
    path = Path(shutil.copy(history.folder / "holder.db", tmp_path / "holder.db"))
    script = tmp_path / "audits.py"
    script.write_text(PROGRAM)
    assert ran([str(script)], history, path) == ["ran", "[] True"]
    assert ran(["-"], history, path, PROGRAM) == ["ran", "[] True"]


def _audited(path: Path, anchors: list[bytes]) -> tuple[list[str], int]:
    signatures.FEW, signatures.CHUNK = 1, 3
    found = audit_lineage(path, network=NETWORK, anchors=anchors)
    return found.findings.problems, found.records


def test_an_audit_works_inside_a_worker_that_may_have_no_children(history: World, tmp_path: Path) -> None:
    path = Path(shutil.copy(history.folder / "holder.db", tmp_path / "holder.db"))
    with get_context("spawn").Pool(1) as pool:
        problems, records = pool.apply(_audited, (path, history.anchors))
    assert problems == []
    assert records > 0


@pytest.mark.usefixtures("everywhere")
def test_where_no_other_process_can_be_had_the_audit_is_done_here(
    history: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = Path(shutil.copy(history.folder / "holder.db", tmp_path / "holder.db"))
    before = said(audit(history, path))
    for broken in (["/nowhere/python"], [sys.executable, "-c", "raise SystemExit(3)"]):
        monkeypatch.setattr(
            CheckingProcess,
            "_started",
            staticmethod(lambda broken=broken: subprocess.Popen(broken, stdin=subprocess.PIPE, stdout=subprocess.PIPE)),
        )
        assert said(audit(history, path)) == before


def test_what_is_cut_short_or_no_entry_holds_no_signature(history: World) -> None:
    db = apsw.Connection(str(history.folder / "holder.db"))
    (body,) = db.execute("SELECT CAST(body AS BLOB) FROM leaf WHERE typ='confirm'").fetchone() or (b"",)
    db.close()
    publics = {one.hash: one.public for one in history.registry().subjects()}
    assert len(held_in(publics, aad(NETWORK), [bytes(body)])) == 1
    assert held_in(publics, aad("another network"), [bytes(body)]) == []
    broken = [bytes(body)[:end] for end in range(len(body))]
    broken += [
        b"\xff",
        b"\xa1\x03\x80",
        b"\xa1\x03\xa0",
        b"\xa1\x03\x5b" + b"\xff" * 8,
        b"\xbb" + b"\xff" * 8,
        b"\x9f" * 1000,
    ]
    held = held_in(publics, aad(NETWORK), broken)
    # The record ends before the entry does: what follows it may be missing, the signature is the same.
    assert set(held) <= set(held_in(publics, aad(NETWORK), [bytes(body)]))
