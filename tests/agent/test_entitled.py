"""What a desk refuses: another's key, a name like another's, two holders of one cell, a rule that is wrong."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
import tomli_w

from agent.config.keyfiles import load_chain
from agent.desk.drafts import witnesses
from agent.desk.overlaps import needed
from settlement.chain.credentials import Registry, Subject
from settlement.chain.keys import SigningKey
from settlement.chain.names import alike, name_flaw
from settlement.core.reasons import Refusal
from settlement.pair.artifact import verify_rule
from tests.agent.test_desk import INIT, run


class Desk:
    """A desk in a folder, and what is made there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.desk = folder, folder / "desk"
        self.network, self.anchor = run(*INIT, "--desk", self.desk).splitlines()[0].split()

    def at(self, *arguments: object, code: int = 0) -> str:
        return run("authority", *arguments, "--desk", self.desk, code=code)

    def node(self, name: str, *options: object, code: int = 0, role: str = "user", ask_as: str | None = None) -> str:
        """A node that asks, and is entitled; the command's output."""
        place = self.folder / name.encode("ascii", "replace").decode().replace("?", "_")
        if not (place / "enrol.request").exists():
            run("node", "init", place, "--device", f"radio of {place.name}", "--name", ask_as or name)
        return self.issue(place / "enrol.request", name, *options, role=role, code=code)

    def issue(self, request: Path, name: str, *options: object, role: str = "user", code: int = 0) -> str:
        out = self.folder / f"{request.parent.name}-{len(list(self.folder.iterdir()))}.chain"
        before = self.state()
        said = self.at("issue", request, "--name", name, "--role", role, "--out", out, *options, code=code)
        if code:
            assert self.state() == before, "a refusal leaves the desk as it was"
            assert not out.exists()
        return said

    def state(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in self.desk.iterdir() if p.suffix in (".chain", ".key")}

    def rule(self, name: str = "rule", code: int = 0, after: str | None = None, **changes: Any) -> str:
        """Draft, edit and sign a rule."""
        text, signed = self.folder / f"{name}.toml", self.folder / f"{name}.signed"
        draft = {key: changes.pop(key) for key in ("holders", "nodes") if key in changes}
        if not text.exists():
            self.at("rule", "draft", "--out", text, *(a for k, v in draft.items() for a in (f"--{k}", v)))
        table = tomllib.loads(text.read_text())
        for key, value in changes.items():
            kept = table["classes"][0] if key in table["classes"][0] else table
            kept[key] = value
        text.write_text(tomli_w.dumps(table))
        follows = ("--after", self.folder / f"{after}.signed") if after else ()
        return self.at("rule", "sign", text, "--out", signed, *follows, code=code)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# -- names and keys ----------------------------------------------------------------------------------------------------


@pytest.mark.attack(70)
def test_alices_own_request_cannot_be_issued_as_mallory(desk: Desk) -> None:
    assert "KEY: 'alice' asks with this key" in desk.node("mallory", ask_as="alice", code=1)
    desk.node("alice")
    request = desk.folder / "alice" / "enrol.request"
    assert "KEY" in desk.issue(request, "mallory", code=1)
    assert "KEY: that key is alice's already" in desk.issue(request, "alice", code=1)


Forge = Callable[[dict[str, str], dict[str, str]], dict[str, str]]
FORGED: dict[str, Forge] = {
    "no proof": lambda mine, theirs: {k: v for k, v in theirs.items() if k != "proof"},
    "another's proof": lambda mine, theirs: {**theirs, "proof": mine["proof"]},
    "another name": lambda mine, theirs: {**theirs, "name": "mallory"},
    "another device": lambda mine, theirs: {**theirs, "device": mine["device"]},
    "another transport key": lambda mine, theirs: {**theirs, "transport": mine["transport"]},
    "another's key": lambda mine, theirs: {**mine, "public": theirs["public"]},
    "a key of low order": lambda mine, theirs: {**mine, "public": "01" + "00" * 31, "proof": "00" * 64},
}


