"""What `bandpact status` and the event log say of settlements, in the words of CBRS."""

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.node.grantwatch import GrantWatch, grant_fields
from agent.service.snapshot import settlement_line, write_status
from settlement.core.reasons import Reason
from tests.settlement.test_suspension import WAITS, incumbent, tick
from tests.settlement.world import World, fix, trio


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = trio(tmp_path, rule=WAITS)
    made.settle(start_s=2.0, end_s=30.0)
    return made


def test_both_sides_of_a_suspension(world: World) -> None:
    watches = {name: GrantWatch() for name in ("holder", "alice")}
    seen: dict[str, list[object]] = {name: [] for name in watches}

    def look(at_s: float) -> None:
        for name, watch in watches.items():
            moved = watch.turn(world.members[name].party, fix(at_s).time)
            seen[name] += [grant_fields(one)["state"] for one in moved]

    look(1.0)
    look(3.0)
    incumbent(world, 4.0, 6.0)
    world.carry(4.0)
    look(4.1)
    (shown,) = watches["alice"].shown()
    assert (shown["state"], shown["role"], shown["suspended_for"]) == ("GRANTED", "user", Reason.INCUMBENT.value)
    assert "suspended: INCUMBENT" in settlement_line(shown)
    tick(world, "holder", at_s=6.5)
    world.carry(6.5)
    look(6.6)
    tick(world, "holder", "alice", at_s=30.5)
    look(30.6)
    for states in seen.values():
        assert states == ["GRANTED", "AUTHORIZED", "GRANTED", "AUTHORIZED", "IDLE"]
    assert watches["alice"].shown() == []


def test_the_command_shows_them(world: World, tmp_path: Path) -> None:
    watch = GrantWatch()
    watch.turn(world.members["alice"].party, fix(3.0).time)
    place = {"trusted": True, "reason": "ok", "radius_mm": 1000}
    told = {
        "node": "alice",
        "simulation": True,
        "mono_ns": time.monotonic_ns(),
        "warden": True,
        "gate": {"state": "OPEN", "reason": "", "mono_ns": 1},
        "worst_turn_ns": 1,
        "late": None,
        "clock": {"trusted": True, "reason": "ok", "position": place, "bound_ns": 1, "source": "simulated"},
        "keys": None,
        "disk_free_bytes": 1 << 40,
        "peers": 1,
        "settlements": watch.shown(),
    }
    write_status(tmp_path, told)
    as_json = CliRunner().invoke(app, ["status", "--folder", str(tmp_path), "--json"])
    (one,) = json.loads(as_json.stdout)["status"]["settlements"]
    assert one["state"] == "AUTHORIZED"
