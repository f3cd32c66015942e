"""`bandpact lease`: a lease's fields by their names, its history and its proof, from logs and from a bundle alone."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agent.cli.lease import IDENTITY, STATE
from agent.cli.main import app
from settlement.audit.lease import LeaseState
from settlement.audit.leasefields import LeaseFields
from settlement.audit.seal import write_seal
from settlement.chain.records import digest
from settlement.core.reasons import Reason
from tests.settlement.handing.scene import PART, Scene
from tests.settlement.world import LOWER, NETWORK, NS, T0, offered

pytestmark = pytest.mark.feature("M8")
AT = ("--as-of", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 // NS + 20)))
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "lease.md").read_text(encoding="utf-8")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def told(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def sublet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, bytes, Path]:
    """A lease of alice of which bob has a part, and the sealed logs of everybody with their anchor."""
    scene, kept = Scene(tmp_path_factory.mktemp("scene")), tmp_path_factory.mktemp("kept")
    sid = scene.settle()
    for name, member in scene.world.members.items():
        member.party.lineage.seal(member.key, kept / f"{name}.db")
        write_seal(kept / f"{name}.db", member.key)
    (kept / "anchors.txt").write_text(f"{NETWORK} {digest(scene.world.root).hex()}\n")
    return scene, sid, kept


def of(log: str, rows: Any) -> dict[str, Any]:
    (row,) = [one for one in rows if one["log"] == log]
    return dict(row)


def test_a_lease_is_shown_by_its_names_and_both_sides_agree(sublet: tuple[Scene, bytes, Path]) -> None:
    scene, _, kept = sublet
    rows = told("lease", "show", scene.lease.hex(), kept, *AT)
    mine, theirs = of("alice", rows), of("holder", rows)
    assert mine["proven"] == theirs["proven"] == "yes"
    assert {name: mine[name] for name in IDENTITY} == {name: theirs[name] for name in IDENTITY}
    assert mine["permission_id"] == scene.lease.hex()
    assert mine["issuer_id"] == scene.hash("holder").hex()
    assert mine["subject_id"] == scene.hash("alice").hex()
    assert mine["scope_definition"]["low_hz"] == LOWER.low_hz
    assert mine["active_scope"] == [[PART.high_hz, LOWER.high_hz]]
    assert (mine["expiry_status"], mine["revocation_status"]) == ("running", "none")
    assert all({"actor", "action", "evidence", "result", "entry"} <= set(move) for move in mine["history"])
    words = run("lease", "show", scene.lease.hex(), kept, *AT).stdout
    assert [name for name in IDENTITY + STATE if f"  {name}" not in words] == []


def test_a_sublease_is_a_lease_of_its_own_that_its_old_user_issued(sublet: tuple[Scene, bytes, Path]) -> None:
    scene, sid, kept = sublet
    row = of("bob", told("lease", "show", sid.hex(), kept, *AT))
    assert (row["issuer_id"], row["subject_id"]) == (scene.hash("alice").hex(), scene.hash("bob").hex())
    assert row["active_scope"] == [[PART.low_hz, PART.high_hz]]
    assert [move["action"] for move in row["history"]][:2] == ["handover", "request"]


@pytest.mark.feature("M7")
def test_a_regulator_with_a_bundle_and_an_anchor_sees_the_same(
    sublet: tuple[Scene, bytes, Path], tmp_path: Path
) -> None:
    scene, sid, kept = sublet
    bundle, trusted = tmp_path / "all.bundle", ("--network", NETWORK, "--anchor", digest(scene.world.root).hex())
    assert run("audit", "bundle", kept, "--out", bundle).exit_code == 0
    for lease in (scene.lease, sid):
        here, there = (told("lease", "show", lease.hex(), where, *trusted, *AT) for where in (kept, bundle))
        assert [{**row, "log": ""} for row in here] == [{**row, "log": ""} for row in there]
        assert {row["proven"] for row in there} == {"yes"}
    assert len(told("lease", "list", bundle, *trusted, *AT)) == len(told("lease", "list", kept, *AT))
    broken = bundle.read_bytes()[:-9]
    bundle.with_name("cut.bundle").write_bytes(broken)
    refused = run("lease", "list", bundle.with_name("cut.bundle"), *trusted)
    assert refused.exit_code == 1
    assert "not a whole bundle" in refused.stderr


def test_a_request_that_was_refused_says_so_with_its_clause_in_both_logs(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    world = offered(tmp_path / "live")
    world.request("alice", 1.0, LOWER, 2.0, 9.0)
    assert world.carry(1.0) == []
    world.request("bob", 1.1, LOWER, 2.0, 9.0)
    assert [one.reason for one in world.carry(1.1)] == [Reason.CONFLICT]
    kept = tmp_path / "kept"
    kept.mkdir()
    for name, member in world.members.items():
        member.party.lineage.seal(member.key, kept / f"{name}.db")
        write_seal(kept / f"{name}.db", member.key)
    (kept / "anchors.txt").write_text(f"{NETWORK} {digest(world.root).hex()}\n")
    rows = told("lease", "list", kept, *AT)
    refused = [(Path(row["log"]).stem, row["refusal"]) for row in rows if row["refusal"]]
    assert [name for name, _ in refused] == ["bob", "holder"]
    assert all(why.startswith("CONFLICT [") and "required: " in why for _, why in refused)
    assert len([row for row in rows if row["refusal"] is None]) == 2  # alice's, in both logs
    lines = [" ".join(line.split()) for line in run("lease", "list", kept, *AT).stdout.splitlines()]
    assert len([line for line in lines if ", refused: CONFLICT [" in line]) == 2


def test_the_page_has_every_field_and_every_state() -> None:
    fields = {name for name in LeaseFields.__dataclass_fields__ if name != "handed_to"}
    assert fields == {*IDENTITY, *STATE}
    assert fields <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    rows = re.findall(r"^\| ([A-Z][A-Za-z ]+) \|", PAGE[PAGE.index("### State by state") :], re.MULTILINE)
    assert [row for row in rows if row in {state.value for state in LeaseState}] == [s.value for s in LeaseState]
