"""Bytes of a busy node's log over years: calculated, and measured in a time-scaled run in virtual time.

The run has a holder and a user: one settlement every twenty minutes, for two, five, ten and twenty minutes in
turn, a lease of seconds, an envelope every few seconds. Run length and retention times are divided by the same scale,
so that the log has the same shares of bodies and stubs as after the whole time. Every record, step, deletion and
signature is a real party's; only time is virtual. The calculation multiplies entries per day of each kind
by the bytes of one.
"""

import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw

from settlement.audit.verify import audit_lineage
from settlement.chain import records
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage
from settlement.records.classterms import RetentionTerms
from settlement.records.registry import TYPE_OF
from settlement.state.retention import KINDS
from settlement.state.step import Step
from sim.world.city import ASKED_S, City
from sim.world.cityplan import HOUR_NS, OFFER_NS, QUIET_NS, CityPlan, city_plan
from sim.world.citytrust import CityTrust, block_band, city_trust
from sim.world.looks import LEVEL_PPM, all_free
from sim.world.member import Done, Member
from sim.world.monitor import Breach
from sim.world.plan import NS, Act
from sim.world.transmitter import ModelledEmission
from sim.world.trust import NETWORK, before_start, secret

DAY_S, MONTH_DAYS = 86_400, 365.25 / 12
SETTLEMENTS_AN_HOUR = 3
LOOK_NS = 7_500_000_000
"""Interval in ns of the holder's envelopes, as a node with a radio signs them."""
KEPT_DAYS: Final = {"renewals": 30.0, "envelopes": 90.0, "usage": 730.0, "intents": 730.0}
HOLDER, USER = "h000", "u000"
NAMES: Final = {HOLDER: "holder", USER: "user"}
_KIND_OF: Final = {TYPE_OF[body]: kind for kind, body in KINDS.items()}


class Onlooker:
    """A world monitor that keeps nothing: with the usual one a run of weeks would not fit into memory."""

    def __init__(self, _trust: Any, _members: Any) -> None:
        self.breaches: list[Breach] = []
        self.asked: Counter[str] = Counter()
        self.cheats: set[str] = set()

    def after(self, _member: Member, _done: Done, _true_ns: int, _received: bytes | None = None) -> list[Any]:
        """Check nothing after a step."""
        return []

    def radiated(self, _emission: ModelledEmission, _true_ns: int) -> None:
        """Check nothing about an emission."""

    def sent(self, _member: Member, _outgoing: Any, _true_ns: int) -> None:
        """Check nothing about a message."""

    def rebuilt(self, _member: Member, _true_ns: int) -> None:
        """Check nothing about a start."""

    def audited(self, _member: Member, _true_ns: int) -> None:
        """Check nothing here: the logs are audited as files after the run."""

    def agreed(self, _member: Member, _true_ns: int) -> None:
        """Check nothing here: the logs are audited as files after the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePlan:
    """Settings of the run: duration, time scale, lease."""

    months: int = 60
    scale: float = 100.0
    lease_s: float = 3.0

    @property
    def hours(self) -> int:
        """Virtual hours of the run."""
        return max(3, round(self.months * MONTH_DAYS * 24 / self.scale))

    @property
    def days(self) -> float:
        """Days that the run represents."""
        return self.months * MONTH_DAYS

    def retention(self) -> tuple[RetentionTerms, ...]:
        """Retention of each kind of record, in scaled time."""
        return tuple(
            RetentionTerms(what=what, keep_ns=round(days * DAY_S * NS / self.scale)) for what, days in KEPT_DAYS.items()
        )


class BusyPair(City):
    """A city of one holder and one user."""

    monitor_class = Onlooker  # type: ignore[assignment]

    def __init__(self, asked: ArchivePlan, folder: Path) -> None:
        self.asked = asked
        super().__init__(_plan(asked.hours), folder)

    def _issued(self) -> CityTrust:
        made = city_trust(self.plan)
        key, rule = SigningKey.from_seed(secret("root")), made.rule(made.registry()).rule
        terms = replace(
            rule.classes[0],
            lease_ns=round(self.asked.lease_s * NS),
            retention=self.asked.retention(),
            vacate_ns=NS // 2,
        )
        attested = records.Attestation.of(before_start())
        frame = records.Frame(network=NETWORK, author=records.digest(made.root), seq=2, attestation=attested)
        return replace(made, rule_raw=records.sign_record(key, frame, replace(rule, classes=(terms,))))

    def _asked_s(self, act: Act, _draw: Random) -> int:
        """Return each length in turn: random lengths would vary the renewals of a day's run by a tenth."""
        return ASKED_S[act.number % len(ASKED_S)]

    def begin(self) -> None:
        """Start the city, and the holder's looks."""
        super().begin()
        self.at(NS, self._look)

    def _look(self) -> None:
        holder = self.members[HOLDER]
        party = holder.party
        if party is not None:
            bounds = party.bounds

            def look(step: Step) -> None:
                found = all_free(block_band(0), step.now.time.latest_ns)
                bounds.observe(step, replace(found, level_ppm=LEVEL_PPM))

            self.step(holder, look)
        self.at(self.now_ns + LOOK_NS, self._look)


