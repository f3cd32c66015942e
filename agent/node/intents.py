"""Signed intents: `acquire` publishes what it looks for, and a holder that receives one offers what it can."""

from collections import deque

from agent.config.settings import OfferSection
from settlement.chain.scope import Area, Band, Cell
from settlement.core.reasons import Refusal
from settlement.market.choice import SpectrumWish
from settlement.mesh.limits import Bucket, Rate
from settlement.pair.effects import AnswerIntent
from settlement.party.party import Party
from settlement.records.market import Intent
from settlement.state.step import Step

MS = 1_000_000
AROUND_MM = 100_000
"""Smallest radius in mm of the area around itself for which a user asks."""
ASKED_MAX = 32
OF_ONE_MAX = 4
ANSWERED = Rate(per_s=1, burst=OF_ONE_MAX)
"""Rate at which one user's intents are answered: each answer costs a survey report and offers to everyone."""


class IntentsAsked:
    """Queue of others' intents that wait for an answer, bounded per user so that none can crowd out another."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, deque[AnswerIntent]] = {}
        self._answered: dict[bytes, Bucket] = {}

    def take(self, asked: AnswerIntent) -> None:
        """Queue an intent; beyond OF_ONE_MAX of one user the oldest is dropped."""
        self._waiting.setdefault(asked.user, deque(maxlen=OF_ONE_MAX)).append(asked)

    def due(self, now_ns: int) -> AnswerIntent | None:
        """Return one intent to answer now (monotonic ns), users in turn; None where none is due."""
        for user, waiting in list(self._waiting.items()):
            left = self._answered.get(user, Bucket.full(ANSWERED, now_ns)).take(ANSWERED, 1, now_ns)
            if left is not None:
                self._answered[user] = left
                del self._waiting[user]
                asked = waiting.popleft()
                if waiting:
                    self._waiting[user] = waiting
                return asked
        return None


def say_intent(step: Step, party: Party, wish: SpectrumWish, *, wait_ms: int) -> bytes | None:
    """Sign an intent and send it to every neighbour; returns its name, or None where this node may not say it."""
    here = step.now.position
    radius_mm = max(AROUND_MM, 4 * here.radius_mm)
    me = party.registry.get(party.identity.credential)
    terms = party.rule.rule.classes[0]
    body = Intent(
        cell=Cell(
            band=wish.band, area=Area(lat_e7=here.lat_e7, lon_e7=here.lon_e7, radius_mm=radius_mm), window=wish.window
        ),
        commodity=wish.commodity or terms.name,
        tier=wish.tier,
        eirp_mdbm=wish.eirp_mdbm if wish.eirp_mdbm is not None else me.scope.max_eirp_mdbm if me is not None else 0,
        price=_bearable(party, wish),
        answer_by_ns=step.now.time.latest_ns + max(wait_ms, 1) * MS,
        rule=party.rule.hash,
        nonce=step.random(16),
    )
    if isinstance(step.may_sign(body), Refusal):
        return None
    record = step.sign(body)
    for neighbour in party.witness.neighbours():
        step.pass_on(neighbour.hash, record.raw)
    step.event("intended", band=wish.band)
    return record.digest


def _bearable(party: Party, wish: SpectrumWish) -> int:
    """Return the highest price the intent allows; the class's highest where the wish names none."""
    terms = next((c for c in party.rule.rule.classes if c.name == wish.commodity), party.rule.rule.classes[0])
    return terms.price_high if wish.price_max is None else max(terms.price_low, min(wish.price_max, terms.price_high))


def answering(
    asked: AnswerIntent, offers: list[tuple[OfferSection, int | None]]
) -> list[tuple[OfferSection, int | None]]:
    """Return the holder's offers that match an intent, each cut to the band asked for, with its end (UTC ns)."""
    wanted, found = asked.cell.band, []
    for offer, end_ns in offers:
        held = Band(low_hz=offer.low_hz, high_hz=offer.high_hz, unit=offer.unit)
        if offer.commodity != asked.commodity or not held.overlaps(wanted):
            continue
        if end_ns is not None and end_ns < asked.cell.window.end_ns:
            continue
        cut = {"low_hz": max(held.low_hz, wanted.low_hz), "high_hz": min(held.high_hz, wanted.high_hz)}
        found.append((offer.model_copy(update=cut), end_ns))
    return found
