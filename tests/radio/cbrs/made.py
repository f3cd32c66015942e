"""Fixed test data of the SAS-CBSD interface."""

from dataclasses import dataclass, field
from typing import Any

from radio.cbrs import times
from radio.cbrs.answers import Sas
from radio.cbrs.messages import Operation
from radio.cbrs.permission import Answer, Ask, Given, Room, Spot, Withheld
from radio.cbrs.registration import KnownCbsd, Registrar
from settlement.core.fixes import TimeFix, TimeSource

NS = 1_000_000_000
NOW = 1_700_000_000 * NS
CERT, OTHER_CERT = "aa" * 32, "bb" * 32
PLACE = {
    "latitude": 37.425056,
    "longitude": -122.084113,
    "height": 9.3,
    "heightType": "AGL",
    "horizontalAccuracy": 10.0,
    "indoorDeployment": True,
    "eirpCapability": 30,
    "antennaGain": 16,
}
REGISTRATION = {
    "userId": "operator",
    "fccId": "fcc1",
    "cbsdSerialNumber": "s1",
    "cbsdCategory": "A",
    "airInterface": {"radioTechnology": "E_UTRA"},
    "measCapability": [],
    "installationParam": PLACE,
}
WANTED = Operation(low_hz=3_550_000_000, high_hz=3_560_000_000, max_eirp=10.0)


def at(seconds: float, *, bound_ns: int = 1000, trusted: bool = True) -> TimeFix:
    middle = NOW + round(seconds * NS)
    return TimeFix(
        earliest_ns=middle - bound_ns, latest_ns=middle + bound_ns, source=TimeSource.SIMULATED, trusted=trusted
    )


def time_text(seconds: float) -> str:
    return times.shown(NOW + round(seconds * NS))


def registration(serial: str = "s1", **changes: Any) -> dict[str, Any]:
    made = {**REGISTRATION, "cbsdSerialNumber": serial, **changes}
    return {name: value for name, value in made.items() if value is not ...}


@dataclass
class Purse:
    """A giver that returns scripted answers."""

    answer: Answer
    asked: list[Ask] = field(default_factory=list)
    back: list[tuple[str, str]] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    rooms: list[Room] = field(default_factory=list)

    def give(self, asks: list[Ask]) -> list[Answer]:
        self.asked += asks
        return [self.answer for _ in asks]

    def room(self, device: str, spot: Spot) -> list[Room]:
        return self.rooms

    def registered(self, device: str, item: dict[str, Any]) -> None:
        self.known.append(device)

    def returned(self, device: str, grants: list[str]) -> None:
        self.back += [(device, grant) for grant in grants]


def given(seconds: float = 60) -> Given:
    return Given(
        sid=bytes(32), transmit_until_ns=NOW + int(seconds * NS), grant_until_ns=NOW + 3600 * NS, interval_s=30
    )


SUSPENDED = Withheld(reason="SUSPENDED", detail="by its holder", over=False)
PREEMPTED = Withheld(reason="PREEMPTED", detail="by its holder", over=True)


def sas(purse: Purse | None = None, **changes: Any) -> tuple[Sas, Purse]:
    purse = purse or Purse(given())
    counted = iter(range(10**6))
    known = tuple(KnownCbsd(fcc="fcc1", serial=f"s{n}", **changes) for n in range(1, 4))
    made = Sas(
        registrar=Registrar(known=known, groups=("g1",)),
        giver=purse,
        entropy=lambda size: next(counted).to_bytes(size, "big"),
    )
    return made, purse


def answers(made: Sas, method: str, *items: Any, cert: str = CERT, now_ns: int = NOW, version: str = "v1.2") -> Any:
    return made.answer(version, method, list(items), cert, now_ns)[f"{method}Response"]


def codes(answered: Any) -> list[int]:
    return [one["response"]["responseCode"] for one in answered]
