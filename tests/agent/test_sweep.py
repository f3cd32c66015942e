"""Every command, whatever goes wrong: an exit code, one clear line, nothing half-written, no traceback.

The commands are read from the command line itself: one without a row in the table fails the test.
"""

import json
import os
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.config.keyfiles import read_key
from settlement.audit.verify import audit_lineage
from tests.agent.history.days import written as kept
from tests.agent.kit.trials import written as trial
from tests.agent.sweep import Ended, commands, elsewhere, forked, invoked, may_mount, on_a_disk
from tests.agent.test_licences import recording
from tests.settlement.market.test_rule_page import blocks
from tests.settlement.world import NETWORK, trio

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "no/such"
ANCHORED = "--network {network} --anchor {anchor}"
AUDIT = "--network test-net --anchor {audited}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A command that works as it stands, what of it it reads and writes, and quantities it must not take.

    `words` are relative to a folder where everything is prepared. `reads` can be missing or unreadable. `fails` is how
    it ends when it works, where it cannot end with 0 here: no agent runs. `units` are options with a bare number.
    """

    words: str
    reads: tuple[str, ...] = ()
    writes: bool = False
    units: tuple[str, ...] = ()
    fails: int = 0


NODE = "--config node/node.toml"
TABLE: dict[str, Row] = {
    "attacks": Row(words="--row 0", fails=2),
    "audit bundle": Row(words=f"sealed.db --out new.bundle {AUDIT}", reads=("sealed.db",), writes=True),
    "audit check": Row(words=f"note.txt --log sealed.db {AUDIT}", reads=("sealed.db", "note.txt"), fails=1),
    "audit export": Row(words=f"sealed.db 00 --proof p.txt {AUDIT}", reads=("sealed.db",), fails=1),
    "audit fleet": Row(words=f"sealed.db {AUDIT}", reads=("sealed.db",)),
    "audit public": Row(words=f"sealed.db --out public {AUDIT}", reads=("sealed.db",)),
    "audit replay": Row(words=f"sealed.db {AUDIT}", reads=("sealed.db",)),
    "audit report": Row(words=f"sealed.db {AUDIT}", reads=("sealed.db",)),
    "audit show": Row(words=f"sealed.db {AUDIT}", reads=("sealed.db",)),
    "audit verify": Row(words=f"sealed.db {AUDIT}", reads=("sealed.db",)),
    "authority admit": Row(
        words="node --rule rule.signed --out node.admission", reads=("rule.signed",), writes=True, units=("--for 30",),
    ),
    "authority jurisdiction check": Row(words="area.toml", reads=("area.toml",)),
    "authority jurisdiction sign": Row(words="area.toml --out area.signed", reads=("area.toml",), writes=True),
    "authority class check": Row(words="class.toml", reads=("class.toml",)),
    "authority class sign": Row(words="class.toml --out class.schema", reads=("class.toml",), writes=True),
    "authority delegate": Row(
        words="third/authority.request --name third --out third.chain --band 3560-3570MHz",
        reads=("third/authority.request",), writes=True, units=("--for 30", "--max-eirp 20", "--band 3550-3560"),
    ),
    "authority enrol": Row(words="above.chain --anchor {anchor} --desk below", reads=("above.chain",), writes=True),
    "authority init": Row(
        words="inland --network n --class cbrs --band 3550-3560MHz --area 36.95 -76.3 5km --desk inland", writes=True,
        units=("--for 365", "--max-eirp 30", "--band 3550-3570", "--band 3550000000-3570000000"),
    ),
    "authority issue": Row(
        words="new/enrol.request --name new --role user --out new.chain",
        reads=("new/enrol.request",), writes=True, units=("--for 30", "--eirp 20", "--band 3550-3560"),
    ),
    "authority members": Row(
        words="notaries --faulty 0 --member node:holder --out new.members", writes=True, units=("--for 30",),
    ),
    "authority reissue": Row(
        words="turn/rotate.request --name turn --out turned.chain",
        reads=("turn/rotate.request",), writes=True, units=("--for 30",),
    ),
    "authority rekey": Row(words="--desk sub", writes=True),
    "authority request": Row(words="--network n --desk other", writes=True),
    "authority revoke": Row(words="--out new.list", writes=True, units=("--for 3600",)),
    "authority rotate": Row(words="--out rotation", writes=True, units=("--for 365",)),
    "authority rule draft": Row(words="--out new.toml", writes=True, units=("--for 30",)),
    "authority rule sign": Row(words="rule.toml --out new.signed", reads=("rule.toml",), writes=True),
    "authority show": Row(words="--desk authority", reads=("authority",)),
    "node config": Row(
        words=f"plain --role user {ANCHORED} --rule rule.signed --listen tcp://127.0.0.1:4799 "
        "--radio ip:127.0.0.1:4798 --simulated --place 36.95 -76.3",
        reads=("rule.signed",), writes=True,
    ),
    "node enrol": Row(words=f"fresh fresh.chain {ANCHORED}", reads=("fresh.chain",), writes=True),
    "node init": Row(words="another --device x", writes=True),
    "node rekey": Row(words="plain", writes=True),
    "node rotate": Row(words=f"next.chain {NODE}", reads=("next.chain", "node/node.toml"), fails=4),
    "node tell": Row(words=f"status.list {NODE}", reads=("status.list", "node/node.toml"), fails=4),
    "offer": Row(
        words=f"3550-3560MHz --class cbrs {NODE}", reads=("node/node.toml",), fails=4,
        units=("--for 600", "--eirp 20", "--wait 5"),
    ),
    "acquire": Row(
        words=f"3550-3560MHz {NODE}", reads=("node/node.toml",), fails=4,
        units=("--for 600", "--eirp 20", "--wait 5", "--in 1"),
    ),
    "auction open": Row(
        words=f"3550-3560MHz --class cbrs {NODE}", reads=("node/node.toml",), fails=4,
        units=("--for 600", "--in 60", "--bids-for 5", "--reveals-for 5", "--vote-for 5", "--eirp 20", "--wait 5"),
    ),
    "auction bid": Row(words=f"00 --price 7 {NODE}", reads=("node/node.toml",), fails=4),
    "auction show": Row(words="--config node/node.toml", reads=("node/node.toml",), fails=4),
    "relinquish": Row(words=f"00 {NODE}", reads=("node/node.toml",), fails=4),
    "fallback": Row(words=f"00 --without {NODE}", reads=("node/node.toml",), fails=4, units=("--to 3560-3570",)),
    "dispute raise": Row(words=f"00 --escalate {NODE}", reads=("node/node.toml",), fails=4),
    "dispute answer": Row(words=f"00 {NODE}", reads=("node/node.toml",), fails=4),
    "dispute show": Row(words=f"{NODE}", reads=("node/node.toml",), fails=4),
    "ruling sign": Row(words="none.case --out new.ruling", fails=1),
    "tx arm": Row(words="node/node.toml --for 60s --yes", reads=("node/node.toml",), units=("--for 60",), fails=4),
    "tx clear": Row(words="node/node.toml", reads=("node/node.toml",), fails=4),
    "tx disarm": Row(words="node/node.toml", reads=("node/node.toml",), fails=4),
    "tx status": Row(words="node/node.toml", reads=("node/node.toml",), fails=4),
    "config check": Row(words=NODE, reads=("node/node.toml",)),
    "config show": Row(words=NODE, reads=("node/node.toml",)),
    "clock watch": Row(
        words=f"{NODE} --for 100ms --every 100ms", reads=("node/node.toml",), units=("--for 1", "--every 1"),
    ),
    "doctor": Row(words=f"{NODE} --wait 0", units=("--wait 5",), fails=4),
    "status": Row(words=NODE, reads=("node/node.toml",), fails=4),
    "run": Row(words="--config none.toml", fails=1),
    "warden": Row(words="--config none.toml", fails=1),
    "stop": Row(words=NODE, reads=("node/node.toml",), fails=4),
    "recordings licence": Row(words="made.sigmf-meta", reads=("made.sigmf-meta",)),
    "recordings export": Row(words="made.sigmf-meta out.sigmf-meta", reads=("made.sigmf-meta",), writes=True),
    "recordings expire": Row(words="due", reads=("due",), writes=True),
    "recordings check": Row(words="due", reads=("due",)),
    "directory serve": Row(words="--network n --anchor 00", fails=2),
    "directory find": Row(words=f"--url http://127.0.0.1:9 {ANCHORED}", fails=1, units=("--band 3550-3560",)),
    "lease list": Row(words=f"--in sealed.db {AUDIT}", reads=("sealed.db",)),
    "lease transfer": Row(words=f"00 {NODE} --to festival", reads=("node/node.toml",), units=("--wait 5",), fails=4),
    "lease sublease": Row(
        words=f"00 {NODE} --to festival", reads=("node/node.toml",), fails=4,
        units=("--band 1", "--eirp 20", "--for 600", "--in 1", "--wait 5"),
    ),
    "lease boundary": Row(
        words=f"00 --in sealed.db {AUDIT}", reads=("sealed.db",), units=("--level 90",), fails=1,
    ),
    "lease show": Row(words=f"00 --in sealed.db {AUDIT}", reads=("sealed.db",), fails=1),
    "sense": Row(words="file:none.sigmf-meta", fails=1),
    "record": Row(words="file:none.sigmf-meta out", fails=1),
    "calibrate": Row(words="file:none.sigmf-meta t.toml --power-dbm 0 --uncertainty-db 1 --frequency 1MHz", fails=1),
    "campaign": Row(words="worlds.toml --jobs 1", reads=("worlds.toml",), writes=True),
    "calendar sign": Row(
        words="calendar.json --key plain/sign.key --out new.calendar", reads=("calendar.json",), writes=True,
    ),
    "calendar import": Row(
        words="tardys.json --lists lists.json --key plain/sign.key --name c --serial 1 "
        "--valid-until 2030-01-01T00:00:00Z --out new.calendar",
        reads=("tardys.json", "lists.json"), writes=True,
    ),
    "calendar check": Row(words="signed.calendar --key {signer}", reads=("signed.calendar",)),
    "cbsd serve": Row(words="--config none.toml", fails=1),
    "cbsd status": Row(words=NODE, reads=("node/node.toml",), fails=1),
    "cbsd clear": Row(words=f"cbsd:fcc1/s1 {NODE}", reads=("node/node.toml",), fails=1),
    "trial": Row(words="--scenario none.toml", units=("--duration 20",), fails=1),
    "trial check": Row(words="none.toml", fails=1),
    "sim pluto": Row(words="--scenario none.toml", fails=2),
    "witness init": Row(words="wit --name w", writes=True),
    "witness serve": Row(words="none", fails=1),
    "witness log": Row(words=f"sealed.db {AUDIT}", reads=("sealed.db",)),
    "witness ask": Row(
        words=f"sealed.db --url http://127.0.0.1:9 --key {{witness}} {AUDIT}", reads=("sealed.db",), fails=1,
    ),
    "bench archive": Row(words="--scale 0", fails=2),
    "bench audit": Row(words="--entries 1", fails=2),
    "bench cbrs": Row(words="--cbsds 0", fails=2),
    "bench chain": Row(words="--folder none", fails=1),
    "bench detection": Row(words="--trials 1", fails=2),
    "bench gate": Row(words="--rounds 0", fails=2),
    "bench identities": Row(words="--count 1", fails=2),
    "bench load": Row(words="--looks 0", fails=2),
    "bench node": Row(words="--seconds 0", fails=2),
    "bench start": Row(words="--rounds 0", fails=2),
    "bench table": Row(words="--only none", fails=2),
    "bench world": Row(words="--seeds 0", fails=2),
    "history export": Row(
        words="kept --csv h.csv --parquet h.parquet --sigmf h.sigmf-meta", reads=("kept",), writes=True,
    ),
    "history show": Row(words="kept", reads=("kept",), units=("--for 60",)),
    "install-service": Row(words="none", fails=1),
    "kit collect": Row(words="--trial none", fails=1),
    "kit enrol": Row(words="none.enrol --trial none", fails=1),
    "kit join": Row(words="none.kit", fails=1),
    "kit logs": Row(words="none", fails=1),
    "kit make": Row(words="harbour.toml", reads=("harbour.toml",), writes=True),
    "kit report": Row(words="none", fails=1),
    "kit run": Row(words="none", fails=1),
    "kit status": Row(words="none", fails=1, units=("--wait 5", "--until-settled 60")),
    "kit tell": Row(words="--trial none", fails=1),
    "page": Row(words="node/node.toml", reads=("node/node.toml",), fails=1),
    "report": Row(words="none", fails=1),
    "watch": Row(words="node/node.toml", fails=2),
    "bench radio": Row(words="--seconds 0", fails=2),
    "bench sensing": Row(words="--rounds 0", fails=2),
    "bench settlement": Row(words="--count 1", fails=2),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A folder with all that the rows name, and the words that stand for what only this run knows."""

    folder: Path
    values: dict[str, str]

    def words(self, name: str, arguments: str) -> list[str]:
        return [*name.split(), *arguments.format(**self.values).split()]


