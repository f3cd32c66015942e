"""Coverage-guided fuzzing of everything that takes a stranger's bytes: `make fuzz`, or

    python -m tests.fuzz.bytes_in [TARGET] -max_total_time=60 CORPUS_FOLDER

The first byte chooses the parser, or TARGET does. What must hold of each is in `targets`.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["settlement", "agent", "radio", "sim", "cbor2"]):
    from tests.fuzz.targets import TARGETS, seeds_of

NAMES = tuple(TARGETS)


def one_input(data: bytes) -> None:
    """Check one input: the first byte chooses the parser."""
    if data:
        TARGETS[NAMES[data[0] % len(NAMES)]](data[1:])


def seeds(folder: Path) -> None:
    """Write the parsers' valid inputs as the first corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        for n, seed in enumerate(seeds_of(name)):
            (folder / f"{name.replace(' ', '-')}-{n}").write_bytes(bytes([number]) + seed)


if __name__ == "__main__":
    chosen = next((a for a in sys.argv[1:] if a in TARGETS), None)
    arguments = [a for a in sys.argv if a != chosen]
    given = [Path(a) for a in arguments[1:] if not a.startswith("-")]
    if given:
        seeds(given[0])
    atheris.Setup(arguments, TARGETS[chosen] if chosen else one_input)
    atheris.Fuzz()
