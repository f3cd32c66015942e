"""The page on the market in a rule: what it shows is read as it stands, and it leaves no key out."""

import re
from pathlib import Path
from typing import Any

import pytest

from settlement.chain.codec import kinds_of
from settlement.governing.jurisdictionfile import read_jurisdiction
from settlement.governing.marketfile import ONE, SEVERAL
from settlement.governing.rulefile import RuleFileError, read_rule
from settlement.records.authority import JurisdictionLink
from settlement.records.complaintterms import GroundTerms, ReputationTerms
from settlement.records.jurisdiction import Jurisdiction, JurisdictionTerms
from tests.settlement.market.test_marketfile import with_market
from tests.settlement.test_rulefile import TEXT

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "rule.md").read_text(encoding="utf-8")
LINK = JurisdictionLink(record=b"\x01", chain=(b"\x02",))


def blocks(kind: str) -> str:
    return "\n".join(re.findall(rf"^```toml {kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


def keys(text: str) -> set[str]:
    return set(re.findall(r"^(\w+) =", text, re.MULTILINE))


@pytest.mark.feature("M1")
@pytest.mark.feature("A6")
def test_the_page_is_read_as_it_stands() -> None:
    named: list[str] = []

    def link(name: str) -> JurisdictionLink:
        named.append(name)
        return LINK

    text = with_market(blocks("class") + "\n").replace('"guest"', '"operator"')
    levels = 'name = "regulator"\nresponse = "obey"\nweight_ppm = 0\nadmits = ["*"]\n[[levels]]\n'
    text = text.replace("[[levels]]\n", "[[levels]]\n" + levels, 1)
    names, rest = blocks("rule").split("\n", 1)
    rule = read_rule(names + text + rest, link=link)
    terms = rule.classes[0]
    assert [key for key in (*ONE, *SEVERAL) if getattr(terms, key) is None] == ["coalition"]
    shared = read_rule(names + text.replace("[classes.approval]", "[classes.coalition]") + rest, link=link).classes[0]
    assert (shared.approval, shared.coalition) == (None, terms.approval)
    assert rule.reputation is not None
    assert (rule.jurisdictions, set(named)) == ((LINK,), {"north.jurisdiction"})


def test_the_page_leaves_no_key_out() -> None:
    there = keys(blocks("class"))
    for cls in (*ONE.values(), *SEVERAL.values(), GroundTerms):
        assert [name for name, kind in kinds_of(cls) if kind.name != "map" and name not in there | {"grounds"}] == []
    assert {name for name, _ in kinds_of(ReputationTerms)} <= keys(blocks("rule"))
    wanted = {name for cls in (Jurisdiction, JurisdictionTerms) for name, _ in kinds_of(cls)}
    assert wanted - {"area", "effective", "classes"} <= keys(blocks("jurisdiction"))
    assert read_jurisdiction(blocks("jurisdiction")).name == "north"


@pytest.mark.feature("A6")
def test_without_a_reader_of_files_a_rules_jurisdictions_are_refused_not_dropped() -> None:
    with pytest.raises(RuleFileError, match=r"jurisdictions\[0\]"):
        read_rule('jurisdictions = ["north.jurisdiction"]\n' + TEXT)


def test_a_file_that_is_named_twice_is_refused() -> None:
    def link(name: str) -> Any:
        return LINK

    with pytest.raises(RuleFileError, match=r"jurisdictions\[1\]: 'b' is named before it"):
        read_rule('jurisdictions = ["a", "b"]\n' + TEXT, link=link)
