"""Simulates base stations below a warden in virtual time; warden, agent and endpoint are killed at every step.

One settlement for two base stations; its holder renews, suspends, resumes and preempts it; a SAS above may stop; who
has the endpoint's place may ask under names that were given already. The oracle keeps everything that was ever told,
apart from the product's book, and asks after every step:

    (1) what was told ends, with the time a base station may take to be silent, before the lease that stood when it was
        told, before the window's end, and before what the SAS above had granted
    (2) it is no wider than the settlement's band, and all that may be on at one instant is no louder than it allows
    (3) nothing was told after the settlement was suspended or preempted, or while the agent was dead for long
    (4) everything that was told and may still be used is in the book on disk, whatever was killed in between
"""

import contextlib
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from radio.cbrs import times
from radio.cbrs.answers import Sas
from radio.cbrs.book import CbsdBook, Out
from radio.cbrs.identity import identity, several
from radio.cbrs.outlet import Outlet, OutletPlan, Outside
from radio.cbrs.permission import Answer, Ask, Given, Room, Spot
from radio.cbrs.power import density_mdbm_per_mhz, eirp_mdbm, milliwatts
from radio.cbrs.registration import KnownCbsd, Registrar
from radio.gate import Sensed
from radio.permits import HeldPermit
from settlement.core.reasons import Reason, refuse
from settlement.pair.artifact import VerifiedPermit
from tests.radio.test_gate import inputs
from tests.settlement.world import LOWER, NS, T0, fix

SERIALS = ("s1", "s2")
MEMBERS = frozenset(identity("fcc1", one) for one in SERIALS)
SILENT_NS, HORIZON_NS = NS, 2 * NS
STEPS = 50
DEAD_AFTER_S = 0.2


class Killed(Exception):
    """Raised where the process is to be killed."""


