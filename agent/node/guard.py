"""The agent's watchdog over its warden: mutes by its own connection when the warden is gone, silent or late."""

import time
from collections.abc import Callable

from agent.config.settings import NodeConfig
from agent.node.mutehelper import MUTE, ask_to_mute
from radio.ports import RfState

RETRY_NS = 500_000_000
"""Pause in ns between two tries to mute, so that a device that never answers cannot block the agent's loop."""
TELL_NS = 600_000_000_000
"""Interval in ns at which an unchanged state is reported again."""
CHANGE_NS = 10_000_000_000
"""Shortest interval in ns between reports of a changing readback; that the radio is silent is reported at once."""
OVER_NS = 10_000_000_000
"""Time in ns without a cause to mute after which the warden is reported as back."""
SPEAKS_NS = 1_000_000_000
"""Longest age in ns of a warden's heartbeat for it to count as speaking; it sends twenty a second."""
MISSING_NS = 30_000_000_000
"""Time in ns from the agent's start without a heartbeat after which the warden is reported missing its radio."""
LAST_S = 2.0
"""Seconds for which an ending agent mutes in its warden's place; afterwards the survivor does, where there is one."""


def mute_by_own_connection(config: NodeConfig) -> RfState:
    """Mute the node's radio over a fresh connection and read back; UNKNOWN where the state cannot be read.

    Where the warden runs apart, no other user can open the radio: its mute helper is asked instead.
    """
    if config.warden.apart:
        return ask_to_mute(config.run_folder / MUTE)
    try:
        return config.radio.silence()
    except Exception:  # noqa: BLE001 - a library beneath may fail in any way; the agent goes on and tries again
        return RfState.UNKNOWN


def mend_of_silence(state: RfState, *, alive: bool) -> str:
    """Return what the operator should do when the agent had to mute, by readback and whether the warden's process runs.

    "" where nothing is to be done.
    """
    if state is not RfState.OFF:
        return "take it for transmitting: take the radio's power away"
    return "" if alive else "the warden has ended: stop the node and start it again"


def mend_of_missing(*, alive: bool, apart: bool) -> str:
    """Return what the operator should do when the warden has not spoken since the start.

    Args: alive: whether the process runs. apart: whether it is a separate service, whose process cannot be checked.
    """
    radio = "the radio on, its cable in, [radio] right?"
    if apart:
        return f"is `bandpact warden` running, {radio} see what it says, bandpact doctor"
    if alive:
        return f"is {radio} see warden.log, bandpact doctor"
    return "the warden has ended: see warden.log for why, mend that, stop the node and start it again"


class GuardNews:
    """Decides which mute attempts are reported: the first, each changed readback, and the return of the warden."""

    def __init__(self) -> None:
        self._told: tuple[RfState, bool] | None = None
        self._told_ns = self._muted_ns = 0
        self._began_ns: int | None = None
        self._missed: bool | None = None
        """Whether the warden's process ran when it was reported missing; None where it was not reported."""

    def is_news(self, state: RfState, now_ns: int, *, alive: bool) -> bool:
        """Return whether to report an attempt: a state that lasts for hours would fill the log with one line."""
        self._muted_ns = now_ns
        same = self._told == (state, alive)
        waits = self._told is not None and (same or state is not RfState.OFF)
        if waits and now_ns - self._told_ns < (TELL_NS if same else CHANGE_NS):
            return False
        self._told, self._told_ns = (state, alive), now_ns
        return True

    def is_missing(self, now_ns: int, *, heard_ns: int, alive: bool) -> bool:
        """Return whether to report that the warden has not spoken since the start: once, and once that it ended."""
        self._began_ns = now_ns if self._began_ns is None else self._began_ns
        if heard_ns or self._missed is alive or now_ns - self._began_ns < MISSING_NS:
            return False
        self._missed, self._told, self._muted_ns = alive, (RfState.UNKNOWN, True), now_ns
        return True

    def is_over(self, now_ns: int, *, heard_ns: int) -> bool:
        """Return whether to report, once, that the warden speaks again; `heard_ns` is its last heartbeat's time."""
        if self._told is None or now_ns - self._muted_ns < OVER_NS or now_ns - heard_ns >= SPEAKS_NS:
            return False
        self._told = None
        return True


class Guard:
    """Mutes when the warden is silent too long or its gate closes late, and again until the radio reads back as OFF."""

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
        """Note a heartbeat; `silent_by_ns` (monotonic) is when an open gate will have closed, None for a closed one."""
        self._heard_ns, self._silenced, self._silent_by_ns = now_ns, False, silent_by_ns

    @property
    def due_ns(self) -> int | None:
        """Return when muting may become due without a heartbeat (monotonic ns); None where the radio is silent."""
        if self._silenced or self._heard_ns is None:
            return None
        due_ns = self._heard_ns + self._limit_ns + 1
        due_ns = due_ns if self._silent_by_ns is None else min(due_ns, self._silent_by_ns + 1)
        return max(due_ns, self._next_ns)

    def closed(self) -> None:
        """Note that the warden reported its gate closed."""
        self._silent_by_ns = None

    def check(self, now_ns: int, *, alive: bool) -> RfState | None:
        """Mute where it is due; returns the readback, or None where nothing had to be done."""
        silent = self._heard_ns is not None and (not alive or now_ns - self._heard_ns > self._limit_ns)
        late = self._silent_by_ns is not None and now_ns > self._silent_by_ns
        if self._silenced or not (silent or late) or now_ns < self._next_ns:
            return None
        began_ns = self._monotonic_ns()
        state = self._mute()
        self._next_ns = now_ns + self._monotonic_ns() - began_ns + RETRY_NS
        self._silenced = state is RfState.OFF
        return state
