"""Built-in sources of transmit samples: their registry, and the bursts they make for each settlement."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from agent.config.settings import NodeConfig
from radio.ports import Iq16
from radio.signals import ofdm

if TYPE_CHECKING:
    from numpy.random import Generator

VARIETY = 4
HEADROOM_MDB = 1_000
BACKOFF_MDB = 12_000
"""Least distance of the mean power below full scale, thousandths of a dB: OFDM's peaks are about 11 dB above it."""


class Traffic:
    """LTE-like OFDM below the permitted level: a few different bursts, made once and sent in turn."""

    def __init__(self, config: NodeConfig, *, eirp_mdbm: int, bandwidth_hz: int, seed: int) -> None:
        r = config.radio
        samples = r.sample_rate_hz * r.burst_us // 1_000_000
        full_mdbm = r.full_scale_eirp_mdbm - r.attenuation_mdb
        level_mdb = min(eirp_mdbm - HEADROOM_MDB - full_mdbm, -BACKOFF_MDB)
        scale = r.tx_full_scale * 10 ** (level_mdb / 20_000)
        rng = np.random.default_rng(seed)
        self._bursts = [self._burst(rng, samples, r.sample_rate_hz, bandwidth_hz, scale) for _ in range(VARIETY)]
        self._next = 0

    @staticmethod
    def _burst(rng: "Generator", samples: int, rate_hz: int, bandwidth_hz: int, scale: float) -> Iq16:
        iq = ofdm.generate(rng, sample_rate_hz=rate_hz, bandwidth_hz=bandwidth_hz, samples=samples, loop=False)
        pairs = (iq * np.float32(scale)).view(np.float32).reshape(-1, 2)
        return np.clip(np.rint(pairs), -32768, 32767).astype(np.int16)

    def burst(self) -> Iq16:
        """Return the next burst, int16 of shape (n, 2)."""
        self._next = (self._next + 1) % len(self._bursts)
        return self._bursts[self._next]


class BuiltIn(Protocol):
    """A built-in source: makes bursts for one settlement."""

    def burst(self) -> Iq16:
        """Return the next burst, int16 of shape (n, 2)."""
        ...


MakeSource: TypeAlias = Callable[..., BuiltIn]
"""Makes a source from configuration, permitted EIRP, bandwidth and seed, with parameters named as in `Traffic`."""
SOURCES: dict[str, MakeSource] = {"ofdm": Traffic}
"""Built-in sources by their name in `[samples] source`; a program's samples go to the warden's door instead."""


class BurstMaker:
    """Makes the bursts of each settlement in its own thread: that takes 100 ms, and the agent's loop goes on."""

    def __init__(
        self, config: NodeConfig, failed: Callable[[bytes, str], object], source: MakeSource | None = Traffic
    ) -> None:
        """Make bursts by `source`, or none at all where it is None.

        Args: failed: called in the caller's thread with a settlement whose bursts could not be made, and why.
        """
        self._config, self._failed, self._source = config, failed, source
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bursts")
        self._of: dict[bytes, Future[BuiltIn]] = {}

    def make(self, sid: bytes, *, eirp_mdbm: int, bandwidth_hz: int, seed: int) -> None:
        """Start making the bursts of a settlement."""
        if self._source is not None:
            self._of[sid] = self._thread.submit(
                self._source, self._config, eirp_mdbm=eirp_mdbm, bandwidth_hz=bandwidth_hz, seed=seed
            )

    def next(self, sid: bytes) -> Iq16 | None:
        """Return the next burst of a settlement; None while bursts are being made, and where there are none."""
        made = self._of.get(sid)
        if made is None or not made.done() or made.cancelled():
            return None
        fault = made.exception()
        if fault is not None:
            del self._of[sid]
            self._failed(sid, repr(fault))
            return None
        return made.result().burst()

    def end(self, sid: bytes) -> None:
        """Drop the bursts of a settlement that is over."""
        gone = self._of.pop(sid, None)
        if gone is not None:
            gone.cancel()

    def close(self) -> None:
        """Stop making bursts; returns when the one in progress is done."""
        self._thread.shutdown(wait=True, cancel_futures=True)
