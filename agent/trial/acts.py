"""Commands that people give while a trial runs: each act of the scenario at its time, over the node's socket.

A refused act is tried again, as what it needs (a settlement, a dispute, an answer) may still come. A later act
waits for the one before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agent.node.control import Client, NotRunning
from agent.trial.folder import Layout
from agent.trial.progress import Reporter
from agent.trial.spec import ActPlan
from settlement.core.reasons import Refusal

AGAIN_S = 0.5
FIRST_MS = 3000
NONE = "0" * 64
"""An id that no settlement has."""


@dataclass(slots=True)
class _Doing:
    """One act: when it is tried next (s of the trial), and how it ended."""

    plan: ActPlan
    at_s: float
    due_s: float
    over: bool = False
    why: str = "its time did not come"
    said: list[dict[str, Any]] = field(default_factory=list)


class Acts:
    """All acts of one trial."""

    def __init__(self, layout: Layout, reporter: Reporter) -> None:
        scale = layout.duration_s / layout.spec.duration_s
        self._layout, self._reporter = layout, reporter
        self._granted: dict[str, str] = {}
        times = [(plan, plan.at_s * scale) for plan in sorted(layout.spec.acts, key=lambda one: one.at_s)]
        self._all = [_Doing(plan, at_s, at_s) for plan, at_s in times]

    def hear(self, event: dict[str, Any]) -> None:
        """Note each user's first granted settlement."""
        if event["event"] == "granted" and "user" in event and "sid" in event:
            self._granted.setdefault(event["user"], event["sid"])

    def turn(self, now_s: float) -> None:
        """Do the acts that are due, in order: a later act waits for the one before it."""
        for one in self._all:
            if one.over:
                continue
            if now_s >= one.due_s:
                self._try(one, now_s)
            return

    def close(self) -> None:
        """Report the acts that were not done when the run ends."""
        for one in [one for one in self._all if not one.over]:
            self._reporter.say(f"{one.plan.node}: {one.plan.do} came to nothing: {one.why}")

    def _try(self, one: _Doing, now_s: float) -> None:
        why = self._done(one)
        if why is None:
            one.over = True
            self._reporter.say(f"{now_s:7.2f} s  {one.plan.node}: {one.plan.do}")
        else:
            one.due_s, one.why = now_s + AGAIN_S, why

    def _done(self, one: _Doing) -> str | None:
        """Do one act; returns why it failed, None where it was done."""
        plan = one.plan
        match plan.do:
            case "fallback":
                low_hz, high_hz = plan.band_hz or (None, None)
                return self._ask(
                    one, do="fallback", sid=self._granted.get(plan.user or "", NONE), low_hz=low_hz, high_hz=high_hz
                )
            case "dispute":
                return self._ask(
                    one, do="dispute", sid=self._granted.get(plan.node, NONE), ground=plan.ground, claim=plan.claim
                )
            case "answer":
                return self._ask(one, do="answer", dispute="", stance=plan.stance)
            case _:
                return self._rule(one)

    def _rule(self, one: _Doing) -> str | None:
        why = self._ask(one, do="disputes", name="", case=True)
        case = next((said["case"] for said in one.said if said.get("step") == "case"), None)
        if why is not None or case is None:
            return why or "the node told no case"
        raw = self._layout.desk.rule_on(bytes.fromhex(case))
        return str(raw) if isinstance(raw, Refusal) else self._ask(one, do="tell", record=raw.hex())

    def _ask(self, one: _Doing, **command: Any) -> str | None:
        folder = next(issued.folder for issued in self._layout.nodes if issued.name == one.plan.node)
        client = Client(folder / "run")
        try:
            client.say(**command)
            one.said = list(self._heard(client))
        except NotRunning as exc:
            return str(exc)
        finally:
            client.close()
        last = one.said[-1] if one.said else {}
        return None if last.get("ok") else str(last.get("why"))

    @staticmethod
    def _heard(client: Client) -> Iterator[dict[str, Any]]:
        yield from client.answers(FIRST_MS, FIRST_MS)
