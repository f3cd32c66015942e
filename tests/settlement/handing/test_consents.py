"""What a holder let go of its leases: bounded for each, swept without being read whole, lent to nobody else."""

from dataclasses import replace
from pathlib import Path

import pytest

import settlement.records.conduct.handover as conduct
from settlement.chain.codec import encode
from settlement.chain.lineage import Lineage
from settlement.chain.records import Record
from settlement.chain.scope import Window
from settlement.core.reasons import Reason
from settlement.records.conduct.handover import CONSENTED
from tests.settlement.handing.scene import Scene
from tests.settlement.handing.test_refused import said
from tests.settlement.world import NS, T0

pytestmark = [pytest.mark.feature("M10"), pytest.mark.attack(65)]


def test_so_many_parts_of_one_lease_are_let_go_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's share of what its holder has to look through with each further part."""
    monkeypatch.setattr(conduct, "CONSENTS_MAX", 2)
    scene = Scene(tmp_path)
    for number in range(3):
        part = scene.cell(start_s=10.0 + 10 * number, end_s=20.0 + 10 * number)
        assert isinstance(scene.hand_on(3.0 + number / 10, cell=part), Record)
        refused = scene.world.carry(3.0 + number / 10)
        assert [one.clause for one in refused] == (["handing.consents"] if number == 2 else [])
    said(refused[0], Reason.BUDGET, "handing.consents")
    later = scene.hand_on(21.0, cell=scene.cell(start_s=40.0, end_s=50.0))
    assert isinstance(later, Record)
    assert scene.tick(21.0) == [], "the first part's window is over"


def test_what_is_over_is_forgotten_without_reading_all_that_was_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path)
    log: Lineage = scene.party("holder").lineage
    over = replace(scene.cell(), window=Window(start_ns=T0, end_ns=T0 + NS))
    with log.transaction():
        for number in range(200):
            log.put(CONSENTED, bytes([number]) * 64, encode(over))
    items = Lineage.items

    def few(self: Lineage, kind: str) -> list[tuple[bytes, bytes]]:
        assert kind != CONSENTED, "all of them are read"
        return items(self, kind)

    with monkeypatch.context() as patch:
        patch.setattr(Lineage, "items", few)
        assert isinstance(scene.hand_on(3.0), Record)
        assert scene.world.carry(3.0) == []
    assert len(log.items(CONSENTED)) == 200 - conduct.SWEPT_AT_ONCE + 1
