"""A world whose rule names commodity classes by their schema records: spectrum in Hz, and others from TOML."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from settlement.chain import bodies, records
from settlement.chain.scope import Band, Cell, Window
from settlement.governing.classfile import class_terms, read_class
from settlement.records.classterms import Schema
from settlement.state.messages import Message
from settlement.state.step import Step
from tests.settlement.world import (
    AREA,
    BAND,
    HOLDER_ACTIONS,
    NETWORK,
    NS,
    RULE,
    T0,
    TERMS,
    USER_ACTIONS,
    World,
    fix,
)

STORAGE = """
commodity = "storage"
version = 1
effective_from = 2026-01-01T00:00:00Z
effective_until = 2040-01-01T00:00:00Z
unit = "byte"
quantity = "blocks"
raster = 1_000_000
low = 0
high = 1_000_000_000_000
time_unit_ns = 1_000_000_000
max_window_ns = 300_000_000_000
price_forms = ["fixed"]
currency = "EUR"
users = 2
recognition = ["handshake"]
[[axes]]
name = "quantity"
unit = "byte"
"""
BACKHAUL = (Path(bodies.__file__).parents[1] / "governing" / "classes" / "backhaul.toml").read_text(encoding="utf-8")
LINK = Band(low_hz=0, high_hz=10**10, unit="bit/s")
BYTES = Band(low_hz=0, high_hz=10**9, unit="byte")
GIVEN = {"bands": (BAND, LINK, BYTES), "classes": ("cbrs", "backhaul", "storage")}


def schema_raw(world: World, schema: Schema, number: int) -> bytes:
    """A class signed by the authority, the same bytes for every world of these credentials."""
    frame = records.Frame(
        network=NETWORK,
        author=world.authority.hash,
        seq=number,
        previous=bytes(32),
        attestation=records.Attestation.of(fix(-8)),
    )
    return records.sign_record(world.root_key, frame, schema)


def classed(folder: Path, *texts: str, terms: dict[str, Any] | None = None, **rule: Any) -> World:
    """A world of `cbrs` and the classes of these TOML texts, its members yet to be enrolled.

    `terms` changes what the rule says of the classes from files, `rule` the rule.
    """
    signer = World(folder, given=GIVEN)
    raws = [schema_raw(signer, read_class(text), 900 + n) for n, text in enumerate(texts)]
    found = [TERMS]
    for raw, text in zip(raws, texts, strict=True):
        made = class_terms(read_class(text), records.digest(raw), max_eirp_mdbm=30_000)
        found.append(replace(made, accept_ns=NS, confirm_ns=NS, **(terms or {})))
    body = replace(RULE, classes=tuple(found), bands=GIVEN["bands"], **rule)
    world = World(folder, rule=body, given=GIVEN)
    world.schemas = raws  # type: ignore[attr-defined]
    return world


def enrolled(world: World, holders: tuple[str, ...], users: tuple[str, ...], *, told: bool = True) -> World:
    """Members, who know the classes unless `told` is False."""
    world.enrol(**dict.fromkeys(holders, HOLDER_ACTIONS), **dict.fromkeys(users, USER_ACTIONS))
    if told:
        for name in world.members:
            for raw in world.schemas:  # type: ignore[attr-defined]
                assert hand(world, name, raw) is None
    return world


def hand(world: World, name: str, raw: bytes, at_s: float = -6.0) -> Any:
    """Hand an authority's record to a member, as `node tell` does."""
    member = world.members[name]
    own = member.transport
    return world.do(name, at_s, lambda step: member.party.receive(step, Message(record=raw).encoded(), own))


def offered(world: World, holder: str, band: Band, commodity: str, users: tuple[str, ...], **changes: Any) -> bytes:
    """A declaration that the users have received."""
    party = world.members[holder].party
    fields: dict[str, Any] = {
        "cell": Cell(band=band, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 300 * NS)),
        "commodity": commodity,
        "tier_low": 2,
        "tier_high": 3,
        "max_eirp_mdbm": 30_000,
        "price_form": "fixed",
        "price": 7,
        "rule": party.rule.hash,
    }

    def act(step: Step) -> bytes:
        record = party.holder.declare(step, bodies.Declaration(**{**fields, **changes}))
        for user in users:
            step.send(world.members[user].hash, record.raw)
        return record.digest

    name: bytes = world.do(holder, 0.0, act)
    world.carry(0.1)
    return name


def window(start_s: int = 5, for_s: int = 10) -> Window:
    """A window of `for_s` seconds from `start_s` on."""
    return Window(start_ns=T0 + start_s * NS, end_ns=T0 + (start_s + for_s) * NS)


def ask(world: World, user: str, declaration: bytes, band: Band, at_s: float = 1.0, **changes: Any) -> Any:
    """A REQUEST for a band of an offer; the user's settlement once everything was carried."""
    party = world.members[user].party
    offer = party.user.offers[declaration]
    cell = Cell(band=band, area=AREA, window=changes.pop("window", window()))
    sid = world.do(user, at_s, lambda step: party.user.request(step, offer, cell, eirp_mdbm=20_000, **changes).sid)
    refusals = world.carry(at_s + 0.1)
    return party.user.by_sid(sid), refusals
