"""The walk through docs/dispute-by-hand.md, run as it stands: an auditor disputes, two levels of authority rule."""

import pytest

from agent.trial.processes import free_ports
from tests.agent.test_walkthrough import BLOCK, ROOT, Reader, reader

__all__ = ["reader"]
PAGE = ROOT / "docs" / "dispute-by-hand.md"
BLOCK_S = 600.0
"""For the commands of one block, on a machine that has much else to do."""
PORTS = ("30441", "30442", "30443", "4711", "4712", "4713")


def page_with_free_ports() -> str:
    page = PAGE.read_text(encoding="utf-8")
    for written, free in zip(PORTS, free_ports(len(PORTS), None), strict=True):
        page = page.replace(written, str(free))
    return page


def disputes_told(said: str) -> list[str]:
    """The lines that `dispute show` printed, each once, in the order they first came."""
    return list(dict.fromkeys(line for line in said.splitlines() if line.startswith("dispute ")))


@pytest.mark.timeout(1800)
@pytest.mark.feature("M6")
def test_an_auditor_disputes_a_settlement_of_two_live_nodes_and_it_is_ruled_and_paid(reader: Reader) -> None:
    said, after = "", ""
    for kind, text in BLOCK.findall(page_with_free_ports()):
        if kind == " terminal":
            reader.open_terminal(text)
        elif kind == " after":
            after += text
        else:
            said += reader.enter(text, BLOCK_S)
    first, higher = ((reader.folder / name).read_text().strip()[:12] for name in ("dispute", "higher"))
    lines = disputes_told(said)
    assert any(f"dispute {first}" in one and "auditor against holder, fallback not kept" in one for one in lines), said
    assert any(f"dispute {first}" in one and "level 1, PAID; ruled compensation of" in one for one in lines), said
    assert any(f"dispute {first}" in one and "level 1, ESCALATED" in one for one in lines), said
    assert any(f"dispute {higher}" in one and "level 2, RULED; ruled dismissed" in one for one in lines), said
    assert "this node is no party" in said
    reader.interrupt()
    replayed = reader.enter(after)
    assert replayed.count("verdicts reached again, 0 problem(s)") == 3, replayed
    assert "holder to alice for cbrs: compensation" in replayed
