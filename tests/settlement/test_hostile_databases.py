"""Databases made to hang, flood or run something: each ends in one line, in bounded time and memory."""

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from settlement.audit.verify import audit_lineage, entries, kept_rows, last_head, raw_entries, why_no_lineage
from settlement.chain.lineage import SCHEMA, Lineage, LineageError, name_of
from tests.settlement.world import NETWORK, World, trio

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 10.0
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"
META = "INSERT INTO meta VALUES('schema', 2), ('origin', 'bandpact/test-net/aa')"

STRANGE: dict[str, Callable[[apsw.Connection], object]] = {
    "endless view for the log": lambda db: db.execute(
        f"DROP TABLE leaf; CREATE VIEW leaf(idx, body, subject, typ, sid, author, seq, admitted, reason) AS"
        f" {ENDLESS} x, zeroblob(100), zeroblob(32), 'grant', NULL, NULL, NULL, 1, NULL FROM c"
    ),
    "endless view for the name": lambda db: db.execute(
        f"DROP TABLE meta; CREATE VIEW meta(key, value) AS {ENDLESS} 'x', x FROM c"
    ),
    "view beside": lambda db: db.execute("CREATE VIEW more AS SELECT 1"),
    "trigger": lambda db: db.execute("CREATE TRIGGER t AFTER INSERT ON leaf BEGIN DELETE FROM node; END"),
    "virtual table": lambda db: db.execute("CREATE VIRTUAL TABLE more USING fts5(x)"),
    "generated column": lambda db: db.execute(
        "DROP TABLE counter; CREATE TABLE counter(name TEXT PRIMARY KEY, value AS (hex(zeroblob(1 << 28))))"
    ),
    "index on an expression": lambda db: db.execute("CREATE INDEX more ON leaf(hex(body))"),
    "one more table": lambda db: db.execute("CREATE TABLE more(x)"),
    "one table less": lambda db: db.execute("DROP TABLE standing"),
    "another column": lambda db: db.execute("ALTER TABLE leaf ADD COLUMN more"),
    "ten thousand tables": lambda db: [db.execute(f"CREATE TABLE more{n}(x)") for n in range(10_000)],
    "a schema of a megabyte": lambda db: db.execute(f"CREATE TABLE more(x DEFAULT '{'x' * 1_000_000}')"),
}


def made(path: Path, change: Callable[[apsw.Connection], object] | None = None) -> Path:
    db = apsw.Connection(str(path))
    db.execute(f"BEGIN; {SCHEMA}; {META}")
    if change is not None:
        change(db)
    db.execute("COMMIT")
    db.close()
    return path


def within(seconds: float, what: Callable[[], object]) -> object:
    begun = time.process_time()
    answer = what()
    assert time.process_time() - begun < seconds
    return answer


@pytest.mark.attack(69)
@pytest.mark.parametrize("name", STRANGE)
def test_a_schema_that_is_not_ours_is_no_lineage(tmp_path: Path, name: str) -> None:
    path = made(tmp_path / "x.db", STRANGE[name])
    why = within(SECONDS, lambda: why_no_lineage(path))
    assert why is not None
    assert "\n" not in str(why)
    assert name_of(path) is None
    for read in (lambda: list(entries(path)), lambda: kept_rows(path), lambda: last_head(path)):
        with pytest.raises(LineageError, match="not a readable lineage"):
            within(SECONDS, read)
    assert not within(SECONDS, lambda: audit_lineage(path, network=NETWORK, anchors=[bytes(32)]).ok)
    with pytest.raises(LineageError):
        Lineage(path, origin="bandpact/test-net/aa")


@pytest.mark.attack(69)
def test_our_own_schema_is_one(tmp_path: Path) -> None:
    assert why_no_lineage(made(tmp_path / "x.db")) is None


WRONG_VALUES = {
    "text for an entry": "INSERT INTO leaf VALUES(0, 5, 'x', 7, 'x', 1.5, 'x', 'x', 9)",
    "no bytes but a number of them": "INSERT INTO state VALUES(1000000000, 2000000000, 3000000000)",
    "text that is not UTF-8": "INSERT INTO counter VALUES(CAST(x'ff' AS TEXT), 'ff')",
    "a huge counter of another type": "INSERT INTO counter VALUES('fence', x'00')",
    "a gap": "INSERT INTO leaf VALUES(9223372036854775807, x'00', x'00', NULL, NULL, NULL, NULL, 0, NULL)",
    "a value of 64 MiB": "INSERT INTO leaf VALUES(0, zeroblob(67108864), x'00', NULL, NULL, NULL, NULL, 0, NULL)",
    "a standing of other types": "INSERT INTO standing VALUES(1, 'x', 1, 2, 3, 4)",
    "a checkpoint that is no text": "INSERT INTO checkpoint VALUES(7, x'ff00')",
    "a name that is none": "UPDATE meta SET value=x'ff' WHERE key='origin'",
}


