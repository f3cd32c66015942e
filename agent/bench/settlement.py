"""Runs all measurements of `bandpact bench settlement`, each part in its own folders."""

from pathlib import Path
from typing import Any

from agent.bench.pair import COSIGNED_MAX, latency, load, modes, profile
from agent.bench.pairgrowth import beside_open, beside_peers
from agent.bench.town import BARE, MODES

FLIGHTS = 8
"""Fewest settlements per rate measurement for each one under way at once."""


def run(folder: Path, *, count: int, peers: tuple[int, ...], in_flight: int, opened: int = 1000) -> dict[str, Any]:
    """Measure latency, modes, open settlements, growth with peers, profile and rate; returns the rows of each part."""
    fewest = min(peers)
    loaded = [n for n in peers if n * 8 >= in_flight]
    growth = [(min(loaded), max(loaded))] if len(loaded) > 1 else []
    return {
        "latency": [latency(folder / f"latency-{n}", n, count) for n in peers],
        "modes": modes(folder, fewest, count),
        "open": beside_open(folder / "open", opened, count),
        "growth": [row for few, many in growth for row in beside_peers(folder / "growth", few, many, in_flight, count)],
        "profile": [
            profile(folder / f"profile-{number}", fewest, min(count, COSIGNED_MAX), mode)
            for number, mode in enumerate((BARE, MODES[-1]))
        ],
        "load": [load(folder / f"load-{n}", n, in_flight, max(count, FLIGHTS * in_flight)) for n in loaded],
    }
