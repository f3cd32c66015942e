"""The report of a run that no oracle watched: counts agree to the last digit, and nothing is said that nobody knows."""

import html
import json
import re
import shutil
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader
from typer.testing import CliRunner

from agent.audit.lineages import verify
from agent.audit.sources import AuditError
from agent.cli.main import app
from agent.node.events import WATERFALL
from agent.report.command import write_report
from agent.report.evidence import gather, heard_by
from agent.report.realrun import report_of
from settlement.audit.seal import write_seal
from settlement.chain.records import digest
from settlement.state.messages import Message
from tests.settlement.world import NETWORK, T0, World, trio

pytestmark = pytest.mark.feature("U6")


@dataclass
class Run:
    world: World
    folder: Path
    result: dict[str, Any]
    page: str
    pdf: str


def _events(name: str) -> Iterator[dict[str, Any]]:
    """What a node noted: when it came up, what its warden and its door turned away, and a line that was cut short."""
    yield {"mono_ns": 10**9, "node": name, "event": "ready", "utc_ns": T0 + 10**9}
    gate = {
        "node": name,
        "event": "gate",
        "asked": True,
        "reason": "NOT_ARMED",
        "clause": "gate.armed",
        "measured": "no",
    }
    yield {"mono_ns": 2 * 10**9, **gate}
    yield {"mono_ns": 3 * 10**9, "node": name, "event": "settled", "took_ms": 12.5}
    yield {"mono_ns": 4 * 10**9, "node": name, "event": "closed", "denied": {"UNKNOWN_PEER": 2, "RATE": 1}, "looks": 5}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    world = trio(tmp_path_factory.mktemp("live"))
    world.settle()
    seen = world.members["bob"].party.lineage.index_of(next(iter(world.members["bob"].party.user.offers)))
    assert seen is not None
    for at_s, data in ((2.0, b"\xff\x00"), (2.5, b"nothing"), (3.0, Message(record=b"\x80").encoded())):
        assert world.give("alice", "holder", data, at_s) is not None
    folder = tmp_path_factory.mktemp("run")
    for name, member in world.members.items():
        member.party.lineage.seal(member.key, folder / f"{name}.db")
        write_seal(folder / f"{name}.db", member.key)
        lines = "".join(json.dumps(event) + "\n" for event in _events(name))
        (folder / f"{name}.events.jsonl").write_text(lines + '{"mono_ns": 5, "no')
    (folder / "anchors.txt").write_text(f"{NETWORK} {digest(world.root).hex()}\n")
    made = write_report([folder], folder / "report")
    pdf = PdfReader(BytesIO((made.folder / "report.pdf").read_bytes()))
    return Run(
        world=world,
        folder=folder,
        result=made.result,
        page=(made.folder / "report.html").read_text(encoding="utf-8"),
        pdf="\n".join(one.extract_text() for one in pdf.pages),
    )


def _cell(page: str, table: str, row: str) -> str:
    """The second cell of the row of a table on the page."""
    body = page.split(f'id="{table}"', 1)[1].split("</table>", 1)[0]
    found = re.search(rf">{re.escape(html.escape(row))}</th>\s*<td[^>]*>([^<]*)</td>", body)
    assert found is not None, (table, row)
    return found[1].replace("\u202f", "")


def test_every_count_is_the_same_everywhere(run: Run) -> None:
    refused, by = run.result["refused"], run.result["refused_by"]
    audited = verify(run.folder, anchors=None, network=None)
    assert sum(by["logs"].values()) == sum(row["refused"] for row in audited["lineages"]) > 0
    assert sum(by["wardens"].values()) == 3
    assert sum(by["doors"].values()) == 9
    total = sum(refused.values())
    assert total == sum(sum(part.values()) for part in by.values())
    for reason, count in refused.items():
        assert _cell(run.page, "refusal-groups", reason) == str(count)
    figure = re.search(r"<dt>Refusals</dt>\s*<dd[^>]*>(\d+)", run.page)
    assert figure is not None
    assert int(figure[1]) == total
    assert f"{total} refusals one by one" in run.page
    assert run.page.split('id="refusal-list"', 1)[1].split("</table>")[0].count('<tr role="row">') == total + 1
    assert _cell(run.page, "refused-by", "in the signed logs") == str(sum(by["logs"].values()))
    assert run.result["settled"] == audited["settlements"] == 1
    assert run.result["lineage"]["records"] == sum(row["records"] for row in audited["lineages"])
    inside = run.page.split('aria-label="The result as JSON">', 1)[1].split("</pre>", 1)[0]
    assert json.loads(html.unescape(inside)) == run.result
    assert json.loads((run.folder / "report" / "report.json").read_text()) == run.result


