"""A CBSD, or a domain proxy with two, against a scripted SAS in virtual time; an oracle records the RF.

The radio is the simplest one: on while the session allows it, checked every `STEP_S` and right after every
answer. The oracle records when it was on, in which range, and the SAS's answers by then.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from radio.cbrs.fields import Item
from radio.cbrs.messages import Operation
from radio.cbrs.session import CbsdDevice, Session
from settlement.core.fixes import TimeFix, TimeSource
from sim.cbrs.sas import Raw, SimSas

NS = 1_000_000_000
BEGIN_S = 1_700_000_000
STEP_S = 0.02
RANGES = ((3_550_000_000, 3_560_000_000), (3_560_000_000, 3_570_000_000))
PLACE: Item = {
    "latitude": 36.95, "longitude": -76.3, "height": 5, "heightType": "AGL", "horizontalAccuracy": 10,
    "verticalAccuracy": 2, "indoorDeployment": True, "eirpCapability": 30, "antennaGain": 5,
}  # fmt: skip


def registration(number: int, **changes: Any) -> Item:
    """Return the registrationRequest of device `number`."""
    return {
        "userId": "operator",
        "fccId": "bandpact1",
        "cbsdSerialNumber": f"serial{number}",
        "cbsdCategory": "A",
        "airInterface": {"radioTechnology": "E_UTRA"},
        "measCapability": ["RECEIVED_POWER_WITHOUT_GRANT", "RECEIVED_POWER_WITH_GRANT"],
        "installationParam": PLACE,
        **changes,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class RfSpan:
    """One device was on from `on_s` to `off_s` (s of the case; None: still) in a range of Hz."""

    device: int
    on_s: float
    off_s: float | None
    low_hz: int
    high_hz: int


@dataclass(slots=True)
class CbsdRig:
    """The device under test (`count` devices), its SAS and the oracle. Times are seconds from the case's start."""

    count: int = 1
    sas: SimSas = field(default_factory=lambda: SimSas(transmit_s=30, heartbeat_s=10))
    now_s: float = 0.0
    spans: list[RfSpan] = field(default_factory=list)
    session: Session = field(default_factory=Session)
    asked: list[tuple[float, str, int, Item]] = field(default_factory=list)
    """Every request: time, method, device number, item."""
    sent_on: set[tuple[str, int]] = field(default_factory=set)
    """Requests sent while their device was transmitting."""
    _on: dict[int, RfSpan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Add the devices, each with its own wanted range."""
        self.sas.clock = lambda: BEGIN_S + self.now_s
        self.session.measured = {"rcvdPowerMeasReports": [
            {"measFrequency": RANGES[0][0], "measBandwidth": 10_000_000, "measRcvdPower": -95}
        ]}  # fmt: skip
        for number in range(self.count):
            self.session.add(CbsdDevice(name=str(number), registration=registration(number)))
            low_hz, high_hz = RANGES[number]
            self.session.want(str(number), Operation(low_hz=low_hz, high_hz=high_hz, max_eirp=10.0))

    def fix(self) -> TimeFix:
        """Return the time now, to a microsecond."""
        at = BEGIN_S * NS + round(self.now_s * NS)
        return TimeFix(earliest_ns=at - 1000, latest_ns=at + 1000, source=TimeSource.SIMULATED, trusted=True)

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Let at most `seconds` pass; less where `until` becomes true."""
        end_s = self.now_s + seconds
        while self.now_s < end_s and not (until is not None and until()):
            calls = self.session.due(self.fix())
            self._look()
            for call in calls:
                for name, item in zip(call.devices, call.items, strict=True):
                    self.asked.append((self.now_s, call.method, int(name), item))
                    if self.on(int(name)):
                        self.sent_on.add((call.method, int(name)))
                answer = self.sas.answer(call.method, list(call.items))
                if isinstance(answer, Raw):
                    self.session.lost(call.number)
                else:
                    self.session.answer(call.number, answer, self.fix())
                self._look()
            self.now_s = round(self.now_s + STEP_S, 6)
        self._look()

    def _look(self) -> None:
        for number in range(self.count):
            until = self.session.rf_until_ns(str(number), self.fix())
            held = self.session.grant_of(str(number))
            on = self._on.get(number)
            if until is not None and held is not None and on is None:
                self._on[number] = RfSpan(
                    device=number, on_s=self.now_s, off_s=None, low_hz=held.operation.low_hz,
                    high_hz=held.operation.high_hz,
                )  # fmt: skip
            elif until is None and on is not None:
                del self._on[number]
                self.spans.append(
                    RfSpan(device=number, on_s=on.on_s, off_s=self.now_s, low_hz=on.low_hz, high_hz=on.high_hz)
                )

    def rf(self, number: int | None = None) -> list[RfSpan]:
        """Return the spans with RF on, of one device or of all; one that is still on has no end."""
        return [one for one in [*self.spans, *self._on.values()] if number in (None, one.device)]

    def on(self, number: int = 0) -> bool:
        """Return whether a device is on now."""
        return number in self._on

    def first(self, method: str, number: int = 0) -> float | None:
        """Return when a device first sent a request of a method."""
        return next((at for at, name, who, _ in self.asked if (name, who) == (method, number)), None)

    def items(self, method: str, number: int = 0) -> list[Item]:
        """Return the items that a device sent by a method."""
        return [item for _, name, who, item in self.asked if (name, who) == (method, number)]

    def authorize(self) -> None:
        """Run until every device is on; a case that never gets there ends without RF, and its checks say so."""
        self.run(60, lambda: all(self.on(number) for number in range(self.count)))
