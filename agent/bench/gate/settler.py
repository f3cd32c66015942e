"""Makes settlements on demand: holder and user in one process, with real records and durable logs, no network."""

import time
from dataclasses import dataclass

from agent.config.settings import load
from agent.node.assembly import party_of
from agent.node.policy import window_ms
from agent.node.trust import trust_of
from agent.timekeeping.assembly import timekeeper
from agent.trial.folder import Layout
from settlement.chain.bodies import Declaration
from settlement.chain.scope import Area, Band, Cell
from settlement.core.fixes import Fix
from settlement.core.reasons import Reason, Refusal
from settlement.party.party import Party
from settlement.state.step import Outgoing

NS = 1_000_000_000
OFFER_S = 3600


PATIENCE_NS, TURN_S = 3_000_000_000, 0.005
"""Longest wait in ns for a witness, and interval in seconds between checks meanwhile."""


class NotSettled(Exception):
    """The two parties did not settle: a fault in the program, not in the measured part."""


@dataclass(slots=True)
class _Side:
    party: Party
    transport_key: bytes


class Settler:
    """A holder and a user that settle any request."""

    def __init__(self, layout: Layout, *, holder: str, user: str) -> None:
        self._sides: dict[bytes, _Side] = {}
        configs = {name: load(layout.config_of(name)) for name in (holder, user)}
        self._clock = timekeeper(configs[holder])
        for config in configs.values():
            trust = trust_of(config)
            party = party_of(config, trust)
            if trust.me.transport_key is None:
                raise NotSettled(f"{config.name} has no transport key")
            self._sides[trust.me.hash] = _Side(party, trust.me.transport_key)
        self._refused: Refusal | None = None
        self._holder, self._user = self._sides.values()
        place = configs[holder].place
        self._area = Area(lat_e7=place.lat_e7, lon_e7=place.lon_e7, radius_mm=configs[holder].area_radius_mm)
        self._greet()
        self._offer(layout)

    def _greet(self) -> None:
        """Exchange the heads that each saw of the other's log, as nodes do at their start before they sign."""
        for side in self._sides.values():
            with side.party.step(self.now) as step:
                side.party.hello(step)
            self._carry(side, step.outgoing)

    @property
    def now(self) -> Fix:
        """Return the holder's time and place now."""
        return self._clock.fix()

    def _offer(self, layout: Layout) -> None:
        low_hz, high_hz = layout.spec.band_hz
        now_ns = self.now.time.middle_ns
        body = Declaration(
            cell=Cell(
                band=Band(low_hz=low_hz, high_hz=high_hz),
                area=self._area,
                window=window_ms(now_ns, now_ns + OFFER_S * NS),
            ),
            commodity=layout.spec.terms.commodity,
            tier_low=2,
            tier_high=3,
            max_eirp_mdbm=round(layout.spec.terms.max_eirp_dbm * 1000),
            price_form="fixed",
            price=0,
            rule=self._holder.party.rule.hash,
        )
        with self._holder.party.step(self.now) as step:
            record = self._holder.party.holder.declare(step, body)
            step.send(self._user.party.identity.credential, record.raw)
        self._carry(self._holder, step.outgoing)

    def _carry(self, sender: _Side, outgoing: list[Outgoing]) -> None:
        for one in outgoing:
            receiver = self._sides.get(one.to)
            if receiver is None:
                continue
            with receiver.party.step(self.now) as step:
                refused = receiver.party.receive(step, one.data, sender.transport_key)
            # A message repeated because its answer is late is no refusal of the settlement.
            again = refused is not None and refused.reason is Reason.REPLAY
            self._refused = self._refused if again else refused or self._refused
            self._carry(receiver, step.outgoing)

    def settle(self, band: Band, *, start_ns: int, end_ns: int, eirp_mdbm: int) -> tuple[bytes, bytes]:
        """Settle a band for a window in UTC ns; returns the settlement's id and its artifact. Raises NotSettled."""
        self._let_end()
        self._refused = None
        user = self._user.party
        offer = next(iter(user.user.offers.values()))
        cell = Cell(band=band, area=self._area, window=window_ms(start_ns, end_ns))
        with user.step(self.now) as step:
            sid = user.user.request(step, offer, cell, eirp_mdbm=eirp_mdbm).sid
        self._carry(self._user, step.outgoing)
        artifact = user.lineage.get("artifact", sid)
        late_ns = time.monotonic_ns() + PATIENCE_NS
        while artifact is None and self._refused is None and time.monotonic_ns() < late_ns:
            # A witness is asked again only after its interval: both sides continue as nodes do.
            self._let_end()
            time.sleep(TURN_S)
            artifact = user.lineage.get("artifact", sid)
        if artifact is None:
            raise NotSettled(f"no settlement for {band}, {start_ns} to {end_ns} ns: {self._refused}")
        return sid, artifact

    def _let_end(self) -> None:
        """End expired settlements on both sides, so that they do not count as open."""
        for side in list(self._sides.values()):
            with side.party.step(self.now) as step:
                side.party.tick(step)
            self._carry(side, step.outgoing)

    def close(self) -> None:
        """Close the logs."""
        self._clock.close()
        for side in self._sides.values():
            side.party.lineage.close()
