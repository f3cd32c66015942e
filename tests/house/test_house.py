"""Project rules that no linter checks: one public class per name, one purpose per module, described folders."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import grimp

from tests.agent.sweep import commands
from tests.featuretable import PAGE, marked, page, rooms

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agent", "radio", "sensing", "settlement", "hw_profiles", "sim")
LINES_MAX = 350
PARTS = frozenset({"Holder", "User"})
# Modules whose names end in -ing and are nouns of the field.
NOUNS = frozenset({"sensing", "bench_sensing", "meaning", "standing", "ruling", "hopping", "recording", "ring"})


@cache
def modules() -> tuple[tuple[Path, ast.Module], ...]:
    """Every module of the product, parsed; once a run, and not before a test asks."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return tuple((path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))) for path in paths)


def test_no_two_public_classes_share_a_name() -> None:
    """Unless one is the protocol that the other keeps."""
    owners: dict[str, list[tuple[Path, bool]]] = defaultdict(list)
    for path, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                owners[node.name].append((path, any("Protocol" in ast.unparse(base) for base in node.bases)))
    shared = {
        name: [str(path) for path, _ in places]
        for name, places in owners.items()
        if sum(not protocol for _, protocol in places) > 1
    }

    assert shared == {}


def test_a_long_module_says_why_it_is_long() -> None:
    """Its docstring has a line that begins with "Long because"."""
    long = []
    for path, tree in modules():
        lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
        if lines > LINES_MAX and "\nLong because" not in (ast.get_docstring(tree) or ""):
            long.append(f"{path}: {lines}")
    assert long == []


def test_a_module_is_named_by_a_noun() -> None:
    """What is in it, not what somebody does with it."""
    named = {path.stem: str(path) for path, _ in modules() if path.stem.endswith("ing")}
    assert {stem: path for stem, path in named.items() if stem not in NOUNS} == {}


def test_every_room_says_what_lives_in_it() -> None:
    for room in ROOMS:
        for folder in {path.parent for path in (ROOT / room).rglob("*.py")}:
            described = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
            assert ast.get_docstring(described), folder


def test_the_glossary_points_at_what_is_there() -> None:
    """Every path it names exists, and defines the class that is named beside it."""
    named = re.findall(r"`((?:\w+/)+[\w.]*)`(?: `(\w+)`)?", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    for path, name in named:
        assert (ROOT / path).exists(), path
        if name:
            assert re.search(rf"class {name}\b", (ROOT / path).read_text(encoding="utf-8")), (path, name)


def test_every_mark_is_in_the_table_of_features() -> None:
    known = {one for room in rooms().values() for one in room if one != "title"}
    assert set(marked()) <= known, "a mark that the table has not"


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Modules that import each other in a circle, imports for types alone among them (Tarjan's components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for imported in graph.find_modules_directly_imported_by(module):
            if imported not in number:
                visit(imported)
                low[module] = min(low[module], low[imported])
            elif imported in stack:
                low[module] = min(low[module], number[imported])
        if low[module] == number[module]:
            circle = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for module in sorted(graph.modules):
        if module not in number:
            visit(module)
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(grimp.build_graph(*ROOMS, cache_dir=None)) == []


def test_the_feature_page_is_made_anew_and_every_command_on_it_runs() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.featuretable"
    known = set(commands())
    for one in re.findall(r"\| `bandpact ([a-z -]+?)(?: [A-Za-z]+:.*)?` \|", PAGE.read_text(encoding="utf-8")):
        words = one.partition(" --")[0].split()
        assert " ".join(words) in known, one


def test_no_program_takes_a_module_from_the_folder_it_is_started_in() -> None:
    """`python -m` searches the current folder first, and whoever left a `cbor2.py` there would run as the warden."""
    started = [
        f"{path}:{node.lineno}"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.List | ast.Tuple)
        and any(isinstance(one, ast.Constant) and one.value == "-m" for one in node.elts)
        and not any(isinstance(one, ast.Constant) and one.value == "-P" for one in node.elts)
    ]
    shell = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "deploy").rglob("*"))
        if path.is_file()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if re.search(r"exec .*python3? -m", line)
    ]
    assert started + shell == []


def _caught(handler: ast.ExceptHandler) -> set[str]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(kind) if kind is not None else "Exception" for kind in kinds}


def test_json_that_may_not_read_may_be_nested_without_end() -> None:
    """Who expects a ValueError of `json.loads` gets a RecursionError of some kilobytes of brackets."""
    missed = []
    for path, tree in modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Try):
                continue
            reads = any(
                isinstance(n, ast.Call) and ast.unparse(n.func) == "json.loads" for b in node.body for n in ast.walk(b)
            )
            caught = {name for handler in node.handlers for name in _caught(handler)}
            if reads and "ValueError" in caught and not caught & {"RecursionError", "Exception"}:
                missed.append(f"{path}:{node.lineno}")
    assert missed == []
