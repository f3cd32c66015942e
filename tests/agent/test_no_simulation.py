"""A node has no simulation in it, and nobody is configured as an attacker."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.config.settings import ConfigError, load

pytestmark = pytest.mark.feature("S1")

PROGRAMS = ("agent.node.process", "agent.node.warden_process", "agent.node.mutehelper", "agent.service.service")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_nodes_programs_load_nothing_of_the_simulation(program: str) -> None:
    ask = f"import {program}, sys; print([m for m in sys.modules if m.split('.')[0] == 'sim'])"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"


def test_an_attacker_is_no_role_of_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('name = "n"\nrole = "attacker"\n')
    with pytest.raises(ConfigError, match=r"node\.toml:2: role: Input should be 'holder' or 'user'"):
        load(path)
