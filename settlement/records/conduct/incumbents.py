"""Weighs neighbours' reports of an incumbent, of levels whose records the rule has a node only consider.

weight = weight of the level x reliability of the modality x consistency x trust, each in millionths. Consistency is the
share of the other reports on the band that agree; trust follows from the reporter's record of fulfilment, and is small
for a newcomer. A band is protected, as by this node's own finding, once the reports of an incumbent in it weigh
`ENOUGH_PPM` together. One newcomer alone, or one reporter against all others, never reaches that.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from settlement.chain.admission import Admitted
from settlement.chain.bodies import PPM, Envelope, Rule
from settlement.chain.credentials import Subject
from settlement.chain.scope import Band
from settlement.chain.weights import FAILED, FULFILLED, Kept, observation_weight_ppm, trust_ppm
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason
from settlement.records.observation import FREE, ChannelObservation
from settlement.state.nodestate import SIGHTING, NodeState
from settlement.state.step import Step

ENOUGH_PPM = PPM // 2
PROTECTED_TIER = 1


class _Bands:
    """Bands of one unit, sorted, so that a query whether any of them overlaps a band takes logarithmic time."""

    def __init__(self, bands: Iterable[Band]) -> None:
        edges = sorted((band.low_hz, band.high_hz) for band in bands)
        self._lows = [low for low, _ in edges]
        self._tops = list(accumulate((high for _, high in edges), max))

    def touch(self, band: Band) -> bool:
        """Whether one of them overlaps `band`: of those that begin below its end, one ends above its beginning."""
        below = bisect_left(self._lows, band.high_hz)
        return below > 0 and self._tops[below - 1] > band.low_hz


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """The newest envelope of one reporter, its level, and its record of fulfilment."""

    level: str
    kept: Kept
    envelope: Envelope

    @cached_property
    def _told(self) -> dict[str | None, tuple[_Bands, _Bands]]:
        """By unit: the bands of which the envelope says something, and those of them that are not free."""
        by_unit: dict[str | None, list[ChannelObservation]] = defaultdict(list)
        for one in self.envelope.channels:
            by_unit[one.band.unit].append(one)
        return {
            unit: (_Bands(one.band for one in some), _Bands(one.band for one in some if one.state != FREE))
            for unit, some in by_unit.items()
        }

    def incumbent_in(self, band: Band) -> bool | None:
        """Whether the envelope reports an incumbent in the band; None where it says nothing of the band."""
        told = self._told.get(band.unit)
        if told is None or not told[0].touch(band):
            return None
        return bool(self.envelope.incumbents) and told[1].touch(band)


def weight_of_incumbent_ppm(rule: Rule, sightings: Sequence[Sighting], band: Band) -> int:
    """Return the total weight of the reports of an incumbent in the band, ppm."""
    said = [(s, found) for s in sightings if (found := s.incumbent_in(band)) is not None]
    agreeing = sum(found for _, found in said)
    alike_ppm = (agreeing - 1) * PPM // (len(said) - 1) if len(said) > 1 else PPM
    total = 0
    for sighting in (sighting for sighting, found in said if found):
        weight_ppm = observation_weight_ppm(
            rule, level=sighting.level, modality=sighting.envelope.modality, consistency_ppm=alike_ppm
        )
        total += weight_ppm * trust_ppm(sighting.kept) // PPM
    return total


def weigh(state: NodeState, step: Step, admitted: Admitted) -> None:
    """Store an envelope that is to be considered; protect the bands in which all stored ones together weigh enough."""
    step.put(SIGHTING, admitted.author.hash, admitted.record.digest)
    body: Envelope = admitted.record.body
    if not body.incumbents or not step.now.time.trusted or not step.now.time.before(body.valid_until_ns):
        return
    held = list(_sightings(state, step.now.time))
    for band in [c.band for c in body.channels if c.state != FREE]:
        weight_ppm = weight_of_incumbent_ppm(state.rule.rule, held, band)
        if weight_ppm < ENOUGH_PPM:
            continue
        displaced = state.holder.preempt(
            step,
            band,
            tier=PROTECTED_TIER,
            reason=Reason.INCUMBENT.value,
            until_ns=body.valid_until_ns,
            evidence=admitted.record.digest,
            author=admitted.author.hash,
            area=admitted.author.scope.area,
        )
        step.event("protected", by="neighbours", displaced=displaced, weight_ppm=weight_ppm)


def _sightings(state: NodeState, now: TimeFix) -> Iterable[Sighting]:
    """Yield the newest envelope of each reporter that is still valid and whose area may overlap this node's area."""
    me = state.registry.get(state.identity.credential)
    for author, digest in state.lineage.items(SIGHTING):
        record, subject = state.record_of(digest), state.registry.get(author)
        succeeded = state.registry.successor(author) is not None
        if record is None or subject is None or succeeded or not now.before(record.body.valid_until_ns):
            continue
        if me is not None and not subject.scope.area.overlaps(me.scope.area):
            continue
        yield Sighting(level=subject.level, kept=_kept(state, subject), envelope=record.body)


def _kept(state: NodeState, subject: Subject) -> Kept:
    """Return the reporter's record of fulfilment under all keys that it has had."""
    line, log = state.registry.line(subject.hash), state.lineage
    return Kept(
        fulfilled=sum(log.counted(FULFILLED + one.hex()) for one in line),
        failed=sum(log.counted(FAILED + one.hex()) for one in line),
    )
