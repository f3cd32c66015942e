"""The application's samples: LTE-like OFDM bursts at a level under what was asked for."""

import numpy as np

from agent.config.settings import NodeConfig
from radio.ports import Iq16
from radio.signals import ofdm

VARIETY = 8
HEADROOM_MDB = 1_000
BACKOFF_MDB = 12_000
"""Mean power below full scale, so that OFDM's peaks (about 11 dB) fit."""


class Traffic:
    """A few different bursts, made once and sent in turn."""

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
    def _burst(rng: np.random.Generator, samples: int, rate_hz: int, bandwidth_hz: int, scale: float) -> Iq16:
        iq = ofdm.generate(rng, sample_rate_hz=rate_hz, bandwidth_hz=bandwidth_hz, samples=samples, loop=False)
        pairs = (iq * np.float32(scale)).view(np.float32).reshape(-1, 2)
        return np.clip(np.rint(pairs), -32768, 32767).astype(np.int16)

    def burst(self) -> Iq16:
        """The next burst."""
        self._next = (self._next + 1) % len(self._bursts)
        return self._bursts[self._next]
