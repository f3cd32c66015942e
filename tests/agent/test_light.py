"""Tests of which modules a node's processes import, as these determine memory and start time."""

import subprocess
import sys
from pathlib import Path

import pytest

from sensing.compilation import is_linked

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.feature("E1")

HELP = """import sys; sys.argv = ['bandpact', *{words!r}]
from agent.cli.main import main
try: main()
except SystemExit: pass"""
PROGRAM = "import sys, {program}"
NUMBERS = ("numpy", "scipy", "numba", "pydantic", "zmq", "cryptography", "cbor2", "rich")
SERVED = ("starlette", "uvicorn")
"""What answers for a service's health."""
PICTURES = ("matplotlib", "pyarrow", "PIL", "textual", "jinja2", *SERVED)
SELDOM = ("zeroconf", "dotenv", "pydantic_settings", "cryptography.x509")
"""Used where something is asked for: discovery, a variable of the environment, TLS towards base stations."""
SCIPY = ("scipy.optimize", "scipy.stats", "scipy.signal", "scipy.fft", "scipy.sparse", "scipy.special")


def loaded(code: str) -> set[str]:
    """Every module that a process has loaded once it ran `code`."""
    code += "\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines())


@pytest.mark.parametrize(
    "words", ["--help", "run --help", "kit make --help", "bench sensing --help", "audit verify --help"]
)
def test_help_of_a_command_loads_nothing_that_computes(words: str) -> None:
    found = loaded(HELP.format(words=words.split()))
    assert not found & {*NUMBERS, *PICTURES}
    assert "agent.cli.main" in found


def test_a_command_loads_its_own_module_and_not_those_of_others() -> None:
    """A node that runs is such a command, for months; so is the emergency stop of its page."""
    found = {name for name in loaded(HELP.format(words=["run", "--help"])) if name.startswith("agent.cli.")}
    assert "agent.cli.service" in found
    assert not found & {"agent.cli.audit", "agent.cli.bench", "agent.cli.kit", "agent.cli.trial", "agent.cli.watch"}


def test_the_warden_loads_what_it_needs() -> None:
    found = loaded(PROGRAM.format(program="agent.node.warden_process"))
    assert not found & {*PICTURES, *SELDOM, "scipy", "numba", "sensing.survey", "settlement.party.party", "radio.cbrs"}
    assert {"numpy", "radio.warden"} <= found


AS_PROGRAM = """import contextlib, runpy, sys; sys.argv = ['warden', {file!r}]
with contextlib.suppress(SystemExit): runpy.run_module('agent.node.warden_process', run_name='__main__', alter_sys=True)
for name in [name for name, module in sys.modules.items() if module is None]: del sys.modules[name]"""


def test_the_wardens_process_loads_one_openssl(tmp_path: Path) -> None:
    found = loaded(AS_PROGRAM.format(file=str(tmp_path / "none.toml")))
    assert {"asyncio", "hmac", "cryptography.hazmat.bindings._rust", "radio.warden"} <= found
    assert not found & {"ssl", "_ssl", "_hashlib"}


def test_who_only_imports_the_warden_keeps_tls() -> None:
    assert {"ssl", "_ssl", "_hashlib"} <= loaded("import sys, agent.node.warden_process, ssl, hashlib")


@pytest.mark.parametrize("program", ["agent.node.process", "agent.service.service"])
def test_the_agent_loads_what_it_needs(program: str) -> None:
    found = loaded(PROGRAM.format(program=program))
    assert not found & {*PICTURES, *SELDOM, *SCIPY} - ({*SERVED} if "service" in program else set())
    assert "numba" not in found or not is_linked()
    assert not found & {"numpy.random", "rich", "pygments", "attr"}
    assert {"numpy", "sensing.survey"} <= found
    assert "structlog" in found or "service" not in program


def test_what_a_log_did_without_can_be_had_after_it() -> None:
    found = loaded("import sys, agent.service.logs, rich.console; from agent.service.logs import begin; begin()")
    assert {"rich", "rich.console", "structlog"} <= found


def test_a_survey_takes_no_generator_of_random_numbers() -> None:
    found = loaded("import sys; from sensing.detectors.pulses import warm; assert warm() > 0")
    assert "numpy.random" not in found


def test_no_plugin_of_another_package_looks_into_a_node() -> None:
    name = "PYDANTIC_DISABLE_PLUGINS"
    assert "__all__" in loaded(
        f"import os, sys; os.environ.pop('{name}', 0); import agent; print(os.environ['{name}'])"
    )
