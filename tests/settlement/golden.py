"""Golden vectors: one record of each type that a small settlement makes, the same bytes every time.

`python -m tests.settlement.golden` writes them again, and the hexadecimal of docs/protocol.md from them.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from settlement.chain import cose
from settlement.chain.bodies import Revocation
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.records import Unproven, digest, parse
from settlement.chain.scope import Band
from tests.settlement.world import LOWER, NETWORK, NS, T0, World, fix, seed, trio

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = Path(__file__).resolve().parent / "vectors" / "records.json"
DOC = ROOT / "docs" / "protocol.md"
BEGIN, END = "<!-- vectors -->", "<!-- /vectors -->"


def _settlement(folder: Path) -> World:
    world = trio(folder)
    sid = world.settle()
    del sid
    world.request("bob", 1.2, Band(low_hz=LOWER.low_hz, high_hz=LOWER.high_hz), 2.0, 9.0)
    world.carry(1.2)
    world.do("holder", 3.6, world.members["holder"].party.tick)
    world.carry(3.6)
    (pair,) = world.members["alice"].party.user.pairs.values()
    world.do("alice", 4.0, lambda step: world.members["alice"].party.user.relinquish(step, pair.sid, "done"))
    world.carry(4.0)
    return world


def vectors() -> list[dict[str, Any]]:
    """One of each type, in the order in which the holder logged them."""
    with tempfile.TemporaryDirectory() as folder:
        world = _settlement(Path(folder))
        bodies = [decode_leaf(b) for b in world.members["holder"].party.lineage.bodies()]
        raws = [leaf.record for leaf in bodies if isinstance(leaf, Leaf) and leaf.record is not None]
        raws.append(world.by_authority(Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=b"\x08"), 0.0, seq=99))
    found: dict[str, dict[str, Any]] = {}
    for raw in raws:
        unproven = parse(raw)
        if isinstance(unproven, Unproven) and unproven.typ not in found:
            found[unproven.typ] = {
                "type": unproven.typ,
                "protected": unproven.message.protected.hex(),
                "payload": unproven.message.payload.hex(),
                "signature": unproven.message.signature.hex(),
                "record": raw.hex(),
                "sha256": digest(raw).hex(),
            }
    return list(found.values())


def document() -> dict[str, Any]:
    """The whole vectors file."""
    names = ("root", "holder", "alice", "bob")
    return {
        "network": NETWORK,
        "external_aad": (b"bandpact/1/" + NETWORK.encode()).hex(),
        "seeds": {name: seed(name).hex() for name in names},
        "signed_near_ns": fix(0).time.middle_ns,
        "records": vectors(),
    }


def table(held: dict[str, Any]) -> str:
    """The part of the protocol page that is made from the vectors."""
    parts = [f"Network `{held['network']}`, external_aad `{held['external_aad']}`.\n"]
    for vector in held["records"]:
        parts.append(f"### {vector['type']}\n")
        parts.append(f"SHA-256 `{vector['sha256']}`\n")
        parts.append(f"```\n{vector['record']}\n```\n")
    return "\n".join(parts)


def with_table(page: str, held: dict[str, Any]) -> str:
    """The page with its vectors written anew."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table(held)}\n{END}{after}"


def to_be_signed(vector: dict[str, Any]) -> bytes:
    """What a vector's signature is over."""
    aad = b"bandpact/1/" + NETWORK.encode()
    return cose.to_be_signed(bytes.fromhex(vector["protected"]), bytes.fromhex(vector["payload"]), aad)


if __name__ == "__main__":
    made = document()
    FILE.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    DOC.write_text(with_table(DOC.read_text(encoding="utf-8"), made), encoding="utf-8")
