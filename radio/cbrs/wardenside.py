"""The warden's part of the SAS for base stations: answers the endpoint's requests from the warden's verified state.

Every answer is `Outlet`'s; the inputs are those of the warden's own gate at that instant. What the agent says can only
take away: a device heard on the air after its end gets nothing more until an operator clears it.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from radio.cbrs import times
from radio.cbrs.above import SasAbove
from radio.cbrs.book import Out
from radio.cbrs.byear import EarVerdict, StationSpan
from radio.cbrs.door import CbsdDoor, Question, ask_of, flat, spot_of
from radio.cbrs.ends import StationEnds
from radio.cbrs.outlet import Outlet, Outside
from radio.cbrs.permission import Answer, Ask, Withheld
from radio.gate import Inputs, Sensed
from radio.link import StationHeard, StationTold
from radio.permits import HeldPermit
from settlement.chain.codec import cut
from settlement.chain.scope import Band
from settlement.core.fixes import TimeFix

ASKS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WardenView:
    """The warden's state at one turn: its gate's inputs, its settlements, its own credentials."""

    inputs: Inputs
    held: list[HeldPermit]
    mine: frozenset[bytes]
    sensed: Callable[[Band], Sensed | None]


@dataclass(slots=True)
class CbsdDesk:
    """Answers the endpoint's socket between two turns of the warden's loop."""

    outlet: Outlet
    door: CbsdDoor | None = None
    above: SasAbove | None = None
    given: int = 0
    withheld: dict[str, int] = field(default_factory=dict)
    ends: StationEnds = field(init=False)
    _before: list[Out] = field(init=False)
    """Grants given out before a restart, until the receiver has been told of them."""

    def __post_init__(self) -> None:
        """Note the grants from before a restart, for which the receiver has to listen."""
        self.ends = StationEnds(self.outlet.plan.silent_within_ns)
        self._before = self.outlet.book.all()
        self.outlet.heard_after.update(self.outlet.book.latched_for)

    @property
    def waiting(self) -> bool:
        """Whether a request waits."""
        return self.door is not None and self.door.waiting

    def turn(self, view: WardenView) -> None:
        """Answer the waiting request."""
        if self.above is not None:
            self.above.take()
        if self.door is not None:
            self.door.turn(lambda question: self.answer(question, view))

    def answer(self, question: Question, view: WardenView) -> Any:
        """Answer one request of the endpoint; None where it is malformed."""
        now = Outside(inputs=view.inputs, sensed=view.sensed, authorised_until=self._above)
        match question.get("op"):
            case "give":
                return self._give(question.get("asks"), view, now)
            case "room":
                spot, device = spot_of(question.get("spot")), question.get("device")
                if spot is None or not isinstance(device, str):
                    return None
                return [flat(one) for one in self.outlet.room(device, spot, view.held, view.mine, now)]
            case "returned":
                device, grants = question.get("device"), question.get("grants")
                if isinstance(device, str) and isinstance(grants, list):
                    self._returned(device, [one for one in grants if isinstance(one, str)], view)
                return True
            case "registered":
                device, item = question.get("device"), question.get("item")
                # Unknown devices are not stored: the endpoint must not make this process's memory grow.
                listed = isinstance(device, str) and device in self.outlet.plan.members
                if self.above is not None and isinstance(device, str) and listed and isinstance(item, dict):
                    self.above.registered(device, item)
                return True
            case "status":
                return self.status(view.inputs.mono_ns)
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
            self._account(ask, answer, view)
        return [flat(one) for one in answers]

    def _account(self, ask: Ask, answer: Answer, view: WardenView) -> None:
        """Count an answer, and note when that base station may be on."""
        mono_ns = view.inputs.mono_ns
        if isinstance(answer, Withheld):
            self.withheld[answer.reason] = self.withheld.get(answer.reason, 0) + 1
            self.ends.ended(ask.device, ask.low_hz, ask.high_hz, mono_ns)
            return
        self.given += 1
        held = next((one for one in view.held if one.permit.sid == answer.sid), None)
        if held is not None and not ask.fresh:
            self.ends.given(ask, answer, held.permit.cell.window.end_ns, view.inputs.now.time, mono_ns)

    def _above(self, device: str, band: Band, eirp_mdbm: int) -> int | None:
        return None if self.above is None else self.above.authorised(device, band, eirp_mdbm)

    def _returned(self, device: str, grants: list[str], view: WardenView) -> None:
        for out in self.outlet.book.all():
            if out.device == device and out.grant in grants:
                self.ends.ended(device, out.low_hz, out.high_hz, view.inputs.mono_ns)
        self.outlet.book.returned(device, grants)
        self._unwanted(device)

    def _unwanted(self, device: str) -> None:
        """Tell the SAS above that a device needs no grant any more."""
        left = [out for out in self.outlet.book.all() if out.device == device and not out.returned]
        if self.above is not None and not left:
            self.above.unwanted(device)

    # -- the node's own receiver -----------------------------------------------------------------------------------

    def listen(self, now: TimeFix, mono_ns: int) -> list[StationTold]:
        """Messages for the receiver now; return those that could not be sent with `not_taken`."""
        while self._before and now.trusted:
            self.ends.restored(self._before.pop(), now, mono_ns)
        return [StationTold(**asdict(span)) for span in self.ends.due(mono_ns)]

    def not_taken(self, told: StationTold) -> None:
        """Queue a message again that the agent's socket did not take."""
        self.ends.untold([StationSpan(**asdict(told))])

    def heard(self, message: StationHeard, mono_ns: int) -> None:
        """Take in the receiver's verdict; a base station that is still on gets nothing until an operator clears it."""
        if message.verdict not in {one.value for one in EarVerdict}:
            return
        key, verdict = (message.device, message.low_hz, message.high_hz), EarVerdict(message.verdict)
        if not self.ends.heard(key, verdict, cut(message.detail, 256), mono_ns):
            return
        if verdict is not EarVerdict.STILL_ON:
            return
        self.outlet.heard_after.setdefault(message.device, message.detail)
        if self.outlet.book.latch(message.device, message.detail) and self.door is not None:
            self.door.keep_soon()

    def clear(self, device: str) -> bool:
        """Clear a device's latch after an operator looked into it; returns False where it had none."""
        known = self.outlet.book.clear(device)
        known = self.outlet.heard_after.pop(device, None) is not None or known
        if known:
            for key in [key for key in self.ends.words if key[0] == device]:
                del self.ends.words[key]
            if self.door is not None:
                self.door.keep_soon()
        return known

    def status(self, mono_ns: int | None = None) -> dict[str, Any]:
        """Status for people: the grants, the settlement behind each, and the worst case from a cause to RF off.

        Args: mono_ns: monotonic now, the host's where it is left out.
        """
        plan = self.outlet.plan
        return {
            "worst_s": plan.worst_ns / times.NS,
            "given": self.given,
            "withheld": dict(self.withheld),
            "heard_after": dict(self.outlet.heard_after),
            "ears": self.ends.shown(time.monotonic_ns() if mono_ns is None else mono_ns),
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
        """Close the endpoint's socket."""
        if self.door is not None:
            self.door.close()
