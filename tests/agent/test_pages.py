"""What the documentation says is what the code has: reason codes, the doctor's mends, every key of both files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config.settings import NodeConfig
from agent.doctor.mends import CLOCK_MENDS, MEND, TROUBLES
from agent.install.pages import MARK, PAGES, made
from agent.kit.spec import TrialFile
from agent.report.meanings import MEANINGS
from agent.timekeeping.values import Cause
from agent.words.mends import MENDS
from settlement.core.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.mark.feature("U2")
@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_makes(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    assert made(name, text) == text, "run: make docs"
    assert name == "configuration.md" or text.count(MARK) == 1


def test_every_reason_has_a_meaning_and_a_mend() -> None:
    codes = {one.value for one in Reason}
    assert set(MEANINGS) == set(MENDS) == codes
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)) == codes


def test_a_mend_names_commands_that_are_there() -> None:
    from agent.install.manual import commands

    known = {" ".join(words) for words, _ in commands()}
    texts = [*MENDS.values(), *CLOCK_MENDS.values(), *MEND.values()]
    texts += [
        (DOCS / name).read_text(encoding="utf-8") for name in ("operations.md", "troubleshooting.md", "quickstart.md")
    ]
    named = [words for text in texts for words in re.findall(r"(?:`|^)bandpact ((?:[a-z-]+ ?)+)", text, re.MULTILINE)]
    assert len(named) > 30
    for words in named:
        parts = words.split()
        assert any(" ".join(parts[:n]) in known for n in range(1, len(parts) + 1)), words


def _mends_written_in_place() -> Iterator[str]:
    """Words that a check of the doctor gives as its mend without the table."""
    for node in ast.walk(ast.parse((ROOT / "agent/doctor/checks.py").read_text(encoding="utf-8"))):
        is_mend = isinstance(node, ast.keyword) and node.arg == "mend"
        values = [node.value] if is_mend and isinstance(node, ast.keyword) else []
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "mend" for one in node.targets):
            values = [node.value]
        for value in values:
            yield from (
                part.value
                for part in ast.walk(value)
                if isinstance(part, ast.Constant)
                and isinstance(part.value, str)
                and " " in part.value.strip("; ")
                and part.value not in MEND
            )


@pytest.mark.feature("U2")
def test_the_doctor_says_no_mend_that_the_page_has_not() -> None:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    for trouble in TROUBLES.values():
        assert trouble.mend in page
    assert not [text for text in _mends_written_in_place() if text not in page and text != "ask as root; "]


def test_every_untrusted_clock_has_a_mend() -> None:
    assert {cause.value for cause in Cause} - set(CLOCK_MENDS) == {"ok", "holdover"}


def test_every_key_of_both_files_is_on_the_page() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for key in (*NodeConfig.model_fields, *TrialFile.model_fields):
        assert f"| `{key}` |" in page
    for table in ("[radio]", "[place]", "[clock]", "[[clock.sources]]", "[[nodes.offers]]", "[authority]", "[door]"):
        assert f"### `{table}" in page, table
