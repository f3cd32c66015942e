"""The simulated Pluto's receive path between antenna and samples: it may be off, looped, or wrongly connected."""

from dataclasses import dataclass
from typing import Final

import numpy as np

QUANTISATION_LSB: Final = 0.45
"""Standard deviation of the converter's noise without input, in codes of each rail."""
TOP: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivePath:
    """State of the receive path. `scale`: the sample interface's factor for I and Q."""

    awake: bool = True
    oscillator: bool = True
    port: bool = True
    digital_loop: bool = False
    scale: tuple[float, float] = (1.0, 1.0)

    @property
    def hears(self) -> bool:
        """Whether the antenna's signal reaches the samples."""
        return self.awake and self.oscillator and self.port and not self.digital_loop

    def through(self, samples: "bytes | memoryview", *, start_ns: int) -> "bytes | memoryview":
        """The samples for those of the antenna: where the path is deaf, the converter's own noise or zeros.

        The noise does not depend on the gain: it is made behind it.
        """
        if self.hears and self.scale == (1.0, 1.0):
            return samples
        iq = np.frombuffer(samples, dtype="<i2").reshape(-1, 2)
        if not self.hears:
            noise = np.random.default_rng(start_ns % 2**32).normal(0.0, QUANTISATION_LSB, iq.shape)
            # A sleeping converter, or a loop without samples, returns zeros.
            iq = np.rint(noise if self.awake and not self.digital_loop else noise * 0)
        scaled = np.clip(np.rint(iq * np.array(self.scale)), -TOP, TOP - 1)
        return bytes(scaled.astype("<i2").tobytes())
