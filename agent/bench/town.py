"""A town of the settlement benchmark: a holder in its own process, and its users in another, on loopback.

Single settlements, many at once and comparisons of two towns are all measured in one.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from agent.bench.sides import COSIGNER, LAT_E7, LON_E7, NS, USER, BenchError, SideSpec, Users, serve_holder
from agent.trial.coordinator import TrialAuthority
from agent.trial.spec import TrialSpec
from settlement.chain.scope import Window

AHEAD_NS = 60 * NS
HOURS_NS = 12 * 3600 * NS
WARM_UP = 5
ROUND = 10
PATIENT_S = 10.0
START_S = 60.0
NETWORK = "bench"


@dataclass(frozen=True, slots=True)
class Mode:
    """What a settlement needs beyond its two parties' signatures; nothing in the bare mode."""

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
    """Make keys, credentials and a rule for a holder and its users, and for a second holder where it co-signs."""
    # On a busy machine a step may take longer than usual limits allow: it is to be measured, not refused.
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
    """The holder's process, controlled by the benchmark."""

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
        """Send it a command and return its answer. Raises BenchError."""
        try:
            self.pipe.send((command, argument))
            if not self.pipe.poll(START_S):
                raise BenchError(f"the holder's process does not answer {command}")
            return self.pipe.recv()
        except (EOFError, ConnectionError) as exc:
            raise BenchError("the holder's process is gone") from exc

    def kill(self) -> None:
        """Kill the process at once, whatever it waits for."""
        self._process.kill()
        self._process.join(START_S)

    def stop(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self.pipe.send(("stop", None))
        self._process.join(START_S)
        self._process.kill()


@contextmanager
def town(
    folder: Path, users: int, mode: Mode = BARE, *, open_max: int | None = None
) -> Iterator[tuple[BenchHolder, Users]]:
    """Run a holder and its users, each of which has an offer. Raises BenchError."""
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
        holder.kill()  # it may wait half a minute for the bound's other end, which is here
        raise
    finally:
        made.close()
        holder.stop()


def _offered(made: Users, offer: Callable[[], object], heard: Callable[[], object]) -> None:
    """Repeat an offer until it arrived: a message sent before a socket is connected may be lost. Raises BenchError."""
    deadline_s = time.monotonic() + START_S
    while not heard():
        if time.monotonic() > deadline_s:
            raise BenchError("an offer does not reach its neighbour")
        offer()
        for _ in range(WARM_UP * ROUND):
            made.turn(1)


def everybody_once(users: Users) -> None:
    """Settle with each user before timing: a first settlement pays for what later ones find ready."""
    for _ in range(max(WARM_UP, len(users.users))):
        users.one()


def settled(users: Users) -> Callable[[], bool]:
    """Return a condition that ends a round: ten calls, and no settlement under way, so that messages do not mix."""
    left = [10]

    def quiet() -> bool:
        left[0] -= 1
        return left[0] <= 0 and not any(user.began_s for user in users.users)

    return quiet
