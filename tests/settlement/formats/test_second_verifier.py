"""Tests that an independent verifier agrees with this one on every named vector and on mutated bundles."""

import importlib.util
import json
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from settlement.audit.bundle import make_bundle, verify_bundle
from settlement.chain.records import digest
from settlement.core.reasons import Refusal
from settlement.pair.artifact import verify
from tests.settlement.formats.logs import sealed_logs
from tests.settlement.world import NETWORK

pytestmark = [pytest.mark.feature("X1"), pytest.mark.feature("M7")]

DOCS = Path(__file__).resolve().parents[3] / "docs"
SCRIPT = DOCS / "verifier" / "verify.py"
KINDS = ("admission", "artifact", "credential", "bundle", "inclusion", "consistency", "checkpoint", "cosignature")
MUTANTS = int(os.environ.get("BANDPACT_MUTANT_BUNDLES", "100"))
ALLOWED = {"argparse", "base64", "cbor2", "contextlib", "cryptography", "hashlib", "json", "math", "operator"}
ALLOWED |= {"pathlib", "random", "re", "sys", "types"}
MORE = SCRIPT.with_name("market.py")
"""What verify.py imports beside them: leases that changed hands, decisions of a group, wholes."""


@pytest.fixture(scope="module")
def second() -> ModuleType:
    spec = importlib.util.spec_from_file_location("second_verifier", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A bundle of one settlement, and its anchor."""
    folder = tmp_path_factory.mktemp("sealed")
    world = sealed_logs(tmp_path_factory.mktemp("live"), folder)
    data = make_bundle(sorted(folder.glob("*.db")), network=NETWORK)
    assert isinstance(data, bytes)
    return data, digest(world.root)


def test_it_is_short_and_imports_nothing_of_ours() -> None:
    for script, most in ((SCRIPT, 600), (MORE, 200)):
        text = script.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= most
        lines = re.findall(r"^(?:import|from) (.+?)(?: import .*)?$", text, re.M)
        assert {name.strip().partition(".")[0] for line in lines for name in line.split(",")} <= ALLOWED
        assert set(re.findall(r"; import (\w+)", text)) <= {MORE.stem}


@pytest.mark.parametrize(("kind", "file"), [(kind, kind) for kind in KINDS] + [("artifact", "market")])
def test_it_gives_the_same_reason_on_every_named_vector(kind: str, file: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), kind, str(DOCS / "vectors" / f"{file}.json")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert re.search(rf"{kind}: \d+ agree, 0 differ", done.stdout)


def test_a_settlement_is_listed_with_its_terms(bundle: tuple[bytes, bytes], second: ModuleType) -> None:
    data, anchor = bundle
    faults, settled = second.check_bundle({"input": data, "network": NETWORK, "anchors": [anchor]})
    assert faults == []
    assert [body.cell.band.low_hz for body in settled] == [3_550_000_000]


def test_mutated_bundles_are_refused_by_both(bundle: tuple[bytes, bytes], second: ModuleType) -> None:
    data, anchor = bundle
    rng = random.Random(19)
    agreed = 0
    for _ in range(MUTANTS):
        made = bytearray(data)
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
        said = verify_bundle(bytes(made), network=NETWORK, anchors=[anchor])
        ours = not isinstance(said, Refusal) and said.ok
        try:
            theirs = not second.check_bundle({"input": bytes(made), "network": NETWORK, "anchors": [anchor]})[0]
        except second.Refused:
            theirs = False
        assert ours == theirs
        agreed += not ours
    assert agreed == MUTANTS, "nothing in a bundle is outside a hash or a signature"


def test_mutated_leases_decisions_and_wholes_are_refused_by_both(second: ModuleType) -> None:
    """A changed bit in what proves a hand-over, a group's decision or another part is found by either verifier."""
    good = [v for v in json.loads((DOCS / "vectors" / "market.json").read_text()) if v["verdict"] == "accepted"]
    rng = random.Random(11)
    for _ in range(60):
        vector = rng.choice(good)
        made = bytearray(bytes.fromhex(vector["input"]))
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
        anchors = [bytes.fromhex(one) for one in vector["anchors"]]
        said = verify(bytes(made), network=vector["network"], anchors=anchors)
        theirs = second.judge("artifact", vector | {"input": made.hex()})
        assert isinstance(said, Refusal)
        assert isinstance(theirs, dict)


def test_the_page_does_what_it_says(bundle: tuple[bytes, bytes], tmp_path: Path) -> None:
    """The stranger's commands of docs/verify-us.md, with this environment for the stranger's own."""
    page = (DOCS / "verify-us.md").read_text(encoding="utf-8")
    command = next(line for line in page.splitlines() if "verify.py bundle" in line and line.startswith("stranger/"))
    data, anchor = bundle
    (tmp_path / "trial.bundle").write_bytes(data)
    words = [
        {"stranger/bin/python": sys.executable, "trial": NETWORK, "ANCHOR": anchor.hex()}.get(word, word)
        for word in shlex.split(command)
    ]
    words = [str(SCRIPT) if word.endswith("verify.py") else word for word in words]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "everything holds"), done.stdout + done.stderr
    wrong = subprocess.run([*words[:-1], "00" * 32], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
