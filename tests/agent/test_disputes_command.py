"""The commands about promises, at a running node's errands and at the desk: what each does, and why it does not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.audit.disputepoints import broken_points, dispute_points, moved_points
from agent.cli.agentcall import told
from agent.cli.main import app
from agent.config.keyfiles import CHAIN, SIGN, secret_file, write_chain, write_files
from agent.desk.folder import SIGNED
from agent.node.commands import BadCommand, parse_command
from agent.node.complaints import (
    NotSaid,
    answer_prefix,
    dispute_settlement,
    move_settlement,
    show_disputes,
    shown_disputes,
)
from agent.report.promises import disputes, moved
from agent.words.disputes import dispute_line
from tests.agent.test_report import summary, trial
from tests.settlement.disputes.court import Court
from tests.settlement.world import NETWORK, UPPER, seed


@pytest.fixture
def court(tmp_path: Path) -> Court:
    folder = tmp_path / "court"
    folder.mkdir()
    made = Court(folder)
    made.settle()
    return made


def do(court: Court, who: str, at_s: float, act: Callable[..., Any], *args: Any, **names: Any) -> list[Any]:
    """What a command tells, and what follows from it carried."""
    party = court.world.members[who].party
    steps: list[Any] = court.world.do(who, at_s, lambda step: list(act(party, step, *args, **names)))
    court.world.carry(at_s)
    return steps


def asked(ground: str = "fallback not kept", prefix: str = "", **changes: Any) -> dict[str, Any]:
    return {"prefix": prefix, "ground": ground, "claim": None, "cite": [], "escalates": None, **changes}


@pytest.mark.feature("M6")
def test_a_dispute_is_raised_answered_and_shown_by_command(court: Court) -> None:
    (ended,) = do(court, "holder", 10.0, move_settlement, "", None)
    assert ended.step == "undelivered"
    (raised,) = do(court, "alice", 12.0, dispute_settlement, **asked())
    assert (raised.fields["claim"], raised.fields["evidence"]) == (7, 1)
    (answered,) = do(court, "holder", 13.0, answer_prefix, prefix="", stance="admitted", cite=[], reason="so it is")
    assert answered.fields["stance"] == "admitted"
    alice = court.alice
    one, case = show_disputes(alice, raised.fields["dispute"][:8], case=True)
    assert one.fields["state"] == "ANSWERED"
    assert "alice against holder" in dispute_line(one.fields)
    assert "answer: admitted" in told({"step": "dispute", **one.fields})
    assert bytes.fromhex(case.fields["case"])
    assert court.rule(bytes.fromhex(raised.fields["dispute"]), 14.0) is None
    (shown,) = shown_disputes(alice)
    assert (shown["outcome"], shown["owed"], shown["paid"]) == ("compensation", 6, 0)
    assert "6 not paid yet" in dispute_line(shown)
    court.world.carry(14.0)
    (shown,) = shown_disputes(alice)
    assert (shown["state"], shown["owed"], shown["paid"]) == ("PAID", 0, 6)


@pytest.mark.feature("M6")
def test_what_is_no_case_or_of_another_root_is_told_apart(court: Court, tmp_path: Path) -> None:
    court.break_off(10.0)
    court.world.carry(10.0)
    raised = court.dispute()
    _, case = show_disputes(court.alice, raised.digest.hex(), case=True)  # type: ignore[union-attr]
    file, junk, desk = tmp_path / "it.case", tmp_path / "junk", tmp_path / "desk"
    file.write_bytes(bytes.fromhex(case.fields["case"]))
    junk.write_text("name = 1")
    words = ["--network", NETWORK, "--band", "3550-3570MHz", "--class", "cbrs", "--area", "36.95", "-76.3", "20km"]
    assert CliRunner().invoke(app, ["authority", "init", "other", "--desk", str(desk), *words]).exit_code == 0
    for given, at, said in (
        (file, desk, "under another root"),
        (junk, desk, "no case file"),
        (tmp_path / "nowhere", desk, "No such file"),
        (file, tmp_path / "nodesk", "authority init NAME --desk"),
    ):
        ended = CliRunner().invoke(app, ["ruling", "sign", str(given), "--desk", str(at), "--out", str(tmp_path / "r")])
        assert ended.exit_code == 1
        assert said in " ".join(ended.output.split()), ended.output
    assert not (tmp_path / "r").exists()


@pytest.mark.feature("M6")
def test_a_dispute_is_answered_by_its_settlements_name_too(court: Court) -> None:
    do(court, "holder", 10.0, move_settlement, "", None)
    do(court, "alice", 12.0, dispute_settlement, **asked())
    prefix = court.sid.hex()[:8]
    (answered,) = do(court, "holder", 13.0, answer_prefix, prefix=prefix, stance="denied", cite=[], reason="")
    assert answered.fields["sid"] == court.sid.hex()
    with pytest.raises(NotSaid, match="0 disputes that this node may answer begin with 'zz'"):
        do(court, "holder", 13.5, answer_prefix, prefix="zz", stance="denied", cite=[], reason="")


def test_a_node_alone_is_taken_for_the_node_and_not_for_a_name(tmp_path: Path) -> None:
    """`bandpact dispute show NODE` shows all disputes of that node, of whose configuration it then speaks."""
    ended = CliRunner().invoke(app, ["dispute", "show", str(tmp_path)])
    assert ended.exit_code == 1
    assert str(tmp_path) in "".join(ended.output.split())


@pytest.mark.feature("A2")
def test_a_settlement_is_moved_by_command_and_a_band_that_nobody_offers_is_told(court: Court) -> None:
    with pytest.raises(NotSaid, match="no offer made or heard here holds"):
        do(court, "holder", 10.0, move_settlement, "", type(UPPER)(low_hz=10**9, high_hz=2 * 10**9))
    with pytest.raises(NotSaid, match="0 settlements granted here"):
        do(court, "holder", 10.0, move_settlement, "ff" * 32, UPPER)
    (moving,) = do(court, "holder", 10.0, move_settlement, court.sid.hex()[:6], UPPER)
    assert (moving.step, moving.fields["owed"]) == ("moving", 5)
    with pytest.raises(NotSaid, match="moved already"):
        do(court, "holder", 10.2, move_settlement, court.sid.hex()[:6], UPPER)


@pytest.mark.feature("M6")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prefix": "ff" * 32}, "0 settlements begin with"),
        ({"ground": "bad manners"}, "dispute.ground"),
        ({"cite": ["zz"]}, "--cite"),
        ({"cite": ["00"]}, "64 hexadecimal digits"),
        ({"cite": [seed("nowhere").hex()]}, "dispute.evidence"),
        ({"escalates": "00"}, "0 disputes begin with"),
    ],
)
def test_what_cannot_be_disputed_is_told_before_anything_is_signed(
    court: Court, changes: dict[str, Any], said: str
) -> None:
    size = court.alice.lineage.size
    with pytest.raises(NotSaid, match=said):
        do(court, "alice", 12.0, dispute_settlement, **asked(**changes))
    assert court.alice.lineage.size == size


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"do": "dispute", "sid": "00", "ground": 7}, "ground"),
        ({"do": "answer", "dispute": "00", "stance": "perhaps"}, "stance"),
        ({"do": "fallback", "sid": "00", "low_hz": 5}, "low_hz and high_hz go together"),
        ({"do": "disputes", "name": "00", "case": "yes"}, "case"),
    ],
)
def test_a_command_with_something_wrong_names_the_key(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(BadCommand, match=key):
        parse_command(fields)


@pytest.mark.feature("M6")
def test_the_desk_rules_on_a_case_file_once(court: Court, tmp_path: Path) -> None:
    court.break_off(10.0)
    court.world.carry(10.0)
    raised = court.dispute()
    name = raised.digest  # type: ignore[union-attr]
    _, case = show_disputes(court.alice, name.hex(), case=True)
    desk, file, out = tmp_path / "desk", tmp_path / "it.case", tmp_path / "ruling"
    desk.mkdir()
    file.write_bytes(bytes.fromhex(case.fields["case"]))
    write_files(secret_file(desk / SIGN, seed("root")))
    write_chain(desk / CHAIN, (court.world.root,))
    write_chain(desk / SIGNED, (court.world.root,))
    (desk / "network.txt").write_text(NETWORK + "\n", encoding="utf-8")
    words = ["ruling", "sign", str(file), "--desk", str(desk), "--out", str(out), "--json"]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    made = json.loads(ended.stdout)
    due = court.ruling(name)
    assert (made["outcome"], made["compensation"], made["pays"]) == (due.outcome, due.compensation, "holder")
    again = CliRunner().invoke(app, [*words[:-3], "--out", str(tmp_path / "second")])
    assert again.exit_code == 1
    assert "CONFLICT" in again.output
    broken = bytearray(file.read_bytes())
    broken[len(broken) // 2] ^= 1
    file.write_bytes(bytes(broken))
    third = CliRunner().invoke(app, [*words[:-3], "--out", str(tmp_path / "third")])
    assert third.exit_code == 1
    assert "write the case again" in third.output
    assert not (tmp_path / "third").exists()


def desk_of(folder: Path, who: str, *chain: bytes) -> Path:
    """An authority's folder, as its key and credentials make it."""
    folder.mkdir()
    write_files(secret_file(folder / SIGN, seed(who)))
    write_chain(folder / CHAIN, chain)
    write_chain(folder / SIGNED, chain[:1])
    (folder / "network.txt").write_text(NETWORK + "\n", encoding="utf-8")
    return folder


