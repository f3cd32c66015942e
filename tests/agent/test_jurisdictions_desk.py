"""Jurisdictions by command: each signed at its own authority's desk, and held by a rule that names their files."""

from pathlib import Path

import pytest

from agent.config.keyfiles import load_chain
from settlement.chain.admission import RuleInForce
from settlement.chain.credentials import Registry
from settlement.pair.artifact import verify_rule
from settlement.pair.jurisdictions import touched_by
from tests.agent.test_desk import run

pytestmark = pytest.mark.feature("A6")
AREA = ("--area", "36.95", "-76.3", "40km")
INIT = ("authority", "init", "coast", "--network", "n", "--band", "3550-3570MHz", *AREA, "--class", "cbrs")
SIGN = ("authority", "jurisdiction", "sign")
WHERE = {"north": 37.05, "south": 36.85}
TEXT = """
name = "NAME"
clause = "NAME 12.3"
reconciliation = "stricter"
effective_from = 2026-01-01T00:00:00Z
effective_until = 2040-01-01T00:00:00Z

[area]
lat_e7 = LAT
lon_e7 = -763000000
radius_mm = 10000000

[[classes]]
commodity = "cbrs"
max_eirp_mdbm = 17000
max_window_ns = 600000000000
price_low = 0
price_high = 1000
"""


def text_of(name: str) -> str:
    return TEXT.replace("NAME", name).replace("LAT", str(round(WHERE[name] * 1e7)))


