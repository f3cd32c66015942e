"""Tests of the shared parse cache of a process with many parties; each party still makes its own checks."""

from pathlib import Path

import pytest

from settlement.chain import records
from settlement.chain.records import Record, Unproven, parse, read_once
from settlement.core.reasons import Refusal
from tests.settlement.world import NETWORK, World, trio

pytestmark = pytest.mark.feature("X2")


def offered(folder: Path) -> tuple[World, bytes]:
    """A world and the bytes of its holder's DECLARATION."""
    world = trio(folder)
    raw = world.members["holder"].party.lineage.raw_of(world.offer(1.0))
    assert raw is not None
    return world, raw


def test_the_same_bytes_are_read_once_and_another_time_after_it(tmp_path: Path) -> None:
    _, raw = offered(tmp_path)
    with read_once():
        first = parse(raw)
        assert isinstance(first, Unproven)
        assert parse(bytes(bytearray(raw))) is first
        assert isinstance(first.opened(), Record)
        assert first.opened() is first.opened()
    again = parse(raw)
    assert again == first
    assert again is not first


def test_a_changed_byte_is_refused_beside_bytes_that_were_read(tmp_path: Path) -> None:
    world, raw = offered(tmp_path)
    public, network = world.members["holder"].key.public, NETWORK
    with read_once():
        read = parse(raw)
        assert isinstance(read, Unproven)
        assert isinstance(read.prove(public, network), Record)
        forged = raw[:-1] + bytes([raw[-1] ^ 1])
        other = parse(forged)
        assert isinstance(other, Unproven)
        assert isinstance(other.prove(public, network), Refusal)
        assert isinstance(read.prove(bytes(32), network), Refusal)


def test_what_was_refused_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    whole = records._parse

    def counted(data: bytes) -> Unproven | Refusal:
        nonlocal count
        count += 1
        return whole(data)

    monkeypatch.setattr(records, "_parse", counted)
    with read_once():
        for _ in range(3):
            assert isinstance(parse(b"no record"), Refusal)
    assert count == 3


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, raw = offered(tmp_path)
    other = world.members["holder"].party.lineage.raw_of(world.offer(2.0))
    assert other is not None
    monkeypatch.setattr(records, "SHARED_MAX", 1)
    with read_once():
        first = parse(raw)
        assert parse(raw) is first
        parse(other)
        assert parse(raw) is not first
