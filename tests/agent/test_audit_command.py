"""What `bandpact audit` prints and how it ends, on logs of every kind."""

import json
import time
from pathlib import Path
from typing import Any

import apsw
import pytest
from typer.testing import CliRunner, Result

from agent.cli.audit import app
from settlement.audit.seal import write_seal
from settlement.chain.bodies import Request, Revocation
from settlement.chain.lineage import Lineage
from settlement.chain.records import Attestation, Frame, digest, sign_record
from settlement.chain.status import bits_of
from settlement.core.reasons import Reason
from settlement.state.messages import Message
from tests.settlement.world import NETWORK, NS, T0, World, fix, trio

NASTY = "\x1b]0;owned\x07\x1b[31m\u202e\r"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    """A settlement put under review, and a neighbour who writes to the auditor's terminal."""
    world = trio(tmp_path_factory.mktemp("live"), status_index={"alice": 3, "bob": 4})
    for version, (revoked, at_s) in enumerate((((), -1.0), ((3,), 1.5)), 1):
        lists = Revocation(version=version, fresh_until_ns=T0 + 100 * NS, bits=bits_of(revoked, 32))
        raw = world.by_authority(lists, at_s)
        assert world.give("bob", "holder", Message(record=raw).encoded(), at_s + 0.25) is None
        world.carry(at_s + 0.25)
        if version == 1:
            world.settle()
    bob = world.members["bob"]
    offer = next(iter(bob.party.user.offers.values()))
    frame = Frame(network=NETWORK, author=bob.hash, seq=900, previous=bytes(32), attestation=Attestation.of(fix(2.0)))
    asked = Request(
        declaration=offer.declaration,
        cell=offer.body.cell,
        commodity=NASTY,
        tier=2,
        eirp_mdbm=1,
        price=7,
        partial=0,
        nonce=bytes(16),
    )
    refusal = world.give("bob", "holder", Message(record=sign_record(bob.key, frame, asked)).encoded(), 2.0)
    assert refusal is not None
    assert refusal.reason is Reason.SCOPE
    folder = tmp_path_factory.mktemp("trial")
    for name, member in world.members.items():
        member.party.lineage.seal(member.key, folder / f"{name}.db")
        write_seal(folder / f"{name}.db", member.key)
    (folder / "anchors.txt").write_text(f"{NETWORK} {digest(world.root).hex()}\n")
    return world, folder


def copy_of(folder: Path, target: Path, *names: str) -> Path:
    for name in names:
        (target / name).write_bytes((folder / name).read_bytes())
    return target


