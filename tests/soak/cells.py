"""Counts of long experiments, cell by cell, in batches with seeds of their own, so that a run can be resumed.

`BANDPACT_COUNTS` names a file; each batch that is counted adds a line of JSON to it, and batches that have their line
there are not counted again. Without it a run counts everything anew. Lines of another seed count as another cell.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

SEED = int(os.environ.get("BANDPACT_SEED", "7"))


def chosen(variable: str, usual: str) -> list[str]:
    """The values of an environment variable, or the defaults, split at semicolons."""
    return [one.strip() for one in os.environ.get(variable, usual).split(";") if one.strip()]


def counted(cell: str, trials: int, *, batch: int, count: Callable[[int, int], Counter[str]]) -> Counter[str]:
    """Add up a cell's counts and print them in a line, with the processor seconds they took.

    Args: count is given the number of a batch, which with `SEED` seeds it, and how many trials it has.
    """
    name = f"{cell}, seed {SEED}, batches of {batch}"
    file = os.environ.get("BANDPACT_COUNTS")
    known = _known(Path(file), name) if file else {}
    total: Counter[str] = Counter()
    took_s = 0.0
    for number in range(-(-trials // batch)):
        size = min(batch, trials - number * batch)
        line = known.get((number, size))
        if line is None:
            began = time.process_time()
            counts = count(number, size)
            line = {
                "cell": name,
                "batch": number,
                "trials": size,
                "counts": counts,
                "cpu_s": time.process_time() - began,
            }
            if file:
                with Path(file).open("a", encoding="utf-8") as out:
                    out.write(json.dumps(line) + "\n")
        total.update(line["counts"])
        took_s += line["cpu_s"]
    print(f"{cell}: {trials} trials, {dict(total)}, {took_s:.1f} s of a processor", flush=True)
    return total


def _known(file: Path, name: str) -> dict[tuple[int, int], dict]:
    """The batches of a cell in the file; an incomplete last line does not count."""
    found = {}
    for text in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line["cell"] == name:
            found[line["batch"], line["trials"]] = line
    return found
