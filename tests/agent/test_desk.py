"""The authority's desk and a node's enrolment, from the command line."""

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.config.keyfiles import load_chain
from settlement.chain.admission import Admitted, RuleInForce, prove
from settlement.chain.credentials import Registry, Subject
from settlement.chain.records import Unproven, parse
from settlement.chain.rotation import judge_rotation
from settlement.chain.status import StatusLists
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.reasons import Reason
from settlement.pair.artifact import verify_rule
from tests.settlement.test_rulefile import TEXT

RUN = CliRunner()
INIT = [
    "authority", "init", "coast", "--network", "n", "--band", "3550-3570MHz",
    "--area", "36.95", "-76.3", "20km", "--class", "cbrs",
]  # fmt: skip


def run(*arguments: object, code: int = 0) -> str:
    outcome = RUN.invoke(app, [str(a) for a in arguments])
    assert outcome.exit_code == code, outcome.output
    return outcome.output


@pytest.fixture
def desk(tmp_path: Path) -> tuple[Path, str]:
    folder = tmp_path / "desk"
    network, anchor = run(*INIT, "--desk", folder).splitlines()[0].split()
    assert network == "n"
    return folder, anchor


@pytest.mark.feature("G1")
def test_a_node_is_enrolled_and_revoked(desk: tuple[Path, str], tmp_path: Path) -> None:
    folder, anchor = desk
    node = tmp_path / "node"
    run("node", "init", node, "--device", "pluto 1", "--name", "alice")
    chain = tmp_path / "node.chain"
    issue = ("authority", "issue", node / "enrol.request", "--name", "alice", "--role", "user", "--out", chain)
    run(*issue, "--desk", folder)
    assert "enrolled as alice" in run("node", "enrol", node, chain, "--network", "n", "--anchor", anchor)
    subject = Registry("n", [bytes.fromhex(anchor)]).admit_chain(load_chain(node / "credential.chain"))
    assert isinstance(subject, Subject)
    assert (subject.name, subject.device, subject.status_index) == ("alice", "pluto 1", 0)
    assert "alice" in run("authority", "show", "--desk", folder)
    out = tmp_path / "list"
    run("authority", "revoke", "alice", "--out", out, "--desk", folder)
    unproven = parse(out.read_bytes())
    assert isinstance(unproven, Unproven)
    assert unproven.payload[6][3][0] == 1
    assert "no such name" in run("authority", "revoke", "bob", "--out", out, "--desk", folder, code=1)
    assert (node / "sign.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.feature("S8")
@pytest.mark.parametrize(("role", "may"), [("coordinator", True), ("holder", True), ("user", False)])
def test_who_may_co_sign_is_the_authoritys_word(desk: tuple[Path, str], tmp_path: Path, role: str, may: bool) -> None:
    folder, anchor = desk
    node, chain = tmp_path / "node", tmp_path / "chain"
    run("node", "init", node, "--device", "rota", "--name", "r")
    run("authority", "issue", node / "enrol.request", "--name", "r", "--role", role, "--out", chain, "--desk", folder)
    subject = Registry("n", [bytes.fromhex(anchor)]).admit_chain(load_chain(chain))
    assert isinstance(subject, Subject)
    assert ("coordinate" in subject.scope.actions) is may
    assert ("request" in subject.scope.actions) is (role == "user")


def test_a_key_is_never_overwritten(desk: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = desk
    before = (folder / "sign.key").read_bytes()
    assert "never overwritten" in run(*INIT, "--desk", folder, code=1)
    assert (folder / "sign.key").read_bytes() == before
    run("node", "init", tmp_path / "node", "--device", "x")
    assert "never overwritten" in run("node", "init", tmp_path / "node", "--device", "x", code=1)


def test_an_encrypted_key_needs_its_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDPACT_PASSPHRASE", "right")
    folder = tmp_path / "desk"
    run(*INIT, "--desk", folder)
    assert (folder / "sign.key").read_text().startswith("encrypted:")
    run("authority", "show", "--desk", folder)
    monkeypatch.setenv("BANDPACT_PASSPHRASE", "wrong")
    assert "wrong passphrase" in run("authority", "show", "--desk", folder, code=1)
    monkeypatch.delenv("BANDPACT_PASSPHRASE")
    assert "BANDPACT_PASSPHRASE" in run("authority", "show", "--desk", folder, code=1)


@pytest.mark.feature("G7")
def test_rules_are_signed_in_order(desk: tuple[Path, str], tmp_path: Path) -> None:
    folder, anchor = desk
    text, first, second = tmp_path / "rule.toml", tmp_path / "one", tmp_path / "two"
    text.write_text(TEXT)
    run("authority", "rule", "sign", text, "--out", first, "--desk", folder)
    again = ("authority", "rule", "sign", text, "--out", second, "--after", first, "--desk", folder)
    assert "ROLLBACK" in run(*again, code=1)
    text.write_text(TEXT.replace("version = 1", "version = 2"))
    run(*again)
    *chain, raw = load_chain(second)
    rule = verify_rule(raw, chain, Registry("n", [bytes.fromhex(anchor)]))
    assert isinstance(rule, RuleInForce)
    assert rule.rule.version == 2
    text.write_text(TEXT.replace("lease_ns", "leese_ns"))
    assert "classes[0].lease_ns" in run(*again, code=2)


@pytest.mark.feature("G9")
def test_a_root_rotates(desk: tuple[Path, str], tmp_path: Path) -> None:
    folder, anchor = desk
    out = tmp_path / "rotation"
    run("authority", "rotate", "--out", out, "--desk", folder)
    shown = run("authority", "show", "--desk", folder)
    assert anchor not in shown
    unproven = parse(out.read_bytes())
    assert isinstance(unproven, Unproven)
    assert unproven.author == bytes.fromhex(anchor)


def test_anothers_credential_is_not_taken_in(desk: tuple[Path, str], tmp_path: Path) -> None:
    folder, anchor = desk
    for name in ("a", "b"):
        run("node", "init", tmp_path / name, "--device", name)
    chain = tmp_path / "a.chain"
    request = tmp_path / "a" / "enrol.request"
    run("authority", "issue", request, "--name", "a", "--role", "user", "--out", chain, "--desk", folder)
    refused = run("node", "enrol", tmp_path / "b", chain, "--network", "n", "--anchor", anchor, code=1)
    assert "BINDING" in refused
    wide = ("--eirp", "40dBm")
    other = tmp_path / "b" / "enrol.request"
    out = run(
        "authority", "issue", other, "--name", "b", "--role", "user", "--out", chain, *wide, "--desk", folder, code=1
    )
    assert "SCOPE" in out


SQUARE = [f"--corner={lat},{lon}" for lat, lon in (
    ("37", "-76.4"), ("37", "-76.2"), ("36.9", "-76.2"), ("36.9", "-76.4"),
)]  # fmt: skip
NOWHERE = [a for a in INIT if a not in ("--area", "36.95", "-76.3", "20km")]


@pytest.mark.feature("G3")
def test_an_area_outlined_at_the_desk_only_narrows(tmp_path: Path) -> None:
    folder, node, chain = tmp_path / "desk", tmp_path / "node", tmp_path / "c"
    _, anchor = run(*NOWHERE, *SQUARE, "--desk", folder).splitlines()[0].split()
    run("node", "init", node, "--device", "pluto 1", "--name", "a")
    issue = (
        "authority",
        "issue",
        node / "enrol.request",
        "--name",
        "a",
        "--role",
        "user",
        "--out",
        chain,
        "--desk",
        folder,
    )
    wide = run(*issue, "--area", "36.95", "-76.3", "20km", code=1)
    assert "SCOPE" in wide
    assert "scope.area" in wide
    assert not chain.exists()
    run(*issue, "--area", "36.95", "-76.3", "5km", "--band", "3550-3560MHz")
    subject = Registry("n", [bytes.fromhex(anchor)]).admit_chain(load_chain(chain))
    assert isinstance(subject, Subject)
    assert subject.scope.area.radius_mm == 5_000_000


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "--area: missing"),
        (SQUARE[:2], "--corner: 2 corners"),
        ([*SQUARE[:2], "--corner=here"], "--corner 'here': write it in degrees"),
        ([*SQUARE[:2], "--corner=99,0"], "--corner '99': write it in degrees"),
        (["--area", "369500000", "-763000000", "20000000"], "--area '369500000': write it in degrees"),
        (["--area", "36.95", "-76.3", "20000"], "--area '20000': write it as 20km"),
        ([*SQUARE, "--area", "1", "1", "1m"], "--corner: beside --area"),
        (["--area", "1", "1", "0m"], "--area 1 1 0m"),
        ([SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]], "touch or cross"),
    ],
)
def test_a_bad_area_makes_no_desk(tmp_path: Path, options: list[str], complaint: str) -> None:
    assert complaint in run(*NOWHERE, *options, "--desk", tmp_path / "desk", code=2)
    assert not (tmp_path / "desk").exists()


