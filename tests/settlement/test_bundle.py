"""A bundle verifies with the anchors alone, in another process, and no changed byte of it does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from settlement.audit.bundle import AuditedBundle, make_bundle, verify_bundle
from settlement.audit.bundleform import read_form
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal
from tests.settlement.bundles import flipped, sealed, small_bundle, verifies
from tests.settlement.world import LOWER, NETWORK, UPPER, World, trio

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, bytes]:
    world = trio(tmp_path_factory.mktemp("world"))
    world.settle()
    world.request("bob", 1.2, LOWER, 2.0, 9.0)
    world.carry(1.2)
    world.request("bob", 1.3, Band(low_hz=UPPER.low_hz, high_hz=UPPER.high_hz), 2.0, 9.0)
    world.carry(1.3)
    world.give("bob", "holder", b"\xf5 garbage", 1.4)
    data = make_bundle(sealed(world, tmp_path_factory.mktemp("sealed"), *world.members), network=NETWORK)
    assert isinstance(data, bytes)
    return world, data


@pytest.mark.feature("M7")
def test_an_honest_bundle_verifies(settled: tuple[World, bytes]) -> None:
    world, data = settled
    audited = verify_bundle(data, network=NETWORK, anchors=world.anchors)
    assert isinstance(audited, AuditedBundle)
    assert [log.findings.problems for log in audited.logs] == [[], [], []]
    assert audited.ok
    assert all(log.replayed > 3 for log in audited.logs)
    assert {r for log in audited.logs for r in log.refused} == {"CONFLICT", "FORBIDDEN_TYPE"}


def test_other_anchors_or_network_refuse(settled: tuple[World, bytes]) -> None:
    world, data = settled
    stranger = verify_bundle(data, network=NETWORK, anchors=[bytes(32)])
    assert isinstance(stranger, AuditedBundle)
    assert not stranger.ok
    elsewhere = verify_bundle(data, network="other", anchors=world.anchors)
    assert isinstance(elsewhere, Refusal)
    assert elsewhere.reason is Reason.DOMAIN


@pytest.mark.feature("M7")
def test_a_changed_bit_of_any_third_byte_of_a_small_bundle_is_refused(tmp_path: Path) -> None:
    """Of every byte in tests/soak/test_bundle.py."""
    world, data = small_bundle(tmp_path)
    changed = (flipped(data, at, at % 8) for at in range(0, len(data), 3))
    assert [at for at, one in enumerate(changed) if verifies(world, one)] == []
    assert not any(verifies(world, one) for one in (data[:-1], data + b"\x00", b""))


@pytest.mark.feature("M7")
def test_a_process_with_only_bundle_and_anchor_verifies_it(settled: tuple[World, bytes], tmp_path: Path) -> None:
    world, data = settled
    (tmp_path / "trial.bundle").write_bytes(data)
    command = [sys.executable, "-c", "from agent.cli.main import main; main()", "audit", "verify", "trial.bundle"]
    command += ["--network", NETWORK, "--anchor", world.anchors[0].hex(), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    good = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    assert '"ok": true' in good.stdout
    form = read_form(data, limit=len(data))
    assert not isinstance(form, Refusal)
    entries = form[1][0].entries
    entry = entries[len(entries) // 2]
    inside = data.index(entry) + len(entry) // 2
    length = data.index(entry) - 1
    for at, code in ((inside, 5), (length, 1)):  # an entry was altered; the form is broken, and what it was is unknown
        (tmp_path / "trial.bundle").write_bytes(flipped(data, at, 2))
        bad = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert bad.returncode == code, bad.stdout + bad.stderr
        assert "NOT A LINEAGE" in bad.stderr or code == 5
