"""`bandpact attacks`: nodes that run are attacked, and nothing passes that was not carried out."""

import json

import pytest
from typer.testing import CliRunner, Result

from agent.attacking import run as running
from agent.attacking.run import carry_out, unreached
from agent.attacking.stranger import Silence
from agent.attacking.table import CASES, LAST_ROW, Case, NotApplicable, Word
from agent.cli.main import app


def test_every_row_is_carried_out_or_says_why_not() -> None:
    done = {case.row for case in CASES}
    missing = {one.row: one for one in unreached()}
    assert done | set(missing) == set(range(1, LAST_ROW + 1))
    assert not done & set(missing)
    assert all(one.reason and one.result is Word.NOT_APPLICABLE and not one.got for one in missing.values())
    assert len(done) >= 45
    assert all(case.expected and case.attack for case in CASES)


class Nowhere:
    """No nodes: what a case does is all there is."""

    def __init__(self, _work: object) -> None:
        pass

    def close(self) -> None:
        pass


def carried(monkeypatch: pytest.MonkeyPatch, *cases: Case) -> Result:
    monkeypatch.setattr(running, "Ground", Nowhere)
    monkeypatch.setattr(running, "CASES", list(cases))
    monkeypatch.setattr(running, "_place", lambda _case: 0)
    return CliRunner().invoke(app, ["attacks", "--json"])


def case(answer: object) -> Case:
    def act(_ground: object) -> str:
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    return Case(row=1, attack="x", expected=("SCOPE", "TIER"), act=act)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("SCOPE", Word.PASS),
        ("TIER", Word.PASS),
        ("admitted", Word.FAIL),
        ("", Word.FAIL),
        (Silence("nothing came"), Word.FAIL),
        (LookupError("x"), Word.FAIL),
        (NotApplicable("no rights"), Word.NOT_APPLICABLE),
    ],
)
def test_another_answer_or_none_fails_the_whole(monkeypatch: pytest.MonkeyPatch, answer: object, word: Word) -> None:
    told = carried(monkeypatch, case("SCOPE"), case(answer))
    outcome = json.loads(told.stdout)
    assert outcome["rows"][1]["result"] == word.value
    assert told.exit_code == (1 if word is Word.FAIL else 0)
    assert outcome["passed"] == (told.exit_code == 0)
    if word is not Word.PASS:
        assert outcome["rows"][1]["reason"] or outcome["rows"][1]["got"] == str(answer)


SOME = (2, 12, 14, 23, 26)


@pytest.mark.timeout(400)
@pytest.mark.feature("G5")
def test_some_rows_against_nodes_that_run() -> None:
    said = []
    outcome = carry_out(frozenset(SOME), said.append)
    assert [(one.row, one.got, one.reason) for one in said if one.result is not Word.PASS] == []
    assert outcome["passed"]
    assert {one["row"] for one in outcome["rows"]} == set(SOME)


def test_a_row_beyond_the_table_is_refused_before_anything_starts() -> None:
    done = CliRunner().invoke(app, ["attacks", "--row", "9", "--row", "999"])
    assert (done.exit_code, done.stderr) == (2, "bandpact: --row 999: the table has rows 1 to 76\n")
