"""A node's own envelopes: the newest place envelope of each channel, and the unit envelope of its radio.

Rebuilt from stored state after a restart. The newest envelope of a channel replaces the last, so that storage is
bounded by the channels that a node senses.
"""

from collections.abc import Iterable

from settlement.chain.bodies import Envelope
from settlement.chain.codec import encode
from settlement.chain.records import Record
from settlement.chain.scope import Band
from settlement.pair.envelopes import PLACE, UNIT, Bound
from settlement.pair.work import Work

PLACES, UNITS = "place", "unit"
UNIT_ROW = b"unit"


class OwnFaultError(ValueError):
    """The program tried to sign a record that the node's own rule refuses; nothing was signed."""


class Bounds:
    """The newest place envelope of each channel, and the unit envelope; records of this node alone."""

    def __init__(self, places: Iterable[Record] = (), units: Iterable[Record] = ()) -> None:
        self.places: dict[Band, Record] = {}
        self.unit: Record | None = None
        for record in sorted(places, key=lambda r: r.frame.seq):
            self.places.update({channel.band: record for channel in record.body.channels})
        for record in units:
            self.unit = record

    def observe(self, work: Work, body: Envelope) -> Record:
        """Sign a place envelope and use it from now on. Raises OwnFaultError for another kind."""
        record = _signed(work, body, PLACE)
        for channel in body.channels:
            self.places[channel.band] = record
            work.put(PLACES, encode(channel.band), record.raw)
        return record

    def describe(self, work: Work, body: Envelope) -> Record:
        """Sign the envelope of this node's radio, which its REQUESTs name. Raises OwnFaultError for another kind."""
        self.unit = _signed(work, body, UNIT)
        work.put(UNITS, UNIT_ROW, self.unit.raw)
        return self.unit

    def held(self, name: bytes | None) -> Record | None:
        """Return a current place envelope by its hash; None if there is none."""
        return next((record for record in self.places.values() if record.digest == name), None)


def _signed(work: Work, body: Envelope, kind: str) -> Record:
    if body.kind != kind:
        raise OwnFaultError(f"a {body.kind} envelope where a {kind} envelope is due")
    return work.sign(body)


def beside(bound: Bound | None, composite: Record | None) -> tuple[bytes, ...]:
    """Return the records sent beside a GRANT: composite and place envelopes; the unit's came with the REQUEST."""
    if bound is None or composite is None:
        return ()
    return (composite.raw, *(place.raw for place in bound.places))
