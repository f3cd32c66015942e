"""Three hosts, every packet 200 ms late and a fifth of them lost: they settle or abort cleanly, and agree."""

from pathlib import Path

import pytest

from tests.settlement.hosts import Hosts, Town
from tests.settlement.test_namespaces import LONG, NAMES, agreed, eventually, made, only_once, over, settle_in


def lossy_town(network: Hosts, folder: Path, family: int) -> None:
    town = Town(folder, network, family=family, rule=LONG)
    try:
        settle_in(town)
        eventually(town.peers["alice"], "pairs", over)
        agreed(town)
        only_once(town)
    finally:
        town.close()


@pytest.mark.feature("S7")
@pytest.mark.parametrize("family", [4, 6])
def test_200_ms_late_and_a_fifth_lost(tmp_path: Path, family: int) -> None:
    with made(NAMES, kernel=True) as network:
        if all(network.netem(name, "delay 200ms loss 20%") for name in NAMES):
            lossy_town(network, tmp_path, family)
            return
    with made(NAMES, kernel=False) as network:
        network.shape(delay_ms=200, loss_percent=20)
        lossy_town(network, tmp_path, family)
        assert network.dropped() > 20
