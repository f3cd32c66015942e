"""Checks of offers, requests and settlements against envelopes, in integers. Pure.

A place envelope says what a holder measured where it offers, a unit envelope what a user's radio can do; the composite
is the intersection of both over one cell, signed by the holder with its GRANT, and anyone who has the parts can
compute it again. Where several place envelopes cover one frequency the newest counts. A frequency that none covers is
unknown, and unknown is not free.

Confidence fades linearly: `level_ppm` until the end of the observation, nothing at the end of the validity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from settlement.chain.admission import author_inside
from settlement.chain.bodies import ChannelObservation, ClassTerms, Declaration, Envelope, Grant, Request, Rule
from settlement.chain.records import Record
from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Reason, Refusal, refuse

PLACE, UNIT, COMPOSITE = "place", "unit", "composite"
FREE, ABLE, UNKNOWN, BEYOND = "free", "able", "unknown", "beyond the unit"
PARTS_MAX = 8
"""Most envelopes that one composite may rest on: the unit's, and the place envelopes over its cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The basis of a GRANT: the composite to sign, and the records it is computed from, the unit's first."""

    composite: Envelope
    unit: Record
    places: tuple[Record, ...]


def confidence_ppm(envelope: Envelope, at_ns: int) -> int:
    """Return an envelope's remaining confidence at an instant, ppm; 0 from the end of its validity on."""
    made_ns, until_ns = envelope.observed.end_ns, envelope.valid_until_ns
    if at_ns >= until_ns:
        return 0
    return envelope.level_ppm if at_ns <= made_ns else envelope.level_ppm * (until_ns - at_ns) // (until_ns - made_ns)


def allows(envelope: Envelope, band: Band, *, eirp_mdbm: int, at_ns: int, rule: Rule, state: str) -> Refusal | None:
    """Refuse unless an envelope covers every Hz of a band in `state`, at this EIRP and width, with confidence left."""
    for piece, channel in _pieces(band, [(0, b"", c) for c in envelope.channels]):
        if channel is None or channel.state != state:
            found = "not spoken of" if channel is None else channel.state
            return refuse(Reason.ENVELOPE, f"envelope.{envelope.kind}.channel", f"{piece} {found}", state)
    width_hz, widest_hz = band.high_hz - band.low_hz, envelope.width_hz_max
    if widest_hz is not None and width_hz > widest_hz:
        return refuse(Reason.ENVELOPE, f"envelope.{envelope.kind}.width", f"{width_hz} Hz", f"<= {widest_hz} Hz")
    loudest_mdbm = envelope.max_eirp_mdbm
    if loudest_mdbm is not None and eirp_mdbm > loudest_mdbm:
        required = f"<= {loudest_mdbm} mdBm"
        return refuse(Reason.ENVELOPE, f"envelope.{envelope.kind}.eirp", f"{eirp_mdbm} mdBm", required)
    return _sure(envelope, at_ns, rule)


def _sure(envelope: Envelope, at_ns: int, rule: Rule) -> Refusal | None:
    left_ppm, least_ppm = confidence_ppm(envelope, at_ns), rule.confidence_ppm_min or 1
    if at_ns >= envelope.valid_until_ns:
        measured, required = f"at {at_ns} ns", f"before {envelope.valid_until_ns} ns"
        return refuse(Reason.ENVELOPE, f"envelope.{envelope.kind}.valid", measured, required)
    if left_ppm < least_ppm:
        return refuse(Reason.CONFIDENCE, f"envelope.{envelope.kind}.age", f"{left_ppm} ppm", f">= {least_ppm} ppm")
    return None


def covers_offer(envelope: Record | None, author: bytes, offer: Declaration, at_ns: int, rule: Rule) -> Refusal | None:
    """Refuse an offer outside its envelope: same author, measured inside the offer's area, free in the whole band."""
    terms = rule.terms(offer.commodity)
    if offer.envelope is None:
        needed = terms is not None and terms.envelope_required
        return refuse(Reason.ENVELOPE, "offer.envelope", "none", "a place envelope") if needed else None
    if envelope is None:
        return refuse(Reason.ENVELOPE, "offer.envelope", offer.envelope.hex()[:16], "an envelope sent with its offer")
    held: Envelope = envelope.body
    if held.kind != PLACE or envelope.frame.author != author:
        return refuse(Reason.ENVELOPE, "offer.envelope", f"{held.kind} envelope", "the author's own place envelope")
    return _placed(envelope, offer.cell) or allows(
        held, offer.cell.band, eirp_mdbm=offer.max_eirp_mdbm, at_ns=at_ns, rule=rule, state=FREE
    )


