"""Records beside a message count towards what a group decided if they are REQUESTs or offers, and are proven once."""

from pathlib import Path

import pytest

from settlement.chain import bodies
from settlement.chain.admission import prove
from settlement.chain.records import digest, sign_record
from settlement.records.conduct import decided
from settlement.records.conduct.decided import grounds_of
from tests.settlement.world import World, offered

pytestmark = pytest.mark.feature("S9")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return offered(tmp_path)


def beside(world: World) -> dict[str, bytes]:
    """Records that the holder has not heard."""
    alice, bob = world.members["alice"], world.members["bob"]
    request = sign_record(alice.key, world.frame("alice", seq=901), world.asked())
    back = bodies.Relinquish(sid=bytes(32), confirm=bytes(32), reason="")
    return {
        "request": request,
        "relinquish": sign_record(bob.key, world.frame("bob", seq=902), back),
        "forged": request[:-1] + bytes([request[-1] ^ 1]),
        "noise": b"noise",
    }


def test_of_what_lies_beside_a_message_only_requests_and_offers_that_hold_are_found(world: World) -> None:
    shown = beside(world)
    grounds = grounds_of(world.members["holder"].party, shown.values())
    found = grounds.find(digest(shown["request"]))
    assert found is not None
    assert found.raw == shown["request"]
    assert [grounds.find(digest(shown[name])) for name in ("relinquish", "forged", "noise")] == [None] * 3


def test_they_are_proven_once_and_not_before_one_is_looked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, shown, proven = world.members["holder"].party, beside(world), list[bytes]()

    def counted(raw: bytes, *args: object) -> object:
        proven.append(raw)
        return prove(raw, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(decided, "prove", counted)
    grounds = grounds_of(holder, iter(shown.values()))
    (offer,) = world.members["alice"].party.user.offers.values()
    assert grounds.find(offer.declaration) is not None, "it is in the log"
    assert not proven
    for _ in range(3):
        assert grounds.find(digest(shown["request"])) is not None
        assert grounds.find(bytes(32)) is None
    assert proven == list(shown.values())