def parsed(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.mark.feature("M7")
@pytest.mark.feature("G8")
def test_a_review_and_how_long_a_revocation_took_are_shown(trial: tuple[World, Path]) -> None:
    _, folder = trial
    result = run("report", folder)
    assert result.exit_code == 0, result.stdout
    assert "under review by holder.db" in result.stdout
    assert "REVOKED: alice" in result.stdout
    assert "status list 2 of root taken 249.998 to 250.002 ms after it was signed" in result.stdout
    outcome = parsed(run("verify", folder, "--json"))
    assert [review["file"] for review in outcome["reviews"]] == ["holder.db"]
    shown = run("show", folder, "--type", "verdict")
    assert "REVOKED [review.opened]" in shown.stdout


@pytest.mark.feature("M7")
def test_entries_of_a_time_are_asked_for_as_people_write_it(trial: tuple[World, Path]) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 // NS + 1))
    rows = [
        json.loads(run("show", trial[1], "--json", *more).stdout) for more in ((), ("--since", at), ("--until", at))
    ]
    assert 0 < len(rows[1]) < len(rows[0])
    assert len(rows[1]) + len(rows[2]) == len(rows[0])
    done = run("show", trial[1], "--since", "2026-11-28")
    assert done.exit_code != 0
    assert "with the Z of UTC" in f"{done.output}{done.exception}"


@pytest.mark.parametrize("command", ["show", "verify", "report", "replay"])
def test_nothing_a_peer_wrote_reaches_the_terminal_as_it_is(trial: tuple[World, Path], command: str) -> None:
    _, folder = trial
    result = run(command, folder)
    assert result.exit_code == 0
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(result.stdout)
    if command == "show":
        assert r"\x1b]0;owned\x07" in result.stdout


def test_an_unsealed_log_is_a_warning_that_says_so(trial: tuple[World, Path], tmp_path: Path) -> None:
    _, folder = trial
    copy_of(folder, tmp_path, "holder.db", "anchors.txt")
    for command in ("verify", "report", "replay"):
        result = run(command, tmp_path)
        assert result.exit_code == 3, command
        assert "not sealed" in result.stdout
    assert "NOT SEALED" in run("verify", tmp_path).stdout
    assert parsed(run("verify", tmp_path, "--json"))["outcome"] == "NOT_SEALED"


@pytest.mark.attack(50)
def test_a_tail_cut_from_an_unsealed_log_is_tampering(trial: tuple[World, Path], tmp_path: Path) -> None:
    _, folder = trial
    copy_of(folder, tmp_path, "holder.db", "anchors.txt")
    db = apsw.Connection(str(tmp_path / "holder.db"))
    (size,) = db.execute("SELECT count(*) - 2 FROM leaf").fetchone() or (0,)
    db.execute("DELETE FROM leaf WHERE idx >= ?", (size,))
    db.execute("DELETE FROM node WHERE (idx + 1) << level > ?", (size,))
    db.execute("DELETE FROM checkpoint WHERE size > ?", (size,))
    db.close()
    result = run("verify", tmp_path)
    assert result.exit_code == 5
    assert "entries were there" in result.stdout


MISTAKES = {
    "no such file": (("show", "/nowhere/at.all"), "/nowhere/at.all"),
    "nor to verify": (("verify", "/nowhere/at.all"), "/nowhere/at.all"),
    "nor to bundle": (("bundle", "/nowhere/at.all", "--out", "x.bundle"), "/nowhere/at.all"),
    "a type there is not": (("show", "{}", "--type", "letter"), "letter"),
    "a reason there is not": (("show", "{}", "--reason", "WHIM"), "WHIM"),
    "a sid that is none": (("show", "{}", "--sid", "xyz"), "hexadecimal"),
    "a file of something else": (("show", "{}/anchors.txt"), "anchors.txt"),
    "an anchor that is none": (("verify", "{}", "--network", "n", "--anchor", "zz"), "64 hexadecimal"),
    "an anchor too short": (("verify", "{}", "--network", "n", "--anchor", "aa"), "64 hexadecimal"),
    "an anchor of no network": (("verify", "{}", "--anchor", "aa" * 32), "--network"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_what_is_wrong(trial: tuple[World, Path], name: str) -> None:
    _, folder = trial
    arguments, named = MISTAKES[name]
    result = run(*(a.format(folder) for a in arguments))
    assert result.exit_code == 1
    assert named in result.stderr
    assert result.stderr.count("\n") == 1


def test_entries_of_a_bundle_are_shown_as_those_of_its_files(trial: tuple[World, Path], tmp_path: Path) -> None:
    world, folder = trial
    target = tmp_path / "all.bundle"
    assert run("bundle", folder, "--out", target).exit_code == 0
    trust = ("--network", NETWORK, "--anchor", digest(world.root).hex())
    assert run("verify", target, *trust).exit_code == 0
    ours, theirs = parsed(run("show", target, *trust, "--json")), parsed(run("show", folder, "--json"))
    assert [row["digest"] for row in ours] == [row["digest"] for row in theirs]
    assert run("bundle", folder, "--out", target).exit_code == 1


@pytest.mark.attack(50)
def test_replay_names_a_kept_row_that_the_log_does_not_make(trial: tuple[World, Path], tmp_path: Path) -> None:
    """The owner itself signs over what it altered: its signature holds, its log does not bear it out."""
    world, folder = trial
    anchors = ("--network", NETWORK, "--anchor", digest(world.root).hex())
    whole = run("replay", folder, "--json")
    assert whole.exit_code == 0, whole.output
    kept = {row["file"]: row["kept"] for row in json.loads(whole.stdout)["lineages"]}
    assert all(row["differing"] == 0 for row in kept.values())
    assert kept["holder.db"]["checked"] > 5
    path = tmp_path / "holder.db"
    path.write_bytes((folder / "holder.db").read_bytes())
    holder = world.members["holder"]
    forged = Lineage(path, origin=holder.party.lineage.origin)
    with forged.transaction():
        ((sid, _),) = forged.items("holder")
        forged.drop("holder", sid)
        forged.count("fence", 5)
        forged.stand(holder.key)
    forged.close()
    assert run("verify", path, *anchors).exit_code == 3, "all that is signed holds; not sealed"
    told = run("replay", path, *anchors)
    assert told.exit_code == 7, "what it signed of its log holds: nobody altered it"
    assert "DIFFERS" in told.stdout
    assert "TAMPERED" not in told.stdout
    assert parsed(run("replay", path, *anchors, "--json"))["outcome"] == "DIFFERS"
    assert f"holder {sid.hex()[:16]}: kept is no such row, the log makes it a settlement" in told.stdout
    assert "counter fence: kept is" in told.stdout


@pytest.mark.parametrize("command", ["verify", "replay", "show", "report", "bundle"])
@pytest.mark.parametrize("what", ["text", "empty", "another database", "folder of one"])
def test_what_is_no_lineage_is_not_called_tampered(tmp_path: Path, command: str, what: str) -> None:
    path = tmp_path / "thing.db"
    if what == "another database":
        db = apsw.Connection(str(path))
        db.execute("CREATE TABLE shopping(item)")
        db.close()
    else:
        path.write_text("" if what == "empty" else "not a database at all\n" * 300)
    given = tmp_path if what == "folder of one" else path
    out = ("--out", tmp_path / "x.bundle") if command == "bundle" else ()
    told = run(command, given, *out, "--network", "n", "--anchor", "00" * 32)
    assert told.exit_code == 1, told.output
    assert f"{path}: not a lineage" in told.stderr
    assert "TAMPERED" not in told.output
    unnamed = run(command, given, *out)
    assert f"{path}: not a lineage" in unnamed.stderr, "before it asks for anchors, which would be of no use"
    assert unnamed.exit_code == 1
    missing = run(command, tmp_path / "gone.db", *out, "--network", "n", "--anchor", "00" * 32)
    assert missing.exit_code == 1
    assert f"{tmp_path / 'gone.db'}: no such file or folder" in missing.stderr


def test_a_sealed_file_that_opens_no_more_is_tampering(trial: tuple[World, Path], tmp_path: Path) -> None:
    world, folder = trial
    for ending in (".db", ".seal"):
        (tmp_path / f"holder{ending}").write_bytes((folder / f"holder{ending}").read_bytes())
    torn = bytearray((tmp_path / "holder.db").read_bytes())
    torn[3] ^= 1
    (tmp_path / "holder.db").write_bytes(torn)
    told = run("verify", tmp_path / "holder.db", "--network", NETWORK, "--anchor", digest(world.root).hex())
    assert told.exit_code == 5


def test_a_wrong_anchor_is_said_once_for_each_log(trial: tuple[World, Path], tmp_path: Path) -> None:
    world, folder = trial
    packed = tmp_path / "t.bundle"
    assert run("bundle", folder, "--out", packed).exit_code == 0
    for given in (folder, packed):
        told = run("verify", given, "--network", NETWORK, "--anchor", "11" * 32, "--json")
        assert told.exit_code == 6
        assert parsed(told)["outcome"] == "WRONG_ANCHOR"
        spoken = run("verify", given, "--network", NETWORK, "--anchor", "11" * 32)
        assert "WRONG ANCHOR" in spoken.stdout
        assert "TAMPERED" not in spoken.stdout
        problems = [row["problems"] for row in json.loads(told.stdout)["lineages"]]
        assert len(problems) == len(world.members)
        assert all(len(p) == 1 and "leads to a trust anchor" in p[0] for p in problems)


def test_a_bundle_of_another_network_is_not_called_tampered(trial: tuple[World, Path], tmp_path: Path) -> None:
    world, folder = trial
    packed = tmp_path / "t.bundle"
    assert run("bundle", folder, "--out", packed).exit_code == 0
    told = run("verify", packed, "--network", "elsewhere", "--anchor", digest(world.root).hex())
    assert told.exit_code == 6
    assert "WRONG ANCHOR" in told.stdout


@pytest.mark.parametrize("content", ["just text\n" * 50, "", "\x00" * 500, "cut"])
@pytest.mark.parametrize("command", ["verify", "replay", "report", "show"])
def test_what_is_no_bundle_is_not_called_tampered(
    trial: tuple[World, Path], tmp_path: Path, command: str, content: str
) -> None:
    _, folder = trial
    path = tmp_path / "x.bundle"
    if content == "cut":
        assert run("bundle", folder, "--out", tmp_path / "whole.bundle").exit_code == 0
        path.write_bytes((tmp_path / "whole.bundle").read_bytes()[:-100])
    else:
        path.write_text(content)
    told = run(command, path, "--network", "n", "--anchor", "00" * 32)
    assert told.exit_code == 1
    assert "NOT A LINEAGE" in told.stderr
    assert told.stderr.count("\n") == 1
    assert "TAMPERED" not in told.output


def test_an_altered_counter_is_tampering(trial: tuple[World, Path], tmp_path: Path) -> None:
    _, folder = trial
    copy_of(folder, tmp_path, "holder.db", "anchors.txt")
    db = apsw.Connection(str(tmp_path / "holder.db"))
    db.execute("UPDATE counter SET value = value + 1")
    db.close()
    assert parsed(run("verify", tmp_path, "--json"))["outcome"] == "TAMPERED"


def test_a_replay_is_shown_with_the_record_it_repeats(tmp_path: Path) -> None:
    world = trio(tmp_path)
    world.settle()
    alice = world.members["alice"].party
    raw = alice.record_bytes(next(iter(alice.user.pairs)))
    again = world.give("alice", "holder", Message(record=raw or b"").encoded(), 1.1)
    assert again is not None
    assert again.reason is Reason.REPLAY
    for member in world.members.values():
        member.party.lineage.close()
    anchors = ("--network", NETWORK, "--anchor", digest(world.root).hex())
    told = run("show", tmp_path / "holder.db", "--reason", "REPLAY", *anchors)
    assert "alice  request" in told.stdout
