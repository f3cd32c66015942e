"""Builds a node's envelopes, ready to sign: place envelopes from sensing, the unit envelope from the radio profile."""

import time
from dataclasses import replace

from agent.config.settings import NodeConfig
from agent.node.fusion import AdmittedEnvelope, busy_to_most
from agent.node.integers import place_envelope, sighting, touched, unit_envelope
from agent.node.policy import lent_bands, lent_spans
from agent.node.warden_side import Protection
from agent.node.watcher import Watcher
from hw_profiles.loader import load_radio
from sensing.survey import SurveyReport
from settlement.chain.bodies import Envelope
from settlement.chain.credentials import Subject
from settlement.chain.scope import Window
from settlement.core.fixes import TimeFix
from settlement.party.party import Party
from settlement.state.nodestate import SIGHTING
from settlement.state.step import Step

NS = 1_000_000_000
PLACE_VALID_NS = 60 * NS
UNIT_VALID_NS = 24 * 3600 * NS
SIGHTED_NS = NS
"""Longest time in ns from a look that holds an incumbent to its detection, with margin."""
LOOK_BACK_NS = 120 * NS
"""Time in ns that a place envelope looks back; about as long as the survey remembers."""


class Enveloping:
    """Builds place envelopes from what was sensed, and the unit envelope from the radio's profile."""

    def __init__(self, config: NodeConfig, me: Subject, party: Party, watcher: Watcher, protection: Protection) -> None:
        self._config, self._me, self._party = config, me, party
        self._watcher, self._protection = watcher, protection
        self._began_ns = time.monotonic_ns()

    def found(self, step: Step) -> Envelope:
        """Return the place envelope: what this place can carry now.

        A band that our own users fill is left out unless an incumbent is in it; what they sent before does not count as
        occupancy by others.
        """
        mono_ns, now = time.monotonic_ns(), step.now.time
        closed = self._protection.closed(mono_ns)
        lent = [band for band in lent_bands(self._party, now) if not touched(band, closed)]
        return place_envelope(
            self.heard(now, mono_ns),
            observed=Window(start_ns=now.latest_ns - min(LOOK_BACK_NS, mono_ns - self._began_ns), end_ns=now.latest_ns),
            valid_until_ns=now.latest_ns + PLACE_VALID_NS,
            incumbents=(),
            closed=closed,
            lent=lent,
        )

    def heard(self, now: TimeFix, mono_ns: int) -> SurveyReport:
        """Return the survey's report of each channel, without the spans in which our own users may have transmitted."""
        spans = lent_spans(self._party, self._watcher.channels, utc_ns=now.middle_ns, monotonic_ns=mono_ns)
        return self._watcher.report(spans)

    def sighted(self, step: Step, *, valid_ns: int) -> Envelope:
        """Return an envelope of the bands now protected for an incumbent, without waiting for a survey report."""
        now_ns = step.now.time.latest_ns
        return sighting(
            self._protection.closed(time.monotonic_ns()),
            observed=Window(start_ns=now_ns - SIGHTED_NS, end_ns=now_ns),
            valid_until_ns=now_ns + valid_ns,
            what="radar",
        )

    def outvoted(self, step: Step) -> list[tuple[int, int]]:
        """Return channels of ours (Hz) that this node and its neighbours together take for busy.

        Transmissions of our own users do not count, nor envelopes whose area certainly does not overlap ours.
        """
        rule, now = self._party.rule.rule, step.now.time
        told = [AdmittedEnvelope(node="", level=self._me.level, envelope=self._unlent(self.found(step)))]
        for author, name in self._party.lineage.items(SIGHTING):
            record, subject = self._party.record_of(name), self._party.registry.get(author)
            if record is None or subject is None or not subject.scope.area.overlaps(self._me.scope.area):
                continue
            if now.before(record.body.valid_until_ns):
                told.append(
                    AdmittedEnvelope(node=subject.name, level=subject.level, envelope=self._unlent(record.body))
                )
        return busy_to_most(rule, told, [(round(one.low_hz), round(one.high_hz)) for one in self._watcher.channels])

    def _unlent(self, envelope: Envelope) -> Envelope:
        lent = [pair.cell for pair in self._party.holder.pairs.values() if pair.decision is not None]
        channels = tuple(
            channel
            for channel in envelope.channels
            if not any(c.band.overlaps(channel.band) and c.window.overlaps(envelope.observed) for c in lent)
        )
        return replace(envelope, channels=channels)

    def describe(self, step: Step) -> None:
        """Sign the unit envelope of this node's radio, and again once half of its 24 hours are over.

        A user's REQUESTs rest on it; a node that may sign no REQUEST signs no unit envelope.
        """
        now_ns, unit = step.now.time.latest_ns, self._party.bounds.unit
        fresh = unit is not None and unit.body.valid_until_ns > now_ns + UNIT_VALID_NS // 2
        if "request" not in self._me.scope.actions or fresh:
            return
        radio = self._config.radio
        body = unit_envelope(
            load_radio(radio.profile),
            full_scale_eirp_mdbm=radio.full_scale_eirp_mdbm,
            now_ns=now_ns,
            valid_ns=UNIT_VALID_NS,
        )
        self._party.bounds.describe(step, body)