@pytest.mark.feature("M6")
def test_a_dispute_goes_to_the_second_level_by_command_and_only_that_level_rules(court: Court, tmp_path: Path) -> None:
    court.break_off(10.0)
    court.world.carry(10.0)
    (raised,) = do(court, "alice", 12.0, dispute_settlement, **asked())
    with pytest.raises(NotSaid, match="dispute"):  # there is no ruling yet, and none is overdue
        do(court, "alice", 12.5, dispute_settlement, **asked(ground="", escalates=raised.fields["dispute"][:8]))
    assert court.rule(bytes.fromhex(raised.fields["dispute"]), 15.0) is None
    court.world.carry(15.0)
    (higher,) = do(court, "alice", 16.0, dispute_settlement, **asked(ground="", escalates=raised.fields["dispute"][:8]))
    rows = {one.fields["dispute"]: one.fields for one in show_disputes(court.alice, "", case=False)}
    assert rows[raised.fields["dispute"]]["state"] == "ESCALATED"
    assert (rows[higher.fields["dispute"]]["state"], rows[higher.fields["dispute"]]["level"]) == ("RAISED", 2)
    *_, case = show_disputes(court.alice, higher.fields["dispute"][:8], case=True)
    file = tmp_path / "it.case"
    file.write_bytes(bytes.fromhex(case.fields["case"]))
    desks = {
        "root": desk_of(tmp_path / "root", "root", court.world.root),
        "regulator": desk_of(tmp_path / "regulator", "regulator", *court.world.chains["regulator"]),
    }
    ruled = {
        name: CliRunner().invoke(
            app, ["ruling", "sign", str(file), "--desk", str(desk), "--out", str(tmp_path / f"{name}.ruling"), "--json"]
        )
        for name, desk in desks.items()
    }
    assert ruled["root"].exit_code == 1
    assert "ruling.level" in ruled["root"].output
    assert not (tmp_path / "root.ruling").exists()
    assert ruled["regulator"].exit_code == 0, ruled["regulator"].output
    made = json.loads(ruled["regulator"].stdout)
    assert (made["level"], made["dispute"]) == (2, higher.fields["dispute"])