def test_the_pdf_says_what_the_page_says(run: Run) -> None:
    words = " ".join(run.pdf.split())
    assert "VERIFIED" in words
    assert "nobody measured" in words
    assert f"Refusals {sum(run.result['refused'].values())} " in words
    assert f"{run.result['lineage']['records']} of {run.result['lineage']['records']}" in words
    for reason, count in run.result["refused"].items():
        assert f"{reason} {count} " in words


def test_nothing_is_said_of_what_nobody_measured(run: Run) -> None:
    assert run.result["emissions"] is None
    assert "passed" not in run.result
    for word in (">PASS<", "emission (oracle)", "inside a live settlement", "truly began", "simulated trial"):
        assert word not in run.page, word
    assert "no oracle stood by" in run.page
    assert re.search(r"What the antennas truly emitted nobody measured", run.page)


def test_every_reason_has_a_meaning_and_no_silence_is_claimed(run: Run) -> None:
    assert "RATE" in run.result["refused"]
    assert "No description" not in run.page
    assert "no emission" not in run.page.partition("The band: waterfall")[2]


def test_nodes_are_named_and_placed(run: Run) -> None:
    data = report_of(gather([run.folder]))
    assert [name for name, _ in data.nodes] == sorted(run.world.members)
    assert dict(data.nodes)["holder"] == "holder"
    assert {mark.node for mark in data.places} == {"alice", "holder"}, "bob signed nothing"
    assert len(data.settlements) == 1
    assert data.settlements[0].holder == "holder"


def test_one_log_twice_and_two_networks_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_bytes((run.folder / "bob.db").read_bytes())
    (tmp_path / "anchors.txt").write_text((run.folder / "anchors.txt").read_text())
    with pytest.raises(AuditError, match="one node's log"):
        gather([run.folder, tmp_path])
    other = tmp_path / "other"
    other.mkdir()
    (other / "anchors.txt").write_text((run.folder / "anchors.txt").read_text().replace(NETWORK, "elsewhere", 1))
    (other / "bob.db").write_bytes((run.folder / "bob.db").read_bytes())
    with pytest.raises(AuditError, match="2 networks"):
        gather([run.folder, other])


