"""A small door plan for tests: 1 MS/s, one slot of 6 ms in each 20 ms."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.samples.plan import DoorPlan, Slots

MS = 1_000_000
RATE = 1_000_000
PLAN = DoorPlan(
    transmit="ipc:///nowhere",
    receive="ipc:///nowhere",
    status=None,
    asks=True,
    answers=True,
    program_hz=RATE,
    radio_hz=RATE,
    radio_center_hz=3_555_500_000,
    tx_full_scale=16_384,
    rx_full_scale=2_048,
    gain_mdb=0,
    slots=Slots(period_ns=20 * MS, offset_ns=5 * MS, length_ns=6 * MS),
    run_folder=Path("/nowhere"),
)


def plan(**changes: Any) -> DoorPlan:
    return replace(PLAN, **changes)
