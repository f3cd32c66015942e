"""Archives of strangers: paths outside, links, sizes, other authorities, altered bytes, other trials, joined twice."""

import hashlib
import json
import shutil
import stat
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config.keyfiles import load_chain
from agent.config.settings import ConfigError
from agent.kit import archive as sealing
from agent.kit import enrolment
from agent.kit.archive import MANIFEST, SIGNATURE, KitRefused
from agent.kit.enrolment import enrol
from agent.kit.folder import Trial, open_trial
from agent.kit.invitations import make
from agent.kit.join import join
from agent.kit.welcome import take_in
from hw_profiles.smallfile import read_small_text
from settlement.chain.credentials import Registry, Subject
from tests.agent.kit.trials import TRIAL, written

pytestmark = pytest.mark.feature("U9")
Members = list[tuple[zipfile.ZipInfo, bytes]]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return make(written(tmp_path_factory.mktemp("made")), None)[0]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """The same file made again: another authority, another trial."""
    return make(written(tmp_path_factory.mktemp("other")), None)[0]


def _kit(trial: Trial, name: str = "alice") -> Path:
    return trial.root / "kits" / f"{name}.kit"


def _rewritten(source: Path, target: Path, change: Callable[[Members], Members]) -> Path:
    """An archive with its members changed by somebody who has no key."""
    with zipfile.ZipFile(source) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(target, "w") as archive:
        for info, data in change(members):
            archive.writestr(info, data)
    return target


