"""Report tables on the market: auctions by bid, approvals, filled wishes, debts, leases handed on."""

from collections.abc import Iterator
from typing import Any

from agent.report import promises
from agent.report.data import ReportData
from agent.report.promises import market_rows, named
from agent.report.tables import HtmlTable, TableCell, cells, table
from agent.report.words import DASH, band, clean

MILLION = 1_000_000
OF_THE_RULE = "in millionths of the rule's currency"
ABOUT = "What was auctioned, approved, shared, handed on, taken back and owed, by signed records alone."


def market(data: ReportData) -> tuple[HtmlTable, ...]:
    """Return every non-empty table, in the order in which events happen."""
    made = (
        _auctions(data),
        _approvals(data),
        _wishes(data),
        _jurisdictions(data),
        _handed(data),
        _displaced(data),
        promises.moved(data),
        promises.disputes(data),
    )
    return tuple(one for one in made if one.rows)


def _auctions(data: ReportData) -> HtmlTable:
    return table(
        name="auctions",
        caption=f"Auctions, bid by bid; prices {OF_THE_RULE}",
        heads=("Auction", "Band, MHz", "How", "Reserve", "Bidder", "Bid", "Came of it", "Price"),
        rows=(row for one in market_rows(data, "auctions") for row in _bids(one)),
        right=(3, 5, 7),
        empty="Nothing was auctioned.",
    )


def _bids(one: dict[str, Any]) -> Iterator[tuple[TableCell, ...]]:
    sold = (named(one["auction"]), band(one["low_hz"], one["high_hz"]), one["function"], one["reserve"])
    settled = {row["user"]: row["price"] for row in one["settled"]}
    for bid in one["bids"]:
        who, price = bid["bidder"], bid["price"]
        if who == one["winner"]:
            came, due = (f"won, {'settled' if who in settled else 'never settled'}", one["price"])
        elif price is None:
            came, due = f"never shown: deposit of {bid['deposit_lost']} lost", DASH
        else:
            came, due = ("lost" if bid["counted"] else "not counted"), DASH
        tone = "bad" if price is None or (who == one["winner"] and who not in settled) else ""
        shown = "not shown" if price is None else price
        yield cells(*sold, who, shown, TableCell(text=clean(came), tone=tone), due)
    if not one["bids"]:
        yield cells(*sold, DASH, DASH, "nobody bid", DASH)


def _approvals(data: ReportData) -> HtmlTable:
    return table(
        name="approvals",
        caption="Grants that members were asked to approve",
        heads=("Holder", "User", "Band, MHz", "How", "For", "Against", "Came of it"),
        rows=[
            cells(
                one["by"],
                one["user"],
                band(one["low_hz"], one["high_hz"]),
                one["function"],
                ", ".join(one["for"]) or DASH,
                ", ".join(one["against"]) or DASH,
                "granted" if one["granted"] else "not granted",
            )
            for one in market_rows(data, "approvals")
        ],
        right=(),
        empty="No grant needed approval.",
    )


def _wishes(data: ReportData) -> HtmlTable:
    return table(
        name="wishes",
        caption="Wishes that several holders filled; asked, filled and left in MHz s",
        heads=("User", "Asked", "Filled", "Left", "Parts, MHz", "Left over, MHz", "On record"),
        rows=[
            cells(
                one["user"],
                f"{one['asked_hz_s'] / MILLION:g}",
                f"{one['filled_hz_s'] / MILLION:g}",
                f"{(one['asked_hz_s'] - one['filled_hz_s']) / MILLION:g}",
                "; ".join(f"{p['holder']}: {band(p['low_hz'], p['high_hz'])} at {p['price']}" for p in one["parts"])
                or DASH,
                "; ".join(band(low, high) for low, high in one["residual_hz"]) or "nothing",
                one["recorded"] or DASH,
            )
            for one in market_rows(data, "wishes")
        ],
        right=(1, 2, 3),
        empty="No wish was filled in parts.",
    )


def _part(one: dict[str, Any]) -> str:
    return f"{one['holder']}: {band(one['low_hz'], one['high_hz'])} at {one['price']}"


def _jurisdictions(data: ReportData) -> HtmlTable:
    return table(
        name="jurisdictions",
        caption="Settlements under the clauses of jurisdictions",
        heads=(
            "Settlement",
            "Jurisdiction",
            "Clause",
            "Its limit, dBm",
            "Granted, dBm",
            "Reconciled by",
            "Stands for it",
        ),
        rows=[
            cells(
                named(one["sid"]),
                clause["jurisdiction"],
                clause["clause"],
                ", ".join(f"{limit / 1000:g}" for limit in clause["max_eirp_mdbm"] if limit is not None) or "none",
                f"{one['max_eirp_mdbm'] / 1000:g}",
                ", ".join(one["reconciliation"]),
                ", ".join(clause["stands_for_it"]) or "nobody",
            )
            for one in market_rows(data, "jurisdictions")
            for clause in one["clauses"]
        ],
        right=(3, 4),
        empty="No settlement touched a jurisdiction.",
    )


def _handed(data: ReportData) -> HtmlTable:
    return table(
        name="handed",
        caption=f"Leases that changed hands; prices {OF_THE_RULE}",
        heads=(
            "Settlement",
            "Kind",
            "From the licence on",
            "Band, MHz",
            "Price",
            "Consent of",
            "Old radio silent before",
        ),
        rows=[
            cells(
                named(one["sid"]),
                one["kind"],
                " to ".join(one["chain"]),
                band(one["low_hz"], one["high_hz"]),
                one["price"],
                one["consented_by"] or DASH,
                _silence(one),
            )
            for one in market_rows(data, "handed_on")
        ],
        right=(4,),
        empty="No lease changed hands.",
    )


def _silence(one: dict[str, Any]) -> TableCell:
    """Return when the old user fell silent: by the oracle where there was one, else by what the old user signed."""
    if "silent_before_open" in one:
        held = bool(one["silent_before_open"])
        return TableCell(text="yes, by the oracle" if held else "not seen", tone="" if held else "bad")
    signed = one.get("silent_ns") is not None
    return TableCell(text="by its user's word" if signed else "no word of it", tone="" if signed else "bad")


def _displaced(data: ReportData) -> HtmlTable:
    return table(
        name="displaced",
        caption=f"Settlements that were taken back; owed and paid {OF_THE_RULE}",
        heads=("Settlement", "Holder", "Why", "Tier", "Owed", "Paid and receipted"),
        rows=[
            cells(
                named(one["sid"]),
                one["holder"],
                one["reason"],
                one["tier"],
                one["owed"],
                TableCell(text=clean(one["settled"]), tone="" if one["settled"] >= one["owed"] else "bad"),
            )
            for one in market_rows(data, "displaced")
        ],
        right=(3, 4, 5),
        empty="Nothing was taken back.",
    )