@dataclass
class CbsdWorld:
    """The world of one seed. Times are seconds after T0."""

    permit: VerifiedPermit
    folder: Path
    seed: int
    now_s: float = 2.5
    agent_s: float = 2.5
    agent_alive: bool = True
    above_s: float = 100.0
    held: list[HeldPermit] = field(default_factory=list)
    told: list[tuple[float, Ask, Given]] = field(default_factory=list)
    closed: bool = False
    grants: dict[str, str] = field(default_factory=dict)
    authorized: set[str] = field(default_factory=set)
    kills: int = 0
    gave: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        terms = replace(self.permit.terms, vacate_ns=SILENT_NS + HORIZON_NS)
        user = replace(self.permit.user, device=several(MEMBERS))
        self.permit = replace(self.permit, user=user, terms=terms, max_eirp_mdbm=30_000, transmit_until_ns=T0 + 5 * NS)
        self.density = density_mdbm_per_mhz(30.0, LOWER.high_hz - LOWER.low_hz) - 3011
        self.start_warden()
        self.start_endpoint()
        self.hand_over()

    # -- the three processes -----------------------------------------------------------------------------------------

    def start_warden(self) -> None:
        book = CbsdBook(path=self.folder / "book")
        book.open()
        self.held = []
        plan = OutletPlan(members=MEMBERS, horizon_ns=HORIZON_NS, silent_within_ns=SILENT_NS)
        self.outlet = Outlet(plan=plan, book=book)

    def start_endpoint(self) -> None:
        known = tuple(KnownCbsd(fcc="fcc1", serial=one) for one in SERIALS)
        self.sas = Sas(registrar=Registrar(known=known), giver=self, entropy=self.rng.randbytes)

    def hand_over(self) -> None:
        """Let the running agent hand over the permits in force; a compromised agent hands over expired ones too."""
        gone = refuse(Reason.PREEMPTED, "gate.6", "gone", "here") if self.closed else None
        self.held = [HeldPermit(self.permit, withdrawn=gone)]

    # -- the giver, with the points at which it may be killed ---------------------------------------------------------

    def give(self, asks: list[Ask]) -> list[Answer]:
        answers = self.outlet.give(asks, self.held, frozenset({self.permit.user.hash}), self.outside())
        self.perhaps_killed("warden")
        self.outlet.book.keep()
        self.perhaps_killed("warden")
        for ask, answer in zip(asks, answers, strict=True):
            if isinstance(answer, Given):
                self.told.append((self.now_s, ask, answer))
                self.gave += 1
                self.check_told(ask, answer)
        self.perhaps_killed("endpoint")
        return answers

    def room(self, device: str, spot: Spot) -> list[Room]:
        return self.outlet.room(device, spot, self.held, frozenset({self.permit.user.hash}), self.outside())

    def registered(self, device: str, item: dict[str, Any]) -> None: ...

    def returned(self, device: str, grants: list[str]) -> None:
        self.outlet.book.returned(device, grants)
        self.perhaps_killed("warden")
        self.outlet.book.keep()

    def perhaps_killed(self, who: str) -> None:
        if self.rng.random() < 0.06:
            self.kills += 1
            (self.start_warden if who == "warden" else self.start_endpoint)()
            raise Killed(who)

    def outside(self) -> Outside:
        base = inputs(self.permit, self.now_s)
        beat = base.mono_ns - round((self.now_s - self.agent_s) * NS)
        sensed = Sensed(listened_ns=base.mono_ns, incumbent=False)
        above = base.mono_ns + round((self.above_s - self.now_s) * NS)
        return Outside(
            inputs=replace(base, heartbeat_mono_ns=beat),
            sensed=lambda _band: sensed,
            authorised_until=lambda _d, _b, _e: above,
        )

    # -- what happens --------------------------------------------------------------------------------------------------

    def act(self) -> None:
        self.now_s = round(self.now_s + self.rng.choice((0.02, 0.1, 0.3)), 3)
        if self.agent_alive:
            self.agent_s = self.now_s
        if self.agent_alive and not self.held and self.rng.random() < 0.5:
            self.hand_over()
        match self.rng.randrange(20):
            case 0 if self.agent_alive:
                self.permit = replace(self.permit, transmit_until_ns=round((T0 / NS + self.now_s + 4) * NS))
                self.hand_over()
            case 1:
                self.closed = self.closed or self.rng.random() < 0.1
                if self.agent_alive:
                    self.hand_over()
            case 2:
                self.above_s = self.now_s + self.rng.choice((0.0, 3.5, 100.0, 100.0))
            case 3:
                self.kills += 1
                self.agent_alive = not self.agent_alive or self.rng.random() < 0.5
            case 4:
                self.kills += 1
                self.rng.choice((self.start_warden, self.start_endpoint))()
            case 5 if self.told:
                self.meddle()
            case _:
                self.beat()
        self.check_all()

    def meddle(self) -> None:
        """Let a malicious endpoint ask under a grant's name: with less power, less band, or for another device."""
        ask = self.rng.choice(self.told[-4:])[1]
        change: dict[str, Any] = self.rng.choice(
            ({"density_mdbm_per_mhz": -100_000}, {"high_hz": ask.low_hz + 1_000_000}, {"fresh": not ask.fresh})
        )
        other = identity("fcc1", self.rng.choice(SERIALS))
        loud = replace(ask, device=other, grant="other", density_mdbm_per_mhz=self.density + self.rng.choice((0, 3011)))
        with contextlib.suppress(Killed):
            self.give([replace(ask, **change), loud])

    def beat(self) -> None:
        serial = self.rng.choice(SERIALS)
        cbsd = f"fcc1/{serial}"
        try:
            if serial not in self.grants:
                self.register(serial)
                return
            state = "AUTHORIZED" if serial in self.authorized else "GRANTED"
            item = {"cbsdId": cbsd, "grantId": self.grants[serial], "operationState": state}
            if self.rng.random() < 0.05:
                self.post("relinquishment", item)
                self.forget(serial)
                return
            code = self.post("heartbeat", item)["response"]["responseCode"]
            if code == 0:
                self.authorized.add(serial)
            else:
                self.authorized.discard(serial)
                if code in (500, 502, 103):
                    self.forget(serial)
        except Killed:
            return

    def register(self, serial: str) -> None:
        place = {"latitude": 36.95, "longitude": -76.3, "height": 3, "heightType": "AGL", "indoorDeployment": True,
                 "horizontalAccuracy": 5}  # fmt: skip
        item = {"userId": "u", "fccId": "fcc1", "cbsdSerialNumber": serial, "cbsdCategory": "B", "measCapability": [],
                "airInterface": {"radioTechnology": "NR"}, "installationParam": place}  # fmt: skip
        self.sas.registrar = replace(
            self.sas.registrar,
            known=tuple(KnownCbsd(fcc="fcc1", serial=one, installation=place) for one in SERIALS),
        )
        self.post("registration", item)
        louder = self.rng.random() < 0.3
        wanted = {
            "maxEirp": (self.density + (3011 if louder else 0)) / 1000,
            "operationFrequencyRange": {"lowFrequency": LOWER.low_hz, "highFrequency": LOWER.high_hz},
        }
        answered = self.post("grant", {"cbsdId": f"fcc1/{serial}", "operationParam": wanted})
        if answered["response"]["responseCode"] == 0:
            self.grants[serial] = answered["grantId"]

    def forget(self, serial: str) -> None:
        self.grants.pop(serial, None)
        self.authorized.discard(serial)

    def post(self, method: str, item: dict[str, Any]) -> dict[str, Any]:
        now_ns = fix(self.now_s).time.latest_ns
        answered: dict[str, Any] = self.sas.answer("v1.2", method, [item], "cert", now_ns)[f"{method}Response"][0]
        return answered

    # -- the oracle ----------------------------------------------------------------------------------------------------

    def check_told(self, ask: Ask, given: Given) -> None:
        """Rules (1) to (3)."""
        why = f"seed {self.seed} at {self.now_s}"
        silent_ns = given.transmit_until_ns + SILENT_NS
        assert silent_ns <= self.held[0].permit.transmit_until_ns, why
        assert silent_ns <= self.permit.cell.window.end_ns, why
        assert silent_ns <= T0 + round(self.above_s * NS), why
        assert LOWER.low_hz <= ask.low_hz < ask.high_hz <= LOWER.high_hz, why
        assert self.held[0].withdrawn is None, why
        assert round(self.now_s - self.agent_s, 6) <= DEAD_AFTER_S, why

    def live(self) -> list[tuple[Ask, Given]]:
        """The grants ever told that may still be used."""
        latest_ns = T0 + round(self.now_s * NS)
        return [(ask, given) for _, ask, given in self.told if given.transmit_until_ns + SILENT_NS > latest_ns]

    def check_all(self) -> None:
        """Rules (2) and (4), by the disk alone."""
        disk = CbsdBook(path=self.folder / "book")
        disk.open()
        kept: dict[tuple[str, str], Out] = {(out.device, out.grant): out for out in disk.all()}
        power: dict[str, float] = {}
        for ask, given in self.live():
            key = (ask.device, ask.grant)
            why = f"seed {self.seed} at {self.now_s}: {key} until {times.shown(given.transmit_until_ns)}"
            assert key in kept, why
            assert kept[key].transmit_until_ns >= given.transmit_until_ns, why
            # A device has one transmitter: its own successive grants do not add up.
            mw = milliwatts(eirp_mdbm(ask.density_mdbm_per_mhz, ask.high_hz - ask.low_hz))
            power[ask.device] = max(power.get(ask.device, 0.0), mw)
        assert sum(power.values()) <= milliwatts(self.permit.max_eirp_mdbm) * 1.0001, (
            f"seed {self.seed} at {self.now_s}"
        )


def run(permit: VerifiedPermit, folder: Path, seed: int) -> CbsdWorld:
    """Run one seed from begin to end."""
    (folder / "book").unlink(missing_ok=True)
    world = CbsdWorld(permit=permit, folder=folder, seed=seed)
    for _ in range(STEPS):
        world.act()
    return world
