"""`bandpact audit report --invoice`: a bundle says the same as the lineages it was made of."""

from pathlib import Path

import pytest

from agent.audit.invoices import invoiced
from agent.audit.lineages import NotALineage
from settlement.audit.bundle import make_bundle
from settlement.chain.records import digest
from tests.settlement.formats.logs import sealed_logs
from tests.settlement.world import NETWORK


@pytest.mark.feature("M7")
@pytest.mark.feature("M3")
def test_a_regulator_with_a_bundle_and_an_anchor_has_the_invoice(tmp_path: Path) -> None:
    folder = tmp_path / "sealed"
    folder.mkdir()
    (tmp_path / "live").mkdir()
    world = sealed_logs(tmp_path / "live", folder)
    data = make_bundle(sorted(folder.glob("*.db")), network=NETWORK)
    assert isinstance(data, bytes)
    packed = tmp_path / "all.bundle"
    packed.write_bytes(data)
    anchors = [digest(world.root).hex()]
    lines = invoiced(packed, anchors, NETWORK)
    assert lines == invoiced(folder, anchors, NETWORK)
    assert [line["settlements"] for line in lines] == [1]
    packed.write_bytes(data[:-1])
    with pytest.raises(NotALineage):
        invoiced(packed, anchors, NETWORK)
