"""False alarms of the survey in files of noise through four receivers, at three rates, 5 ms to 1 s."""

import os

import pytest
from scipy import stats

from agent.bench.floortrial import PFA, RECEIVERS, false_alarms

FILES = int(os.environ.get("BANDPACT_FILES", "100"))
"""In each cell; 1000 is the full size, some hours."""


@pytest.mark.feature("E2")
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("receiver", RECEIVERS)
@pytest.mark.parametrize("rate_hz", [2e6, 10e6, 30.72e6])
@pytest.mark.parametrize("seconds", [0.005, 0.05, 1.0])
def test_false_alarms_are_as_designed(
    receiver: str, rate_hz: float, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    files = max(1, FILES // 20) if seconds * rate_hz > 5e6 else FILES
    found = false_alarms(7, receiver, rate_hz=rate_hz, seconds=seconds, files=files)
    with capsys.disabled():
        print(f"{receiver}, {rate_hz / 1e6:g} MS/s, {seconds:g} s, {files} files: {found}")
    assert found.over <= stats.binom.isf(1e-4, found.blocks, PFA)
    assert found.busy <= stats.binom.isf(1e-4, found.channels, PFA)
