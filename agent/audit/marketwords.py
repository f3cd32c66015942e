"""Market results as text: a line for each decision, hand-over, displacement, move and dispute."""

from collections.abc import Callable, Iterator
from typing import Any

MHZ = 1_000_000


def market_lines(market: dict[str, Any]) -> list[str]:
    """Return lines for people from `market_points`; amounts are millionths of the rule's currency."""
    lines = [line for key, words in WORDS.items() for one in market[key] for line in words(one)]
    counts = [f"{market[key]} {key}" for key in ("counters", "suspended", "resumed") if market[key]]
    prices = market["prices"]
    forms = f" ({', '.join(prices['forms'])})" if prices["forms"] else ""
    amounts = "all amounts in millionths of the rule's currency"
    return [*lines, *counts, f"prices of all that was settled: {prices['settled']}{forms}; {amounts}"]


def _band(row: dict[str, Any]) -> str:
    return f"{row['low_hz'] / MHZ:g}-{row['high_hz'] / MHZ:g} MHz"


def _auction(row: dict[str, Any]) -> Iterator[str]:
    yield f"auction {row['auction'][:16]} by {row['by']}: {_band(row)}, {row['function']}, reserve {row['reserve']}"
    for bid in row["bids"]:
        shown = f"shown as {bid['price']}" if bid["price"] is not None else "never shown"
        lost = f", deposit {bid['deposit_lost']} lost" if bid["deposit_lost"] else ""
        yield f"  bid of {bid['bidder']}: {shown}{'' if bid['counted'] else ', not counted'}{lost}"
    yield f"  votes: {', '.join(row['votes']) or 'none'}; outcomes certified: {row['outcomes']}"
    if row["winner"] is None:
        yield "  nobody won"
        return
    settled = ", ".join(f"{one['user']} at {one['price']}" for one in row["settled"])
    yield f"  won by {row['winner']} at {row['price']}; settled: {settled or 'with nobody'}"


def _approval(row: dict[str, Any]) -> Iterator[str]:
    votes = f"for {', '.join(row['for']) or 'nobody'}; against {', '.join(row['against']) or 'nobody'}"
    end = "granted" if row["granted"] else "not granted"
    yield f"approval ({row['function']}) of {row['user']} in {_band(row)}, put by {row['by']}: {votes}; {end}"


def _wish(row: dict[str, Any]) -> Iterator[str]:
    asked, filled = row["asked_hz_s"] / MHZ, row["filled_hz_s"] / MHZ
    yield f"wish of {row['user']}: {asked:g} MHz s asked, {filled:g} filled by {len(row['parts'])} part(s)"
    for part in row["parts"]:
        yield f"  part {part['index']} by {part['holder']}: {_band(part)}, price {part['price']}"
    left = ", ".join(f"{low / MHZ:g}-{high / MHZ:g} MHz" for low, high in row["residual_hz"])
    yield f"  left: {left or 'nothing'}"


def _displaced(row: dict[str, Any]) -> Iterator[str]:
    owed = f"{row['owed']} owed, {row['settled']} paid and receipted"
    yield f"taken back {row['sid'][:16]} by {row['holder']}: {row['reason']}, tier {row['tier']}; {owed}"


def _moved(row: dict[str, Any]) -> Iterator[str]:
    to = f"as {row['substitute'][:16]}" if row["substitute"] else "never settled"
    where = f"to {_band(row)} by fallback {row['number']}, {to}"
    yield f"moved {row['sid'][:16]} by {row['holder']}: {where}; {row['owed']} owed"


def _broken(row: dict[str, Any]) -> Iterator[str]:
    bound = f"bound to fallback {row['fallback']}" if row["fallback"] is not None else "bound to no fallback"
    yield f"ended for nobody {row['sid'][:16]} by {row['holder']}: {row['why']}; {bound}"


def _dispute(row: dict[str, Any]) -> Iterator[str]:
    claim = f"claims {row['claim']}, cites {row['cited']} record(s)"
    yield f"dispute {row['dispute'][:16]} of {row['by']} against {row['against']}: {row['ground']}; {claim}"
    yield f"  answer: {row['answer'] or 'none'}"
    ruling = row["ruling"]
    if ruling is None:
        yield "  no ruling"
        return
    pays = f"; {ruling['pays']} pays {ruling['to']} {ruling['owed']}" if ruling["pays"] else ""
    paid = f", {ruling['settled']} paid and receipted" if ruling["pays"] else ""
    yield f"  ruling of {ruling['by']}: {ruling['outcome']}, {ruling['why']}{pays}{paid}"


def _handed(row: dict[str, Any]) -> Iterator[str]:
    consent = f"consent of {row['consented_by']}" if row["consented_by"] else "no consent asked"
    silence = "silence signed before" if row["silent_ns"] is not None else "no word of silence"
    what = f"{' to '.join(row['chain'])}, {_band(row)}, price {row['price']}"
    yield f"{row['kind']} {row['sid'][:16]}: {what}; {consent}, {silence}"


def _jurisdiction(row: dict[str, Any]) -> Iterator[str]:
    power = f"{row['max_eirp_mdbm'] / 1000:g} dBm"
    yield f"jurisdictions of {row['sid'][:16]}: reconciled by {', '.join(row['reconciliation'])}, {power} at most"
    for one in row["clauses"]:
        limits = ", ".join(f"{limit / 1000:g} dBm" for limit in one["max_eirp_mdbm"] if limit is not None)
        stands = ", ".join(one["stands_for_it"]) or "nobody"
        yield f"  {one['jurisdiction']} ({one['clause']}): {limits or 'no limit of power'}; {stands} stands for it"


WORDS: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "wishes": _wish,
    "auctions": _auction,
    "approvals": _approval,
    "jurisdictions": _jurisdiction,
    "handed_on": _handed,
    "displaced": _displaced,
    "moved": _moved,
    "broken": _broken,
    "disputes": _dispute,
}
"""For each key of `market_points`, the function that makes text of one row, in printing order."""
