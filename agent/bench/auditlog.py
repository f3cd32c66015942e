"""Makes a holder's log of any length for the audit benchmark: one settlement, re-signed many times with changes.

Every entry has its own bytes, numbers, links, columns, tree and signatures, as a node would have written them:
what the parties signed once is signed again with other identifiers, other windows and the next numbers.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from settlement.chain.keys import SigningKey
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.lineage import Lineage
from settlement.chain.records import Attestation, Frame, Record, Unproven, make_record, parse
from settlement.chain.scope import Window
from settlement.pair.work import answer_to, settlement_id
from settlement.records.grant import Accept, Grant
from settlement.records.market import Request
from sim.world.city import City
from sim.world.cityplan import city_plan
from sim.world.plan import Act
from sim.world.trust import NETWORK, secret

NS = 1_000_000_000
GROUP = 512
APART_NS = 600 * NS
"""Time in ns from one settlement to the next: longer than one lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLog:
    """A log in a file, with the anchors and network that an auditor is given."""

    path: Path
    network: str
    anchors: tuple[bytes, ...]
    entries: int
    settlements: int


@dataclass(frozen=True, slots=True)
class _Said:
    """One entry of the settlement that is repeated."""

    leaf: Leaf
    record: Record


def _opened(body: bytes) -> _Said | None:
    leaf = decode_leaf(body)
    unproven = parse(leaf.record) if isinstance(leaf, Leaf) and leaf.record is not None else None
    record = unproven.opened() if isinstance(unproven, Unproven) and unproven.author is not None else None
    return _Said(leaf, record) if isinstance(leaf, Leaf) and isinstance(record, Record) else None


def _first_settlement(folder: Path, hours: int) -> tuple[City, list[bytes], list[bytes]]:
    """Run one holder and one user through one settlement; returns the holder's entries before it, and those of it."""
    plan = city_plan(0, nodes=2, hours=hours)
    acts = (
        Act(at_ns=NS, what="offer", who="h000"),
        Act(at_ns=10 * NS, what="request", who="u000", number=5),
    )
    city = City(replace(plan, acts=acts, absent=frozenset()), folder)
    city.begin()
    city.advance(2000 * NS)
    log = city.members["h000"].log
    if log is None or city.monitor.breaches:
        raise RuntimeError("the city of the bench has no whole log")
    bodies = list(log.bodies())
    first = next((n for n, body in enumerate(bodies) if _is_request(body)), len(bodies))
    city.end()
    return city, bodies[:first], bodies[first:]


def _is_request(body: bytes) -> bool:
    said = _opened(body)
    return said is not None and isinstance(said.record.body, Request)


class _Again:
    """Repeats the settlement, each time later, with the next numbers of both authors."""

    def __init__(self, before: list[bytes], again: list[bytes], keys: dict[bytes, SigningKey], holder: bytes) -> None:
        self._template = [said for said in map(_opened, again) if said is not None]
        self._keys, self._holder = keys, holder
        self._last: dict[bytes, tuple[int, bytes | None]] = {}
        for said in filter(None, map(_opened, before)):
            self._follow(said.record)

    def __len__(self) -> int:
        return len(self._template)

    def _follow(self, record: Record) -> None:
        if record.frame.author is not None:
            self._last[record.frame.author] = record.frame.seq, record.digest

    def round(self, number: int) -> Iterator[tuple[Leaf, Record]]:
        """Yield the entries of the `number`th repetition of the settlement."""
        later_ns = (number + 1) * APART_NS
        names: dict[bytes, bytes] = {}
        for said in self._template:
            record = self._signed(said.record, names, number, later_ns)
            names[said.record.digest] = record.digest
            leaf = replace(
                said.leaf,
                subject=record.digest,
                record=record.raw,
                arrived_earliest_ns=said.leaf.arrived_earliest_ns + later_ns,
                arrived_latest_ns=said.leaf.arrived_latest_ns + later_ns,
            )
            yield leaf, record

    def _signed(self, old: Record, names: dict[bytes, bytes], number: int, later_ns: int) -> Record:
        author = old.frame.author or b""
        body = _renamed(old.body, names, later_ns)
        if isinstance(body, Request):
            body = replace(body, nonce=number.to_bytes(16, "big"))
        if isinstance(body, Grant):
            sid = settlement_id(author, body.user, number.to_bytes(16, "big"), body.cell)
            names[old.body.sid] = sid
            body = replace(body, sid=sid, nonce=number.to_bytes(16, "big"), fence=body.fence + number)
            names[b"challenge"] = body.challenge
        elif hasattr(body, "fence"):
            body = replace(body, fence=body.fence + number)
        if isinstance(body, Accept):
            body = replace(body, answer=answer_to(names[b"challenge"], body.grant))
        seq, previous = self._last.get(author, (0, None))
        here = old.frame.attestation
        frame = Frame(
            network=old.frame.network,
            author=author,
            seq=seq + 1,
            previous=previous,
            attestation=replace(here, earliest_ns=here.earliest_ns + later_ns, latest_ns=here.latest_ns + later_ns),
        )
        record = make_record(self._keys[author], frame, body)
        self._follow(record)
        return record


def _renamed(value: Any, names: dict[bytes, bytes], later_ns: int) -> Any:
    """Return a body with other identifiers and later times."""
    if isinstance(value, bytes):
        return names.get(value, value)
    if isinstance(value, Window):
        return Window(start_ns=value.start_ns + later_ns, end_ns=value.end_ns + later_ns)
    if not is_dataclass(value) or isinstance(value, type | Attestation):
        return value
    changes = {}
    for one in fields(value):
        old = getattr(value, one.name)
        if one.name.endswith("_ns") and isinstance(old, int) and old > NS * NS:
            changes[one.name] = old + later_ns
        else:
            new = _renamed(old, names, later_ns)
            if new is not old:
                changes[one.name] = new
    return replace(value, **changes) if changes else value


def make_log(folder: Path, entries: int) -> AuditLog:
    """Write a holder's log of about `entries` entries under `folder`, its head and standing signed."""
    settlements = max(1, entries // 8)
    hours = settlements * APART_NS // (3600 * NS) + 2
    with tempfile.TemporaryDirectory() as work:
        city, before, again = _first_settlement(Path(work), hours)
    holder = city.members["h000"]
    keys = {one.hash: SigningKey.from_seed(secret(one.name)) for one in city.members.values()}
    log = Lineage(folder / "lineage.db", origin=f"bandpact/{NETWORK}/{holder.key.kid.hex()}")
    more, told = _Again(before, again, keys, holder.hash), 0
    with log.transaction():
        for body in before:
            leaf = decode_leaf(body)
            if isinstance(leaf, Leaf):
                log.append(leaf, _logged(leaf))
    while log.size < entries:
        with log.transaction():
            for _ in range(GROUP):
                for leaf, record in more.round(told):
                    log.append(leaf, record)
                told += 1
                if log.size >= entries:
                    break
            log.stand(holder.key)
    with log.transaction():
        log.checkpoint(holder.key)
    size = log.size
    log.close()
    return AuditLog(path=log.path, network=NETWORK, anchors=city.trust.anchors, entries=size, settlements=told)


def _logged(leaf: Leaf) -> Record | None:
    unproven = parse(leaf.record) if leaf.record is not None else None
    record = unproven.opened() if isinstance(unproven, Unproven) else None
    return record if isinstance(record, Record) else None
