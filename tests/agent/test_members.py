"""`bandpact authority members` signs a list that nodes take in, and names what is wrong with one."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from settlement.chain.records import Unproven, parse

pytestmark = pytest.mark.feature("S9")
NAMES = ("coast", "port", "ferry", "harbour")


def run(*words: str) -> tuple[int, str]:
    said = CliRunner().invoke(app, list(words))
    return said.exit_code, said.stdout + said.stderr


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    made = folder / "authority"
    code, said = run(
        "authority", "init", "coastal", "--network", "n", "--class", "cbrs", "--band", "3550-3570MHz",
        "--area", "36.95", "-76.3", "20km", "--desk", str(made),
    )  # fmt: skip
    assert code == 0, said
    for name in NAMES:
        assert run("node", "init", str(folder / name), "--device", "x")[0] == 0
        code, said = run(
            "authority", "issue", str(folder / name / "enrol.request"), "--name", name, "--role", "user",
            "--out", str(folder / f"{name}.chain"), "--desk", str(made),
        )  # fmt: skip
        assert code == 0, said
    return made


def listed(desk: Path, out: str, *more: str, members: tuple[str, ...] = NAMES) -> tuple[int, str]:
    named = [word for name in members for word in ("--member", f"{name}:witness")]
    return run("authority", "members", "notaries", "--desk", str(desk), "--out", str(desk.parent / out), *named, *more)


def test_a_list_is_signed_for_the_next_epoch(desk: Path) -> None:
    for number in (1, 2):
        code, said = listed(desk, f"list-{number}")
        assert code == 0, said
        assert f"epoch {number}" in said
        assert "3 votes certify" in said
        unproven = parse((desk.parent / f"list-{number}").read_bytes())
        assert isinstance(unproven, Unproven)
        assert unproven.typ == "members"


@pytest.mark.parametrize(
    ("more", "members", "says"),
    [
        (("--faulty", "2"), NAMES, "4 members"),
        (("--epoch", "1"), NAMES, "EPOCH"),
        ((), (*NAMES[:3], NAMES[0]), "one credential twice"),
        ((), ("coast", "port", "ferry", "nobody"), "nobody"),
    ],
)
def test_what_is_no_list_of_members_is_refused(
    desk: Path, more: tuple[str, ...], members: tuple[str, ...], says: str
) -> None:
    if more == ("--epoch", "1"):
        listed(desk, "before")
    code, said = listed(desk, "refused", *more, members=members)
    assert code == 1
    assert says in said
    assert not (desk.parent / "refused").exists()
