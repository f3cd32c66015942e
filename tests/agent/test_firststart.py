"""The first start of an installation: what takes half a minute is not begun where the node cannot run anyway."""

from pathlib import Path

import pytest

from agent.config.locks import InUse, agents
from agent.service import firststart
from tests.agent.test_claims import node


@pytest.mark.feature("U2")
def test_a_second_agent_of_a_folder_is_refused_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = node(tmp_path, {})
    compiled: list[str] = []
    monkeypatch.setattr(firststart, "is_ready", lambda: False)
    monkeypatch.setattr(firststart, "make_ready", lambda: compiled.append("loops"))
    with agents(made, "another agent"), pytest.raises(InUse, match="another agent"):
        firststart.have_loops(made)
    assert compiled == []
    firststart.have_loops(made)
    assert compiled == ["loops"]