def must(*words: str) -> str:
    done = invoked(list(words))
    assert done.code == 0, done
    return done.out


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("sweep")
    before = Path.cwd()
    os.chdir(folder)
    try:
        made = must(
            "authority", "init", "coast", "--network", "n", "--band", "3550-3570MHz", "--class", "cbrs",
            "--area", "36.95", "-76.3", "20km",
        )  # fmt: skip
        network, anchor = made.split()
        must("authority", "rule", "draft", "--out", "rule.toml", "--simulated")
        must("authority", "rule", "sign", "rule.toml", "--out", "rule.signed")
        text = (ROOT / "settlement/governing/classes/backhaul.toml").read_text(encoding="utf-8")
        (folder / "class.toml").write_text(text.replace('"backhaul"', '"cbrs"', 1), encoding="utf-8")
        area = blocks("jurisdiction").replace("radius_mm = 10_000_000", "radius_mm = 5_000_000")
        (folder / "area.toml").write_text(area, encoding="utf-8")
        recording(folder, "made", made_ns=time.time_ns())
        for name in ("due", "kept"):
            (folder / name).mkdir()
        recording(folder / "due")
        kept(folder / "kept" / "history", 5)
        trial(folder)
        (folder / "worlds.toml").write_text('[campaign]\nscenarios = ["world"]\nseeds = [1]\n', encoding="utf-8")
        must("authority", "revoke", "--out", "status.list")
        witness = must("witness", "init", "asked", "--name", "w").split()[0]
        for name in ("node", "plain", "turn", "new", "fresh"):
            must("node", "init", name, "--device", f"pluto {name}")
            if name != "new":
                chain = f"{name}.chain"
                must("authority", "issue", f"{name}/enrol.request", "--name", name, "--role", "user", "--out", chain)
            if name in ("node", "plain", "turn"):
                must("node", "enrol", name, f"{name}.chain", "--network", network, "--anchor", anchor)
        must(
            *TABLE["node config"]
            .words.replace("plain", "node config node")
            .format(network=network, anchor=anchor)
            .split()
        )
        must("node", "rekey", "node")
        must("node", "rekey", "turn")
        must("authority", "reissue", "node/rotate.request", "--name", "node", "--out", "next.chain")
        must("authority", "request", "--network", network, "--desk", "third")
        for desk, chain, band in (("below", "above.chain", "3550-3555MHz"), ("sub", "sub.chain", "3555-3560MHz")):
            must("authority", "request", "--network", network, "--desk", desk)
            asked = f"{desk}/authority.request"
            must("authority", "delegate", asked, "--name", desk, "--out", chain, "--band", band)
        must("authority", "enrol", "sub.chain", "--anchor", anchor, "--desk", "sub")
        Path("note.txt").write_text("nothing\n")
        signer = read_key(Path("plain/sign.key")).public.hex()
        empty = {"name": "c", "serial": 1, "valid_until": "2030-01-01T00:00:00Z", "reservations": []}
        for name, value in (
            ("calendar", empty), ("lists", {"channels": {}, "areas": {}}), ("tardys", {"scheduledEvents": []})
        ):  # fmt: skip
            Path(f"{name}.json").write_text(json.dumps(value))
        must("calendar", "sign", "calendar.json", "--key", "plain/sign.key", "--out", "signed.calendar")
        world = trio(folder)
        world.settle()
        for name, member in world.members.items():
            member.party.lineage.close()
            (folder / f"{name}.db").rename(folder / ("sealed.db" if name == "holder" else f"{name}.old"))
        return Prepared(
            folder=folder,
            values={
                "network": network,
                "anchor": anchor,
                "audited": world.anchors[0].hex(),
                "witness": witness,
                "signer": signer,
            },
        )
    finally:
        os.chdir(before)


