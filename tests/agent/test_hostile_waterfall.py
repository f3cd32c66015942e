"""A waterfall that a node left beside its log and that is none: one line, whatever numpy makes of it."""

import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.audit.sources import AuditError
from agent.node.events import WATERFALL
from agent.report.evidence import NodeLog, heard_by

pytestmark = [pytest.mark.feature("E9"), pytest.mark.attack(69)]


@pytest.mark.parametrize(
    "head",
    ["{(", "(" * 9000, "-" * 9000 + "1", "{'descr':'<f4','fortran_order':False,'shape':(1000000000,1000000)}", "", "]"],
    ids=["open", "deep", "signs", "huge", "empty", "closed"],
)
def test_a_head_that_is_no_array_is_one_line(tmp_path: Path, head: str) -> None:
    text = head.encode()
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    with zipfile.ZipFile(tmp_path / WATERFALL, "w") as made:
        for name in ("level_db", "times_ns", "edges_hz"):
            made.writestr(f"{name}.npy", array)
    log: Any = SimpleNamespace(path=tmp_path / "lineage.db", events=({"utc_ns": 2, "mono_ns": 1},), name="n")
    with pytest.raises(AuditError, match="take it away, the report does without"):
        heard_by(cast("NodeLog", log), 0)
