"""Audit bundles for tests: the smallest honest one, and copies with one bit changed."""

from pathlib import Path

from settlement.audit.bundle import AuditedBundle, make_bundle, verify_bundle
from settlement.chain.bodies import Gate
from tests.settlement.world import NETWORK, World


def sealed(world: World, folder: Path, *names: str) -> list[Path]:
    """Compact copies of members' logs, each with its signed head."""
    paths = []
    for name in names:
        paths.append(folder / f"{name}.db")
        world.members[name].party.lineage.seal(world.members[name].key, paths[-1])
    return paths


def small_bundle(folder: Path) -> tuple[World, bytes]:
    """A bundle of one lineage: two credentials, the rule and one record of its owner; it verifies."""
    world = World(folder)
    world.enrol(alice=("request", "observe"))
    gate = Gate(state="ARMED", previous="LOCKED", reason="", measured="", required="", at_earliest_ns=1, at_latest_ns=2)
    world.do("alice", 1.0, lambda step: step.sign(gate))
    (folder / "sealed").mkdir()
    data = make_bundle(sealed(world, folder / "sealed", "alice"), network=NETWORK)
    assert isinstance(data, bytes)
    assert verifies(world, data)
    return world, data


def flipped(data: bytes, at: int, bit: int) -> bytes:
    """The data with one bit inverted."""
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def verifies(world: World, data: bytes) -> bool:
    """Whether the bundle verifies with only the anchors."""
    outcome = verify_bundle(data, network=NETWORK, anchors=world.anchors)
    return isinstance(outcome, AuditedBundle) and outcome.ok