def _placed(envelope: Record, cell: Cell) -> Refusal | None:
    """Refuse an envelope that was not measured inside the cell's area."""
    return author_inside(envelope.frame.attestation, cell.area, "envelope.place")


def covers_request(unit: Record | None, author: bytes, request: Request, at_ns: int, rule: Rule) -> Refusal | None:
    """Refuse a REQUEST that its user's own unit envelope says the radio cannot do."""
    if request.envelope is None or unit is None:
        named = "none" if request.envelope is None else request.envelope.hex()[:16]
        return refuse(Reason.ENVELOPE, "request.envelope", named, "a unit envelope sent with its REQUEST")
    held: Envelope = unit.body
    if held.kind != UNIT or unit.frame.author != author:
        return refuse(Reason.ENVELOPE, "request.envelope", f"{held.kind} envelope", "the author's own unit envelope")
    return allows(held, request.cell.band, eirp_mdbm=request.eirp_mdbm, at_ns=at_ns, rule=rule, state=ABLE)


# -- the composite
# -----------------------------------------------------------------------------------------------------

Spoken = tuple[int, bytes, ChannelObservation]


def _pieces(band: Band, spoken: Sequence[Spoken]) -> list[tuple[Band, ChannelObservation | None]]:
    """Split a band where its observations change; of two observations of one frequency the last in order counts."""
    edges = {band.low_hz, band.high_hz}
    for _, _, channel in spoken:
        edges |= {edge for edge in (channel.band.low_hz, channel.band.high_hz) if band.low_hz < edge < band.high_hz}
    cuts = sorted(edges)
    found = []
    for low_hz, high_hz in pairwise(cuts):
        piece = Band(low_hz=low_hz, high_hz=high_hz)
        about = [one for one in spoken if one[2].band.holds(piece)]
        found.append((piece, max(about, key=lambda one: one[:2])[2] if about else None))
    return found


def relevant(band: Band, places: Sequence[Record]) -> tuple[Record, ...]:
    """Return the place envelopes that decide about a band, each once, in the order of its frequencies."""
    by_name = {place.digest: place for place in places}
    spoken = [(p.body.observed.end_ns, p.digest, c) for p in by_name.values() for c in p.body.channels]
    deciding = [
        max((at_ns, name) for at_ns, name, said in spoken if said is channel and said.band.holds(piece))[1]
        for piece, channel in _pieces(band, spoken)
        if channel is not None
    ]
    return tuple(by_name[name] for name in dict.fromkeys(deciding))


def intersect(cell: Cell, unit: Record, places: Sequence[Record], at_ns: int) -> Envelope:
    """Compute the composite over a cell's band: each piece has its newest place observation, where the unit covers it.

    Its EIRP, width and validity are the least of all parts', and so is its confidence at `at_ns` (UTC).
    """
    bodies: list[Envelope] = [unit.body, *(place.body for place in places)]
    spoken = [(p.body.observed.end_ns, p.digest, c) for p in places for c in p.body.channels]
    channels = tuple(_channel(piece, said, unit.body) for piece, said in _pieces(cell.band, spoken))
    clear = all(channel.state == FREE for channel in channels)
    return Envelope(
        kind=COMPOSITE,
        observed=Window(start_ns=min([at_ns, *(p.body.observed.start_ns for p in places)]), end_ns=at_ns),
        valid_until_ns=min(body.valid_until_ns for body in bodies),
        level_ppm=min(confidence_ppm(body, at_ns) for body in bodies),
        looks=min((p.body.looks for p in places), default=0),
        channels=channels,
        incumbents=() if clear else tuple(sorted({i for p in places for i in p.body.incumbents}))[:32],
        max_eirp_mdbm=min((b.max_eirp_mdbm for b in bodies if b.max_eirp_mdbm is not None), default=None),
        modality=COMPOSITE,
        parts=tuple(part.digest for part in (unit, *places)),
        width_hz_max=min((b.width_hz_max for b in bodies if b.width_hz_max is not None), default=None),
    )


