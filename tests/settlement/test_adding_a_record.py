"""docs/adding-a-record.md, followed to the letter: a new record type in a folder of its own, and four files."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from settlement.records.conduct.registry import CONDUCTS, conducts_of
from settlement.records.registry import RECORDS, registry_of
from settlement.records.row import Becomes
from tests.settlement.world import NS, T0

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "adding-a-record.md"
FILES_MAX = 4


def written(folder: Path) -> None:
    """Write what the page says, where it says it."""
    for block in re.findall(r"```python\n(# (\S+)\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        path = folder / block[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block[0], encoding="utf-8")


def lived(folder: Path) -> dict[str, Any]:
    """What becomes of the new type in a process that has it."""
    command = [sys.executable, "-m", "tests.settlement.scratch_record", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_record_type_by_the_recipe_is_four_files(tmp_path: Path) -> None:
    written(tmp_path)
    found = lived(tmp_path)
    assert (found["typ"], found["taken"]) == ("beacon", "None")
    assert found["late"].startswith("STALE [beacon.next]"), "its own judgement refuses"
    assert int(found["kept"], 16) == T0 + 60 * NS, "it is acted on"
    assert found["event"]
    assert found["retold"] == [], "an auditor tells it again from the log alone"
    vector, page = tmp_path / "vector.json", tmp_path / "protocol-fields.md"
    vector.write_text(json.dumps({"type": "beacon", "record": found["record"]}), encoding="utf-8")
    page.write_text("\n".join([*found["page"], *found["fields"]]), encoding="utf-8")
    assert len(found["fields"]) == 3
    assert any("| beacon | observe | observation |" in line for line in found["page"])
    assert lived(tmp_path)["record"] == json.loads(vector.read_text(encoding="utf-8"))["record"], "a golden vector"
    assert sum(1 for one in tmp_path.rglob("*") if one.is_file() and one.suffix != ".pyc") <= FILES_MAX


def test_a_record_type_is_nobodys_where_its_file_is_not_there() -> None:
    assert "beacon" not in RECORDS


def test_two_types_do_not_share_a_name_or_a_number() -> None:
    rows = list(RECORDS.values())
    with pytest.raises(ValueError, match="share"):
        registry_of([*rows, rows[0]])


def test_every_type_that_is_acted_on_has_a_conduct_and_no_other() -> None:
    acted = {name for name, row in RECORDS.items() if row.becomes is Becomes.ACTED}
    assert acted == set(CONDUCTS)
    with pytest.raises(ValueError, match="too many or too few"):
        conducts_of(RECORDS, list(CONDUCTS.values())[1:])
    with pytest.raises(ValueError, match="too many or too few"):
        conducts_of(RECORDS, [*CONDUCTS.values(), next(iter(CONDUCTS.values()))])