@pytest.mark.feature("G9")
def test_who_was_enrolled_before_a_rotation_can_be_revoked_after_it(desk: tuple[Path, str], tmp_path: Path) -> None:
    folder, anchor = desk
    chains = {}
    for name in ("alice", "bob", "carol"):
        run("node", "init", tmp_path / name, "--device", name)
        chains[name] = tmp_path / f"{name}.chain"
        request = tmp_path / name / "enrol.request"
        run("authority", "issue", request, "--name", name, "--role", "user", "--out", chains[name], "--desk", folder)
        if name == "alice":
            run("authority", "revoke", "alice", "--out", tmp_path / "list1", "--desk", folder)
        if name != "carol":
            run("authority", "rotate", "--out", tmp_path / f"rotation-{name}", "--desk", folder)
    shown = run("authority", "show", "--desk", folder)
    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [["0", "alice"], ["1", "bob"], ["2", "carol"]]
    run("authority", "revoke", "bob", "--out", tmp_path / "list2", "--desk", folder)
    registry, status = Registry("n", [bytes.fromhex(anchor)]), StatusLists()
    now_ns = time.time_ns()
    now = TimeFix(earliest_ns=now_ns, latest_ns=now_ns, source=TimeSource.KERNEL, trusted=True)
    subjects = [registry.admit_chain(load_chain(chains["alice"]))]
    for name in ("alice", "bob"):
        turned = prove((tmp_path / f"rotation-{name}").read_bytes(), registry)
        assert isinstance(turned, Admitted)
        successor = judge_rotation(turned.author, turned.record.body, registry)
        assert isinstance(successor, Subject)
        registry.rotate(turned.author, successor)
        subjects.append(registry.admit_chain(load_chain(chains["bob" if name == "alice" else "carol"])))
    for file in ("list2",):
        told = prove((tmp_path / file).read_bytes(), registry)
        assert isinstance(told, Admitted)
        assert status.judge(told.author, told.record.body, now) is None
        status.take(told.author, told.record.raw, told.record.body)
    verdicts = [status.standing(s, registry, now) for s in subjects if isinstance(s, Subject)]
    assert [v.reason if v else None for v in verdicts] == [Reason.REVOKED, Reason.REVOKED, None]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["authority", "issue", "nothing", "--name", "a", "--role", "user", "--out", "c"], "No such file"),
        (["authority", "issue", "REQUEST", "--name", "", "--role", "user", "--out", "c"], "--name ''"),
        (["authority", "issue", "REQUEST", "--name", "a", "--role", "user", "--out", "no/where"], "no/where"),
        (["authority", "issue", "REQUEST", "--name", "a", "--role", "boss", "--out", "c"], "--role boss"),
        (["authority", "issue", "TORN", "--name", "a", "--role", "user", "--out", "c"], "not a request"),
        (["authority", "revoke", "--out", "no/where"], "no/where"),
        (["authority", "rotate", "--out", "no/where"], "no/where"),
        (["authority", "rule", "sign", "nothing.toml", "--out", "r"], "No such file"),
    ],
)
def test_what_cannot_be_done_leaves_the_desk_as_it_was(
    desk: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], complaint: str
) -> None:
    folder, _ = desk
    monkeypatch.chdir(tmp_path)
    run("node", "init", "node", "--device", "pluto 1", "--name", "a")
    Path("torn").write_text("public = 1", encoding="utf-8")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    names = {"REQUEST": "node/enrol.request", "TORN": "torn"}
    assert complaint in run(*[names.get(a, a) for a in arguments], "--desk", folder, code=1)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_an_authority_governs_no_band_from_0_hz(tmp_path: Path) -> None:
    words = [word.replace("3550-3570MHz", "0-3570MHz") for word in INIT]
    assert "begins at 0 Hz" in run(*words, "--desk", tmp_path / "desk", code=2)
    assert not (tmp_path / "desk").exists()
    run(*(word.replace("3550-3570MHz", "0-1Gbit/s") for word in INIT), "--desk", tmp_path / "desk")


