"""Processor time of a settlement by kind of work, from the standard library's deterministic profiler.

A profiler slows small functions most: its shares explain a figure, but are no figures themselves.
"""

import cProfile
import pstats
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

LOG, SIGNING, CODING, JUDGING, STEPS, SENDING, REST = (
    "log and commits", "signatures", "coding records", "judging records", "steps of the pair", "messages", "rest",
)  # fmt: skip
MODULES: Final = (
    ("settlement/chain/keys", SIGNING),
    ("settlement/chain/lineage", LOG),
    ("settlement/chain/leaf", LOG),
    ("settlement/chain/merkle", LOG),
    ("settlement/chain/standing", LOG),
    ("settlement/chain/checkpoint", LOG),
    ("settlement/chain/admission", JUDGING),
    ("settlement/chain/entitlement", JUDGING),
    ("settlement/chain/meaning", JUDGING),
    ("settlement/chain/credentials", JUDGING),
    ("settlement/chain/scope", JUDGING),
    ("settlement/chain/", CODING),
    ("settlement/pair/artifact", JUDGING),
    ("settlement/pair/terms", JUDGING),
    ("settlement/mesh", SENDING),
    ("/zmq/", SENDING),
    ("settlement/", STEPS),
)
"""Part of a module's path, and its kind of work; the first match counts."""
LIBRARIES: Final = (
    ("apsw", LOG), ("cryptography", SIGNING), ("cbor2", CODING), ("zmq", SENDING), ("HASH", LOG), ("_hashlib", LOG),
)  # fmt: skip
BUILT_IN: Final = "~"

Entry = tuple[str, int, str]


class Profile:
    """A profile of this process, by processor time, from `begin` to `end`."""

    def __init__(self) -> None:
        self._running: cProfile.Profile | None = None

    def begin(self) -> None:
        """Start the profile."""
        self._running = cProfile.Profile(time.process_time)
        self._running.enable()

    def end(self) -> dict[str, float]:
        """Stop the profile; returns the seconds of each kind of work, nothing if it was not started."""
        if self._running is None:
            return {}
        self._running.disable()
        found = pstats.Stats(self._running)
        self._running = None
        return kinds(found.stats)  # type: ignore[attr-defined]


def kinds(stats: Mapping[Entry, tuple[Any, ...]]) -> dict[str, float]:
    """Return seconds of each kind of work, from `pstats.Stats.stats`; built-in functions count for their callers."""
    found: dict[str, float] = defaultdict(float)
    for (path, _, name), (_, _, own_s, _, callers) in stats.items():
        if path != BUILT_IN:
            found[_of_module(path)] += own_s
            continue
        library = next((kind for part, kind in LIBRARIES if part in name), None)
        if library is not None:
            found[library] += own_s
            continue
        for (caller, _, _), (_, _, part_s, _) in callers.items():
            found[_of_module(caller)] += part_s
    return dict(found)


def _of_module(path: str) -> str:
    return next((kind for part, kind in MODULES if part in path), REST)


def shares(several: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return per cent of all processor time for each kind of work over several processes, largest first."""
    total: dict[str, float] = defaultdict(float)
    for one in several:
        for kind, seconds in one.items():
            total[kind] += seconds
    whole = sum(total.values()) or 1.0
    return {kind: round(100 * total[kind] / whole, 1) for kind in sorted(total, key=lambda kind: -total[kind])}
