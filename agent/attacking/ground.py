"""Environment of the attacks: holder and user as running nodes, a simulated air, and keys for the attackers.

It also has the holder's own keys, for a dishonest holder, and the authority's desk.
"""

import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw

from agent.attacking.stranger import Silence, Stranger
from agent.config.keyfiles import load_keys
from agent.node.assembly import LINEAGE
from agent.node.events import read_events
from agent.trial.folder import Layout, prepare
from agent.trial.processes import Child, TrialError, free_ports, spawn, stop
from agent.trial.run import NODE, Options, await_ready, scenario_of, start_air
from agent.trial.spec import Want
from settlement.chain import bodies
from settlement.chain.admission import Admitted, prove
from settlement.chain.foreign import open_foreign, typed
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.lineage import SCHEMA
from settlement.chain.records import digest
from settlement.chain.scope import Band, Cell, Window
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource

NS, MHZ = 1_000_000_000, 1_000_000
RUN_S = 900.0
ASK_S = 15.0
"""Seconds after the start at which the user sends its REQUEST, once the holder has offered, on a busy machine too."""
SEEN_S = 8.0
STATUS_INDEX = 3
HOLDER, USER, MALLORY, EVE = "holder", "user-a", "attacker", "user-b"
LOWER = Band(low_hz=3_550 * MHZ, high_hz=3_560 * MHZ)
UPPER = Band(low_hz=3_560 * MHZ, high_hz=3_570 * MHZ)