def _plan(hours: int) -> CityPlan:
    base = city_plan(0, nodes=2, hours=hours)
    last_ns = hours * HOUR_NS - QUIET_NS
    offers = [Act(at_ns=at_ns, what="offer", who=HOLDER) for at_ns in range(NS, last_ns, OFFER_NS)]
    every_ns = HOUR_NS // SETTLEMENTS_AN_HOUR
    wants = [
        Act(at_ns=at_ns, what="request", who=USER, number=number)
        for number, at_ns in enumerate(range(20 * NS, last_ns, every_ns))
    ]
    acts = tuple(sorted([*offers, *wants], key=lambda one: one.at_ns))
    return replace(base, acts=acts, absent=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class KindBytes:
    """One type of record in a log: entries a day, bytes of a body and of a stub (0 where none was pruned)."""

    a_day: float
    body: float
    stub: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBytes:
    """Content of a closed log; `row` is an entry's bytes beside its body (columns, indices, tree, free space)."""

    entries: int
    file_bytes: int
    row: float
    kinds: dict[str, KindBytes]


def log_bytes(path: Path, days: float) -> LogBytes:
    """Measure a closed log that `days` of virtual time wrote."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    (pages,), (page,) = (next(iter(db.execute(f"PRAGMA {what}"))) for what in ("page_count", "page_size"))
    found: dict[str, dict[bool, tuple[int, int]]] = {}
    for typ, gone, count, size in db.execute(
        "SELECT typ, substr(body, 1, 2) = x'a814', count(*), sum(length(body)) FROM leaf GROUP BY 1, 2"
    ):
        found.setdefault(typ or "refused", {})[bool(gone)] = count, size
    db.close()
    entries = sum(count for ways in found.values() for count, _ in ways.values())
    bodies = sum(size for ways in found.values() for _, size in ways.values())
    kinds = {
        typ: KindBytes(
            a_day=sum(count for count, _ in ways.values()) / days,
            body=_mean(ways.get(False)),
            stub=_mean(ways.get(True)),
        )
        for typ, ways in found.items()
    }
    return LogBytes(entries=entries, file_bytes=pages * page, row=(pages * page - bodies) / entries, kinds=kinds)


def _mean(of: tuple[int, int] | None) -> float:
    return of[1] / of[0] if of else 0.0


def on_paper(log: LogBytes, days: float, kept: dict[str, float]) -> dict[str, float]:
    """Return entries and bytes after `days` at a measured log's rates and retention; `bytes` without retention.

    All bodies past their time are stubs by then; a row takes as much as in the measured log.
    """
    entries = stubs = held = whole = 0.0
    for typ, kind in log.kinds.items():
        age = kept.get(_KIND_OF.get(typ, ""), days)
        total, young = kind.a_day * days, kind.a_day * min(days, age)
        entries, stubs = entries + total, stubs + total - young
        held += young * kind.body + (total - young) * kind.stub
        whole += total * kind.body
    rows = entries * log.row
    return {"entries": entries, "stubs": stubs, "bytes": held + rows, "bytes_without_retention": whole + rows}


def run(asked: ArchivePlan, folder: Path) -> dict[str, Any]:
    """Run the scaled time; returns sizes, start and audit times of both logs, and the calculation for the whole time.

    Raises RuntimeError where a log does not verify.
    """
    began_s = time.process_time()
    world = BusyPair(asked, folder)
    world.begin()
    world.advance(world.ends_ns)
    lived_s = time.process_time() - began_s
    logs = {}
    for name, member in world.members.items():
        member.crash(world.now_ns)
        logs[NAMES[name]] = _judged(member, list(world.trust.anchors), asked)
    return {
        "months": asked.months,
        "scale": asked.scale,
        "lease_s": asked.lease_s,
        "virtual_hours": asked.hours,
        "lived_cpu_s": round(lived_s, 1),
        **logs,
    }


def _judged(member: Member, anchors: list[bytes], asked: ArchivePlan) -> dict[str, Any]:
    path, began_s = member.disk.path, time.process_time()
    log = Lineage(path, origin=f"bandpact/{NETWORK}/{member.key.kid.hex()}")
    log.start_look(member.key.public)
    started_s = time.process_time() - began_s
    with tempfile.TemporaryDirectory(dir=path.parent) as sealed:
        target = Path(sealed) / "sealed.db"
        log.seal(member.key, target)
        sealed_bytes = target.stat().st_size
    log.close()
    began_s = time.process_time()
    audited = audit_lineage(path, network=NETWORK, anchors=anchors)
    if audited.findings.problems:
        raise RuntimeError(f"the log of {member.name} does not hold: {audited.findings.problems[:3]}")
    audit_s = time.process_time() - began_s
    measured = log_bytes(path, asked.hours / 24)
    return {
        "entries": measured.entries,
        "settlements": round(measured.kinds["confirm"].a_day * asked.hours / 24),
        "bytes": measured.file_bytes,
        "sealed_bytes": sealed_bytes,
        "row_bytes": round(measured.row, 1),
        "kinds": {typ: asdict(kind) for typ, kind in sorted(measured.kinds.items())},
        "let_go": [str(one) for one in audited.prunings.shown()],
        "start_cpu_s": round(started_s, 3),
        "audit_cpu_s": round(audit_s, 1),
        "paper": {what: round(value) for what, value in on_paper(measured, asked.days, KEPT_DAYS).items()},
    }
