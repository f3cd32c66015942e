"""Five years of a busy node's log, by arithmetic and by a run that is a hundred times shorter.

BANDPACT_ARCHIVE_SCALE sets how many times shorter (100: about an hour of processor time).
"""

import json
import os
from pathlib import Path

import pytest

from agent.bench.archive import KEPT_DAYS, ArchivePlan, KindBytes, LogBytes, on_paper, run

SCALE = float(os.environ.get("BANDPACT_ARCHIVE_SCALE", "100"))
SHORTER = 5.0
"""The paper rests on a run that is so many times shorter still, and yet has most entries beyond the 16,384th.

From there their numbers are longer, and six of a user's fit a page of the log where seven did.
"""
WITHIN = 0.1


@pytest.mark.feature("G6")
@pytest.mark.timeout(6 * 3600)
def test_an_archive_of_sixty_months_takes_what_paper_says(tmp_path: Path) -> None:
    small, large = (ArchivePlan(scale=scale) for scale in (SCALE * SHORTER, SCALE))
    for plan in (small, large):
        (tmp_path / str(plan.scale)).mkdir()
    first = run(small, tmp_path / str(small.scale))
    found = run(large, tmp_path / str(large.scale))
    print(json.dumps({"paper": first, "found": found}, indent=1))
    kept = {kind: days / SCALE for kind, days in KEPT_DAYS.items()}
    for side in ("holder", "user"):
        log = first[side]
        kinds = {typ: KindBytes(**kind) for typ, kind in log["kinds"].items()}
        measured = LogBytes(entries=log["entries"], file_bytes=log["bytes"], row=log["row_bytes"], kinds=kinds)
        said = on_paper(measured, large.hours / 24, kept)
        print(f"{side}: {found[side]['bytes']} bytes beside {said['bytes']:.0f} on paper")
        assert said["entries"] == pytest.approx(found[side]["entries"], rel=WITHIN)
        assert said["bytes"] == pytest.approx(found[side]["bytes"], rel=WITHIN)
        assert found[side]["start_cpu_s"] <= 1.0
