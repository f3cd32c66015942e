"""A program for one test: adds a record type from a folder and uses it, in a process of its own."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(sys.argv[1])


def take_up() -> None:
    """Extend the search path of two packages by a folder, before they are imported."""
    import settlement.records

    settlement.records.__path__.append(str(FOLDER / "settlement/records"))
    import settlement.records.conduct

    settlement.records.conduct.__path__.append(str(FOLDER / "settlement/records/conduct"))


def main() -> None:
    """Sign, send, judge, act, refuse, audit; prints what happened as JSON."""
    take_up()
    from importlib import import_module

    from settlement.audit.kept import compare
    from settlement.chain.records import parse
    from settlement.core.reasons import Refusal
    from settlement.state.messages import Message
    from tests.settlement.golden import with_fields
    from tests.settlement.world import NETWORK, NS, T0, trio

    beacon = import_module("settlement.records.beacon").Beacon
    with TemporaryDirectory() as folder:
        world = trio(Path(folder))

        def told(next_ns: int, every_s: int = 10) -> tuple[bytes, Refusal | None]:
            body = beacon(next_ns=next_ns, every_s=every_s, note="hello")
            raw = world.do("holder", 1.0, lambda step: step.sign(body)).raw
            return raw, world.give("holder", "alice", Message(record=raw).encoded(), 1.0)

        raw, taken = told(T0 + 60 * NS)
        _, late = told(T0)
        alice = world.members["alice"].party
        kept = alice.lineage.get("beacon", world.members["holder"].hash)
        events = [notice.name for notice in world.members["alice"].notices]
        unproven = parse(raw)
        alice.lineage.close()
        found = compare(Path(folder) / "alice.db", network=NETWORK, anchors=world.anchors)
    held = {"network": NETWORK, "external_aad": "", "records": []}
    page = with_fields((Path("docs") / "protocol-fields.md").read_text(encoding="utf-8"), held)
    print(
        json.dumps(
            {
                "taken": str(taken),
                "late": str(late),
                "kept": kept.hex() if kept else None,
                "event": "beacon" in events,
                "typ": getattr(unproven, "typ", str(unproven)),
                "record": raw.hex(),
                "retold": [str(one) for one in found.differences],
                "page": [line for line in page.splitlines() if "beacon" in line],
                "fields": page.partition("#### `beacon`")[2].split("\n\n")[1].splitlines()[2:],
            }
        )
    )


if __name__ == "__main__":
    main()
