"""A modelled warden and its radio: on the air whenever, and as long as, the gate's own decision allows.

One decision for each permit, as if there were a radio for each: no rule of choice between permits hides an overlap.
"""

from dataclasses import dataclass

from radio.gate import Allow, Inputs, Sensed, decide
from radio.permits import HeldPermit, Permits
from settlement.chain.scope import Area, Band
from settlement.core.fixes import Fix, TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from sim.world.trust import NETWORK

HEARTBEAT_NS = 250_000_000
LEAD_NS = 1_000_000
ALWAYS_NS = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelledEmission:
    """Power on the air from `start_ns` to before `end_ns` of true time."""

    sid: bytes
    user: str
    band: Band
    area: Area
    eirp_mdbm: int
    start_ns: int
    end_ns: int


class ModelledTransmitter:
    """All permits of one user, and its present emissions."""

    def __init__(
        self, user: str, credential: bytes, anchors: tuple[bytes, ...], *, beats_ns: int = HEARTBEAT_NS
    ) -> None:
        """Args: beats_ns: how long a decision holds without a new heartbeat of the agent."""
        self._beats_ns = beats_ns
        self._user, self._credential = user, credential
        self.permits = Permits(network=NETWORK, anchors=anchors)
        self._held: dict[bytes, HeldPermit] = {}
        self._on: dict[bytes, ModelledEmission] = {}

    def take(self, sid: bytes, artifact: bytes) -> Refusal | None:
        """Verify and hold a settlement."""
        held = self.permits.take(artifact)
        if isinstance(held, Refusal):
            return held
        self._held[sid] = held
        return None

    def opens_ns(self) -> dict[bytes, int]:
        """When the window of each settlement held begins, UTC."""
        return {sid: held.permit.cell.window.start_ns for sid, held in self._held.items()}

    def withdraw(self, sid: bytes) -> None:
        """Withdraw a settlement for good."""
        self.permits.withdraw(sid, refuse(Reason.PREEMPTED, "gate.6", "suspended", "an undisturbed settlement"))

    def hand_on(self, sid: bytes, record: bytes, now: TimeFix) -> None:
        """Verify a HANDOVER or a RECLAIM of a held settlement, and use the permit that remains."""
        self.permits.hand_on(record, sid, now)

    def vacated(self) -> list[bytes]:
        """Names of the HANDOVERs in whose band nothing radiates since the last turn, each once."""
        found = [name for held in self._held.values() for name in held.untold]
        for held in self._held.values():
            held.untold.clear()
        return found

    def turn(self, at_ns: int, fix: Fix) -> list[ModelledEmission]:
        """Decide anew; returns the emissions that this ended, cut at the new decision."""
        done = self.stop(at_ns)
        self.permits.current(fix.time)  # what was handed on, and is over, is this user's again
        for sid, held in self._held.items():
            decision = decide(self._inputs(at_ns, fix, held))
            if isinstance(decision, Allow):
                permit = held.permit
                self._on[sid] = ModelledEmission(
                    sid=sid,
                    user=self._user,
                    band=permit.cell.band,
                    area=permit.cell.area,
                    eirp_mdbm=permit.max_eirp_mdbm,
                    start_ns=at_ns,
                    end_ns=min(at_ns + decision.for_ns, at_ns + self._beats_ns),
                )
        return done

    def forsaken(self, at_ns: int) -> list[ModelledEmission]:
        """End the agent: its warden transmits until it misses a heartbeat, and no longer."""
        return self.stop(at_ns + HEARTBEAT_NS)

    def stop(self, at_ns: int) -> list[ModelledEmission]:
        """Switch everything off at that instant."""
        ended = [
            ModelledEmission(
                sid=e.sid,
                user=e.user,
                band=e.band,
                area=e.area,
                eirp_mdbm=e.eirp_mdbm,
                start_ns=e.start_ns,
                end_ns=min(e.end_ns, at_ns),
            )
            for e in self._on.values()
        ]
        self._on.clear()
        return [e for e in ended if e.end_ns > e.start_ns]

    def _inputs(self, at_ns: int, fix: Fix, held: HeldPermit) -> Inputs:
        return Inputs(
            now=fix,
            mono_ns=at_ns,
            driver_fault=None,
            latched=None,
            armed_until_mono_ns=ALWAYS_NS,
            permit=held.permit,
            device=f"device-{self._user}",
            credential=self._credential,
            suspended=held.withdrawn,
            tuned=held.permit.cell.band,
            heartbeat_mono_ns=at_ns,
            heartbeat_limit_ns=HEARTBEAT_NS,
            sensed=Sensed(listened_ns=at_ns, incumbent=False),
            outside_until_mono_ns=None,
            lead_ns=LEAD_NS,
        )
