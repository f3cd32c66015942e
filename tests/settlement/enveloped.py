"""A small world whose class requires envelopes: the holder's sensing result, the radio's limits, and an offer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from settlement.chain import bodies
from settlement.chain.records import Record
from settlement.chain.scope import Band, Cell, Window
from settlement.state.step import Step
from tests.settlement.world import AREA, BAND, LOWER, NS, RULE, T0, TERMS, UPPER, World, trio

CLASS = replace(TERMS, envelope_required=1)
ENVELOPED = replace(RULE, classes=(CLASS,), confidence_ppm_min=400_000)


def channel(band: Band, state: str = "free") -> bodies.ChannelObservation:
    return bodies.ChannelObservation(band=band, state=state, floor_unit="dBm/Hz", flags=())


def place(at_s: float = 0.0, **changes: Any) -> bodies.Envelope:
    """A place envelope: both halves of the band found free in the second before, valid for a minute."""
    now_ns = T0 + round(at_s * NS)
    base = bodies.Envelope(
        kind="place",
        observed=Window(start_ns=now_ns - NS, end_ns=now_ns),
        valid_until_ns=now_ns + 60 * NS,
        level_ppm=950_000,
        looks=20,
        channels=(channel(LOWER), channel(UPPER)),
        incumbents=(),
        modality="energy",
    )
    return replace(base, **changes)


def unit(**changes: Any) -> bodies.Envelope:
    """A unit envelope: the whole band, at most 25 dBm and 10 MHz wide."""
    base = bodies.Envelope(
        kind="unit",
        observed=Window(start_ns=T0, end_ns=T0),
        valid_until_ns=T0 + 3600 * NS,
        level_ppm=1_000_000,
        looks=0,
        channels=(channel(BAND, "able"),),
        incumbents=(),
        max_eirp_mdbm=25_000,
        modality="profile",
        width_hz_max=10_000_000,
    )
    return replace(base, **changes)


def declaration(world: World, envelope: bytes | None, **changes: Any) -> bodies.Declaration:
    base = bodies.Declaration(
        cell=Cell(band=BAND, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 300 * NS)),
        commodity="cbrs",
        tier_low=2,
        tier_high=3,
        max_eirp_mdbm=30_000,
        price_form="fixed",
        price=7,
        rule=world.members["holder"].party.rule.hash,
        envelope=envelope,
    )
    return replace(base, **changes)


def observe(world: World, body: bodies.Envelope, at_s: float = 0.0) -> Record:
    party = world.members["holder"].party
    record: Record = world.do("holder", at_s, lambda step: party.bounds.observe(step, body))
    return record


def describe(world: World, name: str, body: bodies.Envelope, at_s: float = 0.0) -> Record:
    party = world.members[name].party
    record: Record = world.do(name, at_s, lambda step: party.bounds.describe(step, body))
    return record


def offer(world: World, envelope: Record, at_s: float = 0.0, **changes: Any) -> Record:
    """An honest holder's offer, sent with its envelope to both users."""
    party = world.members["holder"].party

    def act(step: Step) -> Record:
        record = party.holder.declare(step, declaration(world, envelope.digest, **changes))
        for name in ("alice", "bob"):
            step.send(world.members[name].hash, record.raw, (envelope.raw,))
        return record

    made: Record = world.do("holder", at_s, act)
    return made


def enveloped(folder: Path, rule: bodies.Rule = ENVELOPED, **unit_changes: Any) -> World:
    """A world in which the offer is made, and both users have stated their radios' limits."""
    world = trio(folder, rule=rule)
    offer(world, observe(world, place()))
    for name in ("alice", "bob"):
        describe(world, name, unit(**unit_changes))
    assert world.carry(0.1) == []
    return world
