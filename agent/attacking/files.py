"""Attack rows that are files given to commands, which run in their own processes as an operator runs them."""

import os
import resource
import secrets
import subprocess
import sys
from pathlib import Path

import apsw

from agent.attacking.ground import HOLDER, USER, Ground
from agent.attacking.table import case
from agent.desk.nodekeys import REQUEST
from agent.trial.processes import FRUGAL
from hw_profiles.printable import lines
from settlement.audit.bundleform import START
from settlement.chain.leaf import decode_leaf
from settlement.chain.lineage import SCHEMA
from settlement.core.reasons import Refusal

COMMAND_S, QUICK_S = 240.0, 20.0
ONE_LINE = "one line, in time"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"
NASTY = "\x1b]0;owned\x07\x1b[31m\u202e"


def _spent_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bandpact(*arguments: object) -> "tuple[subprocess.CompletedProcess[bytes], float]":
    """Run a command; returns its result and its processor time in seconds."""
    begun = _spent_s()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "agent.cli.main", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=COMMAND_S,
        env={**os.environ, **FRUGAL},
    )
    return done, _spent_s() - begun


def _trust(ground: Ground) -> tuple[str, ...]:
    return "--network", ground.layout.desk.network, "--anchor", ground.layout.desk.anchor


def _one_line(ground: Ground, command: str, path: Path) -> str:
    done, took_s = bandpact("audit", command, path, *_trust(ground))
    clear = done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr
    return (
        ONE_LINE
        if clear and took_s < QUICK_S
        else f"exit {done.returncode} after {took_s:.0f} s: {done.stderr[:200]!r}"
    )