def _added(name: str, data: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Callable[[Members], Members]:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
    return lambda members: [*members, (info, data)]


def _altered(name: str, change: Callable[[bytes], bytes]) -> Callable[[Members], Members]:
    return lambda members: [(info, change(data) if info.filename == name else data) for info, data in members]


def _resealed(members: Members) -> Members:
    """A setup that sends the log elsewhere, with a manifest that knows its digest: all that lacks is the key."""
    files = {info.filename: data for info, data in members}
    setup = files["setup.json"].replace(b"4711", b"4999")
    manifest = json.loads(files[MANIFEST])
    manifest["files"]["setup.json"] = hashlib.sha256(setup).hexdigest()
    files |= {"setup.json": setup, MANIFEST: json.dumps(manifest, indent=1, sort_keys=True).encode()}
    return [(info, files[info.filename]) for info, _ in members]


HOSTILE: dict[str, tuple[Callable[[Members], Members], str]] = {
    "a path outside": (_added("../../evil.sh"), "PATH"),
    "an absolute path": (_added("/etc/cron.d/evil"), "PATH"),
    "a path with a backslash": (_added("..\\evil"), "PATH"),
    "a hidden file": (_added(".profile"), "PATH"),
    "a folder": (_added("sub/", b"", stat.S_IFDIR | 0o755), "LINK"),
    "a symbolic link": (_added("rule.link", b"/etc/passwd", stat.S_IFLNK | 0o777), "LINK"),
    "a device": (_added("null", b"", stat.S_IFCHR | 0o666), "LINK"),
    "a bomb": (_added("bomb", bytes(sealing.SMALL_MAX + 1)), "TOO_LARGE"),
    "too many files": (
        lambda members: [*members, *((zipfile.ZipInfo(f"f{n}"), b"") for n in range(sealing.MEMBERS_MAX))],
        "TOO_LARGE",
    ),
    "a file that nobody sealed": (_added("extra.txt"), "ALTERED"),
    "one file missing": (lambda members: [m for m in members if m[0].filename != "rule.signed"], "ALTERED"),
    "a rule with one byte changed": (_altered("rule.signed", lambda d: d[:-1] + bytes([d[-1] ^ 1])), "ALTERED"),
    "a manifest of another form": (
        _altered(MANIFEST, lambda d: d.replace(b"kit-1", b"kit-9")),
        "MALFORMED",
    ),
    "no signature": (lambda members: [m for m in members if m[0].filename != SIGNATURE], "ALTERED"),
    "another signature": (_altered(SIGNATURE, lambda d: bytes(64)), "ALTERED"),
    "resealed without the key": (_resealed, "ALTERED"),
    "no manifest": (lambda members: [m for m in members if m[0].filename != MANIFEST], "MALFORMED"),
    "another network": (
        _altered(MANIFEST, lambda d: d.replace(b"harbour", b"harbor2")),
        "WRONG_AUTHORITY",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_invitation_is_refused_and_nothing_is_written(trial: Trial, tmp_path: Path, name: str) -> None:
    change, word = HOSTILE[name]
    bad = _rewritten(_kit(trial), tmp_path / "bad.kit", change)
    with pytest.raises(KitRefused, match=f": {word}: "):
        join(bad, tmp_path / "node")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.kit"]
    assert not (tmp_path.parent / "evil.sh").exists()


def test_every_flipped_byte_of_an_invitation_is_refused(trial: Trial, tmp_path: Path) -> None:
    """Or it lands where zip readers look at nothing; then what was read is what was sealed."""
    data, bad = _kit(trial).read_bytes(), tmp_path / "bad.kit"
    clean = sealing.open_sealed(_kit(trial), "invitation", lambda m, f: trial.desk().me.public)
    for at in range(0, len(data), 7):
        bad.write_bytes(data[:at] + bytes([data[at] ^ 0x5A]) + data[at + 1 :])
        try:
            read = sealing.open_sealed(bad, "invitation", lambda m, f: trial.desk().me.public)
        except ConfigError:
            continue
        assert read.files == clean.files
        assert read.digest == clean.digest


@pytest.mark.parametrize("length", [0, 1, 21, 500])
def test_a_short_or_strange_file_is_no_archive(trial: Trial, tmp_path: Path, length: int) -> None:
    bad = tmp_path / "bad.kit"
    bad.write_bytes(_kit(trial).read_bytes()[:length])
    with pytest.raises(KitRefused, match="MALFORMED"):
        join(bad, tmp_path / "node")


def test_a_member_twice_is_refused(trial: Trial, tmp_path: Path) -> None:
    bad = tmp_path / "bad.kit"
    shutil.copyfile(_kit(trial), bad)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(bad, "a") as archive:
        archive.writestr("setup.json", b"{}")
    with pytest.raises(KitRefused, match="twice"):
        join(bad, tmp_path / "node")


def test_another_authority_and_another_code_are_refused(trial: Trial, other: Trial, tmp_path: Path) -> None:
    with pytest.raises(KitRefused, match="WRONG_AUTHORITY"):
        join(_kit(other), tmp_path / "a", anchor=trial.state.anchor)
    with pytest.raises(KitRefused, match="CODE"):
        join(_kit(other), tmp_path / "b", code="00000-00000")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("said", ["12", "", "0x" + "a" * 62, "z" * 64])
def test_what_is_no_fingerprint_is_not_called_another_authority(trial: Trial, tmp_path: Path, said: str) -> None:
    with pytest.raises(ConfigError, match="no root's fingerprint") as refused:
        join(_kit(trial), tmp_path / "a", anchor=said)
    assert "WRONG_AUTHORITY" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_fingerprint_is_read_as_people_copy_it(trial: Trial, tmp_path: Path) -> None:
    anchor = trial.state.anchor.upper()
    join(_kit(trial), tmp_path / "a", anchor=f" {anchor[:32]} {anchor[32:]}")


def test_joined_twice_keeps_the_first_keys(trial: Trial, other: Trial, tmp_path: Path) -> None:
    join(_kit(trial), tmp_path / "alice")
    key = (tmp_path / "alice" / "sign.key").read_bytes()
    with pytest.raises(KitRefused, match="JOINED_TWICE"):
        join(_kit(trial), tmp_path / "alice")
    with pytest.raises(KitRefused, match="OTHER_TRIAL"):
        join(_kit(other), tmp_path / "alice")
    with pytest.raises(ConfigError, match="never overwritten"):
        join(_kit(trial), tmp_path)
    assert (tmp_path / "alice" / "sign.key").read_bytes() == key


def test_no_private_key_leaves_its_machine(trial: Trial, tmp_path: Path) -> None:
    found = join(_kit(trial), tmp_path / "alice")
    secrets = [(tmp_path / "alice" / name).read_text().strip() for name in ("sign.key", "transport.key")]
    secrets += [
        path.read_text().strip() for path in (trial.root / "desk/sign.key", trial.root / "door.key/transport.key")
    ]
    with zipfile.ZipFile(_kit(trial)) as archive:
        handed = [archive.read(info) for info in archive.infolist()] + [found.enrolment.read_bytes()]
    for secret in secrets:
        for data in handed:
            assert secret.encode() not in data
            assert bytes.fromhex(secret) not in data
    assert all((tmp_path / "alice" / name).stat().st_mode & 0o077 == 0 for name in ("sign.key", "transport.key"))


class Nodes:
    """A trial with two nodes that joined it, each in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.trial = make(written(root), None)[0]
        self.files = {name: join(_kit(self.trial, name), root / name).enrolment for name in ("holder", "alice")}
        self.root = root


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


def test_enrolment_is_refused_with_a_word_for_each_cause(nodes: Nodes, tmp_path: Path) -> None:
    alice = nodes.files["alice"].read_text()
    again = join(_kit(nodes.trial), tmp_path / "alice2").enrolment
    bad = tmp_path / "bad.enrol"
    for text, word in [
        (alice.replace('name = "alice"', 'name = "holder"'), "ALTERED"),
        (alice.replace('name = "alice"', 'name = "mallory"'), "UNINVITED"),
        (alice.replace("SIM-0002", "SIM-0009"), "ALTERED"),
        (alice.replace(nodes.trial.state.trial, "0" * 32), "OTHER_TRIAL"),
        ("mark = 1\n" + alice.partition("\n")[2], "MALFORMED"),
        (alice.replace('mark = "', 'mark = "é'), "ALTERED"),
        ("\x00", "MALFORMED"),
    ]:
        bad.write_text(text)
        with pytest.raises(KitRefused, match=f": {word}: "):
            enrol(nodes.trial, [bad])
    assert not nodes.trial.enrolled
    assert enrol(nodes.trial, [nodes.files["alice"]]).fresh == ("alice",)
    assert enrol(nodes.trial, [nodes.files["alice"]]).known == ("alice",)
    with pytest.raises(KitRefused, match="JOINED_TWICE"):
        enrol(nodes.trial, [again])


def test_an_enrolment_that_changes_after_it_was_checked_is_entitled_as_it_was_checked(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write where the files lie has no invitation: their key does not get another's credential."""
    mine = nodes.files["alice"]
    theirs = join(_kit(nodes.trial), tmp_path / "alice2").enrolment.read_text()
    honest = tomllib.loads(mine.read_text())["public"]

    def swapped(path: Path) -> str:
        text = read_small_text(path)
        if path == mine:
            path.write_text(theirs)
        return text

    monkeypatch.setattr(enrolment, "read_small_text", swapped)
    assert enrol(nodes.trial, [mine]).fresh == ("alice",)
    chain = load_chain(nodes.trial.chain_of("alice"))
    subject = Registry(nodes.trial.state.network, [bytes.fromhex(nodes.trial.state.anchor)]).admit_chain(chain)
    assert isinstance(subject, Subject)
    assert subject.public.hex() == honest


def test_one_refused_file_keeps_the_others_from_nothing(nodes: Nodes, tmp_path: Path) -> None:
    bad = tmp_path / "bad.enrol"
    bad.write_text(nodes.files["alice"].read_text().replace('mark = "', 'mark = "é'))
    with pytest.raises(KitRefused, match="ALTERED"):
        enrol(nodes.trial, [bad, *nodes.files.values()])
    assert open_trial(nodes.trial.root).enrolled == ["holder", "alice"]


def test_a_welcome_of_another_trial_or_without_this_node_is_refused(nodes: Nodes, other: Trial, tmp_path: Path) -> None:
    foreign = join(_kit(other), tmp_path / "foreign").enrolment
    theirs = enrol(other, [foreign]).welcome
    with pytest.raises(KitRefused, match="WRONG_AUTHORITY"):
        take_in(nodes.root / "alice", theirs)
    only_holder = enrol(nodes.trial, [nodes.files["holder"]]).welcome
    with pytest.raises(KitRefused, match="NOT_ENROLLED"):
        take_in(nodes.root / "alice", only_holder)
    with pytest.raises(KitRefused, match="KIND"):
        take_in(nodes.root / "alice", _kit(nodes.trial))
    assert not (nodes.root / "alice" / "credential.chain").exists()
    late = take_in(nodes.root / "holder", only_holder)
    assert (late.peers, late.missing) == ((), ("alice",))
    both = enrol(nodes.trial, list(nodes.files.values())).welcome
    assert take_in(nodes.root / "holder", both).peers == ("alice",)


def test_a_trial_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="10 min at the most"):
        make(written(tmp_path, TRIAL.replace('for = "2min"', 'for = "2h"')), None)
    assert [path.name for path in tmp_path.iterdir()] == ["harbour.toml"]
    make(written(tmp_path, name="again"), None)
    with pytest.raises(ConfigError, match="never overwritten"):
        make(tmp_path / "again.toml", None)
