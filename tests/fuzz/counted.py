"""So many executions of every parser, from its seeds by mutation with a fixed seed: no compiler, no coverage.

    python -m tests.fuzz.counted --count 1000000 [TARGET ...]

Prints a line for each parser. `make fuzz` runs it after the coverage-guided runs; FUZZ_COUNT says how often.
"""

import argparse
import random
import time

from tests.fuzz.targets import TARGETS, seeds_of

LARGEST = 8192
TOKENS = (
    b"\x00", b"\xff", b"\x7f", b"\x9f", b"\xbf", b"\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x5b\x00\x00\x01\x00\x00\x00\x00\x00", b"\x81" * 40, b"[" * 40, b"{", b"1e400",
    b"-1", b"NaN", b"\x1b[31m", b"\n", b"\xed\xa0\x80",
)  # fmt: skip


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Mutate one seed a few times: flip, cut, join, repeat, fill."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1 if data:
                data[at % len(data)] = rng.randrange(256)
            case 2:
                del data[at : at + rng.randrange(1, 9)]
            case 3:
                data[at:at] = rng.choice(TOKENS)
            case 4:
                other = rng.choice(seeds)
                begin = rng.randrange(len(other) + 1)
                data[at:at] = other[begin : begin + rng.randrange(64)]
            case 5:
                data[at:at] = data[at : at + rng.randrange(32)] * rng.randrange(1, 4)
            case _:
                data[at : at + 4] = rng.randbytes(4)
    return bytes(data[:LARGEST])


def run(name: str, count: int, seed: int = 1) -> float:
    """Run a parser `count` times; returns the seconds it took. An exception is raised again with its input."""
    rng, seeds, target = random.Random(f"{seed}-{name}"), seeds_of(name), TARGETS[name]
    begun = time.process_time()
    for one in seeds:
        target(one)
    for number in range(count):
        data = mutated(rng, seeds)
        try:
            target(data)
        except Exception as exc:
            raise AssertionError(f"{name}, execution {number}: {exc!r} by {data.hex()}") from exc
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="all, where none is named")
    given = parser.parse_args()
    for name in given.targets or TARGETS:
        took_s = run(name, given.count, given.seed)
        print(f"{name:16} {given.count} executions in {took_s:.1f} s of processor time", flush=True)


if __name__ == "__main__":
    main()