def test_a_folder_that_is_no_desk(tmp_path: Path) -> None:
    assert "bandpact authority init" in run("authority", "show", "--desk", tmp_path, code=1)


@pytest.fixture
def below(desk: tuple[Path, str], tmp_path: Path) -> tuple[Path, Path, str]:
    """A root's desk and that of an authority below it; the root's anchor."""
    folder, anchor = desk
    sub = tmp_path / "sub"
    run("authority", "request", "--network", "n", "--desk", sub)
    chain = tmp_path / "sub.chain"
    narrow = ("--band", "3550-3560MHz", "--area", "36.95", "-76.3", "5km")
    delegate = ("authority", "delegate", sub / "authority.request", "--name", "bay", "--out", chain)
    run(*delegate, *narrow, "--desk", folder)
    assert "enrolled as bay" in run("authority", "enrol", chain, "--anchor", anchor, "--desk", sub)
    return folder, sub, anchor


@pytest.mark.feature("G3")
@pytest.mark.feature("M6")
def test_an_authority_of_another_level_that_may_only_rule(desk: tuple[Path, str], tmp_path: Path) -> None:
    """A regulator for the second level of disputes: in the same place and band as holders, since it grants nothing."""
    folder, anchor = desk
    run("node", "init", tmp_path / "h", "--device", "pluto 1")
    issue = ("authority", "issue", tmp_path / "h" / "enrol.request", "--name", "h", "--role", "holder")
    run(*issue, "--out", tmp_path / "h.chain", "--desk", folder)
    regulator, chain = tmp_path / "regulator", tmp_path / "regulator.chain"
    run("authority", "request", "--network", "n", "--desk", regulator)
    delegate = ("authority", "delegate", regulator / "authority.request", "--name", "fcc", "--out", chain)
    assert "this authority may issue" in run(*delegate, "--action", "fly", "--desk", folder, code=2)
    said = run(*delegate, "--level", "regulator", "--action", "rule", "--action", "audit", "--desk", folder)
    assert "rule, audit" in said
    run("authority", "enrol", chain, "--anchor", anchor, "--desk", regulator)
    subject = Registry("n", [bytes.fromhex(anchor)]).admit_chain(load_chain(chain))
    assert isinstance(subject, Subject)
    assert (subject.level, subject.scope.actions) == ("regulator", ("rule", "audit"))
    assert "regulator" in run("authority", "show", "--desk", folder)


