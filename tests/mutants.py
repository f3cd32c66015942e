"""Mutation testing, one module after another: `python -m tests.mutants [NAME …]`, all where none is named.

Each entry of `[tool.mutants]` in pyproject.toml is a module and the tests that are to hold it. For each, mutmut runs in
a copy of the tree, `mutants/NAME`, with that module and those tests alone. `lru_cache` is taken off in the copy: mutmut
does not change a decorated function, and a cache that an earlier run filled answers in the place of a changed one.

A survivor that changes nothing but the words of a refusal (what was measured, what is required; never the reason, the
clause or how many there are) is counted as such. Others are judged in tests/mutants.toml, with the reason why they are
harmless; what is neither is printed by name, with what was changed where `--show` is given. docs/mutants.md sums up.
With `--afresh` each survivor is tried again in a process that begins with it.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import tomli_w

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "mutants"
JUDGED = Path(__file__).with_suffix(".toml")
PACKAGES = ("agent", "hw_profiles", "radio", "sensing", "settlement", "sim")
BESIDE = ("tests", "docs")
SURVIVED = ("survived", "no tests", "timeout", "suspicious", "segfault")
CACHED = re.compile(r"^@(functools\.)?(lru_cache(\(.*\))?|cache)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A mutant that no test detected: its name, place, old and new lines, and whether only message words differ."""

    name: str
    where: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    words: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Mutants judged harmless: those in a function whose new lines, or else old ones, match `change`."""

    where: str
    change: str
    why: str

    def covers(self, one: Survivor) -> bool:
        return one.where == self.where and re.search(self.change, "\n".join(one.after or one.before)) is not None


def entries() -> dict[str, dict[str, list[str]]]:
    """Name to `modules` and `tests`."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutants"]
    return dict(table)


def judgements(name: str) -> list[Judgement]:
    """The manual judgements of one entry's surviving mutants."""
    table = tomllib.loads(JUDGED.read_text(encoding="utf-8"))
    return [Judgement(where=one["in"], change=one["change"], why=one["why"]) for one in table.get(name, [])]


def prepare(name: str, entry: dict[str, list[str]]) -> Path:
    """A copy of the tree whose pyproject configures mutmut for this entry only."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in (*PACKAGES, *BESIDE):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for module in entry["modules"]:
        path = folder / module
        path.write_text(CACHED.sub("", path.read_text(encoding="utf-8")), encoding="utf-8")
    configured(folder, entry)
    return folder


def configured(folder: Path, entry: dict[str, list[str]]) -> None:
    """Write mutmut's configuration into the copy."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project["tool"]["mutmut"] = {
        "source_paths": sorted({module.split("/")[0] for module in entry["modules"]}),
        "only_mutate": entry["modules"],
        "pytest_add_cli_args_test_selection": entry["tests"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", *entry.get("options", [])],
        "also_copy": [*PACKAGES, *BESIDE],
    }
    (folder / "pyproject.toml").write_text(tomli_w.dumps(project), encoding="utf-8")


class _Wordless(ast.NodeTransformer):
    """Removes the words from each `refuse(reason, clause, measured, required)`; all else stays."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "refuse" and len(node.args) == 4:
            return ast.Call(func=node.func, args=[*node.args[:2], ast.Constant("words")], keywords=node.keywords)
        return node


def only_words(before: str, after: str) -> bool:
    """Whether two functions differ only in their names and the words of their refusals."""
    shapes = []
    for source in (before, after):
        (function,) = ast.parse(source).body
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        function.name = "f"
        shapes.append(ast.dump(_Wordless().visit(function)))
    return shapes[0] == shapes[1]


def survivor(folder: Path, mutmut: str, name: str) -> Survivor:
    """The details of a mutant, as mutmut shows them."""
    module, _, symbol = name.rpartition(".")
    shown = subprocess.run([mutmut, "show", name], cwd=folder, capture_output=True, text=True, check=False).stdout
    changed = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    source = (folder / "mutants" / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
    functions = {
        node.name: ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    stem = symbol.rpartition("__mutmut_")[0]
    return Survivor(
        name=name,
        where=f"{module}.{stem.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}",
        before=tuple(line[1:].strip() for line in changed if line[0] == "-"),
        after=tuple(line[1:].strip() for line in changed if line[0] == "+"),
        words=only_words(functions[f"{stem}__mutmut_orig"], functions[symbol]),
    )


def told(name: str, found: list[str], alive: list[Survivor], *, show: bool) -> int:
    """Print the surviving mutants and their judgements; returns how many have none."""
    judged = judgements(name)
    words = [one for one in alive if one.words]
    by_hand = [one for one in alive if not one.words and any(each.covers(one) for each in judged)]
    unjudged = [one for one in alive if one not in words and one not in by_hand]
    sys.stdout.write(
        f"{name}: {len(found)} mutants, {len(found) - len(alive)} killed, {len(alive)} survive: "
        f"{len(words)} in words alone, {len(by_hand)} judged, {len(unjudged)} not judged\n"
    )
    for one in unjudged:
        sys.stdout.write(f"  {one.name}\n")
        if show:
            sys.stdout.writelines(f"    - {line}\n" for line in one.before)
            sys.stdout.writelines(f"    + {line}\n" for line in one.after)
    for each in judged:
        if not any(each.covers(one) for one in alive):
            sys.stdout.write(f"  judged and not alive: {each.where}: {each.change}\n")
    sys.stdout.flush()
    return len(unjudged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of a run: mutants at once, output, function patterns, and whether the last run is continued."""

    children: int = 2
    show: bool = False
    of: tuple[str, ...] = ()
    survivors: bool = False
    again: bool = False
    afresh: bool = False


