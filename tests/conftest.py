"""Pytest set-up: where the references lie, which tests are skipped without them, and which tests run alone."""

import functools
import gc
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import typer.testing
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
# No deadline per example: by default hypothesis fails one that takes more than 0.2 s, which a busy machine may.
settings.register_profile("without a clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without a clock")


REAL_TIME = ("agent/", "deploy/", "radio/", "sim/iiod/")
"""Folders, and below them files, whose tests run processes, sockets or radios in real time:"""
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
    "agent/campaign/test_fleet",
    "agent/cbrs/test_loans",
    "agent/cbrs/test_measurements",
    "agent/cbrs/test_suite",
    "agent/history/",
    "agent/kit/test_archives",
    "agent/kit/test_spec",
    "agent/report/",
    "agent/samples/test_door",
    "agent/samples/test_plan",
    "agent/samples/test_receiver",
    "agent/samples/test_resampler",
    "agent/samples/test_transmitter",
    "agent/test_alarms",
    "agent/test_auction_",
    "agent/test_audit_command",
    "agent/test_boundary",
    "agent/test_claims",
    "agent/test_clock",
    "agent/test_desk",
    "agent/test_directory",
    "agent/test_commandlist",
    "agent/test_disputes_command",
    "agent/test_due",
    "agent/test_entitled",
    "agent/test_envelopes",
    "agent/test_fusion",
    "agent/test_honest_log",
    "agent/test_invoices",
    "agent/test_judge",
    "agent/test_instants",
    "agent/test_jurisdictions_desk",
    "agent/test_keyrotation",
    "agent/test_layers",
    "agent/test_lease_command",
    "agent/test_licences",
    "agent/test_light",
    "agent/test_marketviews",
    "agent/test_members",
    "agent/test_no_simulation",
    "agent/test_one_habit",
    "agent/test_outbox",
    "agent/test_pages",
    "agent/test_printable",
    "agent/test_progress",
    "agent/test_report",
    "agent/test_resumption",
    "agent/test_scenarios",
    "agent/test_specfits",
    "agent/test_suited",
    "agent/test_sweep",
    "agent/test_trial_folder",
    "agent/test_trial_words",
    "agent/test_units",
    "radio/cbrs/",
    "radio/test_drafts",
    "radio/test_gate",
    "radio/test_permits",
    "radio/test_propagation",
    "radio/test_random_runs",
    "radio/test_recordings",
    "radio/test_remainder",
    "radio/test_ring",
    "radio/test_rulebook",
    "radio/test_waveform",
    "sim/iiod/test_attributes",
)
"""Tests in those folders that use simulated time only, or wait for a program without any time limit."""
ALONE = (
    "agent/test_gatebench",
    "radio/contract/",
    "radio/soapy/",
    "radio/test_pluto",
    "radio/test_pace",
    "radio/test_stream",
)
"""Tests that measure reaction times or gaps in sample streams: no other test may run beside them."""


def pytest_collection_finish() -> None:
    """Exempt all collected tests from garbage collection, so that it does not search them again and again."""
    gc.collect()
    gc.freeze()


FIRST = (
    "agent/kit/test_quickstart",
    "settlement/test_attacks_real",
    "agent/page/test_browser",
    "agent/test_walkthrough",
)
"""The longest tests, started first, so that none of them runs on alone at the end."""
MEMORY, MEMORY_MIN = Path("/dev/shm"), 2 << 30


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give each worker a temporary folder with a short name, as the path of a local socket has to be short.

    In memory where only computations are run and memory is there: each step of a settlement waits for the disk some
    ten times. What runs against the clock waits for the disk that it would have.
    """
    if not hasattr(config, "workerinput"):
        return
    pure = config.option.markexpr == "not realtime"
    in_memory = pure and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_MIN
    config.option.basetemp = tempfile.mkdtemp(prefix="w", dir=MEMORY if in_memory else None)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep a worker's temporary files where a test failed, as pytest does without workers."""
    if hasattr(session.config, "workerinput") and exitstatus != pytest.ExitCode.TESTS_FAILED:
        shutil.rmtree(session.config.option.basetemp, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run in real time, of which only a few run at once, and those that run alone."""
    for item in items:
        real, alone = in_time(item.path.relative_to(ROOT / "tests").as_posix())
        if real:
            item.add_marker("realtime")
        if alone:
            item.add_marker("alone")
    items.sort(key=lambda item: not item.path.relative_to(ROOT / "tests").as_posix().startswith(FIRST))


def in_time(path: str) -> tuple[bool, bool]:
    """Whether a test file (path within tests/) runs in real time, and whether it has to run alone."""
    real = path.startswith(REAL_TIME) or path.rpartition("/")[2] in REAL_TIME_FILES
    return real and not path.startswith(PURE), real and not path.startswith(PURE) and path.startswith(ALONE)


def not_in_part(path: str, text: str, part: str) -> bool:
    """Whether a whole test file belongs to another part of `make test` than the one that these marks select."""
    if "mark.realtime" in text or "mark.alone" in text:
        return False
    real, alone = in_time(path)
    return {"not realtime": real, "realtime and not alone": not real or alone, "alone": not alone}.get(part, False)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip loading files of other parts: loading all tests takes each process ten seconds."""
    part = config.option.markexpr
    if not part or collection_path.suffix != ".py" or not collection_path.is_relative_to(ROOT / "tests"):
        return None
    path = collection_path.relative_to(ROOT / "tests").as_posix()
    return not_in_part(path, collection_path.read_text(encoding="utf-8"), part) or None


@pytest.fixture(scope="session", autouse=True)
def _commands_built_once() -> Iterator[None]:
    """Build Typer's commands once: its test runner builds them for each call, in five times the time of the call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", functools.cache(typer.main.get_command))
        yield


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
