"""The market's terms of a class in a rule file: all of them read, and every mistake named by its key."""

import pytest

from settlement.governing.rulefile import RuleFileError, read_rule
from settlement.records.approvalterms import ApprovalRule
from settlement.records.auctionterms import AuctionRule
from settlement.records.handingterms import HandingTerms
from settlement.records.marketterms import MatchingTerms, Tariff, TierTerms
from tests.settlement.test_rulefile import TEXT

MARKET = """price_forms = ["fixed", "negotiated"]
currency = "EUR"
matching = { order = ["price", "distance"], distance_mm_max = 5000000 }
tariff = { base = 100, per_mhz_s = 2 }

[[classes.tiers]]
tier = 2
displaces = [3]
condition = "emergency"
notice_ns = 1000000000
owed = "multiple"
amount = 1500000
levels = ["emergency service"]

[classes.auction]
members = "notaries"
functions = ["second price"]
bids_ns_min = 20000000000
reveals_ns_min = 10000000000
settle_ns = 1000000000
deposit_min = 50
bidders_max = 16

[classes.handing]
kinds = ["transfer", "sublease"]
depth = 2
consent = 1

[classes.approval]
members = "offices"
function = "k of n"
need = 3
vote_ns = 1000000

"""


def with_market(market: str = MARKET) -> str:
    """The rule of the tests with the market's terms at the end of its first class."""
    head, rest = TEXT.split("[[classes]]", 1)
    lines = rest.split("\n")
    end = next(n for n, line in enumerate(lines) if n > 0 and line.startswith("["))
    return f"{head}[[classes]]" + "\n".join(lines[:end]) + "\n" + market + "\n".join(lines[end:])


@pytest.mark.feature("A1")
@pytest.mark.feature("M1")
@pytest.mark.feature("M3")
def test_the_whole_market_of_a_class_is_read() -> None:
    terms = read_rule(with_market()).classes[0]
    assert (terms.price_forms, terms.currency) == (("fixed", "negotiated"), "EUR")
    assert terms.matching == MatchingTerms(order=("price", "distance"), distance_mm_max=5_000_000)
    assert terms.tariff == Tariff(base=100, per_mhz_s=2)
    assert terms.approval == ApprovalRule(members="offices", function="k of n", need=3, vote_ns=1_000_000)
    assert terms.auction == AuctionRule(
        members="notaries",
        functions=("second price",),
        bids_ns_min=20 * 10**9,
        reveals_ns_min=10 * 10**9,
        settle_ns=10**9,
        deposit_min=50,
        bidders_max=16,
    )
    assert terms.handing == HandingTerms(kinds=("transfer", "sublease"), depth=2, consent=1)
    assert terms.tiers == (
        TierTerms(
            tier=2,
            displaces=(3,),
            condition="emergency",
            notice_ns=10**9,
            owed="multiple",
            amount=1_500_000,
            levels=("emergency service",),
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('order = ["price", "distance"]', 'order = ["price", "colour"]', "classes[0].matching.order: colour"),
        ('order = ["price", "distance"]', "order = []", "classes[0].matching.order: 0 of them"),
        ("base = 100", 'base = "cheap"', "classes[0].tariff.base: 'cheap' is not a whole number"),
        ("base = 100, ", "", "classes[0].tariff.base: missing"),
        ("displaces = [3]", "displaces = [1]", "classes[0].tiers[0].displaces: 1; required: > tier, 2"),
        ('condition = "emergency"', 'condition = "never"', "classes[0].tiers[0].condition: never"),
        ('owed = "multiple"', 'owed = "maybe"', "classes[0].tiers[0].owed: maybe"),
        ('price_forms = ["fixed", "negotiated"]', 'price_forms = ["barter"]', "price_forms: barter"),
        ('members = "notaries"\n', "", "classes[0].auction.members: missing"),
        ('functions = ["second price"]', 'functions = ["third price"]', "classes[0].auction.functions: third price"),
        ("settle_ns = 1000000000", "settle_ns = 10000000000", "classes[0].auction.settle_ns: 10000000000; required: <"),
        ('function = "k of n"', 'function = "most"', "classes[0].approval.function: most"),
        ("vote_ns = 1000000", "vote_ns = 86000000000000", "approval.vote_ns"),
        ("bidders_max = 16", "bidders_max = 32", "classes[0].auction.bidders_max"),
        ("bidders_max = 16", "bidders_max = 16\nsecret = 1", "classes[0].auction.secret"),
        ('kinds = ["transfer", "sublease"]', 'kinds = ["gift"]', "classes[0].handing.kinds: gift; required: each once"),
        ('kinds = ["transfer", "sublease"]', "kinds = []", "classes[0].handing.kinds: 0 of them, not 1 to 2"),
        ("depth = 2", "depth = 0", "classes[0].handing.depth: 0; required: 1 to 3"),
        ("depth = 2", "depth = 4", "classes[0].handing.depth: 4 is outside 0 to 3"),
        ("consent = 1", 'consent = "yes"', "classes[0].handing.consent: 'yes' is not a whole number"),
        ("consent = 1\n", "", "classes[0].handing.consent: missing"),
        ("consent = 1", "consent = 1\nfee = 2", "classes[0].handing.fee: no such key"),
    ],
)
def test_a_mistake_in_the_market_is_named_by_its_key(old: str, new: str, says: str) -> None:
    assert old in MARKET
    with pytest.raises(RuleFileError) as refused:
        read_rule(with_market(MARKET.replace(old, new)))
    assert says in str(refused.value)