def _channel(piece: Band, said: ChannelObservation | None, unit: Envelope) -> ChannelObservation:
    able = all(c is not None and c.state == ABLE for _, c in _pieces(piece, [(0, b"", c) for c in unit.channels]))
    if said is None:
        return ChannelObservation(band=piece, state=UNKNOWN, floor_unit="", flags=())
    return ChannelObservation(
        band=piece,
        state=said.state if able else BEYOND,
        occupancy_ppm=said.occupancy_ppm,
        floor_mdb=said.floor_mdb,
        floor_unit=said.floor_unit,
        flags=said.flags,
    )


def bind(unit: Record, places: Sequence[Record], request: Request, at_ns: int, rule: Rule) -> Bound | Refusal:
    """Return the basis for granting a REQUEST; a refusal where place and unit together do not allow it."""
    deciding = relevant(request.cell.band, places)
    if len(deciding) >= PARTS_MAX:
        return refuse(Reason.ENVELOPE, "envelope.parts", len(deciding), f"< {PARTS_MAX} place envelopes")
    composite = intersect(request.cell, unit, deciding, at_ns)
    refusal = allows(
        composite, request.cell.band, eirp_mdbm=request.eirp_mdbm, at_ns=at_ns, rule=rule, state=FREE
    ) or next(filter(None, (_placed(place, request.cell) for place in deciding)), None)
    return refusal or Bound(composite=composite, unit=unit, places=deciding)


def judge_bound(grant: Record, envelopes: Sequence[Record], rule: Rule, terms: ClassTerms) -> Refusal | None:
    """Refuse a GRANT outside its composite; the user checks before its ACCEPT, and `artifact` checks offline.

    (1) a class that requires envelopes has a composite, the holder's own
    (2) its parts are there: the user's unit envelope, then place envelopes of the holder from inside the cell's area
    (3) it equals the composite of those parts at the instant it was signed
    (4) it allows the band and EIRP at the GRANT's signing, and is valid until the last instant to accept
    """
    body: Grant = grant.body
    if body.composite is None:  # (1)
        needed = terms.envelope_required
        return refuse(Reason.ENVELOPE, "grant.composite", "none", "a composite envelope") if needed else None
    named = {one.digest: one for one in envelopes}
    composite = named.get(body.composite)
    if composite is None or composite.frame.author != grant.frame.author or composite.body.kind != COMPOSITE:
        return refuse(Reason.ENVELOPE, "grant.composite", body.composite.hex()[:16], "the holder's composite, with it")
    wanted = composite.body.parts or ()
    parts = [named[part] for part in wanted if part in named]  # (2)
    if not parts or len(parts) != len(wanted) or not _rightly_made(parts[0], parts[1:], grant):
        required = "the user's unit envelope and the holder's of the place, sent with it"
        return refuse(Reason.ENVELOPE, "grant.parts", f"{len(parts)} of {len(wanted)}", required)
    return _judge_composite(grant, composite, parts[0], parts[1:], rule)


def _rightly_made(unit: Record, places: Sequence[Record], grant: Record) -> bool:
    own_unit = unit.frame.author == grant.body.user and unit.body.kind == UNIT
    return own_unit and all(
        p.frame.author == grant.frame.author and p.body.kind == PLACE and _placed(p, grant.body.cell) is None
        for p in places
    )


def _judge_composite(
    grant: Record, composite: Record, unit: Record, places: Sequence[Record], rule: Rule
) -> Refusal | None:
    body: Grant = grant.body
    made_ns, signed_ns = composite.frame.attestation.latest_ns, grant.frame.attestation.latest_ns
    held: Envelope = composite.body
    if held != intersect(body.cell, unit, places, made_ns):  # (3)
        return refuse(Reason.ENVELOPE, "grant.composite", "another", "what place and unit come to together")
    if body.accept_by_ns > held.valid_until_ns:  # (4)
        return refuse(Reason.ENVELOPE, "grant.accept_by", body.accept_by_ns, f"<= {held.valid_until_ns} ns")
    at_ns = max(made_ns, signed_ns)
    return allows(held, body.cell.band, eirp_mdbm=body.max_eirp_mdbm, at_ns=at_ns, rule=rule, state=FREE)