@pytest.mark.feature("M6")
def test_the_points_of_a_trial_tell_what_became_of_promises(court: Court) -> None:
    do(court, "holder", 10.0, move_settlement, "", None)
    do(court, "alice", 12.0, dispute_settlement, **asked())
    (name,) = court.open()
    assert court.rule(name, 15.0) is None
    court.world.carry(15.0)
    found = [one for n in court.alice.lineage.records_of(court.sid) if (one := court.alice.record_of(n)) is not None]
    who = {court.holder.identity.credential: "holder", court.alice.identity.credential: "alice"}
    named = lambda credential: who.get(credential, "authority")  # noqa: E731
    assert moved_points(named, found) == []
    (ended,) = broken_points(named, found)
    assert (ended["sid"], ended["holder"], ended["fallback"]) == (court.sid.hex(), "holder", 1)
    assert ended["why"] == "its holder says UNDELIVERED"
    (point,) = dispute_points(named, found)
    ruled = point["ruling"]
    assert (point["by"], point["against"], ruled["owed"], ruled["paid"]) == ("alice", "holder", 6, 6)
    shown = {"moved": [], "broken": broken_points(named, found), "disputes": [point]}
    data = trial(summary={**summary(), "scenario": shown})
    (row,) = moved(data).rows
    assert [cell.text for cell in row][0::2] == ["holder", "ended for nobody", "bound to fallback 1"]
    (row,) = disputes(data).rows
    assert [cell.text for cell in row][-2:] == ["6", "0"]  # the receipt is no record of the settlement
    assert row[-1].tone == "bad"
