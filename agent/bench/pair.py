"""Speed of a settlement between two processes on loopback, beside its floor, measured in turns in the same run."""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from agent.bench.profiled import shares
from agent.bench.sides import (
    COSIGNER,
    LAT_E7,
    LON_E7,
    NS,
    PROFILE,
    USER,
    BenchError,
    BenchFloor,
    SideSpec,
    Trip,
    Users,
    cpu_s,
    serve_holder,
)
from agent.trial.coordinator import TrialAuthority
from agent.trial.spec import TrialSpec
from settlement.chain.credentials import Subject
from settlement.chain.scope import Window
from settlement.pair.coordinator import EACH_MAX

AHEAD_NS = 60 * NS
HOURS_NS = 12 * 3600 * NS
WARM_UP = 5
ROUND = 10
OPEN_USERS = 4
PATIENT_S = 10.0
COSIGNED_MAX = EACH_MAX // ROUND * ROUND - ROUND
"""Settlements of one town with a co-signer, beside those that warm it up."""
START_S = 60.0
NETWORK = "bench"


@dataclass(frozen=True, slots=True)
class Mode:
    """What a settlement has to have beside its two parties' signatures; the bare one nothing."""

    name: str
    enveloped: bool = False
    witnesses: int = 0
    cosigned: bool = False


BARE = Mode("bare")
MODES = (
    Mode("enveloped", enveloped=True),
    Mode("witnessed", witnesses=1),
    Mode("coordinated", cosigned=True),
    Mode("all three, as in a trial", enveloped=True, witnesses=1, cosigned=True),
)


def prepare(folder: Path, users: int, mode: Mode = BARE) -> SideSpec:
    """Keys, credentials and a rule for a holder and so many users, and for one more holder where that co-signs."""
    # On a busy machine a step may wait longer than a trial lets it: that is to be measured, not refused.
    terms = {"envelope_required": mode.enveloped, "accept_s": PATIENT_S, "confirm_s": PATIENT_S}
    trial = TrialSpec()
    trial = trial.model_copy(update={"terms": trial.terms.model_copy(update=terms)})
    desk = TrialAuthority(trial, network=NETWORK, lat_e7=LAT_E7, lon_e7=LON_E7)
    names = {"holder": "holder", **{f"{USER}{n}": "user" for n in range(users)}}
    names |= {COSIGNER: "holder"} if mode.cosigned else {}
    issued = {name: desk.enrol(name, role, f"bench {name}", folder / name) for name, role in names.items()}
    return SideSpec(
        folder=folder,
        network=NETWORK,
        anchor=desk.anchor,
        rule=desk.make_rule(HOURS_NS / NS, witness_quorum=mode.witnesses),
        chains={name: one.chain for name, one in issued.items()},
        area=desk.area,
        band=desk.band,
        commodity=trial.terms.commodity,
        enveloped=mode.enveloped,
    )


class BenchHolder:
    """The holder's process as the bench holds it."""

    def __init__(self, spec: SideSpec) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve_holder, args=(spec, theirs), daemon=True)
        self._process.start()
        theirs.close()
        if not self.pipe.poll(START_S):
            raise BenchError("the holder's process does not come up")
        self.endpoint: str = self.pipe.recv()

    def tell(self, command: str, argument: Any = None) -> Any:
        """Have it do something and say when it has begun. Raises BenchError."""
        try:
            self.pipe.send((command, argument))
            if not self.pipe.poll(START_S):
                raise BenchError(f"the holder's process does not answer {command}")
            return self.pipe.recv()
        except (EOFError, ConnectionError) as exc:
            raise BenchError("the holder's process is gone") from exc

    def kill(self) -> None:
        """End it at once, whatever it waits for."""
        self._process.kill()
        self._process.join(START_S)

    def stop(self) -> None:
        """End it."""
        if self._process.is_alive():
            self.pipe.send(("stop", None))
        self._process.join(START_S)
        self._process.kill()


@contextmanager
def town(
    folder: Path, users: int, mode: Mode = BARE, *, open_max: int | None = None
) -> Iterator[tuple[BenchHolder, Users]]:
    """A holder and its users, an offer with each of them."""
    spec = replace(prepare(folder, users, mode), open_max=open_max)
    holder = BenchHolder(spec)
    start_ns = (time.time_ns() + AHEAD_NS) // NS * NS
    made = Users(spec, holder.endpoint, start_ns)
    try:
        window = Window(start_ns=start_ns - AHEAD_NS, end_ns=start_ns + HOURS_NS - AHEAD_NS)
        holder.tell("connect", made.endpoints())
        if mode.witnesses or mode.cosigned:
            made.introduce()
        if mode.cosigned:
            _offered(made, lambda: made.offer(window), lambda: holder.tell("offers"))
        _offered(
            made,
            lambda: holder.tell("offer", window),
            lambda: all(user.side.party.user.offers for user in made.users),
        )
        yield holder, made
    except BaseException:
        holder.kill()  # it may wait half a minute for the floor's other end, which is here
        raise
    finally:
        made.close()
        holder.stop()


def _offered(made: Users, offer: Callable[[], object], heard: Callable[[], object]) -> None:
    """Offer until it was heard: what is sent before a socket is connected may be lost. Raises BenchError."""
    deadline_s = time.monotonic() + START_S
    while not heard():
        if time.monotonic() > deadline_s:
            raise BenchError("an offer does not reach its neighbour")
        offer()
        for _ in range(WARM_UP * ROUND):
            made.turn(1)


