"""A simulated node: real protocol state on a real log, a clock, a transmitter; it crashes and restarts."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, assert_never

from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Registry
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import LineageError
from settlement.chain.records import digest
from settlement.core.fixes import Fix
from settlement.core.reasons import Refusal
from settlement.pair.effects import (
    AnswerIntent,
    Effect,
    HandLease,
    HandOn,
    HandPermit,
    HandRule,
    RequestProgress,
    SettlementNews,
    WithdrawPermit,
)
from settlement.party.party import Party
from settlement.state.step import HaltedError, Identity, Notice, Outgoing, Step
from sim.world.clock import VirtualClock
from sim.world.disk import CrashedError, Disk, FusedLog
from sim.world.plan import Role
from sim.world.transmitter import HEARTBEAT_NS, ModelledEmission, ModelledTransmitter
from sim.world.trust import NETWORK, WorldTrust, secret, transport_of


@dataclass(slots=True, kw_only=True)
class Done:
    """The result of a step: `durable` is False where the member crashed in it, or its disk was full."""

    fix: Fix
    durable: bool
    result: Any = None
    outgoing: list[Outgoing] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class Member:
    """One node of the simulated world."""

    def __init__(self, role: Role, trust: WorldTrust, folder: Path, clock: VirtualClock, rng: Random) -> None:
        self.role, self.name, self.trust, self.clock, self.rng = role, role.name, trust, clock, rng
        self.key = SigningKey.from_seed(secret(role.name))
        self.transport = transport_of(role.name)
        self.disk = Disk(folder, role.name)
        self.hash = digest(dict(trust.chains)[role.name][-1])
        self.party: Party | None = None
        self.log: FusedLog | None = None
        self.transmitter = self._transmitter()
        self.dead = self.restored = self.dies_unsent = self.resumed = False
        self.starts = self.silent_ns = 0

    def _transmitter(self) -> ModelledTransmitter:
        return ModelledTransmitter(self.name, self.hash, self.trust.anchors)

    def _registry(self) -> Registry:
        """A registry with the member's initial credentials."""
        return self.trust.registry()

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self, at_ns: int) -> Done:
        """Start on what lies on the disk; permits are restored from its settlements."""
        registry = self._registry()
        self.starts += 1
        self.log = FusedLog(self.disk.path, origin=origin_of(NETWORK, self.key.public))
        self.party = Party(
            identity=Identity(key=self.key, credential=self.hash, network=NETWORK),
            registry=registry,
            rule=self.trust.rule(registry),
            rule_raw=self.trust.rule_raw,
            rule_chain=(self.trust.root,),
            lineage=self.log,
            entropy=self._entropy(),
        )
        self.transmitter, self.resumed = self._transmitter(), False
        self._resume(self.clock.fix(at_ns))
        party = self.party

        def begin(step: Step) -> None:
            party.register(step)
            party.hello(step)

        return self.do(at_ns, begin)

    def _resume(self, fix: Fix) -> None:
        """Hand the warden the earlier settlements, once the log is known to be complete, as the daemon does."""
        if self.resumed or self.party is None or self.log is None or self.party.halted is not None:
            return
        self.resumed = True
        for pair in self.party.user.pairs.values():
            artifact = self.log.get("artifact", pair.sid) if pair.in_force else None
            if artifact is not None:
                self.transmitter.take(pair.sid, artifact)
                lease = self.party.record_bytes(pair.lease)
                if lease is not None:
                    self.transmitter.permits.change(lease, pair.sid, fix.time)
                for handing in self.party.holder.handings.of(pair.sid):
                    if handing.begun is not None:
                        self.transmitter.hand_on(pair.sid, handing.raw, fix.time)

    def _entropy(self) -> Callable[[int], bytes]:
        """Unpredictable to the others, the same in every run of the seed, never twice the same."""
        rng = Random(f"{self.name}/{self.starts}/{self.rng.getrandbits(64)}")
        return lambda size: hashlib.sha256(rng.randbytes(32)).digest()[:size]

    def crash(self, at_ns: int) -> list[ModelledEmission]:
        """Crash: memory is lost, and the warden mutes once it misses the heartbeat.

        Until then no other warden of this node runs (its lock), so that nothing is called silent.
        """
        self.silent_ns = at_ns + HEARTBEAT_NS
        if self.log is not None:
            self.log.close()
        self.party = self.log = None
        self.dies_unsent = False
        return self.transmitter.forsaken(at_ns)

    # -- steps ---------------------------------------------------------------------------------------------------

    def do(self, at_ns: int, action: Callable[[Step], Any]) -> Done:
        """Make one durable step. The caller sends its messages, only afterwards."""
        party, fix = self.party, self.clock.fix(at_ns)
        if party is None:
            return Done(fix=fix, durable=False)
        try:
            with party.step(fix) as step:
                result = action(step)
        except (CrashedError, LineageError):
            return Done(fix=fix, durable=False)
        except HaltedError:
            return Done(fix=fix, durable=True)
        self._resume(fix)
        self._tell_warden(step.effects, fix)
        return Done(fix=fix, durable=True, result=result, outgoing=step.outgoing, notices=step.notices)

    def _tell_warden(self, effects: list[Effect], fix: Fix) -> None:
        for effect in effects:
            match effect:
                case HandPermit():
                    self.transmitter.take(effect.sid, effect.artifact)
                case HandLease():
                    self.transmitter.permits.change(effect.record, effect.sid, fix.time)
                case HandOn():
                    self.transmitter.hand_on(effect.sid, effect.record, fix.time)
                case WithdrawPermit() | RequestProgress(news=SettlementNews.ENDED):
                    self.transmitter.withdraw(effect.sid)
                case AnswerIntent() | HandRule() | RequestProgress():
                    pass
                case other:
                    assert_never(other)

    def receive(self, at_ns: int, data: bytes, transport: bytes) -> Done:
        """Take one message; `result` is the refusal, if any."""
        party = self.party

        def take(step: Step) -> Refusal | None:
            return party.receive(step, data, transport) if party is not None else None

        return self.do(at_ns, take)

    @property
    def working(self) -> bool:
        """Whether the member is up and knows its log to be complete."""
        return self.party is not None and self.party.halted is None
