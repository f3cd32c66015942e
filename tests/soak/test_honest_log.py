"""An honest node's log passes its audit after any number of random lives; `BANDPACT_LIVES` says how many."""

import os

import pytest

from tests.agent.test_honest_log import lived

LIVES = int(os.environ.get("BANDPACT_LIVES", "100000"))
AT_ONCE = 500


@pytest.mark.feature("G6")
@pytest.mark.timeout(8 * 3600)
def test_a_hundred_thousand_lives_of_honest_nodes() -> None:
    for first in range(0, LIVES, AT_ONCE):
        found = lived(min(AT_ONCE, LIVES - first), 10**6 + first)
        assert found == [], "\n".join(found[:5])
