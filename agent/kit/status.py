"""`bandpact kit status`: which nodes have joined and answer, and whose clock or status list is bad. Read-only."""

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from agent.config.keyfiles import load_chain
from agent.kit.doors import ANSWER_S, Asking, Unreachable
from agent.kit.folder import Trial
from agent.kit.spec import NodePart
from agent.timekeeping.shown import duration
from agent.words.units import time_text
from settlement.chain.credentials import Registry, Subject
from settlement.mesh import TransportKey
from settlement.records.authority import Revocation

MINUTE_NS: Final = 60 * 10**9
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS
SOON_NS: Final = DAY_NS
APART_NS: Final = 2 * 10**9
"""Largest difference in ns between the system clocks of node and coordinator before it is reported."""
AT_ONCE: Final = 16
UNHEARD: Final = "UNKNOWN"
"""State of a gate of which nothing was heard lately, as `gate_now` gives it."""
PROBLEMS_MAX, PROBLEM_MAX = 20, 300
"""Most problems shown of a node, and most characters of each: a node's answer may hold anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One node as the coordinator sees it; `bad` lists what to look at, each with its remedy."""

    node: str
    role: str
    joined: bool
    reachable: bool
    gate: str
    clock: str
    status_list: str
    settlements: int | None
    """Number of settlements; None where the node did not say."""
    bad: tuple[str, ...]
    answer: dict[str, Any] | None

    @property
    def word(self) -> str:
        """Whether the node was reached, in a word or two."""
        return "yes" if self.reachable else "no answer" if self.joined else "not joined"

    def as_dict(self) -> dict[str, Any]:
        """Return the values for programs."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """The values with which every node of one round is asked."""

    trial: Trial
    key: TransportKey
    newest: Revocation | None
    wait_s: float


def look(trial: Trial, wait_s: float = ANSWER_S, *, names: Collection[str] | None = None) -> list[Seen]:
    """Ask every node of a trial, or those of these names, all at once.

    Raises: ConfigError where the trial's own files do not read.
    """
    asked = _Round(trial=trial, key=trial.door_key(), newest=trial.desk_list(), wait_s=wait_s)
    registry = Registry(trial.state.network, [bytes.fromhex(trial.state.anchor)])
    nodes = [node for node in trial.spec.nodes if names is None or node.name in names]
    keys = [registry_of(trial, node, registry) for node in nodes]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(partial(_one, asked), nodes, keys))


def unsettled_text(seen: list[Seen]) -> str:
    """Return which users have settled nothing yet or wait for their radio, and whether they answer; empty if none."""
    return ", ".join(filter(None, (_awaited(one) for one in seen if one.role == "user")))


def _awaited(user: Seen) -> str:
    if not user.reachable and not user.settlements:
        return f"{user.node}: {user.word}"
    if not user.settlements:
        return f"{user.node} has settled nothing yet"
    # An agent may settle before its warden has brought the radio up.
    return f"{user.node} has settled, its radio does not answer yet" if user.gate.startswith(UNHEARD) else ""


def registry_of(trial: Trial, node: NodePart, registry: Registry) -> bytes | None:
    """Return the transport key of an enrolled node; None for a node that has not joined."""
    path = trial.chain_of(node.name)
    subject = registry.admit_chain(load_chain(path)) if path.is_file() else None
    return subject.transport_key if isinstance(subject, Subject) else None


def _one(asked: _Round, node: NodePart, transport: bytes | None) -> Seen:
    if transport is None:
        mend = f"hand it {node.name}.kit; it answers with {node.name}.enrol, for: bandpact kit enrol"
        return _seen(node, joined=False, bad=(f"has not joined; {mend}",))
    try:
        with Asking(node.door, transport, asked.key) as asking:
            answer = asking.status(asked.wait_s)
    except Unreachable as exc:
        return _seen(node, joined=True, bad=(str(exc),))
    return judged(asked.trial, node, answer, asked.newest, now_ns=time.time_ns())


def _seen(node: NodePart, *, joined: bool, bad: tuple[str, ...]) -> Seen:
    return Seen(
        node=node.name,
        role=node.role,
        joined=joined,
        reachable=False,
        gate="unknown",
        clock="unknown",
        status_list="unknown",
        settlements=None,
        bad=bad,
        answer=None,
    )


def judged(trial: Trial, node: NodePart, answer: dict[str, Any], newest: Revocation | None, now_ns: int) -> Seen:
    """Return an answer's content and its faults. A value of another type than expected counts as unknown."""
    status = _map(answer.get("status"))
    told = sorted(_map(answer.get("problems")).items())
    bad = [f"{part}: {why}"[:PROBLEM_MAX] for part, why in told[:PROBLEMS_MAX]]
    if len(told) > PROBLEMS_MAX:
        bad.append(f"{len(told) - PROBLEMS_MAX} more problems; see: bandpact status, on the node")
    clock = _map(status.get("clock"))
    bounds = [_instant(clock.get(name)) for name in ("bound_ns", "budget_ns")]
    bound = f"{duration(bounds[0])} of {duration(bounds[1])}" if clock else "unknown"
    there_ns = _instant(answer.get("utc_ns"))
    if there_ns is None:
        bad.append("clock: it does not say what its system clock shows; run the version of bandpact that runs here")
    elif abs(there_ns - now_ns) > APART_NS:
        apart = time_text(abs(there_ns - now_ns) / 1e9)
        bad.append(f"clock: its system clock is {apart} from this machine's; set one of them")
    said, wrong = list_text(trial, _list(status.get("status_lists")), newest, now_ns)
    gate = _map(answer.get("gate"))
    return Seen(
        node=node.name,
        role=node.role,
        joined=True,
        reachable=True,
        gate=f"{gate.get('state', 'unknown')} {gate.get('reason', '')}".strip()[:PROBLEM_MAX],
        clock=f"{'trusted' if clock.get('trusted') is True else 'UNTRUSTED' if clock else 'unknown'}, {bound}",
        status_list=said,
        settlements=len(settled) if isinstance(settled := status.get("settlements"), list) else None,
        bad=(*bad, *wrong),
        answer=answer,
    )


