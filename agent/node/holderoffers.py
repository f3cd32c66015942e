"""Makes a holder's offers: the configured ones, answers to intents, and repeats of offers that nobody has settled."""

import time
from collections.abc import Callable
from typing import Final

from agent.config.settings import OfferSection
from agent.node import unsensed
from agent.node.auctions import free_of
from agent.node.envelopes import Enveloping
from agent.node.integers import touched
from agent.node.intents import IntentsAsked
from agent.node.policy import ANSWERS_MAX, LOOKS_BEFORE_OFFER, HolderPolicy, free_parts, lent_bands
from agent.node.warden_side import Protection
from sensing.survey import SurveyReport
from settlement.chain.credentials import Registry
from settlement.core.fixes import Fix, TimeFix
from settlement.core.reasons import Refusal
from settlement.pair.bounds import OwnFaultError
from settlement.pair.effects import AnswerIntent
from settlement.party.party import Party
from settlement.state.messages import Message
from settlement.state.step import Outgoing, Step

NS: Final = 1_000_000_000
HELD_BACK: Final = 20
"""Factor by which the pause before the next look exceeds the time that a look without an offer took."""


class HolderOffers:
    """Makes a node's offers, in the steps that its loop begins; `asked` are the intents that wait for an answer."""

    def __init__(
        self,
        registry: Registry,
        party: Party,
        *,
        policy: HolderPolicy,
        protection: Protection,
        envelopes: Enveloping,
        fix: Callable[[], Fix],
        neighbours: Callable[[], list[bytes]],
    ) -> None:
        """Args: neighbours: returns the credentials of the nodes that offers go to."""
        self._registry, self._party, self._policy = registry, party, policy
        self._protection, self._envelopes = protection, envelopes
        self._fix, self._neighbours = fix, neighbours
        self.asked = IntentsAsked()
        self._held_back_ns = 0

    def act(self, step: Step, since_s: float) -> None:
        """Make the offers that are due, `since_s` seconds after the start signal."""
        policy = self._policy
        if len(policy.made) < len(policy.config.offers):
            self._configured(step, since_s)
        asked = self.asked.due(time.monotonic_ns())  # one intent a step: each answer costs a survey report
        if asked is not None:
            self._answer(step, asked)
        if policy.standing:
            for offer, end_ns in policy.again(step.now.time.middle_ns, self.occupancy, self.closed(step.now.time)):
                self.declare(step, offer, end_ns)
            if policy.look_again(step.now.time.middle_ns, lent_bands(self._party, step.now.time)):
                self._party.attempt(step, lambda: self._look_again(step))

    def declare(self, step: Step, offer: OfferSection, end_ns: int | None = None) -> str | None:
        """Sign an offer and its envelope, and send both to every neighbour; returns why not where it was not sent.

        Reasons: the place changed since it was thought free, most neighbours take it for busy, or this node is not
        entitled to offer it.
        """
        why = self._declared(step, offer, end_ns)
        if why is None:
            self._policy.note(offer, step.now.time.middle_ns)
        else:
            step.event("not offered", low_hz=offer.low_hz, high_hz=offer.high_hz, why=why)
        return why

    def free(self) -> Callable[[OfferSection], list[OfferSection]]:
        """Return a function that cuts an offer to its free parts; the survey report is made only if it is called."""
        held: list[Callable[[OfferSection], list[OfferSection]]] = []

        def free(offer: OfferSection) -> list[OfferSection]:
            if not held:
                held.append(free_of(self.occupancy, self.closed(self._fix().time), LOOKS_BEFORE_OFFER))
            return held[0](offer)

        return free

    def closed(self, now: TimeFix, mono_ns: int | None = None) -> list[tuple[int, int]]:
        """Return bands (Hz) that cannot be offered: protected for an incumbent, or in use by this node's own users."""
        at_ns = time.monotonic_ns() if mono_ns is None else mono_ns
        return [*self._protection.closed(at_ns), *lent_bands(self._party, now)]

    def occupancy(self) -> SurveyReport:
        """Return the survey's report of each channel, without what this node's own users transmitted."""
        return self._envelopes.heard(self._fix().time, time.monotonic_ns())

    def _configured(self, step: Step, since_s: float) -> None:
        began_ns = time.monotonic_ns()
        if began_ns < self._held_back_ns:
            return
        due = self._policy.due(since_s, self.occupancy, self.closed(step.now.time, began_ns))
        if not due:  # a busy band is checked again, but only for a small share of the time
            self._held_back_ns = began_ns + HELD_BACK * (time.monotonic_ns() - began_ns)
        for number, offer in due:
            if self.declare(step, offer) is None:
                self._policy.made.add(number)
            else:
                self._held_back_ns = time.monotonic_ns() + NS

    def _answer(self, step: Step, asked: AnswerIntent) -> None:
        """Offer what an intent asks for, as far as it is held and free; charged to the share of the intent's author.

        What was offered to everyone a moment ago is not repeated for one user.
        """
        user = self._registry.get(asked.user)
        if user is not None and user.transport_key is not None:
            self._party.at_cost_of(step, user.transport_key, lambda: self._offer_to(step, asked))

    def _offer_to(self, step: Step, asked: AnswerIntent) -> None:
        policy, now_ns = self._policy, step.now.time.middle_ns
        unsaid = [one for one in policy.answers(asked) if not policy.said_lately(one[0], now_ns)]
        if not unsaid:
            return
        heard, closed = self.occupancy(), self.closed(step.now.time)
        parts = [(part, end_ns) for offer, end_ns in unsaid for part in free_parts(heard, offer, closed)]
        for part, end_ns in parts[:ANSWERS_MAX]:
            if not policy.said_lately(part, now_ns):
                self.declare(step, part, end_ns)

    def _look_again(self, step: Step) -> None:
        body = self._envelopes.found(step)
        if body.channels:
            self._party.bounds.observe(step, body)

    def _declared(self, step: Step, offer: OfferSection, end_ns: int | None) -> str | None:
        policy, party = self._policy, self._party
        if offer.unit is not None:
            return unsensed.declare(step, policy, party, offer, to=self._neighbours(), end_ns=end_ns)
        if touched((offer.low_hz, offer.high_hz), self._envelopes.outvoted(step)):
            return "most who were heard take it for busy"
        try:
            found = self._envelopes.found(step)
            made = party.attempt(step, lambda: policy.offer(step, party, offer, found=found, end_ns=end_ns))
        except OwnFaultError as exc:
            return str(exc)
        if isinstance(made, Refusal):
            return str(made)
        envelope, offered = made
        data = Message(record=offered, beside=(envelope,)).encoded()
        step.outgoing += [Outgoing(to=to, data=data) for to in self._neighbours()]
        return None
