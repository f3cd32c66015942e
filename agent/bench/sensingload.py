"""Load of sensing beyond one core in quiet noise: on several cores at once, and with continuous radar pulses.

Each process is pinned to its own core and processes the same samples, all at the same time. A rate is the sum over
processes of samples per second of own processor time: resources that cores share, such as caches and memory, slow
all; other load of the machine does not count.
"""

import cProfile
import multiprocessing
import os
import pstats
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.bench.sensing import LOOK_SAMPLES, RATE_HZ, Everything

NOISE_RMS: Final = 200.0
PULSES_A_LOOK: Final = 200
PULSE_SAMPLES: Final = 92
"""Samples of a P0N#1 radar's pulse, 1.5 µs at 61.44 MS/s."""
PULSE_AMPLITUDE: Final = 1500.0
START_S: Final = 120.0


def look_samples(looks: int, *, pulses: int, seed: int = 1) -> NDArray[np.int16]:
    """Return noise with `pulses` short pulses spread over each look; shape (samples, 2)."""
    rng = np.random.default_rng(seed)
    iq = rng.standard_normal((looks * LOOK_SAMPLES, 2), dtype=np.float32) * np.float32(NOISE_RMS)
    for look in range(looks):
        starts = np.linspace(0, LOOK_SAMPLES - 2 * PULSE_SAMPLES, pulses, dtype=np.int64) + look * LOOK_SAMPLES
        for start in starts:
            iq[start : start + PULSE_SAMPLES, 0] += np.float32(PULSE_AMPLITUDE)
    return iq.astype(np.int16)


def _work(pipe: Connection, core: int, n_fft: int, looks: int, pulses: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    iq, everything = look_samples(looks, pulses=pulses), Everything(n_fft)
    everything.run(iq)
    pipe.send("ready")
    while (rounds := pipe.recv()) > 0:
        began_s = time.process_time()
        for _ in range(rounds):
            everything.run(iq)
        pipe.send(rounds * looks * LOOK_SAMPLES / (time.process_time() - began_s) / 1e6)


def together(cores: Sequence[int], n_fft: int, *, looks: int, rounds: int, pulses: int = 0) -> float:
    """Return the total million samples per second of one process on each core. Raises RuntimeError, EOFError."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for core in cores:
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, core, n_fft, looks, pulses), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        for pipe in pipes:
            if not pipe.poll(START_S):
                raise RuntimeError(f"a sensing process was not ready in {START_S:g} s")
            pipe.recv()
        for pipe in pipes:
            pipe.send(rounds)
        msps = sum(pipe.recv() for pipe in pipes)
        for pipe in pipes:
            pipe.send(0)
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    return float(msps)


STAGES = {
    "radar search": ("pulses.py", "find"),
    "channel decisions": ("survey.py", "_judge"),
    "powers of channels between bins": ("zoom.py", "powers"),
    "floors learnt": ("survey.py", "_learn"),
    "products": ("products.py", "feed"),
}
"""Stages of a node's sensing, each by its function; the remaining time is the rest."""


def profiled(n_fft: int, looks: int) -> dict[str, Any]:
    """Return the share of profiled time by stage and in bare transforms, and Python function calls per look."""
    iq, everything = look_samples(looks, pulses=0), Everything(n_fft)
    everything.run(iq)
    profile = cProfile.Profile()
    profile.runcall(everything.run, iq)
    stats: Any = pstats.Stats(profile)
    took = dict(stats.stats)
    whole_s = max(row[3] for row in took.values())
    shares = {
        stage: round(sum(row[3] for (file, _, name), row in took.items() if _is(file, name, where)) / whole_s, 3)
        for stage, where in STAGES.items()
    }
    bare = sum(row[2] for (_, _, name), row in took.items() if "c2c" in name) / whole_s
    return {"shares": shares, "transforms": round(bare, 3), "calls_a_look": round(stats.total_calls / looks)}


def _is(file: str, name: str, where: tuple[str, str]) -> bool:
    return (Path(file).name, name) == where and "sensing" in Path(file).parts


def run(*, looks: int, rounds: int, n_fft: int = 1024) -> dict[str, Any]:
    """Measure a node's sensing: on one core, on two at once where there are two, and with dense pulses on one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    one = together(cores[:1], n_fft, looks=looks, rounds=rounds)
    two = together(cores[:2], n_fft, looks=looks, rounds=rounds) if len(cores) > 1 else None
    dense = together(cores[:1], n_fft, looks=looks, rounds=rounds, pulses=PULSES_A_LOOK)
    return {
        "n_fft": n_fft,
        "rate_hz": RATE_HZ,
        "pulses_a_look": PULSES_A_LOOK,
        "one_core_msps": round(one, 1),
        "two_cores_msps": None if two is None else round(two, 1),
        "dense_msps": round(dense, 1),
        **profiled(n_fft, looks),
    }
