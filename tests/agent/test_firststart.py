"""Tests of an installation's first start: compilation of half a minute is skipped where the node cannot run anyway."""

import errno
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.config.locks import InUse, agents
from agent.service import firststart
from sensing import compilation
from tests.agent.test_claims import node


@pytest.mark.feature("U2")
def test_a_second_agent_of_a_folder_is_refused_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = node(tmp_path, {})
    compiled: list[str] = []
    monkeypatch.setattr(firststart, "is_ready", lambda: False)
    monkeypatch.setattr(firststart, "make_ready", lambda: compiled.append("loops") or "")  # type: ignore[func-returns-value]
    with agents(made, "another agent"), pytest.raises(InUse, match="another agent"):
        firststart.have_loops(made)
    assert compiled == []
    firststart.have_loops(made)
    assert compiled == ["loops"]


@pytest.mark.feature("U2")
def test_loops_that_could_not_be_compiled_are_told_with_the_mend_and_the_node_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine needed more than the ten minutes it had: the node ended with a traceback."""
    made, told = node(tmp_path, {}), list[tuple[str, dict[str, Any]]]()
    monkeypatch.setattr(firststart, "is_ready", lambda: False)
    monkeypatch.setattr(firststart.logs, "tell", lambda what, fields: told.append((what, fields)))
    monkeypatch.setattr(compilation, "is_ready", lambda: False)
    for outcome, why in (
        (subprocess.TimeoutExpired("compile", 600), "not done within 600 s: is this machine busy?"),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "Resource temporarily unavailable"),
        (subprocess.CompletedProcess([], 1, "", "ImportError: x\nOSError: no space left\n"), "OSError: no space left"),
        (subprocess.CompletedProcess([], -9, "", ""), "the compiler ended with -9"),
    ):
        told.clear()

        def run(*_: object, outcome: Any = outcome, **__: object) -> Any:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(compilation.subprocess, "run", run)
        firststart.have_loops(made)
        what, fields = told[-1]
        assert what == "not compiled"
        assert what in firststart.logs.URGENT
        assert why in fields["why"]
        assert "python -m sensing.compilation" in fields["mend"]
