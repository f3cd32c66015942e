"""Base stations, on the warden's side: the endpoint's questions answered from what this warden holds.

Every answer is `Outlet`'s; the inputs are those of the warden's own gate at that instant. What the agent says can only
take away: a device heard on the air after its end gets nothing more until an operator clears it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from radio.cbrs import times
from radio.cbrs.above import SasAbove
from radio.cbrs.door import CbsdDoor, Question, ask_of, spot_of
from radio.cbrs.giving import Withheld
from radio.cbrs.outlet import Outlet, Outside
from radio.gate import Inputs, Sensed
from radio.permits import HeldPermit
from settlement.chain.scope import Band

ASKS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WardenView:
    """What the warden knows at this turn: its gate's inputs, its settlements, its own credentials."""

    inputs: Inputs
    held: list[HeldPermit]
    mine: frozenset[bytes]
    sensed: Callable[[Band], Sensed | None]


@dataclass(slots=True)
class CbsdDesk:
    """Answers the door between two turns of the warden's loop."""

    outlet: Outlet
    door: CbsdDoor | None = None
    above: SasAbove | None = None
    given: int = 0
    withheld: dict[str, int] = field(default_factory=dict)
    beaten: dict[str, int] = field(default_factory=dict)
    """When each device was last answered (UTC, ns)."""

    @property
    def waiting(self) -> bool:
        """Whether a question waits."""
        return self.door is not None and self.door.waiting

    def turn(self, view: WardenView) -> None:
        """Answer what waits."""
        if self.above is not None:
            self.above.take()
        if self.door is not None:
            self.door.turn(lambda question: self.answer(question, view))

    def answer(self, question: Question, view: WardenView) -> Any:
        """One question of the endpoint's; None for what is none."""
        now = Outside(inputs=view.inputs, sensed=view.sensed, authorised_until=self._above)
        match question.get("op"):
            case "give":
                return self._give(question.get("asks"), view, now)
            case "room":
                spot, device = spot_of(question.get("spot")), question.get("device")
                if spot is None or not isinstance(device, str):
                    return None
                return [asdict(one) for one in self.outlet.room(device, spot, view.held, view.mine, now)]
            case "returned":
                device, grants = question.get("device"), question.get("grants")
                if isinstance(device, str) and isinstance(grants, list):
                    self.outlet.book.returned(device, [one for one in grants if isinstance(one, str)])
                    self._unwanted(device)
                return True
            case "registered":
                device, item = question.get("device"), question.get("item")
                if self.above is not None and isinstance(device, str) and isinstance(item, dict):
                    self.above.registered(device, item)
                return True
            case "status":
                return self.status()
            case "now":
                time = view.inputs.now.time
                return time.latest_ns if time.trusted else None
            case _:
                return None

    def _give(self, listed: object, view: WardenView, now: Outside) -> Any:
        asks = [ask_of(one) for one in listed[:ASKS_MAX]] if isinstance(listed, list) else []
        good = [one for one in asks if one is not None]
        if len(good) != len(asks):
            return None
        answers = self.outlet.give(good, view.held, view.mine, now)
        for ask, answer in zip(good, answers, strict=True):
            self.beaten[ask.device] = view.inputs.now.time.latest_ns
            if isinstance(answer, Withheld):
                self.withheld[answer.reason] = self.withheld.get(answer.reason, 0) + 1
            else:
                self.given += 1
        return [asdict(one) for one in answers]

    def _above(self, device: str, band: Band, eirp_mdbm: int) -> int | None:
        return None if self.above is None else self.above.authorised(device, band, eirp_mdbm)

    def _unwanted(self, device: str) -> None:
        """The SAS above need not keep a grant that no base station has."""
        left = [out for out in self.outlet.book.all() if out.device == device and not out.returned]
        if self.above is not None and not left:
            self.above.unwanted(device)

    def heard_after(self, device: str, detail: str) -> None:
        """The node's own receiver heard that device after its end."""
        self.outlet.heard_after.setdefault(device, detail)

    def clear(self) -> None:
        """The operator looked into what was heard."""
        self.outlet.heard_after.clear()

    def status(self) -> dict[str, Any]:
        """For people: what is out, on which settlement it rests, and the worst case from a cause to RF off."""
        plan = self.outlet.plan
        return {
            "worst_s": plan.worst_ns / times.NS,
            "given": self.given,
            "withheld": dict(self.withheld),
            "heard_after": dict(self.outlet.heard_after),
            "above": None if self.above is None else ("lost" if self.above.lost else "connected"),
            "cbsds": [
                {
                    "device": out.device,
                    "grant": out.grant,
                    "settlement": out.sid.hex(),
                    "low_hz": out.low_hz,
                    "high_hz": out.high_hz,
                    "eirp_mdbm": out.eirp_mdbm,
                    "transmit_until": times.shown(out.transmit_until_ns),
                    "silent_by": times.shown(out.silent_by_ns + times.NS - 1),
                    "returned": bool(out.returned),
                }
                for out in self.outlet.book.all()
            ],
        }

    def close(self) -> None:
        """Shut the door."""
        if self.door is not None:
            self.door.close()
