"""Only the warden's user reaches the radio: the firewall that is shipped, loaded in a network namespace of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the probe found; skips, with the reason, where no namespace or no rule can be made."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    for tool in ("unshare", "nft", "ip"):
        if shutil.which(tool, path=path) is None:
            pytest.skip(f"no {tool} here")
    if os.geteuid() != 0:
        pytest.skip("needs root: to be other users, and to load a rule in a namespace of its own")
    try:
        subprocess.run(("unshare", "--net", "nft", "list", "ruleset"), check=True, capture_output=True)
    except subprocess.CalledProcessError as exc:
        pytest.skip(f"no network namespace or no nftables here: {exc.stderr.decode(errors='replace').strip()}")
    done = subprocess.run(
        ("unshare", "--net", sys.executable, "-m", "tests.deploy.doorprobe", str(DEPLOY / "bandpact.nft")),
        cwd=ROOT,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_without_the_rule_anybody_reaches_the_daemon_and_the_doctor_says_so(told: dict[str, Any]) -> None:
    assert all(all(users.values()) for users in told["before"].values())
    assert told["doctor before"] == ["warn: open: user 65534 of this host reaches the device's daemon, past the gate"]


@pytest.mark.parametrize("address", ["loopback", "device", "shell"])
def test_behind_the_rule_only_root_and_the_warden_do(told: dict[str, Any], address: str) -> None:
    assert told["behind"][address] == {"root": True, "warden": True, "agent": False, "other": False}


def test_the_doctor_sees_that_it_is_closed(told: dict[str, Any]) -> None:
    assert told["doctor behind"] == ["ok: closed to user 65534"]


def test_nothing_else_is_closed(told: dict[str, Any]) -> None:
    assert told["beside"] == {"8080": True}


def unit(name: str) -> dict[str, str]:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]\w+=", line))


def test_agent_and_warden_are_different_users_and_share_a_group() -> None:
    agent, warden, mute = (unit(f"bandpact{part}.service") for part in ("", "-warden", "-mute"))
    assert agent["User"] == "bandpact"
    assert warden["User"] == mute["User"] == "bandpact-warden"
    assert agent["Group"] == warden["Group"] == mute["Group"] == "bandpact"
    for part, one in zip(("", "-warden", "-mute"), (agent, warden, mute), strict=True):
        text = (DEPLOY / f"bandpact{part}.service").read_text(encoding="utf-8")
        assert "\nEnvironment=BANDPACT_WARDEN__APART=true\n" in text
        assert one["NoNewPrivileges"] == "yes"
        assert one["ReadWritePaths"] == "/run/bandpact"
    assert "bandpact-warden" not in agent.get("SupplementaryGroups", "")
    users = (DEPLOY / "bandpact.sysusers").read_text(encoding="utf-8")
    assert "m bandpact-warden bandpact" in users
    assert "m bandpact bandpact-warden" not in users
    assert "2770 bandpact bandpact" in (DEPLOY / "bandpact.tmpfiles").read_text(encoding="utf-8")


def test_the_usb_device_and_its_root_shell_are_the_warden_s_alone() -> None:
    rules = (DEPLOY / "70-bandpact-pluto.rules").read_text(encoding="utf-8")
    lines = [line for line in rules.splitlines() if line and not line.startswith("#")]
    assert len(lines) == 2
    for line in lines:
        assert 'MODE="0660"' in line
        assert 'GROUP="bandpact-warden"' in line
