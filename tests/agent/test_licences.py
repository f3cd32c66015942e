"""Licences travel with recordings: stamped, held to at export, and what is deleted on time is told."""

import json
from pathlib import Path

import pytest

from agent.desk.classes import checked_class
from agent.recordings.licences import KEY, LEDGER, check, expire, export, licence_of, stamp_of
from radio.errors import SourceError
from settlement.core.reasons import Reason

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


@pytest.mark.feature("M4", "A4")
def test_what_may_not_be_kept_is_deleted_on_time_and_told(tmp_path: Path) -> None:
    old, young = recording(tmp_path, "old"), recording(tmp_path, "young", made_ns=MADE_NS + 5 * DAY_NS)
    free = tmp_path / "free.sigmf-meta"
    free.write_text(json.dumps({"global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6}}))
    assert expire(tmp_path, MADE_NS + 30 * DAY_NS - 1) == []
    (gone,) = expire(tmp_path, MADE_NS + 30 * DAY_NS)
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
    with pytest.raises(SourceError, match=field):
        expire(tmp_path, MADE_NS + 400 * DAY_NS)
    assert meta.exists()
    assert Reason.TERMS
