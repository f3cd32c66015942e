"""The terms of fallbacks, disputes and reputation in a rule file: read, and every mistake named by its key."""

import pytest

from settlement.chain.bodies import Rule
from settlement.governing.limits import wider_rule
from settlement.governing.rulefile import RuleFileError, read_rule
from settlement.governing.soundness import flaw
from settlement.records.complaintterms import GroundTerms
from tests.settlement.market.test_marketfile import with_market

PROMISES = """[[classes.fallbacks]]
number = 1
scope = "pool"
pool = ["north", "south"]
notice_ns = 1000000000
owed = "fixed"
amount = 5

[classes.disputes]
levels = ["authority"]
raise_ns = 60000000000
answer_ns = 3000000000
rule_ns = 5000000000
escalate_ns = 5000000000
pay_ns = 5000000000

[[classes.disputes.grounds]]
name = "fallback not kept"
owed = "remaining"
amount = 0

"""
REPUTATION = """
[reputation]
prior_good = 1000
prior_bad = 1000
half_life_ns = 3600000000000
complaint = 2000
partner_max = 4000
"""


def ruled(promises: str = PROMISES, reputation: str = REPUTATION) -> Rule:
    return read_rule(with_market(promises) + reputation)


@pytest.mark.feature("A2")
@pytest.mark.feature("M5")
@pytest.mark.feature("M6")
def test_what_a_rule_says_of_promises_is_read() -> None:
    rule = ruled()
    terms = rule.classes[0]
    assert terms.fallbacks is not None
    assert terms.disputes is not None
    assert rule.reputation is not None
    assert (terms.fallbacks[0].scope, terms.fallbacks[0].pool) == ("pool", ("north", "south"))
    assert terms.disputes.ground("fallback not kept") == GroundTerms(
        name="fallback not kept", owed="remaining", amount=0
    )
    assert rule.reputation.prior_ppm == 500_000


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('scope = "pool"', 'scope = "moon"', "fallbacks[0].scope"),
        ('pool = ["north", "south"]\n', "", "fallbacks[0].pool"),
        ('owed = "fixed"', 'owed = "much"', "fallbacks[0].owed"),
        ("number = 1", "number = 300", "fallbacks[0].number"),
        ("notice_ns = 1000000000\n", "", "fallbacks[0].notice_ns"),
        ('name = "fallback not kept"', 'name = "bad manners"', "disputes.grounds[0].name"),
        ('owed = "remaining"', 'owed = "all"', "disputes.grounds[0].owed"),
        ('levels = ["authority"]', 'levels = ["authority", "authority"]', "disputes.levels"),
        ("answer_ns = 3000000000", 'answer_ns = "3s"', "disputes.answer_ns"),
        ("pay_ns = 5000000000\n", "", "disputes.pay_ns"),
        ("rule_ns = 5000000000", "rule_ns = 5000000000\nmercy = 1", "disputes.mercy"),
    ],
)
def test_a_mistake_is_named_by_its_key(old: str, new: str, key: str) -> None:
    assert old in PROMISES
    with pytest.raises(RuleFileError) as caught:
        ruled(PROMISES.replace(old, new))
    assert key in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("prior_bad = 1000", "prior_bad = 0", "reputation.prior"),
        ("complaint = 2000\n", "", "reputation.complaint"),
        ("partner_max = 4000", "partner_max = -1", "reputation.partner_max"),
    ],
)
def test_a_mistake_in_reputation_is_named_by_its_key(old: str, new: str, key: str) -> None:
    with pytest.raises(RuleFileError) as caught:
        ruled(reputation=REPUTATION.replace(old, new))
    assert key in str(caught.value)


def test_who_is_to_rule_is_of_a_level_that_the_rule_has_and_no_lower_authority_changes_it() -> None:
    rule = ruled()
    assert flaw(rule) is None or "disputes" not in flaw(rule).clause  # type: ignore[union-attr]
    strange = flaw(ruled(PROMISES.replace('["authority"]', '["the king"]')))
    assert strange is not None
    assert (strange.clause, strange.measured) == ("rule.classes[0].disputes.levels", "the king")
    for changed in (ruled(PROMISES.replace("amount = 5", "amount = 1")), ruled(PROMISES.replace("3000000000", "1"))):
        refusal = wider_rule(changed, rule)
        assert refusal is not None
        assert refusal.clause.endswith(("fallbacks", "disputes"))
    other = wider_rule(ruled(reputation=REPUTATION.replace("2000", "1")), rule)
    assert other is not None
    assert other.clause == "rule.wider.reputation"