def found_afresh(folder: Path, entry: dict[str, list[str]], name: str) -> bool:
    """Whether the tests detect a mutant in a new process, as needed for code that runs at import."""
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            *entry.get("options", []),
            *entry["tests"],
        ],
        cwd=folder / "mutants",
        env={**os.environ, "MUTANT_UNDER_TEST": name},
        capture_output=True,
        check=False,
    )
    return found.returncode != 0


def run(name: str, entry: dict[str, list[str]], asked: Asked) -> int:
    """Run one entry, or continue its last run; returns the number of mutants neither detected nor judged."""
    mutmut, said = str(Path(sys.executable).with_name("mutmut")), ""
    folder = WORK / name if asked.again or asked.survivors else prepare(name, entry)
    patterns = [f"*{one}*" for one in asked.of]
    if asked.survivors:
        shutil.copytree(ROOT / "tests", folder / "tests", dirs_exist_ok=True)
        configured(folder, entry)
        patterns = [mutant for mutant, end in results(folder, mutmut) if end in SURVIVED]
    if not asked.again:
        command = [mutmut, "run", "--max-children", str(asked.children), *patterns]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        said = ran.stdout[-2000:] + ran.stderr[-2000:]
    found = [(mutant, end) for mutant, end in results(folder, mutmut) if end != "not checked"]
    if not found:
        sys.stdout.write(f"{name}: no mutants\n{said}")
        return 1
    names = [mutant for mutant, end in found if end in SURVIVED]
    if asked.afresh:
        names = [one for one in names if not found_afresh(folder, entry, one)]
    alive = [survivor(folder, mutmut, one) for one in names]
    return told(name, [mutant for mutant, _ in found], alive, show=asked.show)


def results(folder: Path, mutmut: str) -> list[tuple[str, str]]:
    """Every mutant of the last run with how it ended."""
    listed = subprocess.run(
        [mutmut, "results", "--all", "true"], cwd=folder, capture_output=True, text=True, check=False
    )
    lines = [line.strip().rpartition(": ") for line in listed.stdout.splitlines() if ": " in line]
    return [(mutant, end) for mutant, _, end in lines]


def main() -> int:
    """Run what was named, or everything; the exit code is 1 where a survivor is not judged."""
    known = entries()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all where none is named")
    parser.add_argument("--children", type=int, default=2, help="mutants tried at once")
    parser.add_argument("--show", action="store_true", help="show what each survivor changes")
    parser.add_argument("--of", nargs="+", default=[], metavar="FUNCTION", help="mutants of these functions alone")
    parser.add_argument("--survivors", action="store_true", help="try what survived the last run by the tests of today")
    parser.add_argument("--again", action="store_true", help="judge what the last run left, without a new one")
    afresh = "try what survived again, each in a process that begins with it: what runs at import is found no other way"
    parser.add_argument("--afresh", action="store_true", help=afresh)
    given = parser.parse_args()
    strange = set(given.names) - set(known)
    if strange:
        parser.error(f"no such entry in pyproject.toml: {', '.join(sorted(strange))}")
    asked = Asked(
        children=given.children,
        show=given.show,
        of=tuple(given.of),
        survivors=given.survivors,
        again=given.again,
        afresh=given.afresh,
    )
    left = [run(name, known[name], asked) for name in given.names or known]
    return 1 if any(left) else 0


if __name__ == "__main__":
    raise SystemExit(main())
