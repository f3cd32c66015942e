"""A world in which a lease is handed on: its holder, its user, and the possible next users."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from settlement.chain.bodies import Recognition
from settlement.chain.records import Record
from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Refusal
from settlement.pair.effects import HandOn
from settlement.records.handingterms import SUBLEASE, TRANSFER, HandingTerms
from settlement.state.handovers import WantedHandover, hand_on, silent
from settlement.state.step import Step
from tests.settlement.test_revocation import status_list, tell
from tests.settlement.world import AREA, HOLDER_ACTIONS, LOWER, NS, RULE, T0, TERMS, USER_ACTIONS, World, fix

MHZ = 1_000_000
PART = Band(low_hz=3_550 * MHZ, high_hz=3_555 * MHZ)
LEASE_END_S = 60.0


def rule(*, recognition: tuple[Recognition, ...] | None = None, **handing: Any) -> Any:
    """The test rule with a class whose leases may be handed on."""
    terms = HandingTerms(**{"kinds": (TRANSFER, SUBLEASE), "depth": 2, "consent": 1, **handing})
    classes = (
        replace(TERMS, handing=terms, accept_ns=2 * NS, confirm_ns=2 * NS, lease_ns=8 * NS, recognition=recognition),
    )
    return replace(RULE, classes=classes)


class Scene:
    """A settled lease of alice, and the operations on it."""

    def __init__(
        self, folder: Path, *, eirp_mdbm: int = 20_000, status_index: dict[str, int] | None = None, **handing: Any
    ) -> None:
        """`status_index` gives credentials a place in the authority's status list; then everybody has its first."""
        self.world = World(folder, rule=rule(**handing), status_index=status_index)
        self.world.enrol(
            holder=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS, carol=USER_ACTIONS, watcher=("observe",)
        )
        if status_index is not None:
            raw = status_list(self.world)
            for name in self.world.members:
                assert tell(self.world, raw, 0.0, to=name, by="watcher" if name != "watcher" else "bob") is None
        self.world.offer()
        self.world.carry(0.1)
        self.lease = self.world.request("alice", 1.0, LOWER, 2.0, LEASE_END_S, eirp_mdbm=eirp_mdbm)
        assert self.world.carry(1.0) == []

    def hash(self, name: str) -> bytes:
        return self.world.members[name].hash

    def party(self, name: str) -> Any:
        return self.world.members[name].party

    def cell(self, band: Band = PART, start_s: float = 10.0, end_s: float = 50.0) -> Cell:
        window = Window(start_ns=T0 + round(start_s * NS), end_ns=T0 + round(end_s * NS))
        return Cell(band=band, area=AREA, window=window)

    def hand_on(
        self,
        at_s: float = 3.0,
        *,
        by: str = "alice",
        to: str = "bob",
        sid: bytes | None = None,
        kind: str = SUBLEASE,
        cell: Cell | None = None,
        eirp_mdbm: int | None = 17_000,
    ) -> Record | Refusal:
        """Sign a HANDOVER; a sublease is of the lower half of the band unless another cell is given."""
        if kind == TRANSFER:
            cell, eirp_mdbm = None, None
        elif cell is None:
            cell = self.cell()
        wanted = WantedHandover(sid=sid or self.lease, kind=kind, to=self.hash(to), cell=cell, eirp_mdbm=eirp_mdbm)
        found: Record | Refusal = self.world.do(by, at_s, lambda step: hand_on(self.party(by), step, wanted))
        return found

    def ask(self, handover: Record, at_s: float, *, by: str = "bob", **changes: Any) -> bytes:
        """Let the next user request what a HANDOVER offers; returns the id of the settlement it may become."""
        user = self.party(by).user
        offer = user.offers[handover.digest]
        cell = changes.get("cell") or offer.body.cell

        def act(step: Step) -> bytes:
            return user.request(
                step, offer, cell, eirp_mdbm=changes.get("eirp_mdbm", offer.body.max_eirp_mdbm), tier=2
            ).sid

        sid: bytes = self.world.do(by, at_s, act)
        return sid

    def falls_silent(self, at_s: float, by: str = "alice") -> list[HandOn]:
        """Report, as a warden does, that the radio is silent for each HANDOVER it was given."""
        member = self.world.members[by]
        asked = [one for one in member.effects if isinstance(one, HandOn)]
        member.effects = [one for one in member.effects if not isinstance(one, HandOn)]
        at = fix(at_s).time
        for handing in list(member.party.holder.handings.known.values()):
            if handing.raw in [one.record for one in asked]:
                self.world.do(
                    by,
                    at_s,
                    lambda step, name=handing.handover: silent(
                        member.party, step, name, earliest_ns=at.earliest_ns, latest_ns=at.latest_ns
                    ),
                )
        return asked

    def tick(self, at_s: float) -> list[Refusal]:
        """Let time pass for all members, and deliver the messages that follow."""
        for name, member in self.world.members.items():
            self.world.do(name, at_s, member.party.tick)
        return self.world.carry(at_s)

    def settle(
        self, at_s: float = 3.0, *, kind: str = SUBLEASE, by: str = "alice", to: str = "bob", **more: Any
    ) -> bytes:
        """A whole handover, up to the CONFIRM; returns the id of the settlement it became."""
        record = self.hand_on(at_s, by=by, to=to, kind=kind, **more)
        assert isinstance(record, Record), record
        assert self.world.carry(at_s) == []
        sid = self.ask(record, at_s + 0.1, by=to)
        assert self.world.carry(at_s + 0.2) == []
        assert self.falls_silent(at_s + 0.3, by)
        assert self.world.carry(at_s + 0.3) == []
        return sid

    def artifact(self, sid: bytes, by: str = "bob") -> bytes:
        found: bytes | None = self.party(by).lineage.get("artifact", sid)
        assert found is not None
        return found