class Ground:
    """A running holder and user, and three attackers: two credentialed neighbours, and one with the holder's keys."""

    def __init__(self, work: Path) -> None:
        """Start all processes. Raises TrialError."""
        self.work = work
        self.layout = self._laid_out(work / "nodes")
        self.children: dict[str, Child] = {}
        self.air: list[Child] = []
        self.strangers: list[Stranger] = []
        self.false_holder: Stranger | None = None
        self.mallory_name = MALLORY
        self._starts = itertools.count(20, 4)
        try:
            for name in (HOLDER, USER):
                self.start(name)
            await_ready(self._running_layout(), list(self.children.values()))
            self.air.append(start_air(self.layout)[0])
            self.mallory = self.stranger(MALLORY)
            self.eve = self.stranger(EVE)
            self.offer = self._first_offer()
        except BaseException:
            self.close()
            raise

    def _laid_out(self, root: Path) -> Layout:
        root.mkdir()
        options = Options(scenario="neighbours", seed=1, duration_s=RUN_S, recording=None, base_port=None)
        scenario, spec, _ = scenario_of(options)
        wants = [
            Want(
                node=USER,
                bands_hz=[(LOWER.low_hz, LOWER.high_hz)],
                ask_s=ASK_S,
                start_s=ASK_S + 3,
                end_s=RUN_S,
                eirp_dbm=20,
            )
        ]
        terms = spec.terms.model_copy(update={"envelope_required": False, "accept_s": 3.0, "confirm_s": 3.0})
        spec = spec.model_copy(update={"wants": wants, "terms": terms, "duration_s": RUN_S})
        scenario = replace(scenario, emitters=())
        ports = free_ports(len(scenario.nodes), None)
        return prepare(root, scenario, spec, seed=1, duration_s=RUN_S, ports=ports, status={EVE: STATUS_INDEX})

    def _running_layout(self) -> Layout:
        return replace(self.layout, nodes=tuple(n for n in self.layout.nodes if n.name in self.children))

    @property
    def centre_e7(self) -> tuple[int, int]:
        """Centre of the rule's area, in degrees x 1e7."""
        centre = self.layout.scenario.first("holder")
        return round(centre.lat_deg * 1e7), round(centre.lon_deg * 1e7)

    # -- processes -----------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a node, or restart it on the files it left."""
        self.children[name] = spawn(name, NODE, self.layout.config_of(name), self.layout.root)

    def alive(self, name: str) -> bool:
        """Return whether a node's process runs."""
        return self.children[name].process.poll() is None

    def endpoint(self, name: str) -> str:
        """Return the endpoint a node listens on."""
        number = [n.name for n in self.layout.nodes].index(name)
        return f"tcp://127.0.0.1:{self.layout.ports[number]}"

    def folder(self, name: str) -> Path:
        """Return a node's folder."""
        return self.layout.root / name

    def stranger(self, name: str, *, to: tuple[str, ...] = (HOLDER, USER)) -> Stranger:
        """Return an attacker with a node's keys, which listens on that node's endpoint if the node does not run."""
        keys = {one: load_keys(self.folder(one))[1].public for one in to}
        listen = "tcp://127.0.0.1:*" if name in self.children else self.endpoint(name)
        made = Stranger(
            self.folder(name),
            self.layout.desk.network,
            self.fix(name),
            listen=listen,
            peers={one: (keys[one], self.endpoint(one)) for one in to},
        )
        self.strangers.append(made)
        return made

    def fix(self, name: str) -> Fix:
        """Return a node's time and place now, from the simulated sources."""
        node = next(n for n in self.layout.scenario.nodes if n.name == name)
        now_ns = time.time_ns()
        position = PositionFix(
            lat_e7=round(node.lat_deg * 1e7),
            lon_e7=round(node.lon_deg * 1e7),
            radius_mm=2000,
            source=PositionSource.SIMULATED,
            trusted=True,
        )
        clock = TimeFix(earliest_ns=now_ns, latest_ns=now_ns, source=TimeSource.SIMULATED, trusted=True)
        return Fix(time=clock, position=position)

    def close(self) -> None:
        """End all processes started here."""
        for one in self.strangers:
            one.close()
        stop([*self.children.values(), *self.air])

    # -- what a node's log says ----------------------------------------------------------------------------------

    def leaves(self, name: str, *, where: str, value: bytes | str) -> list[Leaf]:
        """Return the entries of a node's log whose column has a value, read from the file while the node runs."""
        db = open_foreign(self.folder(name) / LINEAGE, SCHEMA, live=True)
        try:
            column = {"subject": "subject", "typ": "typ", "reason": "reason"}[where]
            rows = db.execute(f"SELECT CAST(body AS BLOB) FROM leaf WHERE {column}=? ORDER BY idx", (value,)).fetchall()  # noqa: S608
        finally:
            db.close()
        return [leaf for (body,) in rows if isinstance(leaf := decode_leaf(typed(body, bytes)), Leaf)]

    def until(self, look: Callable[[], Any], wait_s: float = SEEN_S) -> Any:
        """Call `look` repeatedly until it returns something true, or the time is up; returns its last result."""
        deadline = time.monotonic() + wait_s
        found = self._looked(look)
        while not found and time.monotonic() < deadline:
            for one in self.strangers:
                one.listen(2)
            found = self._looked(look)
        return found

    def _looked(self, look: Callable[[], Any]) -> Any:
        try:
            return look()
        except apsw.BusyError:
            return None

    def verdict(self, name: str, *subjects: bytes) -> str:
        """Return a node's verdict on bytes, by their hash: the reason, or "admitted"; "" where its log has none."""
        found = self.until(
            lambda: [leaf for one in subjects for leaf in self.leaves(name, where="subject", value=digest(one))]
        )
        return (found[-1].reason or "admitted") if found else ""

    def told(self, name: str, raw: bytes, by: Stranger | None = None, *beside: bytes) -> str:
        """Send a record to a node and return its verdict."""
        (by or self.mallory).say(name, raw, *beside)
        return self.verdict(name, raw)

    def bare(self, name: str, data: bytes) -> str:
        """Send bytes that are no message to a node and return its verdict."""
        self.mallory.send(name, data)
        return self.verdict(name, data)

    def count(self, name: str, reason: str) -> int:
        """Return how often a reason occurs in a node's log."""
        return len(self._looked(lambda: self.leaves(name, where="reason", value=reason)) or ())

    def events(self, name: str, kind: str) -> list[dict[str, Any]]:
        """Return a node's events of one kind."""
        return [e for e in read_events(self.folder(name)) if e["event"] == kind]

    # -- what an honest neighbour would say ----------------------------------------------------------------------

    def _first_offer(self) -> bytes:
        try:
            return next(self.mallory.hears("declaration", wait_s=40.0))
        except Silence as exc:
            raise TrialError("the holder offers nothing; is this machine overloaded?") from exc

    def body(self, raw: bytes | None) -> Any:
        """Return a record's verified content."""
        admitted = prove(raw or b"", self.layout.desk.registry)
        if not isinstance(admitted, Admitted):
            raise TrialError(f"the {HOLDER} said something that does not prove: {admitted}")
        return admitted.record.body

    def cell(self, band: Band = UPPER, length_s: float = 3.0) -> Cell:
        """Return a cell in the offered area with a later window that no other row uses."""
        offered = self.body(self.offer).cell
        start_ns = time.time_ns() // NS * NS + next(self._starts) * NS
        return Cell(
            band=band, area=offered.area, window=Window(start_ns=start_ns, end_ns=start_ns + int(length_s * NS))
        )

    def request(self, **changes: Any) -> bodies.Request:
        """Return an honest user's REQUEST."""
        offered = self.body(self.offer)
        base = bodies.Request(
            declaration=digest(self.offer),
            cell=changes.pop("cell", None) or self.cell(),
            commodity=offered.commodity,
            tier=2,
            eirp_mdbm=10_000,
            price=offered.price,
            partial=0,
            nonce=secrets.token_bytes(16),
        )
        return replace(base, **changes)

    def answered(self, asked: bytes, by: Stranger, *types: str) -> bytes:
        """Return the holder's answer to a REQUEST, of one of these types."""
        for raw in by.hears(*types):
            body = self.body(raw)
            if getattr(body, "request", None) == digest(asked) or getattr(body, "subject", None) == digest(asked):
                return raw
        raise Silence("no answer")

    def copy_of(self, name: str) -> Path:
        """Copy a node's log as it is now into one file."""
        target = self.work / f"{name}-{secrets.token_hex(4)}.db"
        db = open_foreign(self.folder(name) / LINEAGE, SCHEMA, live=True)
        db.close()
        source = apsw.Connection(str(self.folder(name) / LINEAGE), flags=apsw.SQLITE_OPEN_READONLY)
        copy = apsw.Connection(str(target))
        with copy.backup("main", source, "main") as backup:
            backup.step()
        source.close()
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.close()
        return target

    def bodies_of(self, name: str) -> list[bytes]:
        """Return the entries of a node's log."""
        db = open_foreign(self.folder(name) / LINEAGE, SCHEMA, live=True)
        try:
            return [typed(body, bytes) for (body,) in db.execute("SELECT CAST(body AS BLOB) FROM leaf ORDER BY idx")]
        finally:
            db.close()
