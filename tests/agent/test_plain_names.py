"""What a desk gives a name to (a network, a class, a level, a list, a jurisdiction) passes for nothing else."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from settlement.chain.names import names_flaw
from tests.settlement.market.test_rule_page import blocks

pytestmark = pytest.mark.attack(70)
MEMBERS = ("authority", "members", "--member", "bay:witness", "--faulty", "0")
HERE = ("--band", "3550-3570MHz", "--area", "36.95", "-76.3", "20km")


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("cbrs", "backhaul"), None),
        (("cbrs", "cbr\u0455"), "U+0455 is not ASCII"),
        (("notaries", "n0taries"), "looks like"),
        (("modem", "modern"), "looks like"),
        (("",), "1 to 64"),
    ],
)
def test_names_are_told_apart_by_eye_or_refused(names: tuple[str, ...], why: str | None) -> None:
    found = names_flaw(names)
    assert (found is None) is (why is None)
    assert why is None or why in (found or "")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    code, said = run(
        "authority", "init", "coast", "--network", "n", "--class", "cbrs", *HERE, "--desk", tmp_path / "desk"
    )
    assert code == 0, said
    return tmp_path / "desk"


@pytest.mark.parametrize(
    "words",
    [("--network", "n\u0435t", "--class", "cbrs"), ("--network", "n", "--class", "cbrs", "--class", "cbr\u0455")],
)
def test_a_desk_begins_with_no_network_or_class_that_passes_for_another(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, said = run("authority", "init", "coast", *words, *HERE, "--desk", tmp_path / "new")
    assert code != 0
    assert "not ASCII" in said
    assert not (tmp_path / "new").exists()


def test_an_authority_below_asks_for_no_such_network(tmp_path: Path) -> None:
    code, said = run("authority", "request", "--network", "n\u0435t", "--desk", tmp_path / "new")
    assert (code != 0, "not ASCII" in said) == (True, True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("name", 'name = "', 'name = "\u0430'),
        ("levels", 'name = "operator"', 'name = "\u043eperator"'),
    ],
)
def test_a_rule_is_not_signed_with_a_name_that_passes_for_another(
    desk: Path, tmp_path: Path, key: str, old: str, new: str
) -> None:
    text = tmp_path / "rule.toml"
    code, said = run("authority", "rule", "draft", "--out", text, "--simulated", "--desk", desk)
    assert code == 0, said
    drafted = text.read_text(encoding="utf-8")
    assert old in drafted
    text.write_text(drafted.replace(old, new, 1), encoding="utf-8")
    code, said = run("authority", "rule", "sign", text, "--out", tmp_path / "rule.signed", "--desk", desk)
    assert code != 0
    assert f"{key}: " in said
    assert "not ASCII" in said
    assert not (tmp_path / "rule.signed").exists()


def test_no_list_of_members_and_no_jurisdiction_passes_for_another(desk: Path, tmp_path: Path) -> None:
    assert run("node", "init", tmp_path / "bay", "--device", "x")[0] == 0
    asked = tmp_path / "bay" / "enrol.request"
    code, said = run(
        "authority", "issue", asked, "--name", "bay", "--role", "user", "--out", tmp_path / "c", "--desk", desk
    )
    assert code == 0, said
    for number, (name, wrong) in enumerate((("notaries", ""), ("n0taries", "looks like"), ("not\u0430ries", "ASCII"))):
        out = tmp_path / f"list{number}"
        code, said = run(*MEMBERS, name, "--out", out, "--desk", desk)
        assert (code == 0) is (not wrong), said
        assert wrong in said
    area = blocks("jurisdiction").replace("radius_mm = 10_000_000", "radius_mm = 5_000_000")
    text = tmp_path / "area.toml"
    for old, good in (("", True), ("\u0430", False)):
        text.write_text(area.replace('name = "', f'name = "{old}', 1), encoding="utf-8")
        out = tmp_path / f"area{good}"
        code, said = run("authority", "jurisdiction", "sign", text, "--out", out, "--desk", desk)
        assert (code == 0) is good, said
