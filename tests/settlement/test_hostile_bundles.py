"""Bundles made to fill the memory: at most four times the file, whatever is in it."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import cbor2
import pytest

from settlement.audit.bundle import AuditedBundle, Bundle, BundledLog, bundled, make_bundle, verify_bundle
from settlement.audit.bundleform import ENTRY_LEAST, read_form
from settlement.chain.bodies import Gate
from settlement.chain.codec import decode, encode
from settlement.core.reasons import Reason, Refusal
from tests.settlement.bundles import sealed
from tests.settlement.world import NETWORK, World, trio

MIB = 1 << 20
TIMES = 4


def entries_of(size: int, count: int) -> bytes:
    """A bundle of so many entries of so many bytes."""
    head = cbor2.dumps({1: NETWORK, 2: [{1: "x", 2: "y", 3: [b""]}]})[:-2]
    count_head = b"\x9a" + count.to_bytes(4, "big")
    one = cbor2.dumps(b"\xa1" * size)
    return head + count_head + one * count


HOSTILE: dict[str, Callable[[], bytes]] = {
    "two million entries of a byte": lambda: entries_of(1, 2 * MIB),
    "entries as short as they may be": lambda: entries_of(ENTRY_LEAST, 4 * MIB // (ENTRY_LEAST + 2)),
    "entries that are maps of nothing": lambda: entries_of(200, 4 * MIB // 202),
    "an array that promises a million": lambda: entries_of(ENTRY_LEAST, 1)[:-42] + b"\x9a\x00\x0f\x42\x40",
    "a deep nest": lambda: b"\xa2\x01" + b"\x81" * (4 * MIB),
    "maps of nothing": lambda: b"\x9a\x00\x3f\xff\xff" + b"\xa0" * (4 * MIB),
    "a string as long as the file": lambda: b"\xa2\x01\x7a\x00\x40\x00\x00" + b"x" * (4 * MIB),
}


def peak_of(data: bytes, anchors: list[bytes]) -> tuple[AuditedBundle | Refusal, int]:
    tracemalloc.start()
    try:
        outcome = verify_bundle(data, network=NETWORK, anchors=anchors)
        return outcome, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.attack(69)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_bundle_of_4_mib_takes_no_more_than_four_times_itself(name: str) -> None:
    data = HOSTILE[name]()
    outcome, peak = peak_of(data, [bytes(32)])
    assert isinstance(outcome, Refusal) or not outcome.ok
    # The file itself is held once.
    assert peak + len(data) < TIMES * max(len(data), MIB)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, bytes]:
    """An honest holder's log, with many of the smallest records."""
    world = trio(tmp_path_factory.mktemp("world"))
    world.settle()
    gate = Gate(state="ARMED", previous="LOCKED", reason="", measured="", required="", at_earliest_ns=1, at_latest_ns=2)
    for _ in range(400):
        world.do("holder", 1.5, lambda step: step.sign(gate))
    data = make_bundle(sealed(world, tmp_path_factory.mktemp("sealed"), "holder"), network=NETWORK)
    assert isinstance(data, bytes)
    return world, data


@pytest.mark.attack(69)
def test_an_honest_bundle_takes_no_more_either(busy: tuple[World, bytes]) -> None:
    world, data = busy
    verify_bundle(data, network=NETWORK, anchors=world.anchors)
    outcome, peak = peak_of(data, world.anchors)
    assert isinstance(outcome, AuditedBundle)
    assert outcome.ok
    assert peak + len(data) < TIMES * len(data)


def test_the_reader_takes_what_the_schema_takes_and_nothing_else(busy: tuple[World, bytes]) -> None:
    _, data = busy
    form = read_form(data, limit=MIB * 4)
    whole = decode(Bundle, data, "bundle", limit=MIB * 4)
    assert not isinstance(form, Refusal)
    assert isinstance(whole, Bundle)
    assert form[0] == whole.network
    (log,), (read,) = whole.logs, form[1]
    assert (read.origin, read.checkpoint, tuple(read.entries)) == (log.origin, log.checkpoint, log.entries)
    assert read.entries[-1] == log.entries[-1]
    assert read.entries[1:3] == list(log.entries[1:3])
    short = encode(replace(whole, logs=(replace(log, entries=log.entries[:2]),)), limit=MIB)
    assert not isinstance(read_form(short, limit=MIB), Refusal)
    for at in range(60):
        for bit in range(8):
            torn = short[:at] + bytes([short[at] ^ 1 << bit]) + short[at + 1 :]
            ours, theirs = read_form(torn, limit=MIB), decode(Bundle, torn, "bundle", limit=MIB)
            assert isinstance(ours, Refusal) >= isinstance(theirs, Refusal)
    for torn in (b"", short[:-1], short + b"\x00", short[:30]):
        assert isinstance(bundled(torn), Refusal)
    large = read_form(short, limit=len(short) - 1)
    assert isinstance(large, Refusal)
    assert large.reason is Reason.TOO_LARGE
    tiny = encode(replace(whole, logs=(BundledLog(origin="x", checkpoint="y", entries=(b"\x00",)),)), limit=MIB)
    assert isinstance(read_form(tiny, limit=MIB), Refusal)