def time_left(left_ns: int) -> str:
    """Return the time until an instant as text, in whole days, or below a day in hours or minutes."""
    if left_ns <= 0:
        return "run out"
    unit = next((one for one in (DAY_NS, HOUR_NS) if left_ns >= one), MINUTE_NS)
    return f"{time_text(left_ns // unit * unit // 10**9)} left"


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _instant(value: Any) -> int | None:
    """Return a value as nanoseconds, or None where it is no such number."""
    return value if type(value) is int and 0 <= value < 1 << 63 else None


def list_text(trial: Trial, held: list[Any], newest: Revocation | None, now_ns: int) -> tuple[str, tuple[str, ...]]:
    """Return as text the status list that a node holds, and what is wrong with it."""
    mend = "bandpact kit tell hands it the newest"
    mine = next((one for one in map(_map, held) if one.get("issuer") == trial.spec.authority.name), {})
    until_ns, number = _instant(mine.get("fresh_until_ns")), _instant(mine.get("version"))
    if until_ns is None or number is None:
        return "none", (f"status list: it holds none, so that it trusts nobody; {mend}",)
    said = f"{number}, {time_left(until_ns - now_ns)}"
    wrong = []
    if newest is not None and number < newest.version:
        wrong.append(f"status list: it holds {number}, and {newest.version} is the newest; {mend}")
    if until_ns <= now_ns:
        wrong.append(f"status list: has run out, so that it trusts nobody; sign a fresh one: {mend}")
    elif until_ns - now_ns < SOON_NS:
        wrong.append(f"status list: runs out in {time_text((until_ns - now_ns) // 10**9)}; {mend}")
    return said, tuple(wrong)
