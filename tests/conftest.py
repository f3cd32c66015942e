"""Where the shared references live, and how tests that need them skip."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
