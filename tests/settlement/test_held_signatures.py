"""A signature that held is not computed again; one that did not hold never counts as known."""

import pytest

from settlement.chain import keys
from settlement.chain.keys import SigningKey

pytestmark = pytest.mark.feature("S10")
KEY = SigningKey.from_seed(bytes(range(32)))
OTHER = SigningKey.from_seed(bytes(32))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    asked: list[bytes] = []
    real = keys.verify_anew

    def counted(public: bytes, signature: bytes, message: bytes) -> bool:
        asked.append(message)
        return real(public, signature, message)

    monkeypatch.setattr(keys, "_HOLDING", {})
    monkeypatch.setattr(keys, "verify_anew", counted)
    return asked


def test_what_held_is_computed_once(computed: list[bytes]) -> None:
    signature = KEY.sign(b"one")
    assert all(keys.verify(KEY.public, signature, b"one") for _ in range(3))
    assert computed == [b"one"]


def test_anything_else_is_computed_and_does_not_hold(computed: list[bytes]) -> None:
    signature = KEY.sign(b"one")
    assert keys.verify(KEY.public, signature, b"one")
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    # The last moves a byte from signature to message: what is hashed together must not be the same.
    for public, signed, message in (
        (KEY.public, signature, b"two"),
        (KEY.public, flipped, b"one"),
        (OTHER.public, signature, b"one"),
        (KEY.public, signature[:-1], signature[-1:] + b"one"),
    ):
        assert not any(keys.verify(public, signed, message) for _ in range(2))
    assert computed == [b"one", *[b"two"] * 2, *[b"one"] * 4]


def test_what_is_remembered_is_bounded(computed: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "HOLDING_KEPT", 8)
    messages = [bytes([n]) for n in range(12)]
    for message in messages:
        assert keys.verify(KEY.public, KEY.sign(message), message)
    assert len(keys._HOLDING) == 8
    assert keys.verify(KEY.public, KEY.sign(messages[0]), messages[0])
    assert len(computed) == 13, "the oldest is forgotten first"
    assert keys.verify(KEY.public, KEY.sign(messages[-1]), messages[-1])
    assert len(computed) == 13
