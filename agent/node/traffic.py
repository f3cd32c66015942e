"""What a node sends of its own making: the registry of built-in sources, and their bursts for each settlement."""

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
"""Mean power below full scale, so that OFDM's peaks (about 11 dB) fit."""


class Traffic:
    """LTE-like OFDM at a level under what was asked for: a few different bursts, made once and sent in turn."""

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
        """The next burst."""
        self._next = (self._next + 1) % len(self._bursts)
        return self._bursts[self._next]


class BuiltIn(Protocol):
    """A source of a node's own: bursts for one settlement."""

    def burst(self) -> Iq16:
        """The next burst, int16 of shape (n, 2)."""
        ...


MakeSource: TypeAlias = Callable[..., BuiltIn]
"""From the configuration, the permitted EIRP, the bandwidth and a seed, by name as `Traffic` takes them."""
SOURCES: dict[str, MakeSource] = {"ofdm": Traffic}
"""Built-in sources by their name in `[samples] source`; a program's samples take another way, to the warden's door."""


class BurstMaker:
    """The bursts of each settlement, made in a thread of its own: that takes 100 ms, and the agent's loop goes on."""

    def __init__(
        self, config: NodeConfig, failed: Callable[[bytes, str], object], source: MakeSource | None = Traffic
    ) -> None:
        """Make bursts by `source`, or none at all where that is None.

        Args: failed: is told, in the caller's thread, of a settlement whose bursts could not be made, and why.
        """
        self._config, self._failed, self._source = config, failed, source
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bursts")
        self._of: dict[bytes, Future[BuiltIn]] = {}

    def make(self, sid: bytes, *, eirp_mdbm: int, bandwidth_hz: int, seed: int) -> None:
        """Begin to make the bursts of a settlement."""
        if self._source is not None:
            self._of[sid] = self._thread.submit(
                self._source, self._config, eirp_mdbm=eirp_mdbm, bandwidth_hz=bandwidth_hz, seed=seed
            )

    def next(self, sid: bytes) -> Iq16 | None:
        """The next burst of a settlement; None while they are still being made, and where there are none."""
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
        """Forget a settlement that is over."""
        gone = self._of.pop(sid, None)
        if gone is not None:
            gone.cancel()

    def close(self) -> None:
        """Make nothing more; returns when what is being made is done."""
        self._thread.shutdown(wait=True, cancel_futures=True)
