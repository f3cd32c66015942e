"""The market, neighbours and log of a running node as plain values for page and terminal."""

from dataclasses import dataclass, field
from typing import Any

from agent.config.settings import NodeConfig
from agent.node.approvals import approvals_shown
from agent.node.auctions import auction_fields, auctions_of
from agent.node.cellviews import area_fields, cell_fields
from agent.node.marketviews import handovers_shown, jurisdictions_shown
from settlement.core.fixes import TimeFix
from settlement.pair.work import stored_as
from settlement.party.party import Party
from settlement.state.witness import NEIGHBOUR, SEEN, Asked, SeenHead

OFFERS_MAX, AUCTIONS_MAX = 64, 8
AGAIN_NS = 10_000_000_000


@dataclass(slots=True)
class Panels:
    """Reads the values from a party; values that change only with the log are read again only when it has grown."""

    config: NodeConfig
    party: Party
    _size: int = -1
    _read_ns: int = 0
    _held: dict[str, Any] = field(default_factory=dict)

    def shown(self, now: TimeFix, mono_ns: int) -> dict[str, Any]:
        """Return offers, auctions, approvals, leases changing hands, jurisdictions, neighbours, heads and this log."""
        if self.party.damaged is not None:
            empty = ("offers", "places", "auctions", "approvals", "handovers", "jurisdictions")
            return {**{name: [] for name in empty}, "log": None}
        size = self.party.lineage.size
        if size != self._size or mono_ns - self._read_ns >= AGAIN_NS:
            self._size, self._read_ns = size, mono_ns
            self._held = {
                "places": self._places(),
                "log": self._log(),
                "jurisdictions": jurisdictions_shown(self.party),
            }
        return {
            "offers": self._offers(now),
            "auctions": self._auctions(),
            "approvals": approvals_shown(self.party),
            "handovers": handovers_shown(self.party),
            **self._held,
        }

    def _offers(self, now: TimeFix) -> list[dict[str, Any]]:
        party, names = self.party, self.party.registry
        made = [("made", self.config.name, digest, body) for digest, body in party.holder.offers.items()]
        heard = []
        for digest, offer in party.user.offers.items():
            holder = names.get(offer.holder)
            heard.append(("heard", holder.name if holder else offer.holder.hex()[:8], digest, offer.body))
        standing = {
            (role, holder, body.cell.band, body.cell.window.end_ns): (role, holder, digest, body)
            for role, holder, digest, body in [*made, *heard]  # the last of several with the same content
        }
        return [
            {
                "offer": digest.hex(),
                "role": role,
                "holder": holder,
                **cell_fields(body.cell),
                "eirp_mdbm": body.max_eirp_mdbm,
                "commodity": body.commodity,
                "price": body.price,
            }
            for role, holder, digest, body in standing.values()
            if not now.after(body.cell.window.end_ns)
        ][-OFFERS_MAX:]

    def _auctions(self) -> list[dict[str, Any]]:
        """Return the newest auctions whose windows are not over, whether this node bids in them or not."""
        held = self.party.assembly.states
        names = [name for name in auctions_of(self.party) if name in held][-AUCTIONS_MAX:] if held else []
        return [auction_fields(self.party, name) for name in names]

    def _places(self) -> list[dict[str, Any]]:
        """Return each node's position and error from its last signature, and the area its credential allows."""
        party, found = self.party, []
        for subject in [party.registry.get(party.identity.credential), *party.witness.neighbours()]:
            if subject is None:
                continue
            last = party.lineage.author_last(subject.hash)
            record = party.record_of(last[1]) if last is not None else None
            signed = record.frame.attestation if record is not None else None
            found.append(
                {
                    "name": subject.name,
                    "own": subject.hash == party.identity.credential,
                    "credential": subject.hash.hex(),
                    "expires_ns": subject.expires_ns,
                    "area": area_fields(subject.scope.area),
                    "position": None
                    if signed is None or not signed.position_source
                    else {
                        "lat_deg": signed.lat_e7 / 1e7,
                        "lon_deg": signed.lon_e7 / 1e7,
                        "radius_m": signed.radius_mm / 1000,
                        "said_ns": signed.latest_ns,
                    },
                    **self._heads(subject.hash),
                }
            )
        return found

    def _heads(self, neighbour: bytes) -> dict[str, Any]:
        """Return how much of a neighbour's log this node cosigned, and how much of this node's the neighbour did."""
        seen, asked = self.party.lineage.get(SEEN, neighbour), self.party.lineage.get(NEIGHBOUR, neighbour)
        head = None if seen is None else stored_as(SeenHead, seen, SEEN)
        return {
            "their_head": None if head is None else {"size": head.size, "root": head.root.hex()},
            "witnessed_size": 0 if asked is None else stored_as(Asked, asked, NEIGHBOUR).cosigned,
        }

    def _log(self) -> dict[str, Any]:
        head = self.party.lineage.head()
        return {
            "size": head.size,
            "root": head.root.hex(),
            "witness_quorum": self.party.witness.quorum,
            "halted": None if self.party.halted is None else str(self.party.halted),
        }
