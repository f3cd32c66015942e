"""The settlement bench makes settlements of every mode, and its floor sends what theirs take."""

from pathlib import Path

import pytest

from agent.bench.pair import BARE, COSIGNED_MAX, MODES, ROUND, Mode, latency

pytestmark = pytest.mark.feature("S1")


@pytest.mark.parametrize("mode", [BARE, MODES[-1]], ids=lambda mode: mode.name)
def test_a_mode_is_timed_beside_a_floor_of_its_own_sizes(tmp_path: Path, mode: Mode) -> None:
    row = latency(tmp_path / "town", 2, ROUND, mode)
    assert row["mode"] == mode.name
    assert row["settlements"] == ROUND
    assert 0 < row["floor_p50_ms"] <= row["floor_p99_ms"]
    assert 0 < row["p50_ms"] <= row["p99_ms"]
    sizes = row["message_bytes"]
    # A GRANT that rests on envelopes carries the composite; a CONFIRM that was witnessed the line and who is behind it.
    assert (sizes["grant"] > 1000) == mode.enveloped
    assert (sizes["confirm"] > 2000) == (mode.witnesses > 0)


def test_more_settlements_than_a_cosigner_holds_are_timed_in_towns_one_after_another(tmp_path: Path) -> None:
    row = latency(tmp_path / "town", 1, COSIGNED_MAX + ROUND, Mode("coordinated", cosigned=True))
    assert row["settlements"] == COSIGNED_MAX + ROUND
