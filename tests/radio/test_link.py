"""The link between agent and warden: what is no message is dropped, and never ends either side."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.link import AgentBeat, Burst, Withdraw, decode

GOOD = {"said_ns": 4, "listened_ns": 5, "incumbents_hz": [[1, 2]], "cause_ns": None}


def test_a_message_comes_back() -> None:
    assert decode(cbor2.dumps(["AgentBeat", GOOD])) == AgentBeat(
        said_ns=4, listened_ns=5, incumbents_hz=[[1, 2]], cause_ns=None
    )
    assert decode(cbor2.dumps(["Burst", {"sid": b"s", "ticket": 3}])) == Burst(sid=b"s", ticket=3)
    assert isinstance(
        decode(cbor2.dumps(["Withdraw", {"sid": b"s", "reason": "x", "detail": "y", "cause_ns": 1}])), Withdraw
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        cbor2.dumps(7),
        cbor2.dumps(["AgentBeat"]),
        cbor2.dumps(["Nobody", {}]),
        cbor2.dumps(["AgentBeat", 7]),
        cbor2.dumps([["AgentBeat"], GOOD]),
        cbor2.dumps(["AgentBeat", {**GOOD, "more": 1}]),
        cbor2.dumps(["AgentBeat", {**GOOD, "listened_ns": "soon"}]),
        cbor2.dumps(["AgentBeat", {**GOOD, "incumbents_hz": [[1]]}]),
        cbor2.dumps(["AgentBeat", {**GOOD, "incumbents_hz": [[1, 2.5]]}]),
        cbor2.dumps(["Burst", {"sid": b"s", "ticket": True}]),
        cbor2.dumps(["Burst", {"sid": "s", "ticket": 1}]),
    ],
)
def test_anything_else_is_nothing(data: bytes) -> None:
    assert decode(data) is None


@given(st.binary(max_size=100))
def test_noise_is_never_a_message(data: bytes) -> None:
    assert decode(data) is None