@pytest.mark.attack(70)
@pytest.mark.parametrize("name", FORGED)
def test_nobody_asks_with_a_key_that_is_not_its_own(desk: Desk, name: str) -> None:
    for one in ("mine", "theirs"):
        run("node", "init", desk.folder / one, "--device", one)
    mine, theirs = (tomllib.loads((desk.folder / o / "enrol.request").read_text()) for o in ("mine", "theirs"))
    forged = FORGED[name](mine, theirs)
    request = desk.folder / "mine" / "forged.request"
    request.write_text(tomli_w.dumps(forged))
    assert "KEY: not signed by the key" in desk.issue(request, forged["name"], code=1)


@pytest.mark.attack(70)
def test_a_transport_key_serves_one_name(desk: Desk) -> None:
    desk.node("alice")
    taken = bytes.fromhex(tomllib.loads((desk.folder / "alice" / "enrol.request").read_text())["transport"])
    key = SigningKey.from_seed(bytes(32))
    values = {"public": key.public.hex(), "name": "eve", "transport": taken.hex(), "device": "x"}
    signed = b"bandpact/1/request" + cbor2.dumps([[k, values[k]] for k in sorted(values)])
    request = desk.folder / "eve.request"
    request.write_text(tomli_w.dumps({**values, "proof": key.sign(signed).hex()}))
    assert "KEY: that transport key is alice's already" in desk.issue(request, "eve", code=1)


ALIKE = [("alice", "Alice"), ("alice", "a1ice"), ("alice", "aIice"), ("oslo", "0sl0"), ("mallory", "rnallory"),
         ("wale", "vvale"), ("vw", "vvv"), ("wv", "vw"), ("node-1", "node_l"), ("node 1", "node.1")]  # fmt: skip


@pytest.mark.attack(70)
@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_a_name_that_looks_like_anothers_is_refused(desk: Desk, first: str, second: str) -> None:
    assert alike(first, second)
    desk.node(first)
    assert f"looks like {first}" in desk.node(second, code=1)


@pytest.mark.parametrize(("first", "second"), [("alice", "alicia"), ("user-1", "user-2"), ("bob", "rob")])
def test_names_that_can_be_told_apart_are_given(desk: Desk, first: str, second: str) -> None:
    assert not alike(first, second)
    desk.node(first)
    desk.node(second)


STRANGE = [
    "\u0430lice",
    "al\u0131ce",
    "alice\u200b",
    "ali\u0301ce",
    "alice\n",
    "-alice",
    "alice ",
    "a  b",
    "",
    "x" * 65,
    "a/b",
]


@pytest.mark.attack(70)
@pytest.mark.parametrize("name", STRANGE)
def test_a_name_in_other_characters_is_refused_with_the_reason(desk: Desk, name: str) -> None:
    assert name_flaw(name) is not None
    run("node", "init", desk.folder / "n", "--device", "x")
    assert "--name" in desk.issue(desk.folder / "n" / "enrol.request", name, code=1)
    if name:
        assert "name" in run("node", "init", desk.folder / "m", "--device", "x", "--name", name, code=1)
        assert not (desk.folder / "m" / "sign.key").exists()


def test_a_revoked_name_may_be_given_again_to_a_new_key_and_its_look_alike_may_not(desk: Desk) -> None:
    desk.node("alice")
    desk.at("revoke", "alice", "--out", desk.folder / "list")
    assert "looks like alice" in desk.node("a1ice", code=1)
    run("node", "init", desk.folder / "again", "--device", "x", "--name", "alice")
    desk.issue(desk.folder / "again" / "enrol.request", "alice")
    assert "is there already" in desk.issue(fresh(desk, "third", "alice"), "alice", code=1)


def fresh(desk: Desk, folder: str, name: str) -> Path:
    run("node", "init", desk.folder / folder, "--device", "x", "--name", name)
    return desk.folder / folder / "enrol.request"


@pytest.mark.attack(70)
def test_no_node_is_called_as_its_authority(desk: Desk) -> None:
    assert "looks like coast" in desk.node("c0ast", code=1)
    assert "is there already" in desk.node("coast", code=1)


