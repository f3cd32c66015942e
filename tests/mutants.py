"""Mutation testing, one module after another: `python -m tests.mutants [NAME …]`, all where none is named.

Each entry of `[tool.mutants]` in pyproject.toml is a module and the tests that are to hold it. For each, mutmut runs in
a copy of the tree, `mutants/NAME`, with that module and those tests alone; survivors are printed by name, with what was
changed where `--show` is given. What is judged of them stands in docs/mutants.md.
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import tomli_w

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "mutants"
PACKAGES = ("agent", "hw_profiles", "radio", "sensing", "settlement", "sim")
BESIDE = ("tests", "docs")
SURVIVED = ("survived", "no tests", "timeout", "suspicious", "segfault")


def entries() -> dict[str, dict[str, list[str]]]:
    """Name to `modules` and `tests`."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutants"]
    return dict(table)


def prepare(name: str, entry: dict[str, list[str]]) -> Path:
    """A copy of the tree whose pyproject asks mutmut for this entry alone."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in (*PACKAGES, *BESIDE):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project["tool"]["mutmut"] = {
        "source_paths": sorted({module.split("/")[0] for module in entry["modules"]}),
        "only_mutate": entry["modules"],
        "pytest_add_cli_args_test_selection": entry["tests"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", *entry.get("options", [])],
        "also_copy": [*PACKAGES, *BESIDE],
    }
    (folder / "pyproject.toml").write_text(tomli_w.dumps(project), encoding="utf-8")
    return folder


def run(name: str, entry: dict[str, list[str]], *, children: int, show: bool) -> int:
    """Run one entry; returns how many mutants its tests did not kill."""
    folder, mutmut = prepare(name, entry), str(Path(sys.executable).with_name("mutmut"))
    ran = subprocess.run(
        [mutmut, "run", "--max-children", str(children)], cwd=folder, capture_output=True, text=True, check=False
    )
    told = subprocess.run([mutmut, "results", "--all", "true"], cwd=folder, capture_output=True, text=True, check=False)
    found = [line.strip().rsplit(": ", 1) for line in told.stdout.splitlines() if ": " in line]
    alive = [mutant for mutant, end in found if end in SURVIVED]
    sys.stdout.write(f"{name}: {len(found)} mutants, {len(found) - len(alive)} killed, {len(alive)} survive\n")
    if not found:
        sys.stdout.write(ran.stdout[-2000:] + ran.stderr[-2000:])
        return 1
    for mutant in alive:
        sys.stdout.write(f"  {mutant}\n")
        if show:
            shown = subprocess.run([mutmut, "show", mutant], cwd=folder, capture_output=True, text=True, check=False)
            changed = [
                line for line in shown.stdout.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")
            ]
            sys.stdout.writelines(f"    {line}\n" for line in changed)
    sys.stdout.flush()
    return len(alive)


def main() -> int:
    """Run what was named, or everything; the exit code says only whether all of it could be run."""
    known = entries()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all where none is named")
    parser.add_argument("--children", type=int, default=2, help="mutants tried at once")
    parser.add_argument("--show", action="store_true", help="show what each survivor changes")
    asked = parser.parse_args()
    strange = set(asked.names) - set(known)
    if strange:
        parser.error(f"no such entry in pyproject.toml: {', '.join(sorted(strange))}")
    for name in asked.names or known:
        run(name, known[name], children=asked.children, show=asked.show)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
