"""Where the shared references live and how tests that need them skip; which tests want the machine to themselves."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


REAL_TIME = ("agent/", "deploy/", "radio/", "sim/iiod/")
"""Folders whose tests run processes, sockets or radios against the clock, and with them these files:"""
REAL_TIME_FILES = frozenset(
    {
        "test_airsource.py",
        "test_airworker.py",
        "test_attacks_real.py",
        "test_attested_sockets.py",
        "test_control.py",
        "test_kills.py",
        "test_killed.py",
        "test_mesh.py",
        "test_namespaces.py",
        "test_radio.py",
        "test_tlogwitness.py",
        "test_witness_sockets.py",
    }
)
PURE = (
    "agent/history/",
    "agent/kit/test_spec",
    "agent/samples/test_plan",
    "agent/samples/test_resampler",
    "agent/test_alarms",
    "agent/test_audit_command",
    "agent/test_boundary",
    "agent/test_claims",
    "agent/test_desk",
    "agent/test_directory",
    "agent/test_disputes_command",
    "agent/test_entitled",
    "agent/test_licences",
    "agent/test_members",
    "agent/test_one_habit",
    "agent/test_pages",
    "agent/test_report",
    "agent/test_suited",
    "agent/test_sweep",
    "agent/test_units",
    "radio/cbrs/",
    "radio/test_drafts",
    "radio/test_gate",
    "radio/test_permits",
    "radio/test_pluto_units",
    "radio/test_propagation",
    "radio/test_random_runs",
    "radio/test_recordings",
    "radio/test_remainder",
    "radio/test_ring",
    "radio/test_rulebook",
    "radio/test_waveform",
    "sim/iiod/test_attributes",
)
"""What of those folders knows no clock but its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs against the clock: it goes one after another, while all else may share the processors."""
    for item in items:
        path = item.path.relative_to(ROOT / "tests").as_posix()
        real = path.startswith(REAL_TIME) or item.path.name in REAL_TIME_FILES
        if real and not path.startswith(PURE):
            item.add_marker("realtime")


@pytest.fixture(scope="session")
def cose_vectors() -> list[dict[str, Any]]:
    path = Path(os.environ.get("BANDPACT_VECTORS", ROOT.parent / "shared" / "vectors")) / "cose_sign1.json"
    if not path.is_file():
        pytest.skip(f"independent COSE vectors not found at {path}; set BANDPACT_VECTORS")
    loaded: list[dict[str, Any]] = json.loads(path.read_text())["vectors"]
    return loaded


@pytest.fixture(scope="session")
def iq_dir() -> Path:
    path = Path(os.environ.get("BANDPACT_IQ", ROOT.parent / "shared" / "iq"))
    if not path.is_dir():
        pytest.skip(f"recordings not found at {path}; set BANDPACT_IQ")
    return path