@pytest.mark.attack(70)
def test_a_successor_is_named_by_the_old_key(desk: Desk) -> None:
    desk.node("alice")
    (chain,) = desk.folder.glob("alice-*.chain")
    run("node", "enrol", desk.folder / "alice", chain, "--network", desk.network, "--anchor", desk.anchor)
    run("node", "rekey", desk.folder / "alice")
    request = desk.folder / "alice" / "rotate.request"
    good = tomllib.loads(request.read_text())
    mallory = SigningKey.from_seed(b"m" * 32)
    values = {**{k: good[k] for k in ("name", "transport", "device")}, "public": mallory.public.hex()}
    signed = b"bandpact/1/request" + cbor2.dumps([[k, values[k]] for k in sorted(values)])
    for before in (None, mallory.sign(signed).hex(), good["before"]):
        forged = {**values, "proof": mallory.sign(signed).hex(), **({"before": before} if before else {})}
        path = desk.folder / "forged.request"
        path.write_text(tomli_w.dumps(forged))
        out = desk.folder / "forged.chain"
        assert "KEY" in desk.at("reissue", path, "--name", "alice", "--out", out, code=1)
    said = desk.at("reissue", request, "--name", "alice", "--out", desk.folder / "next.chain")
    assert "alice may: 3550-3570 MHz; 20 km round 36.95 N 76.3 W" in said


@pytest.mark.attack(70)
def test_an_authority_asks_with_its_own_key_and_may_name_itself(desk: Desk) -> None:
    sub = desk.folder / "sub"
    run("authority", "request", "--network", desk.network, "--name", "bay", "--desk", sub)
    request, out = sub / "authority.request", desk.folder / "bay.chain"
    part = ("--band", "3550-3560MHz")
    assert "KEY: 'bay'" in desk.at("delegate", request, "--name", "cove", "--out", out, *part, code=1)
    table = tomllib.loads(request.read_text())
    request.write_text(tomli_w.dumps({**table, "name": "cove"}))
    assert "KEY: not signed" in desk.at("delegate", request, "--name", "cove", "--out", out, *part, code=1)
    request.write_text(tomli_w.dumps(table))
    assert "bay may: 3550-3560 MHz" in desk.at("delegate", request, "--name", "bay", "--out", out, *part)


# -- holders -----------------------------------------------------------------------------------------------------------


@pytest.mark.attack(62)
def test_two_holders_of_one_band_need_others_to_co_sign(desk: Desk) -> None:
    desk.rule()
    desk.node("one", role="holder")
    assert "SCOPE: 3550-3570 MHz is one's to grant in the same place" in desk.node("two", role="holder", code=1)
    assert "too few" in desk.node("two", "--band", "3555-3560MHz", role="holder", code=1)
    assert "too few" in desk.node("two", "--area", "36.9", "-76.3", "1km", role="holder", code=1)
    desk.rule("second", holders=2, after="rule", version=2)
    desk.node("two", role="holder")
    assert "too few" not in desk.node("three", role="holder")
    assert "too few" in desk.node("four", role="holder", code=1), "two of four could sign without the other two"


@pytest.mark.attack(62)
def test_without_any_rule_there_is_one_holder_for_each_cell(desk: Desk) -> None:
    desk.node("low", "--band", "3550-3560MHz", role="holder")
    assert "no rule of this desk" in desk.node("both", role="holder", code=1)
    desk.node("high", "--band", "3560-3570MHz", role="holder")
    desk.node("user")
    desk.node("co", role="coordinator")


@pytest.mark.attack(62)
def test_holders_apart_in_place_share_a_band(desk: Desk) -> None:
    desk.node("west", "--area", "36.95", "-76.4", "2km", role="holder")
    desk.node("east", "--area", "36.95", "-76.2", "2km", role="holder")
    assert "SCOPE" in desk.node("middle", "--area", "36.95", "-76.3", "10km", role="holder", code=1)


@pytest.mark.attack(62)
def test_one_that_was_taken_back_makes_room(desk: Desk) -> None:
    desk.rule()
    desk.node("one", role="holder")
    desk.at("revoke", "one", "--out", desk.folder / "list")
    desk.node("two", role="holder")


