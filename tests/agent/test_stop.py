"""`bandpact stop`: silence from an address alone, proven by the oracle, and never claimed where nobody can tell."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from agent.cli.main import app
from hw_profiles.loader import load_radio
from radio.drivers.pluto import radio
from sim.iiod.faults import Fault, Lie
from tests.radio.plutobench import bench, needs_libiio

pytestmark = [pytest.mark.feature("R8"), pytest.mark.timeout(60)]
ROOT = Path(__file__).parents[2]


def stop(*words: str) -> Result:
    return CliRunner().invoke(app, ["stop", *words])


def said(done: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def nowhere() -> str:
    """An address nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"ip:127.0.0.1:{free.getsockname()[1]}"


def test_a_transmitting_device_is_silenced_and_read_back() -> None:
    with bench() as made:
        assert made.radiates()
        done = stop("--uri", made.uri)
        assert not made.radiates()
    assert done.exit_code == 0
    assert "OFF: muted, and read back as silent" in done.stdout


def test_a_device_that_does_not_do_what_it_says_is_said_to_be_on() -> None:
    with bench() as made:
        made.hosted.fault(Fault(command="WRITE iio:device0 OUTPUT altvoltage1 powerdown", action=Lie(), times=99))
        done = stop("--uri", made.uri, "--json")
    assert done.exit_code == 4
    assert said(done)["rf"] == "on"


def test_where_nothing_answers_it_is_unknown() -> None:
    needs_libiio()
    done = stop("--uri", nowhere(), "--json")
    assert done.exit_code == 4
    assert said(done)["rf"] == "unknown"
    assert "take its power away" in stop("--uri", nowhere()).stdout


@pytest.mark.parametrize("uri", ["192.168.2.1", "fe80::1", "hakrf:0", ""])
def test_an_address_without_its_kind_is_refused_with_the_way_to_write_it(uri: str) -> None:
    done = stop("--uri", uri)
    assert done.exit_code == 2
    assert "write it as ip:192.168.2.1" in done.stderr
    assert "nothing was muted" in done.stderr


def test_another_unit_than_the_one_named_is_left_alone() -> None:
    with bench() as made:
        done = stop("--uri", made.uri, "--serial", "other", "--json")
        assert made.radiates()
    assert done.exit_code == 4
    assert "not other" in said(done)["why"]


def test_a_unit_is_found_by_its_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    with bench() as made:
        monkeypatch.setattr(radio, "serials", lambda: {"first": nowhere(), "SIM-p": made.uri})
        done = stop("--serial", "SIM-p")
        assert not made.radiates()
        missing = stop("--serial", "third", "--json")
    assert done.exit_code == 0
    assert missing.exit_code == 4
    assert "there are: first, SIM-p" in said(missing)["why"]


def test_a_profile_gives_its_usual_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("radio.drivers.pluto.radio.mute_uri", lambda uri, **_: asked.append(uri) or radio.RfState.OFF)
    assert stop("--profile", "pluto-ad9363").exit_code == 0
    assert asked == [load_radio("pluto-ad9363").connection.uri]
    unknown = stop("--profile", "nonesuch")
    assert unknown.exit_code == 2
    assert "nonesuch" in unknown.stderr


def test_without_an_address_it_asks_for_one() -> None:
    done = stop()
    assert done.exit_code == 2
    assert "--uri" in done.stderr


@pytest.mark.feature("R2")
def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "stop", "--uri", "ip:127.0.0.1:9"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BANDPACT_LIBIIO": str(tmp_path / "libiio.so.0")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 4
    assert "sudo apt-get install libiio0" in done.stdout
    assert "Traceback" not in done.stderr
