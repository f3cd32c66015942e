"""The agent's watch over its warden: gone, silent or late, and the agent mutes the radio by a way of its own."""

from collections.abc import Callable

from agent.config.settings import NodeConfig
from agent.node.mutehelper import MUTE, ask_to_mute
from radio.ports import RfState

RETRY_NS = 500_000_000
LAST_S = 2.0
"""For how long an agent that ends mutes for its warden; the warden's survivor goes on where there is one."""


def mute_by_own_connection(config: NodeConfig) -> RfState:
    """Silence the node's radio over a fresh connection and read back; UNKNOWN when it cannot be told.

    Where the warden runs apart no other user reaches the radio: its mute helper is asked, which does just that.
    """
    if config.warden.apart:
        return ask_to_mute(config.run_folder / MUTE)
    try:
        return config.radio.silence()
    except Exception:  # noqa: BLE001 - a library beneath may fail in any way; the agent goes on and tries again
        return RfState.UNKNOWN


class Guard:
    """Mutes when the warden was silent too long or is not silent in time, and again until the silence reads back."""

    def __init__(self, limit_ns: int, mute: Callable[[], RfState]) -> None:
        self._limit_ns, self._mute = limit_ns, mute
        self._heard_ns: int | None = None
        self._silent_by_ns: int | None = None
        self._silenced = True
        self._next_ns = 0

    def heard(self, now_ns: int, *, silent_by_ns: int | None) -> None:
        """The warden spoke; while its gate is open, by when it will have closed it (monotonic ns)."""
        self._heard_ns, self._silenced, self._silent_by_ns = now_ns, False, silent_by_ns

    @property
    def due_ns(self) -> int | None:
        """When there may be something to mute for though nobody speaks; None where nothing is on."""
        if self._silenced or self._heard_ns is None:
            return None
        due_ns = self._heard_ns + self._limit_ns + 1
        due_ns = due_ns if self._silent_by_ns is None else min(due_ns, self._silent_by_ns + 1)
        return max(due_ns, self._next_ns)

    def closed(self) -> None:
        """The warden said that its gate is closed."""
        self._silent_by_ns = None

    def check(self, now_ns: int, *, alive: bool) -> RfState | None:
        """Mute when it is time to; returns what was read back, or None when nothing had to be done."""
        silent = self._heard_ns is not None and (not alive or now_ns - self._heard_ns > self._limit_ns)
        late = self._silent_by_ns is not None and now_ns > self._silent_by_ns
        if self._silenced or not (silent or late) or now_ns < self._next_ns:
            return None
        self._next_ns = now_ns + RETRY_NS
        state = self._mute()
        self._silenced = state is RfState.OFF
        return state