@pytest.mark.attack(62)
def test_no_rule_takes_away_what_two_holders_need(desk: Desk) -> None:
    desk.rule(holders=2)
    for name in ("one", "two"):
        desk.node(name, role="holder")
    assert "coordination" in desk.rule("less", after="rule", version=2, coordination=[], code=1)
    weak = [{"name": "all", "mode": "neighbours", "need": 0}]
    assert "coordination" in desk.rule("weak", after="rule", version=2, coordination=weak, code=1)
    low = {"name": "low", "mode": "neighbours", "need": 1, "band": {"low_hz": 3_550_000_000, "high_hz": 3_560_000_000}}
    part = desk.rule("part", after="rule", version=2, coordination=[low], code=1)
    assert "too few of them co-sign at 3560 MHz" in part
    high = {**low, "name": "high", "band": {"low_hz": 3_560_000_000, "high_hz": 3_570_000_000}}
    desk.rule("whole", after="rule", version=2, coordination=[high, low])


@pytest.mark.attack(62)
def test_more_than_half_of_the_authorities_of_a_shard_are_enough(desk: Desk) -> None:
    names = ["aa" * 32, "bb" * 32]
    weak = [{"name": "all", "mode": "authority", "need": 1, "authorities": names}]
    desk.rule("weak", coordination=weak)
    desk.node("one", role="holder")
    assert "too few" in desk.node("two", role="holder", code=1)
    desk.rule("strong", after="weak", version=2, coordination=[{**weak[0], "need": 2}])
    desk.node("two", role="holder")


@pytest.mark.attack(62)
def test_an_authority_below_counts_as_holders_nobody_can_count(desk: Desk) -> None:
    desk.rule(holders=9)
    sub, out = desk.folder / "sub", desk.folder / "bay.chain"
    run("authority", "request", "--network", desk.network, "--desk", sub)
    delegate = ("delegate", sub / "authority.request", "--name", "bay", "--out", out)
    desk.node("one", "--band", "3550-3560MHz", role="holder")
    assert "one's to grant" in desk.at(*delegate, code=1)
    desk.at(*delegate, "--band", "3560-3570MHz")
    assert "bay's to grant" in desk.node("two", "--band", "3565-3570MHz", role="holder", code=1)


@pytest.mark.attack(62)
def test_a_desk_below_goes_by_the_rule_it_is_shown(desk: Desk) -> None:
    desk.rule(holders=2)
    sub, chain = desk.folder / "sub", desk.folder / "bay.chain"
    run("authority", "request", "--network", desk.network, "--desk", sub)
    desk.at("delegate", sub / "authority.request", "--name", "bay", "--out", chain)
    run("authority", "enrol", chain, "--anchor", desk.anchor, "--desk", sub)
    issue = ("authority", "issue", "--role", "holder", "--desk", sub)
    run(*issue, fresh(desk, "one", "one"), "--name", "one", "--out", desk.folder / "1")
    second = (fresh(desk, "two", "two"), "--name", "two", "--out", desk.folder / "2")
    assert "no rule of this desk" in run(*issue, *second, code=1)
    assert "not a credential chain" in run(*issue, *second, "--rule", desk.folder / "rule.toml", code=1)
    run(*issue, *second, "--rule", desk.folder / "rule.signed")


def test_how_many_sign_and_witness() -> None:
    for holders in range(1, 30):
        signers = needed(holders) + 1
        assert 2 * signers > holders, "any two groups share a member"
    assert [witnesses(nodes) for nodes in range(8)] == [0, 0, 0, 1, 2, 3, 3, 4]


# -- what is drafted, signed and said ----------------------------------------------------------------------------------