def _trips(holder: BenchHolder, users: Users, mode: Mode) -> tuple[Trip, ...]:
    """What the floor sends: as many bytes as the messages of the settlement just made."""
    user = users.users[(users.slot - 1) % len(users.users)]
    theirs = holder.tell("sizes")
    request, accept = user.side.sizes_of("request"), user.side.sizes_of("accept")
    further = int(mode.witnesses > 0) + int(mode.cosigned)
    return (
        Trip(asked=request, answered=theirs["grant"], more=int(mode.enveloped)),
        *(Trip(asked=accept, answered=request) for _ in range(further)),
        Trip(asked=accept, answered=theirs["confirm"], head=True),
    )


def _floor(holder: BenchHolder, users: Users, trips: tuple[Trip, ...], count: int) -> list[float]:
    """Seconds of `count` bare settlements."""
    user = users.users[0]
    other = user.side.party.registry.admit_chain(users.spec.chains["holder"])
    if not isinstance(other, Subject):
        raise BenchError(str(other))
    holder.tell("floor", (trips, count))
    floor = BenchFloor.of(user.side, other, users.spec.folder / "user-0")
    took_s: list[float] = []
    for _ in range(count):
        began_s = time.perf_counter()
        floor.ask(trips)
        took_s.append(time.perf_counter() - began_s)
    floor.db.close()
    return took_s


def _quantile_ms(values: list[float], share: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000, 3)


def latency(folder: Path, users: int, count: int, mode: Mode = BARE) -> dict[str, Any]:
    """REQUEST to permit of single settlements, in turns with the floor; `cpu_ms` is over both processes."""
    ours: list[float] = []
    floor: list[float] = []
    ours_cpu_s = floor_cpu_s = 0.0
    sizes: tuple[Trip, ...] = ()
    while len(ours) < count:
        # A co-signer holds so many cells of one holder until their windows are over: then a town anew.
        most = COSIGNED_MAX if mode.cosigned else count
        with town(folder / str(len(ours)), users, mode) as (holder, made):
            for _ in range(max(WARM_UP, users)):  # everybody once, as for the rate
                made.one()
            sizes = trips = _trips(holder, made, mode)
            _floor(holder, made, trips, WARM_UP)
            for _ in range(0, min(most, count - len(ours)), ROUND):
                began_s = cpu_s() + holder.tell("usage")
                ours += [made.one() for _ in range(ROUND)]
                made.until(settled(made), 2)
                between_s = cpu_s() + holder.tell("usage")
                floor += _floor(holder, made, trips, ROUND)
                ended_s = cpu_s() + holder.tell("usage")
                ours_cpu_s, floor_cpu_s = ours_cpu_s + between_s - began_s, floor_cpu_s + ended_s - between_s
    ratio = statistics.median(ours) / statistics.median(floor)
    return {
        "mode": mode.name,
        "peers": users,
        "settlements": len(ours),
        "message_bytes": {
            "request": sizes[0].asked,
            "grant": sizes[0].answered,
            "accept": sizes[-1].asked,
            "confirm": sizes[-1].answered,
        },
        "p50_ms": round(statistics.median(ours) * 1000, 3),
        "p99_ms": _quantile_ms(ours, 0.99),
        "floor_p50_ms": round(statistics.median(floor) * 1000, 3),
        "floor_p99_ms": _quantile_ms(floor, 0.99),
        "p50_over_floor": round(ratio, 2),
        "cpu_ms": round(ours_cpu_s / len(ours) * 1000, 2),
        "floor_cpu_ms": round(floor_cpu_s / len(floor) * 1000, 2),
    }


def settled(users: Users) -> Callable[[], bool]:
    """Holds once nothing has arrived for a few turns: the floor's messages must not meet a settlement's."""
    left = [10]

    def quiet() -> bool:
        left[0] -= 1
        return left[0] <= 0 and not any(user.began_s for user in users.users)

    return quiet


def modes(folder: Path, users: int, count: int) -> list[dict[str, Any]]:
    """A row for each mode, with what its median is of the bare one's in the same run."""
    rows = [latency(folder / f"mode-{number}", users, count, mode) for number, mode in enumerate((BARE, *MODES))]
    return [row | {"p50_over_bare": round(row["p50_ms"] / rows[0]["p50_ms"], 2)} for row in rows]


def profile(folder: Path, users: int, count: int, mode: Mode) -> dict[str, Any]:
    """Where the processor time of single settlements goes, both processes together; slower than without a profile."""
    with town(folder, users, mode) as (holder, made):
        for _ in range(WARM_UP):
            made.one()
        holder.tell("profile", True)
        PROFILE.begin()
        for _ in range(count):
            made.one()
        parts = shares((PROFILE.end(), holder.tell("profile", False)))
    return {"mode": mode.name, "settlements": count, "percent": parts}


def load(folder: Path, users: int, in_flight: int, count: int) -> dict[str, Any]:
    """Settlements a second with so many always under way."""
    with town(folder, users) as (_, made):
        for _ in range(max(WARM_UP, users)):  # everybody once: a first settlement pays for what later ones find
            made.one()
        spent_s = made.load(in_flight, count)
    return {
        "peers": users,
        "in_flight": in_flight,
        "settlements": count,
        "settlements_per_s": round(count / spent_s, 1),
        "put_off": sum(user.put_off for user in made.users),
    }
