"""Generates the history of a simulated day in 20 MHz: noise, hourly traffic, some radar, and a drifting clock.

`python -m tests.agent.history.days FOLDER SECONDS` writes until it is killed or done, telling each second it took in.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agent.history.rows import ChannelRow, HeardIncumbent, Row
from agent.history.store import NS, Store
from agent.history.tally import BINS

START_NS = 1_790_035_200 * NS  # an hour of UTC begins
LOW_HZ, HIGH_HZ = 3_550_000_000, 3_570_000_000
CHANNELS = [(LOW_HZ + n * 5_000_000, LOW_HZ + (n + 1) * 5_000_000) for n in range(4)]
LOOKS = 50


def seconds(count: int, *, start_ns: int = START_NS, seed: int = 1) -> Iterator[Row]:
    """One row a second; the max hold of 50 looks' noise, which no compression makes small, and traffic on top."""
    rng = np.random.default_rng(seed)
    bins_each = BINS // len(CHANNELS)
    for second in range(count):
        at_ns = start_ns + second * NS
        level = -150 + 10 * np.log10(rng.gamma(25.0, 1 / 25.0, (BINS,)) * 1.8)
        channels = []
        for number, (low, high) in enumerate(CHANNELS):
            load = 0.5 + 0.5 * np.sin(2 * np.pi * second / 86_400 + number)
            busy = rng.random(LOOKS) < load * 0.6
            if busy.any():
                level[number * bins_each : (number + 1) * bins_each] += 18 + rng.normal(0, 1)
            shares = busy.astype(float)
            channels.append(
                ChannelRow(
                    low_hz=low,
                    high_hz=high,
                    state="busy" if busy.any() else "free",
                    looks=LOOKS,
                    busy=float(shares.sum()),
                    squares=float((shares**2).sum()),
                    pairs=LOOKS - 1,
                    products=float((shares[1:] * shares[:-1]).sum()),
                    floor_db=round(-151.5 + rng.normal(0, 0.05), 2),
                    floor_sd_db=0.31,
                    power_max_db=round(-80 + rng.normal(0, 2), 2),
                    unit="dBm",
                )
            )
        open_ms = int(second % 600 < 300) * 1000
        age_ns = int(rng.integers(1, 20_000_000))
        yield Row(
            start_ns=at_ns,
            length_ns=NS,
            time_trusted=second % 7200 > 20,
            clock_bound_ns=int(40_000 + rng.integers(0, 900)),
            clock_budget_ns=1_000_000,
            clock_reason="ok",
            gate="OPEN" if open_ms else "ARMED",
            reason="" if open_ms else "SENSING_STALE",
            clause="" if open_ms else "gate.13",
            measured="" if open_ms else f"{age_ns} ns ago",
            required="" if open_ms else "<= 100000000 ns",
            open_ms=open_ms,
            bursts=open_ms // 20,
            looks=LOOKS,
            low_hz=LOW_HZ,
            high_hz=HIGH_HZ,
            max_hold=np.clip(np.rint((level + 200) * 2), 1, 255).astype(np.uint8).tobytes(),
            channels=tuple(channels),
            incumbents=(HeardIncumbent(low_hz=LOW_HZ, high_hz=LOW_HZ + 10_000_000, kind="P0N1"),)
            if second % 900 == 7
            else (),
        )


def written(folder: Path, count: int, *, write_ns: int = 60 * NS, close: bool = True) -> Store:
    store = Store(folder=folder, write_ns=write_ns)
    store.open()
    for row in seconds(count):
        store.add(row)
        if row.start_ns // NS % 15 == 0:
            store.happened(row.start_ns, "refusal", {"reason": "REPLAY", "peer": "mallory", "detail": "seen before"})
    if close:
        store.close()
    return store


def main(arguments: list[str]) -> None:
    store = Store(folder=Path(arguments[0]), write_ns=NS)
    store.open()
    for row in seconds(int(arguments[1])):
        store.add(row)
        sys.stdout.write(f"{row.start_ns}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