class Coast:
    """A root's desk and two authorities below it, each with a jurisdiction of its own, not signed yet."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "root"
        self.network, self.anchor = run(*INIT, "--desk", self.root).splitlines()[0].split()
        for name, lat in WHERE.items():
            desk, chain = folder / name, folder / f"{name}.chain"
            run("authority", "request", "--network", "n", "--desk", desk)
            made = ("authority", "delegate", desk / "authority.request", "--name", name, "--out", chain)
            run(*made, "--area", lat, "-76.3", "11km", "--desk", self.root)
            run("authority", "enrol", chain, "--anchor", self.anchor, "--desk", desk)
            (folder / f"{name}.toml").write_text(text_of(name))
        run("authority", "rule", "draft", "--out", folder / "draft.toml", "--simulated", "--desk", self.root)

    def sign(self, name: str, *, desk: str | None = None, code: int = 0, out: str | None = None) -> str:
        target = self.folder / (out or f"{name}.signed")
        return run(
            *SIGN, self.folder / f"{name}.toml", "--desk", self.folder / (desk or name), "--out", target, code=code
        )

    def rule(self, jurisdictions: str, *, code: int = 0) -> str:
        text = self.folder / "rule.toml"
        text.write_text(f"jurisdictions = {jurisdictions}\n" + (self.folder / "draft.toml").read_text())
        (self.folder / "rule.signed").unlink(missing_ok=True)
        command = ("authority", "rule", "sign", text, "--out", self.folder / "rule.signed", "--desk", self.root)
        return run(*command, code=code)


@pytest.fixture(scope="module")
def coast(tmp_path_factory: pytest.TempPathFactory) -> Coast:
    coast = Coast(tmp_path_factory.mktemp("coast"))
    for name in WHERE:
        assert f"jurisdiction {name} by {name} 12.3" in coast.sign(name)
    return coast


def test_a_rule_holds_what_each_authority_signed_and_proves(coast: Coast) -> None:
    said = coast.rule('["north.signed", "south.signed"]')
    assert "jurisdictions: 2" in said
    assert "warning" not in said
    *chain, raw = load_chain(coast.folder / "rule.signed")
    rule = verify_rule(raw, chain, Registry("n", [bytes.fromhex(coast.anchor)]))
    assert isinstance(rule, RuleInForce), rule
    found = touched_by(rule.rule, _everywhere(rule))
    assert [(one.body.name, one.body.clause, one.body.reconciliation) for one in found] == [
        ("north", "north 12.3", "stricter"),
        ("south", "south 12.3", "stricter"),
    ]


def _everywhere(rule: RuleInForce) -> object:
    from settlement.chain.scope import Cell

    return Cell(band=rule.rule.bands[0], area=rule.rule.area, window=rule.rule.effective)


@pytest.mark.parametrize(
    ("jurisdictions", "says"),
    [
        ("[]", "jurisdictions: 0 of them, not 1 to 8"),
        ("[7]", "jurisdictions[0]: 7 is not the name of a file"),
        ('"north.signed"', "jurisdictions: 'north.signed' is not a list"),
        ('["north.signed", "east.signed"]', "jurisdictions[1]: "),
        ('["north.signed", "north.signed"]', "jurisdictions[1]: 'north.signed' is named before it"),
        ('["north.toml"]', "jurisdictions[0]: "),
    ],
)
def test_a_mistake_in_the_rules_key_is_named(coast: Coast, jurisdictions: str, says: str) -> None:
    said = coast.rule(jurisdictions, code=2)
    assert says in said.replace("\n", "")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("north.toml", "west.toml", "No such file"),
        ('name = "north"\n', "", "name: missing"),
        ('clause = "north 12.3"', "clause = 12", "clause: 12 is not text"),
        ("stricter", "softer", "reconciliation: softer; required: stricter, or lead:NAME"),
        ("2040-", "2020-", "effective_until: not after effective_from"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "effective_from: 2026-01-01 00:00:00 has no time zone"),
        ("radius_mm", "radius", "area.radius: no such key"),
        ("radius_mm = 10000000", "radius_mm = 90000000", "area: SCOPE"),
        ('commodity = "cbrs"', 'commodity = "wifi"', "classes: SCOPE: wifi"),
        ("max_eirp_mdbm = 17000", 'max_eirp_mdbm = "17"', "classes[0].max_eirp_mdbm: '17' is not a whole number"),
        ("max_eirp_mdbm = 17000\n", "", "classes[0].max_eirp_mdbm: missing"),
        ("price_low = 0", "price_low = 2000", "classes[0].price_high: 1000 is below price_low 2000"),
        ("max_window_ns = 600000000000", "max_window_ns = 0", "classes[0].max_window_ns"),
        ("[[classes]]", "colour = 1\n[[classes]]", "area.colour: no such key"),
        ("[[classes]]", "[[class]]", "class: no such key"),
        ("[[classes]]", "[[classes]", "not TOML"),
    ],
)
def test_a_mistake_in_a_jurisdiction_is_named_and_nothing_is_signed(
    coast: Coast, old: str, new: str, says: str
) -> None:
    file = coast.folder / "wrong.toml"
    file.unlink(missing_ok=True)
    if new != "west.toml":
        assert old in text_of("north")
        file.write_text(text_of("north").replace(old, new, 1))
    said = coast.sign("wrong", desk="north", code=1).replace("\n", "")
    assert says in said
    assert not (coast.folder / "wrong.signed").exists()


def test_an_authority_speaks_for_its_own_area_alone(coast: Coast) -> None:
    assert "area: SCOPE" in coast.sign("north", desk="south", code=1, out="stolen.signed")


def test_a_file_that_was_changed_proves_nothing(coast: Coast) -> None:
    data = (coast.folder / "north.signed").read_bytes()
    (coast.folder / "spoiled.signed").write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    said = coast.rule('["spoiled.signed"]', code=1)
    assert "jurisdictions[0]: " in said, said
    assert not (coast.folder / "rule.signed").exists()


def test_policies_that_differ_are_warned_of_and_a_leader_must_be_there(coast: Coast) -> None:
    for name, policy in (("lead", "lead:north"), ("lost", "lead:east"), ("none", None)):
        text = text_of("south").replace(
            'reconciliation = "stricter"\n', "" if policy is None else f'reconciliation = "{policy}"\n'
        )
        (coast.folder / f"{name}.toml").write_text(text)
        coast.sign(name, desk="south")
    assert "led by none of north, south" in coast.rule('["north.signed", "lost.signed"]', code=1)
    for other in ("lead", "none"):
        assert "name no one policy" in coast.rule(f'["north.signed", "{other}.signed"]')
    assert "warning" not in coast.rule('["north.signed", "south.signed"]')


def test_check_says_what_is_in_it_without_a_desk(coast: Coast) -> None:
    said = run("authority", "jurisdiction", "check", coast.folder / "north.toml")
    assert "north by north 12.3" in said
    assert "cbrs: at most 17 dBm EIRP for 600 s" in said
    assert '"clause": "north 12.3"' in run("authority", "jurisdiction", "check", coast.folder / "north.toml", "--json")
