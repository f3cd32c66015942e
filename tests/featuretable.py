"""The feature table: `python -m tests.featuretable` writes docs/features.md from features.toml and the tests' marks."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "features.md"
MARK, ID = re.compile(r"\.feature\(([^()]*)\)"), re.compile(r"\"([A-Z]+[0-9]+)\"")
HEAD = """# Features

Made by `python -m tests.featuretable` from `tests/features.toml` and from the tests that bear each feature's mark
(`@pytest.mark.feature("S3")`): what it is, the command a user sees it with, and the tests that fail without it.
"""


def marked() -> dict[str, set[str]]:
    """Feature ID to the test files that bear its mark."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for marks in MARK.findall(path.read_text(encoding="utf-8")):
            for feature in ID.findall(marks):
                found[feature].add(str(path.relative_to(ROOT)))
    return found


def rooms() -> dict[str, dict[str, Any]]:
    """The title and the features of each letter."""
    return tomllib.loads((ROOT / "tests" / "features.toml").read_text(encoding="utf-8"))


def page() -> str:
    """The text of docs/features.md."""
    shown, parts = marked(), [HEAD]
    for room in rooms().values():
        rows = [
            f"| {one} | {said[0]} | `{said[1]}` | {', '.join(map(_link, sorted(shown[one])))} |"
            if shown[one]
            else f"| {one} | {said[0]} | not there yet | |"
            for one, said in room.items()
            if one != "title"
        ]
        parts += [f"## {room['title']}\n", "| ID | What | Command | Tests |", "|---|---|---|---|", *rows, ""]
    return "\n".join(parts)


def _link(path: str) -> str:
    return f"[{path.removeprefix('tests/').removesuffix('.py')}](../{path})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
