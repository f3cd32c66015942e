"""Sealed logs of a small settlement, as a node writes them."""

from pathlib import Path

from settlement.audit.seal import write_root, write_seal
from settlement.chain.records import digest
from tests.settlement.world import NETWORK, World, trio


def sealed_logs(live: Path, folder: Path) -> World:
    """A holder and two users settle once; their sealed logs, signed roots and the anchors lie in `folder`."""
    world = trio(live)
    world.settle()
    for name, member in world.members.items():
        path = folder / f"{name}.db"
        member.party.lineage.seal(member.key, path)
        write_root(path, member.party.lineage.head(), member.key)
        write_seal(path, member.key)
    (folder / "anchors.txt").write_text(f"{NETWORK} {digest(world.root).hex()}\n")
    return world