def test_a_drafted_rule_is_safe(desk: Desk) -> None:
    desk.rule(holders=3, nodes=5)
    drafted = tomllib.loads((desk.folder / "rule.toml").read_text())
    assert drafted["coordination"] == [{"name": "all", "mode": "neighbours", "need": 1}]
    assert drafted["witness_quorum"] == 3
    (budget,) = drafted["budgets"]
    assert budget["amount_hz_s"] == 20_000_000 * 3600
    assert budget["first_share_ppm"] < 500_000
    *chain, raw = load_chain(desk.folder / "rule.signed")
    assert not isinstance(verify_rule(raw, chain, Registry("n", [bytes.fromhex(desk.anchor)])), Refusal)


def test_a_draft_knows_who_was_entitled_already(desk: Desk) -> None:
    for name, band in (("one", "3550-3560MHz"), ("two", "3560-3570MHz")):
        desk.node(name, "--band", band, role="holder")
    desk.node("user")
    desk.rule()
    drafted = tomllib.loads((desk.folder / "rule.toml").read_text())
    assert drafted["coordination"][0]["need"] == 1
    assert drafted["witness_quorum"] == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "raster 0": ({"raster_hz": 0}, "classes[0].raster_hz"),
    "99 dBm": ({"max_eirp_mdbm": 99_000}, "classes[0].max_eirp_mdbm"),
    "prices upside down": ({"price_low": 9, "price_high": 3}, "classes[0].price_low"),
    "another's class": ({"classes": [{"name": "5g"}]}, "classes[0]"),
    "no time": ({"time_unit_ns": 0}, "classes[0].time_unit_ns"),
    "a band beyond": ({"bands": [{"low_hz": 1, "high_hz": 2}]}, "bands[0]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_that_does_not_hold_is_not_signed(desk: Desk, name: str) -> None:
    changes, key = WRONG[name]
    code = 1 if name in ("99 dBm", "a band beyond") else 2
    assert key in desk.rule(code=code, **changes)
    assert not (desk.folder / "rule.signed").exists()


def test_a_class_it_does_not_govern_is_not_ruled(desk: Desk) -> None:
    desk.rule()
    table = tomllib.loads((desk.folder / "rule.toml").read_text())
    table["classes"][0]["name"] = "5g"
    (desk.folder / "other.toml").write_text(tomli_w.dumps(table))
    said = desk.at("rule", "sign", desk.folder / "other.toml", "--out", desk.folder / "o", code=1)
    assert "SCOPE [rule.classes[0].name]: 5g (required: cbrs)" in said


def test_nothing_signed_is_overwritten(desk: Desk) -> None:
    desk.rule()
    before = (desk.folder / "rule.signed").read_bytes(), desk.state()
    again = ("rule", "sign", desk.folder / "rule.toml", "--out", desk.folder / "rule.signed")
    assert "there already" in desk.at(*again, code=1)
    request = fresh(desk, "alice", "alice")
    issue = ("issue", request, "--name", "alice", "--role", "user", "--out", desk.folder / "rule.signed")
    assert "there already" in desk.at(*issue, code=1)
    assert ((desk.folder / "rule.signed").read_bytes(), desk.state()) == before


def test_every_command_says_what_it_entitled_in_peoples_units(desk: Desk, tmp_path: Path) -> None:
    made = run(*[a if a != "coast" else "north" for a in INIT], "--desk", tmp_path / "north")
    assert made.splitlines()[1].startswith("north may: 3550-3570 MHz; 20 km round 36.95 N 76.3 W; class cbrs; up to 30")
    said = desk.node("alice", "--eirp", "17dBm", "--band", "3550-3560MHz")
    assert "alice may: 3550-3560 MHz; 20 km round 36.95 N 76.3 W; class cbrs; up to 17 dBm, tier 2; request" in said
    ruled = desk.rule()
    for words in ("3550-3570 MHz", "up to 30 dBm", "windows up to 10 min", "leases of 3 s", "price 0 to 1000000"):
        assert words in ruled
    assert "up to 17 dBm" in desk.at("show")


def test_a_subject_of_the_desk_holds(desk: Desk) -> None:
    desk.node("alice")
    (chain,) = desk.folder.glob("alice-*.chain")
    subject = Registry("n", [bytes.fromhex(desk.anchor)]).admit_chain(load_chain(chain))
    assert isinstance(subject, Subject)
    assert subject.name == "alice"