def enrolled(tmp_path: Path, sub: Path, name: str, *options: object, code: int = 0) -> Path:
    run("node", "init", tmp_path / name, "--device", name)
    chain = tmp_path / f"{name}.chain"
    request = tmp_path / name / "enrol.request"
    issue = ("authority", "issue", request, "--name", name, "--role", "user", "--out", chain, *options)
    said = run(*issue, "--desk", sub, code=code)
    assert code == 0 or "SCOPE" in said
    return chain


@pytest.mark.feature("G3")
@pytest.mark.attack(14)
def test_an_authority_below_another_issues_inside_its_own_scope_and_rules(
    below: tuple[Path, Path, str], tmp_path: Path
) -> None:
    _, sub, anchor = below
    subject = Registry("n", [bytes.fromhex(anchor)]).admit_chain(load_chain(enrolled(tmp_path, sub, "alice")))
    assert isinstance(subject, Subject)
    assert len(subject.chain) == 3
    enrolled(tmp_path, sub, "wide", "--band", "3550-3570MHz", code=1)
    run("authority", "revoke", "alice", "--out", tmp_path / "list", "--desk", sub)
    told = prove((tmp_path / "list").read_bytes(), _knowing(anchor, load_chain(sub / "credential.chain")))
    assert isinstance(told, Admitted)
    assert told.author.name == "bay"


def _knowing(anchor: str, *chains: tuple[bytes, ...]) -> Registry:
    registry = Registry("n", [bytes.fromhex(anchor)])
    for chain in chains:
        assert isinstance(registry.admit_chain(chain), Subject)
    return registry