@pytest.mark.attack(69)
@pytest.mark.parametrize("name", WRONG_VALUES)
def test_values_of_any_type_are_findings(tmp_path: Path, name: str) -> None:
    path = made(tmp_path / "x.db", lambda db: db.execute(WRONG_VALUES[name]))
    audited = within(SECONDS, lambda: audit_lineage(path, network=NETWORK, anchors=[bytes(32)]))
    assert audited.findings.problems  # type: ignore[attr-defined]
    for read in (lambda: list(raw_entries(path)), lambda: kept_rows(path), lambda: last_head(path)):
        with contextlib.suppress(LineageError):
            within(SECONDS, read)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, bytes]:
    world = trio(tmp_path_factory.mktemp("world"))
    world.settle()
    path = tmp_path_factory.mktemp("sealed") / "holder.db"
    world.members["holder"].party.lineage.seal(world.members["holder"].key, path)
    return world, path.read_bytes()


@pytest.mark.attack(69)
def test_pages_that_lead_back_to_themselves_come_to_an_end(whole: tuple[World, bytes], tmp_path: Path) -> None:
    """Every page number in every inner page, and each table's root, is pointed at one inner page, in turn."""
    world, data = whole
    page = int.from_bytes(data[16:18], "big")
    pages = [bytearray(data[n : n + page]) for n in range(0, len(data), page)]
    inner = [n for n, p in enumerate(pages) if n and p[0] in (2, 5)]
    assert inner, "no inner page in this log"
    for looped in inner:
        changed = [bytearray(p) for p in pages]
        for n in inner:
            one, cells = changed[n], int.from_bytes(changed[n][3:5], "big")
            one[8:12] = (looped + 1).to_bytes(4, "big")
            for cell in range(cells):
                at = int.from_bytes(one[12 + 2 * cell : 14 + 2 * cell], "big")
                one[at : at + 4] = (looped + 1).to_bytes(4, "big")
        path = tmp_path / f"loop-{looped}.db"
        path.write_bytes(b"".join(changed))
        audited = within(SECONDS, lambda path=path: audit_lineage(path, network=NETWORK, anchors=world.anchors))
        assert not audited.ok  # type: ignore[attr-defined]


@pytest.mark.attack(69)
def test_bytes_changed_at_random_never_raise(whole: tuple[World, bytes], tmp_path: Path) -> None:
    import random

    world, data = whole
    rng, path = random.Random(13), tmp_path / "x.db"
    for _ in range(60):
        torn = bytearray(data)
        for _ in range(rng.randint(1, 40)):
            torn[rng.randrange(len(torn))] = rng.randrange(256)
        path.write_bytes(torn[: rng.randrange(len(torn))] if rng.random() < 0.2 else torn)
        why_no_lineage(path)
        audit_lineage(path, network=NETWORK, anchors=world.anchors)
        for read in (entries, kept_rows, last_head):
            try:
                list(read(path) or ())  # type: ignore[call-overload]
            except LineageError:
                continue


@pytest.mark.attack(69)
def test_what_is_beside_a_sealed_file_is_not_believed(whole: tuple[World, bytes], tmp_path: Path) -> None:
    """A write-ahead log and a hot journal by a stranger: the file that was sealed is read, and they are a finding."""
    world, data = whole
    path = tmp_path / "holder.db"
    path.write_bytes(data)
    (tmp_path / "holder.seal").write_text("00\n00\n")
    for beside in ("-wal", "-journal"):
        (tmp_path / f"holder.db{beside}").write_bytes(os.urandom(4096))
        assert len(list(entries(path))) > 5
        assert any("seal" in p for p in audit_lineage(path, network=NETWORK, anchors=world.anchors).findings.problems)
        assert {one.name for one in tmp_path.iterdir()} == {"holder.db", "holder.seal", f"holder.db{beside}"}
        (tmp_path / f"holder.db{beside}").unlink()


@pytest.mark.attack(69)
def test_what_is_no_file_is_said_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    (tmp_path / "utf16.db").touch()
    db = apsw.Connection(str(tmp_path / "utf16.db"))
    db.execute(f"PRAGMA encoding='UTF-16'; {SCHEMA}; {META}")
    db.close()
    assert why_no_lineage(tmp_path / "pipe.db") == "not a regular file"
    assert why_no_lineage(tmp_path / "utf16.db") == "its text is not UTF-8"


@pytest.mark.attack(69)
def test_a_command_on_it_is_one_line_in_bounded_time(tmp_path: Path) -> None:
    path = made(tmp_path / "x.db", STRANGE["endless view for the log"])
    command = [sys.executable, "-m", "agent.cli.main", "audit", "verify", str(path)]
    done = subprocess.run(
        [*command, "--network", "n", "--anchor", "00" * 32],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (20, 20)),
    )
    assert done.returncode == 1
    assert "not a lineage" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_log_whose_first_pages_are_still_in_the_write_ahead_log_is_read(tmp_path: Path) -> None:
    """What a node that has just come up leaves for whoever looks at it."""
    world = trio(tmp_path)
    path = world.members["holder"].party.lineage.path
    assert path.with_name(path.name + "-wal").stat().st_size > 0
    assert why_no_lineage(path) is None
    assert len(list(entries(path))) > 3
