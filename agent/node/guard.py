"""The agent's watch over its warden: gone or silent, and the agent mutes the radio by a way of its own."""

from collections.abc import Callable

from agent.config import NodeConfig
from agent.wiring import silence
from radio.errors import RadioError
from radio.ports import RfState

RETRY_NS = 500_000_000


def mute_by_own_connection(config: NodeConfig) -> RfState:
    """Silence the node's radio over a fresh connection and read back; UNKNOWN when it cannot be told."""
    try:
        return silence(config.radio)
    except RadioError:
        return RfState.UNKNOWN


class Guard:
    """Mutes once the warden has been silent too long, and again until the silence reads back."""

    def __init__(self, limit_ns: int, mute: Callable[[], RfState]) -> None:
        self._limit_ns, self._mute = limit_ns, mute
        self._heard_ns: int | None = None
        self._silenced = True
        self._next_ns = 0

    def heard(self, now_ns: int) -> None:
        """The warden spoke."""
        self._heard_ns, self._silenced = now_ns, False

    def check(self, now_ns: int, *, alive: bool) -> RfState | None:
        """Mute when it is time to; returns what was read back, or None when nothing had to be done."""
        silent = self._heard_ns is not None and (not alive or now_ns - self._heard_ns > self._limit_ns)
        if self._silenced or not silent or now_ns < self._next_ns:
            return None
        self._next_ns = now_ns + RETRY_NS
        state = self._mute()
        self._silenced = state is RfState.OFF
        return state
