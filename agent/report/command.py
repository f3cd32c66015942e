"""Makes a report from folders: reads, audits, draws; HTML, PDF and JSON have the same content."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.report.evidence import gather
from agent.report.pdf import pdf
from agent.report.realrun import report_of
from agent.report.render import render
from hw_profiles.wholefile import WholeFile, write_together

HTML, PDF, JSON = "report.html", "report.pdf", "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report on disk, and its result."""

    folder: Path
    result: dict[str, Any]


def write_report(
    sources: Sequence[Path], folder: Path, *, anchors: Sequence[str] | None = None, network: str | None = None
) -> Written:
    """Write a report on the sources; an older report is replaced, evidence is never touched.

    Raises: AuditError where there is nothing to report; OSError where it cannot be written.
    """
    data = report_of(gather(sources, anchors=anchors, network=network))
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data.summary, indent=2, sort_keys=True) + os.linesep
    write_together(
        [
            WholeFile(path=folder / HTML, data=render(data).encode()),
            WholeFile(path=folder / PDF, data=pdf(data)),
            WholeFile(path=folder / JSON, data=text.encode()),
        ]
    )
    return Written(folder=folder, result=data.summary)
