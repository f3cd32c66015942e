"""`acquire --also`: one settlement over several classes, in which all parts are settled or none."""

from dataclasses import replace

from agent.node.commands import Acquire
from agent.node.offerchoice import in_words, matched, price_for
from settlement.chain.scope import Band, Cell, Window
from settlement.market.choice import SpectrumWish
from settlement.pair.table import UserState
from settlement.pair.wholes import stood
from settlement.party.party import Party
from settlement.records.conduct.together import OVER, AskedPart, ask_whole
from settlement.state.step import Step


def wishes_of(command: Acquire, wish: SpectrumWish) -> list[SpectrumWish]:
    """Return a command's wishes part by part: its band, and each further class."""
    more = [
        replace(
            wish,
            band=Band(low_hz=one.low_hz, high_hz=one.high_hz, unit=one.unit),
            commodity=one.commodity,
            eirp_mdbm=None,
            price_max=None,
        )
        for one in command.also
    ]
    return [wish, *more]


def ask_for_all(step: Step, party: Party, wishes: list[SpectrumWish], most_mdbm: int, window: Window) -> bytes | str:
    """Send the REQUESTs for all parts under one settlement; returns its id, or text naming the part nobody offers."""
    parts = []
    for wish in wishes:
        found = matched(party, wish, step.now.position)
        if found.winner is None:
            return f"{wish.commodity or 'the band'} {wish.band}: {in_words(found)}"
        offer = party.user.offers[found.winner.declaration]
        loud = offer.body.max_eirp_mdbm if wish.eirp_mdbm is None else wish.eirp_mdbm
        eirp_mdbm = min(loud, most_mdbm)
        cell = Cell(band=wish.band, area=offer.body.cell.area, window=window)
        price = price_for(party, offer, cell, eirp_mdbm)
        parts.append(AskedPart(offer=offer, cell=cell, eirp_mdbm=eirp_mdbm, tier=wish.tier, price=price or 0))
    return ask_whole(party, step, parts)


def ending_of(party: Party, whole: bytes) -> tuple[bool, str] | None:
    """Return whether all parts of a whole were settled, and why not; None while it is undecided."""
    parts = party.user.parts_of(whole)
    if stood(parts) and all(part.decision is not None for part in parts):
        return True, ""
    if parts and all(part.state in OVER for part in parts):
        reasons = [f"{part.cell.band}: {part.ended or UserState(part.state).name.lower()}" for part in parts]
        return False, f"all or none: {'; '.join(reasons)}"
    return None


def names_of(party: Party, whole: bytes) -> list[dict[str, str]]:
    """Return the parts of a whole, each with its settlement's id."""
    return [{"sid": part.sid.hex(), "band": str(part.cell.band)} for part in party.user.parts_of(whole)]
