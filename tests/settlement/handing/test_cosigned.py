"""A lease changes hands where others must co-sign: the lease it comes from is no conflict, everything else still is."""

from pathlib import Path
from typing import Any

import pytest

import tests.settlement.test_coordination as coordination
from settlement.audit.verify import audit_lineage
from settlement.chain.records import Record
from settlement.chain.scope import Band
from settlement.core.reasons import Reason
from settlement.pair.artifact import VerifiedPermit, verify
from settlement.pair.table import HolderState, UserState
from settlement.records.handingterms import SUBLEASE, TRANSFER
from tests.settlement.handing.scene import LEASE_END_S, Scene, rule
from tests.settlement.test_coordination import Shared, shard
from tests.settlement.world import LOWER, NETWORK

pytestmark = [pytest.mark.feature("M10"), pytest.mark.feature("S8")]
MHZ = 1_000_000


def scene(folder: Path, patch: pytest.MonkeyPatch, *, mode: str) -> Scene:
    """Alice has a lease of the holder, co-signed by the rota, or by the mill as the holder's neighbour."""
    patch.setattr(coordination, "RULE", rule())
    patch.setattr(coordination, "NAMES", (*coordination.NAMES, "carol"))
    made = Scene.__new__(Scene)
    made.world = Shared(folder, lambda by: [shard("all", *([by["rota"]] if mode == "authority" else ()))])
    made.lease = made.world.request("alice", 1.0, LOWER, 2.0, LEASE_END_S)
    assert made.world.carry(1.0) == []
    assert made.party("alice").user.by_sid(made.lease).state == UserState.SETTLED
    return made


@pytest.mark.parametrize("mode", ["authority", "neighbours"])
@pytest.mark.parametrize("kind", [TRANSFER, SUBLEASE])
def test_a_lease_that_was_co_signed_changes_hands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str
) -> None:
    made = scene(tmp_path, monkeypatch, mode=mode)
    sid = made.settle(kind=kind)
    assert made.party("alice").holder.pairs[sid].state == HolderState.CONFIRMED
    assert made.party("bob").user.by_sid(sid).state == UserState.SETTLED
    permit = verify(made.artifact(sid), network=NETWORK, anchors=made.world.anchors)
    assert isinstance(permit, VerifiedPermit), permit


def test_a_second_link_is_co_signed_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = scene(tmp_path, monkeypatch, mode="authority")
    first = made.settle(kind=TRANSFER)
    second = made.settle(6.0, kind=SUBLEASE, by="bob", to="carol", sid=first)
    assert made.party("carol").user.by_sid(second).state == UserState.SETTLED
    assert made.party("rota").coordinator.known[second].of == first


def test_what_is_not_of_the_lease_that_is_handed_on_stays_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another holder's GRANT of a part of it is refused by the co-signer, as before."""
    made = scene(tmp_path, monkeypatch, mode="authority")
    made.settle()
    rota = made.party("rota").coordinator
    (sublease,) = (one for one in rota.known.values() if one.of is not None)
    overlapping: list[Any] = [one for one in rota.known.values() if one.cell.overlaps(sublease.cell)]
    assert len(overlapping) == 2
    other = Band(low_hz=LOWER.low_hz, high_hz=LOWER.low_hz + 5 * MHZ)
    asked = made.world.ask("carol", "mill", other, 4.0)
    refused = made.world.carry(4.0)
    assert [one.reason for one in refused] == [Reason.CONFLICT]
    assert made.party("carol").user.by_sid(asked).state == UserState.ABORTED


def test_an_auditor_finds_nothing_wrong_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = scene(tmp_path, monkeypatch, mode="authority")
    record = made.party("bob").record_of(made.party("bob").user.by_sid(made.settle()).decision)
    assert isinstance(record, Record)
    for name in ("rota", "holder", "alice", "bob"):
        made.world.members[name].party.lineage.close()
        found = audit_lineage(tmp_path / f"{name}.db", network=NETWORK, anchors=made.world.anchors)
        assert found.findings.problems == [], name
