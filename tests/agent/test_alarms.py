"""Tests of two alarms: a key in use in two places, and a radio that the credential does not name."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.service.snapshot import OWN_KEY, write_status
from settlement.chain import bodies
from settlement.records.conduct.alarms import ALARM
from settlement.state.messages import Message
from tests.agent.sweep import invoked
from tests.agent.test_entitled import Desk
from tests.agent.test_service import status, written
from tests.agent.test_suited import ruled
from tests.radio.plutobench import bench
from tests.settlement.test_evidence import signed
from tests.settlement.world import World, trio

RUN = CliRunner()


def doctor(config: Path) -> dict[str, dict[str, Any]]:
    done = RUN.invoke(app, ["doctor", "--json", "--config", str(config), "--wait", "0"])
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


@pytest.mark.feature("R6")
@pytest.mark.parametrize("own", [True, False], ids=["the radio it was issued for", "another one"])
def test_a_node_on_a_radio_it_is_not_bound_to_is_not_ready(tmp_path: Path, own: bool) -> None:
    with bench(quiet=True) as made:
        desk = Desk(tmp_path)
        place = tmp_path / "thief"
        serial = "SIM-p" if own else "SIM-q"
        assert invoked(["node", "init", str(place), "--device", f"pluto {serial}"]).code == 0
        desk.issue(place / "enrol.request", "thief", role="user")
        (chain,) = tmp_path.glob("thief-*.chain")
        trusted = ["--network", desk.network, "--anchor", desk.anchor]
        assert invoked(["node", "enrol", str(place), str(chain), *trusted]).code == 0
        drafted = invoked(
            [
                "node", "config", str(place), "--role", "user", *trusted, "--rule", str(ruled(desk)),
                "--listen", "tcp://127.0.0.1:4799", "--radio", made.uri, "--simulated", "--place", "36.95", "-76.3",
            ]
        )  # fmt: skip
        assert drafted.code == 0, drafted
        found = doctor(place / "node.toml")
    assert found["radio"]["state"] == "ok", found["radio"]
    assert found["binding"]["state"] == ("ok" if own else "fail"), found["binding"]
    if not own:
        assert found["binding"]["found"].startswith("BINDING: the credential is for pluto SIM-q")
        assert found["binding"]["mend"]


@pytest.mark.feature("G9")
@pytest.mark.parametrize(
    ("alarm", "state"),
    [(f"{OWN_KEY} is in use elsewhere", "fail"), ("the key of bob signed two different things", "warn")],
)
def test_doctor_and_status_say_that_a_key_is_in_use_twice(tmp_path: Path, alarm: str, state: str) -> None:
    config = written(tmp_path)
    write_status(tmp_path, status(alarms=[alarm]))
    found = doctor(config)["alarm"]
    assert (found["state"], found["found"]) == (state, alarm)
    assert "revoke" in found["mend"]
    shown = RUN.invoke(app, ["status", "--config", str(config)])
    assert f"ALARM  {alarm}" in shown.stdout
    assert (f"keys: {OWN_KEY}" in shown.stdout) == (state == "fail"), "a node whose key is stolen is not ready"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return trio(tmp_path)


def alarms(world: World, name: str) -> dict[bytes, bytes]:
    return dict(world.members[name].party.lineage.items(ALARM))


def stolen(world: World, seq: int) -> bytes:
    """What a thief signs with alice's key and sends: a record of alice's that alice knows nothing of."""
    body = bodies.Relinquish(sid=bytes(32), confirm=bytes(32), reason="USER")
    return Message(record=signed(world, body, seq=seq)).encoded()


@pytest.mark.feature("G9")
@pytest.mark.attack(17)
def test_the_owner_is_alarmed_by_a_record_of_its_own_key_that_it_did_not_sign(world: World) -> None:
    owner = world.members["alice"].hash
    assert owner not in alarms(world, "alice")
    world.give("bob", "alice", stolen(world, 50), 1.2)
    assert owner in alarms(world, "alice")


@pytest.mark.feature("G9")
@pytest.mark.attack(17)
def test_a_neighbour_is_alarmed_by_two_records_of_one_number(world: World) -> None:
    world.settle()
    world.carry(2.5)
    owner = world.members["alice"].hash
    assert owner not in alarms(world, "holder")
    world.give("alice", "holder", stolen(world, 2), 2.6)
    assert owner in alarms(world, "holder")


@pytest.mark.feature("G9")
@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "ok"),
        ({"late": "the gate loop was last heard 4.6 s ago"}, "fail"),
        ({"warden": False}, "fail"),
        ({"mono_ns": 1}, "fail"),
        ({"process": 2**22 + 1}, None),
    ],
)
def test_a_node_whose_gate_is_not_heard_is_not_ready(
    tmp_path: Path, changes: dict[str, Any], state: str | None
) -> None:
    config = written(tmp_path)
    write_status(tmp_path, status(**{"process": os.getpid(), **changes}))
    found = doctor(config).get("running")
    assert (None if found is None else found["state"]) == state
    if state == "fail":
        assert found is not None
        assert "treat as ON" in found["found"]
        assert "bandpact stop" in found["mend"]