def test_every_command_has_a_row() -> None:
    assert sorted(TABLE) == commands()


def run_in(prepared: Prepared, words: list[str]) -> Ended:
    def act() -> Ended:
        with elsewhere(prepared.folder) as place:
            os.chdir(place)
            return invoked(words)

    return forked(act)


@pytest.mark.parametrize("name", TABLE)
def test_a_wrong_option_is_one_line(prepared: Prepared, name: str) -> None:
    ended = invoked(prepared.words(name, f"{TABLE[name].words} --no-such-option"))
    assert ended.code == 2
    assert "--no-such-option" in ended.one_line()


WRITERS = [name for name, row in TABLE.items() if row.writes]


def refused_by_disk(prepared: Prepared, name: str, *, full: bool) -> None:
    """A command that writes, on a disk that takes nothing, and again on one that does."""
    mounted = may_mount()
    ended = on_a_disk(prepared.folder, prepared.words(name, TABLE[name].words), full=full, mounted=mounted)
    assert ended.code == 1, ended
    ended.one_line()
    assert ended.left == (), ended
    assert ended.again in (0, 3), ended


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_nothing_half_written(prepared: Prepared, name: str) -> None:
    refused_by_disk(prepared, name, full=True)


WITHOUT_END = {
    "deep.toml": b"a=" + b"[" * 5000 + b"]" * 5000,
    "wide.toml": b"a=" + b"9" * 5000,
    "bytes.toml": b"\xff\xfe",
    "deep.json": b"[" * 5000,
    "wide.json": b'{"a":' + b"9" * 5000 + b"}",
}
ODD = [
    *(
        f"{words.replace('FILE', file)}"
        for file in ("deep.toml", "wide.toml", "bytes.toml")
        for words in (
            "trial check FILE",
            "sim pluto --scenario FILE",
            "authority class check FILE",
            "authority jurisdiction check FILE",
            "authority rule sign FILE --out new.signed",
            "sense file:made.sigmf-meta --calibration FILE",
            "record file:made.sigmf-meta out --licence FILE",
            "config check FILE",
            "campaign FILE",
            "kit make FILE",
        )
    ),
    *(
        f"calendar import {file} --lists {file} --key plain/sign.key --name c --serial 1"
        " --valid-until 2030-01-01T00:00:00Z --out new.calendar"
        for file in ("deep.json", "wide.json")
    ),
    "authority revoke --out new.list --for 999999999h",
    "directory find --url http://127.0.0.1:9 --network n --anchor {anchor} --price-max 99999999999999999999999",
    f"audit bundle sealed.db --out new.bundle --network {'n' * 5000} --anchor {{audited}}",
    "audit verify sealed.db --network n\u00e9 --anchor zz",
]