def test_the_command_ends_as_the_logs_are(run: Run, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(run.folder), "--out", str(tmp_path / "r"), "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, run.result)
    for name in ("alice.db", "anchors.txt"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    assert CliRunner().invoke(app, ["report", str(tmp_path / "alice.db")]).exit_code == 3
    data = bytearray((run.folder / "bob.db").read_bytes())
    at = data.index(b"bandpact/declaration") + 60
    data[at] ^= 1
    (tmp_path / "bob.db").write_bytes(data)
    altered = CliRunner().invoke(app, ["report", str(tmp_path), "--out", str(tmp_path / "s")])
    assert altered.exit_code == 5
    assert "NOT VERIFIED" in (tmp_path / "s" / "report.html").read_text()


NOTES = [
    b'{"mono_ns": 1, "event": "ready", "utc_ns": 9' + b"9" * 400 + b"}",
    b'{"mono_ns": 1, "event": "closed", "denied": [1]}',
    b'{"mono_ns": 1, "event": "closed", "denied": {"A": "x", "B": 1e400, "C": -1}}',
    b'{"mono_ns": 1, "event": "incumbent", "utc_ns": "x", "low_hz": "y"}',
    b'{"mono_ns": 1, "event": "incumbent", "low_hz": Infinity, "high_hz": NaN}',
    b'{"mono_ns": true, "event": 7}',
    b"[" * 100_000,
    b"\xff\xfe",
]


@pytest.mark.attack(69)
def test_whatever_a_node_noted_the_report_is_made(run: Run, tmp_path: Path) -> None:
    """A node's log is signed; the notes beside it are its own, and a coordinator gathers them from strangers."""
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("report"))
    notes = folder / "alice.events.jsonl"
    notes.write_bytes(notes.read_bytes() + b"\n" + b"\n".join(NOTES) + b"\n")
    with notes.open("a") as more:
        for number in range(2_000):
            more.write(json.dumps({"mono_ns": number, "event": "closed", "denied": {"RATE": 10**12}}) + "\n")
    tracemalloc.start()
    found = report_of(gather([folder]))
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()
    assert sum(row.peer == "a stranger" for row in found.refusals) <= 3 + 3 + 10_000


@pytest.mark.attack(69)
@pytest.mark.parametrize("kind", ["no archive", "a bomb", "another shape", "words"])
def test_a_hostile_waterfall_is_refused_in_a_line(run: Run, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("report"))
    path = folder / f"alice.{WATERFALL}"
    arrays: dict[str, Any] = {"level_db": np.zeros((2, 3)), "times_ns": np.zeros(2), "edges_hz": np.zeros(2)}
    arrays |= {"another shape": {"level_db": np.zeros(7)}, "words": {"times_ns": np.array(["a", "b"])}}.get(kind, {})
    if kind == "no archive":
        path.write_bytes(b"PK\x03\x04 and no more")
    elif kind == "a bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("level_db.npy", bytes(300 << 20))
    else:
        with path.open("wb") as out:
            np.savez(out, **arrays)
    (log,) = [one for one in gather([folder]).logs if one.name == "alice"]
    with pytest.raises(AuditError, match="the report does without"):
        heard_by(log, 0)


NUMBERS: dict[str, dict[str, Any]] = {
    "no edges": {"edges_hz": np.array([np.nan, np.inf])},
    "edges the wrong way round": {"edges_hz": np.array([2e9, 1e9])},
    "edges of no band": {"edges_hz": np.array([5.0, 5.0])},
    "edges beyond radio": {"edges_hz": np.array([1.0, 1e300])},
    "no channel": {"level_db": np.zeros((2, 0))},
    "levels above all": {"level_db": np.full((2, 3), np.inf)},
    "levels of no receiver": {"level_db": np.full((2, 3), 1e300)},
    "times without end": {"times_ns": np.array([1e300, 1e301])},
    "times that are none": {"times_ns": np.array([np.nan, np.nan])},
    "times backwards": {"times_ns": np.array([2, 1])},
    "times before all": {"times_ns": np.array([-5, 1])},
}


@pytest.mark.attack(69)
@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_that_are_no_waterfall_are_refused_in_a_line(run: Run, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("report"))
    sound: dict[str, Any] = {
        "level_db": np.full((2, 3), -90.0), "times_ns": np.array([1, 2]), "edges_hz": np.array([3.55e9, 3.56e9]),
    }  # fmt: skip
    (log,) = [one for one in gather([folder]).logs if one.name == "alice"]
    for arrays, fine in ((sound, True), ({**sound, **NUMBERS[kind]}, False)):
        with (folder / f"alice.{WATERFALL}").open("wb") as out:
            np.savez(out, **arrays)
        if fine:
            assert heard_by(log, 0) is not None
        else:
            with pytest.raises(AuditError, match="the report does without"):
                heard_by(log, 0)


def test_a_waterfall_of_nothing_heard_is_no_picture(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("report"))
    (log,) = [one for one in gather([folder]).logs if one.name == "alice"]
    with (folder / f"alice.{WATERFALL}").open("wb") as out:
        np.savez(out, level_db=np.full((2, 3), -np.inf), times_ns=np.array([1, 2]), edges_hz=np.array([1e9, 2e9]))
    assert heard_by(log, 0) is None
