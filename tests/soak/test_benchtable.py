"""The whole benchmark table at its smallest: every bench says what the table reads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.radio.plutobench import needs_libiio


@pytest.mark.feature("X4")
@pytest.mark.timeout(900)
def test_every_bench_is_read_by_the_table(tmp_path: Path) -> None:
    needs_libiio()
    command = [sys.executable, "-m", "agent.cli.main", "bench", "table", "--quick", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    failed = [row for row in found["rows"] if row["what"].startswith("all of")]
    assert failed == []
