"""Long recordings are sensed, measured and recorded in memory that does not grow with them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

RATE = 10_000_000
SECONDS = float(os.environ.get("BANDPACT_SOAK_FILE_S", "60"))
MOST_MIB = 700
GROWTH_MIB = 120
CHILD = """
import sys, time
from pathlib import Path
from agent.sense.productfile import ProductMakers
from agent.sense.receivers import open_source
from agent.sense.recorder import record
from agent.sense.session import SensePlan, sense
what, name, out = sys.argv[1:]
source, plan = open_source(name), SensePlan()
began = time.process_time()
if what == "record":
    record(source, plan, Path(out))
else:
    makers = ProductMakers(source, plan) if what == "products" else None
    sense(source, plan, on_look=makers.add if makers else lambda *_: None)
spent = time.process_time() - began
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(int(status["VmHWM"].split()[0]) / 1024, int(status["VmPeak"].split()[0]) / 1024, spent)
"""


def written(folder: Path, seconds: float) -> Path:
    """Noise with a burst now and then, written a half second at a time."""
    half = np.random.default_rng(4).normal(0, 60, (RATE // 2, 2))
    half[: RATE // 20] *= 5
    piece = np.rint(half).astype("<i2").tobytes()
    meta = folder / f"{seconds:g}.sigmf-meta"
    about = {"core:datatype": "ci16_le", "core:sample_rate": RATE, "core:version": "1.2.6"}
    captures = [{"core:sample_start": 0, "core:frequency": 3_555_000_000}]
    meta.write_text(json.dumps({"global": about, "captures": captures, "annotations": []}))
    with meta.with_suffix(".sigmf-data").open("wb") as out:
        for _ in range(round(2 * seconds)):
            out.write(piece)
    return meta


def peaks(what: str, meta: Path, out: Path) -> tuple[float, float, float]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, what, f"file:{meta}", str(out)], capture_output=True, text=True, check=True
    )
    resident, mapped, cpu = (float(v) for v in done.stdout.split())
    return resident, mapped, cpu


@pytest.mark.timeout(3600)
@pytest.mark.feature("E8")
@pytest.mark.parametrize("what", ["sense", "products", "record"])
def test_memory_is_flat(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    short, long = written(tmp_path, max(1.0, SECONDS / 10)), written(tmp_path, SECONDS)
    first, then = peaks(what, short, tmp_path / "a"), peaks(what, long, tmp_path / "b")
    with capsys.disabled():
        print(
            f"\n{what}: {SECONDS / 10:g} s {first[0]:.0f} MiB, {SECONDS:g} s {then[0]:.0f} MiB resident, "
            f"{then[1]:.0f} MiB mapped, {then[2]:.1f} s of processor"
        )
    assert then[0] < MOST_MIB
    assert then[0] - first[0] < GROWTH_MIB
