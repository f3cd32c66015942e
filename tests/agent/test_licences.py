"""Licences travel with recordings: stamped, held to at export, and what is deleted on time is told."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from agent.desk.classes import checked_class
from agent.recordings.licences import KEY, LEDGER, check, due_in, expire, export, licence_of, stamp_of
from radio.errors import SourceError
from settlement.core.reasons import Reason
from tests.agent.sweep import invoked

DAY_NS = 86_400 * 10**9
MADE_NS = 1_790_000_000 * 10**9


def recording(folder: Path, name: str = "one", commodity: str = "spectrum", made_ns: int = MADE_NS) -> Path:
    """A tiny recording under a class that ships."""
    (folder / f"{name}.sigmf-data").write_bytes(bytes(64))
    held = {"core:datatype": "ci16_le", "core:sample_rate": 1e6, "core:version": "1.2.0"}
    about = held | stamp_of(checked_class(commodity), made_ns)
    meta = folder / f"{name}.sigmf-meta"
    meta.write_text(json.dumps({"global": about, "captures": [{"core:sample_start": 0}], "annotations": []}))
    return meta


@pytest.mark.feature("M4")
@pytest.mark.parametrize(
    ("commodity", "use", "to", "late_ns", "clause"),
    [
        ("spectrum", "operation", "parties", 0, None),
        ("spectrum", "research", "none", 0, None),
        ("spectrum", "enforcement", "none", 0, "licence.use"),
        ("spectrum", "operation", "public", 0, "licence.redistribute"),
        ("backhaul", "operation", "parties", 0, "licence.redistribute"),
        ("backhaul", "operation", "none", 365 * DAY_NS, "licence.keep_ns"),
    ],
)
def test_export_does_what_the_licence_allows_and_names_the_term_that_forbids(
    tmp_path: Path, commodity: str, use: str, to: str, late_ns: int, clause: str | None
) -> None:
    meta, out = recording(tmp_path, commodity=commodity), tmp_path / "copy.sigmf-meta"
    refusal = export(meta, out, use=use, to=to, now_ns=MADE_NS + late_ns)
    assert (refusal.clause if refusal else None) == clause
    assert out.exists() == (clause is None)
    if clause is None:
        assert licence_of(out) == licence_of(meta)  # and the terms go with it
    else:
        assert refusal is not None
        assert refusal.measured
        assert refusal.required


@pytest.mark.feature("M4")
def test_no_licence_is_stamped_on_an_archive_which_nothing_would_delete_on_time(tmp_path: Path) -> None:
    ended = invoked(["record", "sim:", str(tmp_path / "one.sigmf"), "--for", "2ms", "--licence", "spectrum"])
    assert ended.code == 2
    assert f"give {tmp_path / 'one'} as PATH" in " ".join(ended.err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.feature("M4", "A4")
def test_what_may_not_be_kept_is_deleted_on_time_and_told(tmp_path: Path) -> None:
    old, young = recording(tmp_path, "old"), recording(tmp_path, "young", made_ns=MADE_NS + 5 * DAY_NS)
    free = tmp_path / "free.sigmf-meta"
    free.write_text(json.dumps({"global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6}}))
    assert expire(tmp_path, MADE_NS + 30 * DAY_NS - 1).deleted == ()
    (gone,) = expire(tmp_path, MADE_NS + 30 * DAY_NS).deleted
    assert (gone.file, gone.term, gone.commodity) == (old.name, "retention.recordings", "spectrum")
    assert not old.exists()
    assert not old.with_suffix(".sigmf-data").exists()
    assert young.exists()
    assert free.exists()
    expire(tmp_path, MADE_NS + 40 * DAY_NS)
    assert check(tmp_path) == (2, None)


@pytest.mark.feature("M4")
def test_a_ledger_that_was_changed_or_lies_is_found(tmp_path: Path) -> None:
    one = recording(tmp_path, "one")
    recording(tmp_path, "two")
    kept = one.read_bytes(), one.with_suffix(".sigmf-data").read_bytes()
    expire(tmp_path, MADE_NS + 30 * DAY_NS)
    ledger = tmp_path / LEDGER
    first, second = ledger.read_text().splitlines()
    ledger.write_text(first.replace("spectrum", "backhaul") + "\n" + second + "\n")
    assert "line 2" in str(check(tmp_path)[1])
    ledger.write_text(second + "\n")
    assert "line 1" in str(check(tmp_path)[1])
    ledger.write_text(first + "\n" + second + "\n")
    one.write_bytes(kept[0])
    one.with_suffix(".sigmf-data").write_bytes(kept[1])
    assert "still there" in str(check(tmp_path)[1])


@pytest.mark.feature("M4")
@pytest.mark.parametrize("field", ["keep_ns", "use", "redistribute", "made_ns"])
def test_terms_that_cannot_be_read_allow_nothing_and_delete_nothing(tmp_path: Path, field: str) -> None:
    meta = recording(tmp_path)
    held = json.loads(meta.read_text())
    held["global"][KEY][field] = {"keep_ns": "long", "use": ["war"], "redistribute": "moon", "made_ns": -1}[field]
    meta.write_text(json.dumps(held))
    with pytest.raises(SourceError, match=field):
        export(meta, tmp_path / "out.sigmf-meta", use="operation", to="none", now_ns=MADE_NS)
    came = expire(tmp_path, MADE_NS + 400 * DAY_NS)
    assert came.deleted == ()
    assert field in came.left[0]
    assert meta.exists()
    assert Reason.TERMS


# -- recordings of strangers -------------------------------------------------------------------------------------------


def named(folder: Path, dataset: str) -> Path:
    """A recording that may not be kept, and says that its samples are in a file of another name."""
    meta = recording(folder, "evil")
    held = json.loads(meta.read_text())
    held["global"]["core:dataset"] = dataset
    meta.write_text(json.dumps(held))
    return meta


@pytest.mark.feature("M4")
@pytest.mark.attack(69)
def test_a_recording_deletes_and_exports_no_file_but_its_own(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    other = recording(tmp_path, "other", made_ns=MADE_NS + 300 * DAY_NS)
    for dataset in ("precious.txt", "other.sigmf-data"):
        meta = named(tmp_path, dataset)
        assert due_in(tmp_path, MADE_NS + 30 * DAY_NS)[0] == []
        came = expire(tmp_path, MADE_NS + 30 * DAY_NS)
        assert came.deleted == ()
        assert dataset in came.left[0]
        with pytest.raises(SourceError, match="not its own"):
            export(meta, tmp_path / "out.sigmf-meta", use="operation", to="none", now_ns=MADE_NS)
    assert precious.read_text() == "mine"
    assert other.with_suffix(".sigmf-data").exists()
    assert not (tmp_path / "out.sigmf-data").exists()


@pytest.mark.feature("M4")
def test_one_that_cannot_be_read_keeps_no_other_beyond_its_time(tmp_path: Path) -> None:
    (tmp_path / "a-bad.sigmf-meta").write_text('{"global": {"' + KEY + '": 7}}')
    (tmp_path / "b-deep.sigmf-meta").write_text("[" * 100_000)
    meta = recording(tmp_path)
    came = expire(tmp_path, MADE_NS + 30 * DAY_NS)
    assert [one.file for one in came.deleted] == [meta.name]
    assert len(came.left) == 2
    assert check(tmp_path) == (1, None)


@pytest.mark.feature("M4")
def test_a_ledger_that_was_cut_short_or_has_grown_goes_on(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_text('{"at_ns": 1, "comm')
    recording(tmp_path)
    expire(tmp_path, MADE_NS + 30 * DAY_NS)
    assert check(tmp_path) == (1, None)
    lines, before = [], "0" * 64
    for number in range(4_500):
        lines.append(json.dumps({"file": f"f{number}.sigmf-meta", "sha512": "0" * 188, "previous": before}))
        before = hashlib.sha256(lines[-1].encode()).hexdigest()
    (tmp_path / LEDGER).write_text("\n".join(lines) + "\n")
    assert (tmp_path / LEDGER).stat().st_size > 1 << 20
    assert check(tmp_path) == (4_500, None)


@pytest.mark.feature("M4")
def test_two_that_delete_at_once_tell_each_deletion_once(tmp_path: Path) -> None:
    for number in range(12):
        recording(tmp_path, f"r{number}")
    children = [os.fork() for _ in range(2)]
    if 0 in children:  # pragma: no cover - another process
        with suppress(BaseException):
            os._exit(len(expire(tmp_path, MADE_NS + 30 * DAY_NS).left))
        os._exit(99)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert check(tmp_path) == (12, None)


@pytest.mark.feature("M4")
def test_an_export_overwrites_nothing_and_is_whole_or_not_at_all(tmp_path: Path) -> None:
    meta, out = recording(tmp_path), tmp_path / "out.sigmf-meta"
    taken = out.with_suffix(".sigmf-data")
    taken.write_bytes(b"mine")
    refusal = export(meta, out, use="operation", to="none", now_ns=MADE_NS)
    assert refusal is not None
    assert taken.read_bytes() == b"mine"
