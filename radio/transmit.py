"""The transmit chain in its one right order: up by tuning at the quietest and checking the readback, down by mute.

A fault in it latches: nothing is sent again until an operator clears it, for nobody can say what the device does.
"""

import time

from radio.errors import RadioError
from radio.ports import Iq16, Radio, RfState, Sent, TxSettings
from settlement.chain.scope import Band
from settlement.reasons import Reason, Refusal, refuse


class TransmitChain:
    """Tunes, sends and silences one radio; `latched` says why it no longer may."""

    def __init__(self, radio: Radio, *, sample_rate_hz: int, attenuation_mdb: int) -> None:
        self._radio, self._sample_rate_hz, self._attenuation_mdb = radio, sample_rate_hz, attenuation_mdb
        self._tuned: TxSettings | None = None
        self.latched: Refusal | None = None

    def band(self, wanted: Band | None) -> Band | None:
        """The band the transmitter is set to, or would be set to next when it is off."""
        if self._tuned is None:
            return wanted
        half_hz = self._tuned.bandwidth_hz // 2
        return Band(low_hz=self._tuned.center_hz - half_hz, high_hz=self._tuned.center_hz + half_hz)

    def tune(self, band: Band) -> bool:
        """Tune to a band; False, muted and latched, when the device fails or reads back anything else."""
        wanted = TxSettings(
            center_hz=(band.low_hz + band.high_hz) // 2,
            sample_rate_hz=self._sample_rate_hz,
            bandwidth_hz=band.high_hz - band.low_hz,
            attenuation_mdb=self._attenuation_mdb,
        )
        try:
            self._tuned = self._radio.tune_tx(wanted)
        except RadioError as exc:
            self._latch(f"tuning failed: {exc}")
            return False
        if self._tuned != wanted:
            self._latch(f"readback {self._tuned}")
            return False
        return True

    def send(self, iq: Iq16) -> Sent | None:
        """Play a burst once; None, muted and latched, when the device fails."""
        try:
            return self._radio.send(iq)
        except RadioError as exc:
            self._latch(f"sending failed: {exc}")
            return None

    def mute(self) -> int:
        """Silence and verify; returns when it was done, monotonic ns. Latches when it does not read back as silent."""
        self._tuned = None
        try:
            state = self._radio.mute()
        except RadioError:
            state = RfState.UNKNOWN
        if state is not RfState.OFF:
            self.latched = refuse(Reason.DRIVER, "gate.2", f"mute reads back {state.value}", "off")
        return time.monotonic_ns()

    def close(self) -> None:
        """Silence, then let go of the device."""
        self.mute()
        self._radio.close()

    def _latch(self, what: str) -> None:
        self.latched = refuse(Reason.DRIVER, "gate.2", what, "the settings that were asked for, silence when muted")
        self.mute()
