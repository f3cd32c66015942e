"""The agent's watch over its warden: gone, silent or late, and the agent mutes the radio by a way of its own."""

import time
from collections.abc import Callable

from agent.config.settings import NodeConfig
from agent.node.mutehelper import MUTE, ask_to_mute
from radio.ports import RfState

RETRY_NS = 500_000_000
"""From the end of one try to the next: a device that never answers takes the loop's time no more than so."""
TELL_NS = 600_000_000_000
"""What goes on without a change is told again after so long."""
CHANGE_NS = 10_000_000_000
"""A readback that goes back and forth is told of so often at the most; that the radio is silent is told at once."""
OVER_NS = 10_000_000_000
"""A warden that gave no cause to mute for so long is told of as back."""
SPEAKS_NS = 1_000_000_000
"""A warden that spoke so long ago, or less, speaks: it does twenty times a second."""
MISSING_NS = 30_000_000_000
"""A warden that did not speak for so long since the start waits for its radio."""
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


def mend_of_silence(state: RfState, *, alive: bool) -> str:
    """What an operator is to do when the agent had to mute, by what reads back and whether the warden's process runs.

    "" where that is nothing.
    """
    if state is not RfState.OFF:
        return "take it for transmitting: take the radio's power away"
    return "" if alive else "the warden has ended: stop the node and start it again"


def mend_of_missing(*, alive: bool, apart: bool) -> str:
    """What an operator is to do when the warden has not spoken since the start.

    Args: alive: whether its process runs. apart: whether it is a service of its own, of which only its word tells.
    """
    radio = "the radio on, its cable in, [radio] right?"
    if apart:
        return f"is `bandpact warden` running, {radio} see what it says, bandpact doctor"
    if alive:
        return f"is {radio} see warden.log, bandpact doctor"
    return "the warden has ended: see warden.log for why, mend that, stop the node and start it again"


class GuardNews:
    """Which of the guard's tries are told to the operator: the first, what reads back otherwise, and the end of it."""

    def __init__(self) -> None:
        self._told: tuple[RfState, bool] | None = None
        self._told_ns = self._muted_ns = 0
        self._began_ns: int | None = None
        self._missed: bool | None = None
        """Whether the warden's process ran when it was told that it has not spoken; None where that was not told."""

    def is_news(self, state: RfState, now_ns: int, *, alive: bool) -> bool:
        """Whether a try is to be told: a state that lasts for hours would fill the log with one and the same line."""
        self._muted_ns = now_ns
        same = self._told == (state, alive)
        waits = self._told is not None and (same or state is not RfState.OFF)
        if waits and now_ns - self._told_ns < (TELL_NS if same else CHANGE_NS):
            return False
        self._told, self._told_ns = (state, alive), now_ns
        return True

    def is_missing(self, now_ns: int, *, heard_ns: int, alive: bool) -> bool:
        """Whether it is to be told that the warden has not spoken since the start: once, and once that it has ended."""
        self._began_ns = now_ns if self._began_ns is None else self._began_ns
        if heard_ns or self._missed is alive or now_ns - self._began_ns < MISSING_NS:
            return False
        self._missed, self._told, self._muted_ns = alive, (RfState.UNKNOWN, True), now_ns
        return True

    def is_over(self, now_ns: int, *, heard_ns: int) -> bool:
        """Whether it is to be told, once, that the warden speaks again: `heard_ns` is when it spoke last."""
        if self._told is None or now_ns - self._muted_ns < OVER_NS or now_ns - heard_ns >= SPEAKS_NS:
            return False
        self._told = None
        return True


class Guard:
    """Mutes when the warden was silent too long or is not silent in time, and again until the silence reads back."""

    def __init__(
        self, limit_ns: int, mute: Callable[[], RfState], *, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._limit_ns, self._mute, self._monotonic_ns = limit_ns, mute, monotonic_ns
        self._heard_ns: int | None = None
        self._silent_by_ns: int | None = None
        self._silenced = True
        self._next_ns = 0
        self.news = GuardNews()

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
        began_ns = self._monotonic_ns()
        state = self._mute()
        self._next_ns = now_ns + self._monotonic_ns() - began_ns + RETRY_NS
        self._silenced = state is RfState.OFF
        return state