@pytest.mark.feature("G9")
@pytest.mark.attack(22)
@pytest.mark.parametrize("root_turns", [False, True])
def test_an_authority_below_another_rotates(below: tuple[Path, Path, str], tmp_path: Path, root_turns: bool) -> None:
    folder, sub, anchor = below
    chain = enrolled(tmp_path, sub, "alice")
    out, reissued = tmp_path / "rotation", tmp_path / "bay2.chain"
    rotate = ("authority", "rotate", "--out", out, "--desk", sub)
    assert "authority rekey" in run(*rotate, code=1)
    registry = _knowing(anchor, load_chain(chain))
    if root_turns:
        run("authority", "rotate", "--out", tmp_path / "root-rotation", "--desk", folder)
        taken(registry, tmp_path / "root-rotation")
    request = run("authority", "rekey", "--desk", sub).split(":")[0]
    run("authority", "reissue", request, "--name", "bay", "--out", reissued, "--desk", folder)
    foreign = ("--successor", chain)
    assert "ROTATION" in run(*rotate, *foreign, code=1)
    above = ("--above", tmp_path / "root-rotation") if root_turns else ()
    run(*rotate, "--successor", reissued, *above)
    assert taken(registry, out).name == "bay"
    run("authority", "revoke", "alice", "--out", tmp_path / "list", "--desk", sub)
    told = prove((tmp_path / "list").read_bytes(), registry)
    assert isinstance(told, Admitted)
    assert told.record.frame.seq == 1, "the new key begins a chain of its own"
    assert "0 alice" in run("authority", "show", "--desk", sub)
    enrolled(tmp_path, sub, "bob")
    assert "1 bob" in run("authority", "show", "--desk", sub)


def taken(registry: Registry, path: Path) -> Subject:
    """A rotation as a node takes it."""
    turned = prove(path.read_bytes(), registry)
    assert isinstance(turned, Admitted)
    successor = judge_rotation(turned.author, turned.record.body, registry)
    assert isinstance(successor, Subject), successor
    registry.rotate(turned.author, successor)
    return successor


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["enrol", "CHAIN", "--anchor", "zz"], "--anchor"),
        (["enrol", "nothing", "--anchor", "ANCHOR"], "No such file"),
        (["enrol", "CHAIN", "--anchor", "ANCHOR"], "BINDING"),
        (["request", "--network", "n"], "never overwritten"),
        (["reissue", "authority.request", "--name", "nobody", "--out", "x"], "no such name"),
        (["rekey", "--desk", "desk"], "needs nobody's word"),
        (["enrol", "CHAIN", "--anchor", "00ff"], "64 hexadecimal digits"),
        (["delegate", "alice/enrol.request", "--name", "x", "--out", "x"], "a node asks with it"),
        (["reissue", "alice/rotate.request", "--name", "alice", "--out", "x"], "REVOKED"),
    ],
)
def test_a_mistake_with_an_authority_below_is_told(
    below: tuple[Path, Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    complaint: str,
) -> None:
    _, sub, anchor = below
    monkeypatch.chdir(tmp_path)
    chain = enrolled(tmp_path, sub, "alice")
    run("node", "enrol", "alice", chain, "--network", "n", "--anchor", anchor)
    run("node", "rekey", "alice")
    assert "status list 1, 1 taken back" in run("authority", "revoke", "alice", "--out", "list", "--desk", sub)
    assert "taken back" in run("authority", "show", "--desk", sub)
    named = {"CHAIN": str(chain), "ANCHOR": anchor}
    where = [] if "--desk" in arguments else ["--desk", sub]
    assert complaint in run("authority", *[named.get(a, a) for a in arguments], *where, code=1)


@pytest.mark.attack(63)
@pytest.mark.parametrize("words", [
    "authority init coast --network n --band 3550-3570MHz --class cbrs --area 36.95 -76.3 20km --desk made",
    "authority request --network n --desk made",
    "node init made --device x",
    "witness init made --name w",
])  # fmt: skip
def test_a_folder_of_keys_is_its_owners_to_write_to_whatever_the_umask_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """Whoever may write there puts a key, a network or a credential of their own in the place of the owner's."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0)
    try:
        assert CliRunner().invoke(app, words.split()).exit_code == 0
        assert [one for one in tmp_path.rglob("*") if one.stat().st_mode & 0o022] == []
        (tmp_path / "open").mkdir(mode=0o777)
        refused = CliRunner().invoke(app, words.replace("made", "open").split())
    finally:
        os.umask(before)
    assert refused.exit_code == 1
    assert "chmod o-w" in refused.stderr
    assert list((tmp_path / "open").iterdir()) == []
