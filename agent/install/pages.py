"""Generates parts of the documentation: `python -m agent.install.pages docs` writes them again.

configuration.md     all of it, from the models that read the files
operations.md        the table of reason codes, below its mark
troubleshooting.md   the tables of the doctor's lines, below its mark
"""

import sys
from pathlib import Path
from typing import Final

from agent.doctor.mends import CLOCK_MENDS, TROUBLES
from agent.install.configpage import configuration
from agent.report.meanings import MEANINGS
from agent.words.mends import MENDS
from settlement.core.reasons import Reason

MARK: Final = "<!-- from here on: make docs -->\n"


def reasons() -> str:
    """Return every reason code with its meaning and its remedy."""
    rows = [f"| `{one.value}` | {MEANINGS[one.value]} | {_cell(MENDS[one.value])} |" for one in Reason]
    return "\n".join(["", "| Code | It means | What to do |", "|---|---|---|", *rows, ""])


def troubles() -> str:
    """Return every check of the doctor that can fail, with its remedy; then the clock's and the place's own words."""
    lines = [f"| `{one.line}` | {_cell(one.found)} | {_cell(one.mend)} |" for one in TROUBLES.values()]
    clock = [f"| {_cell(cause)} | {_cell(mend)} |" for cause, mend in CLOCK_MENDS.items()]
    return "\n".join(
        [
            "",
            "| Line of `bandpact doctor` | It found | Mend |",
            "|---|---|---|",
            *lines,
            "",
            "## What the clock and the place say",
            "",
            "| Said by `doctor`, `clock watch` and `status` | Mend |",
            "|---|---|",
            *clock,
            "",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def made(page: str, text: str) -> str:
    """Return a page with its generated part replaced; the text above the mark stays."""
    if page == "configuration.md":
        return configuration()
    head, mark, _ = text.partition(MARK)
    return head + mark + {"operations.md": reasons, "troubleshooting.md": troubles}[page]()


PAGES: Final = ("configuration.md", "operations.md", "troubleshooting.md")

if __name__ == "__main__":
    for name in PAGES:
        path = Path(sys.argv[1]) / name
        path.write_text(made(name, path.read_text(encoding="utf-8") if path.is_file() else ""), encoding="utf-8")