@pytest.mark.attack(69)
def test_files_and_values_without_end_are_one_line(prepared: Prepared) -> None:
    def act() -> Ended:
        with elsewhere(prepared.folder) as place:
            os.chdir(place)
            for name, data in WITHOUT_END.items():
                Path(name).write_bytes(data)
            for words in ODD:
                before = sorted(place.rglob("*"))
                ended = invoked(words.format(**prepared.values).split())
                assert ended.code in (1, 2), (words[:80], ended)
                ended.one_line()
                assert sorted(place.rglob("*")) == before, words[:80]
            return Ended(code=0, out="", err="")

    ended = forked(act)
    assert ended.code == 0, ended.err[-2000:]


def test_nobody_to_ask_is_no_yes(prepared: Prepared) -> None:
    ended = run_in(prepared, prepared.words("tx arm", "node/node.toml --for 60s"))
    assert ended.code == 1
    assert "--yes" in ended.err


def test_a_busy_port_is_named(prepared: Prepared) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        ended = run_in(prepared, ["sim", "pluto", "--port", str(port)])
    assert ended.code == 4
    assert str(port) in ended.one_line() or "in use" in ended.err


def test_the_audited_log_is_one(prepared: Prepared) -> None:
    anchors = [bytes.fromhex(prepared.values["audited"])]
    assert audit_lineage(prepared.folder / "sealed.db", network=NETWORK, anchors=anchors).findings.problems == []
    shutil.rmtree(prepared.folder / "none", ignore_errors=True)


@pytest.mark.parametrize("name", ["node config", "history show"])
def test_a_folder_whose_name_is_no_text_is_refused_in_a_line(
    name: str, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    shutil.copytree(prepared.folder, place, symlinks=True)
    monkeypatch.chdir(place)
    words = prepared.words(name, TABLE[name].words)
    folder = next(number for number, word in enumerate(words) if word in ("plain", "kept"))
    ended = invoked([*words[:folder], str(place / words[folder]), *words[folder + 1 :]])
    assert ended.code == 2, ended
    assert "not UTF-8 text" in ended.one_line()


@pytest.mark.parametrize(
    ("name", "path"),
    [("node config", "rule.signed"), ("audit verify", "sealed.db"), ("config check", "node/node.toml")],
)
def test_a_link_that_leads_to_itself_is_refused_in_a_line(
    name: str, path: str, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "w"
    shutil.copytree(prepared.folder, place, symlinks=True)
    monkeypatch.chdir(place)
    (place / path).unlink()
    (place / path).symlink_to((place / path).name)
    ended = invoked(prepared.words(name, TABLE[name].words))
    assert ended.code == 1, ended
    ended.one_line()
