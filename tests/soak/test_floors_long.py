"""False alarms of the survey in files of noise through four receivers, at three rates, 5 ms to 1 s.

In parts and to be gone on with: `BANDPACT_FILES` files a cell, of `BANDPACT_RECEIVERS`, `BANDPACT_RATES` (Hz) and
`BANDPACT_LENGTHS` (s), lists split at semicolons, `BANDPACT_SEED`, and the file `BANDPACT_COUNTS` of what was counted.
A cell's files are drawn anew; cells of one length in samples share their noise, so each is valid and they are not
independent of one another.
"""

import os
from collections import Counter
from itertools import product

import pytest
from scipy import stats

from agent.bench.floortrial import CHANNELS, PFA, RECEIVERS, false_alarms
from tests.soak.cells import SEED, chosen, counted

FILES = os.environ.get("BANDPACT_FILES")
"""In each cell; 1000 is the full size. Not set: 100, and 5 where a file is long."""
BATCH_SAMPLES = 2e7
CELLS = list(
    product(
        chosen("BANDPACT_RECEIVERS", ";".join(RECEIVERS)),
        map(float, chosen("BANDPACT_RATES", "2e6;10e6;30.72e6")),
        map(float, chosen("BANDPACT_LENGTHS", "0.005;0.05;1")),
    )
)


@pytest.mark.feature("E2")
@pytest.mark.timeout(360_000)
@pytest.mark.parametrize(("receiver", "rate_hz", "seconds"), CELLS)
def test_false_alarms_are_as_designed(
    receiver: str, rate_hz: float, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    files = int(FILES) if FILES else 5 if seconds * rate_hz > 5e6 else 100

    def count(batch: int, size: int) -> Counter[str]:
        found = false_alarms([SEED, batch], receiver, rate_hz=rate_hz, seconds=seconds, files=size)
        return Counter(over=found.over, blocks=found.blocks, busy=found.busy)

    with capsys.disabled():
        batch = max(1, min(200, round(BATCH_SAMPLES / (rate_hz * seconds))))
        total = counted(f"{receiver}, {rate_hz / 1e6:g} MS/s, {seconds:g} s", files, batch=batch, count=count)
    assert total["over"] <= stats.binom.isf(1e-4, total["blocks"], PFA)
    assert total["busy"] <= stats.binom.isf(1e-4, CHANNELS * files, PFA)