@case(50, "an entry of a log edited in its database", "exit 5")
def _edited(ground: Ground) -> str:
    path = ground.copy_of(USER)
    db = apsw.Connection(str(path))
    index, body = db.execute("SELECT idx, CAST(body AS BLOB) FROM leaf ORDER BY idx DESC LIMIT 1").fetchone() or (
        0,
        b"",
    )
    edited = bytearray(body)
    edited[len(edited) // 2] ^= 1
    db.execute("UPDATE leaf SET body=? WHERE idx=?", (bytes(edited), index))
    db.close()
    return f"exit {bandpact('audit', 'verify', path, *_trust(ground))[0].returncode}"


@case(50, "the same log, not edited", "exit 3")
def _whole(ground: Ground) -> str:
    return f"exit {bandpact('audit', 'verify', ground.copy_of(USER), *_trust(ground))[0].returncode}"


@case(69, "a database whose log is a view without end", ONE_LINE)
def _view(ground: Ground) -> str:
    path = ground.work / "endless.db"
    db = apsw.Connection(str(path))
    db.execute(
        f"{SCHEMA}; INSERT INTO meta VALUES('schema', 2), ('origin', 'x'); DROP TABLE leaf;"
        f"CREATE VIEW leaf(idx, body, subject, typ, sid, author, seq, admitted, reason) AS"
        f" {ENDLESS} x, x'00', x'00', 'grant', NULL, NULL, NULL, 1, NULL FROM c"
    )
    db.close()
    return _one_line(ground, "verify", path)


@case(69, "a bundle of two million entries of a byte", ONE_LINE)
def _bundle(ground: Ground) -> str:
    path = ground.work / "wide.bundle"
    head = START + b"\x61x\x02\x81\xa3\x01\x61x\x02\x61y\x03\x9a\x00\x20\x00\x00"
    path.write_bytes(head + b"\x41\x00" * (1 << 21))
    return _one_line(ground, "verify", path)


@case(69, "a recording whose metadata is nested without end", ONE_LINE)
def _recording(ground: Ground) -> str:
    path = ground.work / "deep.sigmf-meta"
    path.write_bytes(b'{"global":' + b"[" * 200_000)
    path.with_suffix(".sigmf-data").write_bytes(bytes(64))
    done, took_s = bandpact("sense", f"file:{path}")
    clear = done.returncode in (1, 2) and done.stderr.count(b"\n") == 1 and took_s < QUICK_S
    return ONE_LINE if clear else f"exit {done.returncode} after {took_s:.0f} s: {done.stderr[:200]!r}"


@case(69, "a configuration of random bytes", ONE_LINE)
def _configuration(ground: Ground) -> str:
    path = ground.work / "random.toml"
    path.write_bytes(secrets.token_bytes(4096))
    done, took_s = bandpact("config", "check", "--config", path)
    clear = done.returncode in (1, 2) and done.stderr.count(b"\n") == 1 and took_s < QUICK_S
    return ONE_LINE if clear else f"exit {done.returncode} after {took_s:.0f} s: {done.stderr[:200]!r}"


@case(71, "control sequences in a signed REQUEST, shown by the audit", "written out")
def _shown(ground: Ground) -> str:
    ground.told(HOLDER, ground.mallory.sign(ground.request(commodity=NASTY)))
    done, _ = bandpact("audit", "show", ground.copy_of(HOLDER), *_trust(ground))
    text = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
    seen = any(
        "owned" in str(leaf.measured) or "owned" in str(leaf.required)
        for leaf in map(decode_leaf, ground.bodies_of(HOLDER))
        if not isinstance(leaf, Refusal)
    )
    return "written out" if done.returncode == 0 and lines(text) == text and seen else "raw, or not shown"


@case(73, "a second agent on one folder", "refused, and the first goes on")
def _second(ground: Ground) -> str:
    before = ground.children[USER]
    ground.start(USER)
    second, ground.children[USER] = ground.children[USER], before
    try:
        code = second.process.wait(COMMAND_S)
    except subprocess.TimeoutExpired:
        second.process.kill()
        second.process.wait()
        return "it runs as well"
    return "refused, and the first goes on" if code and ground.alive(USER) else f"exit {code}"


@case(74, "an operator who asks more than its credential", "refused, and the log verifies")
def _more(ground: Ground) -> str:
    config = ground.layout.config_of(USER)
    done, _ = bandpact("offer", "3550-3560MHz", "--config", config)
    verified, _ = bandpact("audit", "verify", ground.copy_of(USER), *_trust(ground))
    if done.returncode == 0:
        return "a user made an offer"
    return "refused, and the log verifies" if verified.returncode == 3 else f"the log ends with {verified.returncode}"


# -- the desk ---------------------------------------------------------------------------------------------------------

BAND = ("--band", "3550-3570MHz")
ALIKE = "\u0430lice"
AREA = ("--area", "36.95", "-76.3", "10km")


def _desk(ground: Ground) -> Path:
    desk = ground.work / f"desk-{secrets.token_hex(3)}"
    done, _ = bandpact(
        "authority", "init", "root", "--desk", desk, "--network", "acceptance", "--class", "cbrs", *BAND, *AREA
    )
    if done.returncode:
        raise ValueError(f"no desk: {done.stderr.decode(errors='replace').strip()}")
    return desk


def _request(ground: Ground, name: str) -> Path:
    folder = ground.work / secrets.token_hex(3) / name
    folder.parent.mkdir()
    done, _ = bandpact("node", "init", folder, "--device", f"device {secrets.token_hex(3)}")
    if done.returncode:
        raise ValueError(f"no request: {done.stderr.decode(errors='replace').strip()}")
    return folder / REQUEST


def _issue(desk: Path, request: Path, name: str, role: str = "user") -> int:
    out = desk / f"{secrets.token_hex(3)}.chain"
    said = ("--name", name, "--role", role, "--out", out, "--desk", desk, *BAND, *AREA)
    return bandpact("authority", "issue", request, *said)[0].returncode


@case(70, "another's request, under another name", "refused at the desk")
def _stolen(ground: Ground) -> str:
    desk, request = _desk(ground), _request(ground, "alice")
    first = _issue(desk, request, "alice")
    if first:
        raise ValueError("the desk issues nothing at all")
    return "refused at the desk" if _issue(desk, request, "mallory") else "issued"


@case(70, "a name that looks like another's", "refused at the desk")
def _alike(ground: Ground) -> str:
    desk = _desk(ground)
    if _issue(desk, _request(ground, "alice"), "alice"):
        raise ValueError("the desk issues nothing at all")
    try:
        request = _request(ground, ALIKE)
    except ValueError:
        request = _request(ground, "other")  # the command refuses the name: request under another, as a forger would
    return "refused at the desk" if _issue(desk, request, ALIKE) else "issued"


@case(62, "two holders of one band, without coordination", "refused at the desk")
def _both_hold(ground: Ground) -> str:
    desk = _desk(ground)
    if _issue(desk, _request(ground, "first"), "first", "holder"):
        raise ValueError("the desk makes no holder at all")
    return "refused at the desk" if _issue(desk, _request(ground, "second"), "second", "holder") else "issued"
