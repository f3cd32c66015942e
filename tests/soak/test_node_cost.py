"""A whole node at work takes no more as time goes by: memory and processor time early in the run and late.

BANDPACT_NODE_S sets for how long, two hours by default.
"""

import os

import pytest

from agent.bench.node import run

LENGTH_S = float(os.environ.get("BANDPACT_NODE_S", "7200"))
EARLY_S = min(150.0, LENGTH_S / 4)
"""By then the survey holds all the looks that it keeps."""
GROWTH_MB, GROWTH_SHARE = 16.0, 1.25


@pytest.mark.timeout(2 * LENGTH_S + 600)
@pytest.mark.feature("R9")
def test_a_node_takes_no_more_late_than_early() -> None:
    early = run(seconds=EARLY_S, warm_s=EARLY_S)
    late = run(seconds=EARLY_S, warm_s=max(EARLY_S, LENGTH_S - EARLY_S))
    print({part: (early[part], late[part]) for part in ("agent", "warden")})
    for part in ("agent", "warden"):
        assert late[part]["memory_mb"] <= early[part]["memory_mb"] + GROWTH_MB, (part, early, late)
        assert late[part]["cpu_share"] <= early[part]["cpu_share"] * GROWTH_SHARE + 0.01, (part, early, late)
