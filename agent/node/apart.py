"""Runs the warden and its mute helper as two services of their own, under a user other than the agent's."""

import os
import threading
from collections.abc import Callable

from agent.config.locks import HELPER, WARDEN, held
from agent.config.settings import ConfigError, NodeConfig
from agent.node.assembly import short_path
from agent.node.mutehelper import MUTE, MuteHelper
from agent.node.warden_process import BEFORE_S, run
from radio.restarts import pause_of
from radio.ring import RingError

RETRY_S, RETRY_MAX_S, LOOK_S = 0.2, 5.0, 1.0
SAY_AFTER = 5
"""Number of failed reads of the sample rings before the operator is told: a starting agent needs time to make them."""


def _identity(config: NodeConfig) -> tuple[int, int] | None:
    """Return device and inode number of the receive ring's file; None while the agent has not made the ring."""
    try:
        found = os.stat(config.run_folder / "rx")  # noqa: PTH116 - one call, no object each second
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _until_replaced(config: NodeConfig, first: tuple[int, int], stop: threading.Event, over: threading.Event) -> None:
    """Stop the warden once the agent has replaced the sample rings: the agent no longer uses the old ones.

    Returns when `over` is set, which is when the warden has ended.
    """
    while not over.wait(LOOK_S):
        if _identity(config) not in (first, None):
            stop.set()


def guard_apart(config: NodeConfig, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Wait for the agent's sample rings, then run the warden until `stop` is set or the agent replaces the rings.

    Raises ConfigError, RadioError.
    """
    if not config.warden.apart:
        raise ConfigError("[warden] apart is not set: the agent starts a warden of its own; set it for both services")
    short_path(config.run_folder)
    said, failures = False, 0
    while not stop.is_set():
        first = _identity(config)
        if first is None:
            if not said:
                say(f"waiting for the agent to make its sample rings in {config.run_folder}")
            said = stop.wait(RETRY_S) or True
            continue
        # A second warden would take over the first one's sockets, and then two gates would control one radio.
        with held(config.run_folder, WARDEN, "bandpact warden", wait_s=BEFORE_S):
            over = threading.Event()
            threading.Thread(target=_until_replaced, args=(config, first, stop, over), daemon=True).start()
            try:
                run(config, stop)
            except RingError as exc:
                # The agent has not finished writing the rings: try again, after a longer pause each time.
                failures += 1
                if failures == SAY_AFTER:
                    say(f"the agent's sample rings do not fit: {exc}; start the agent again, with this configuration")
            finally:
                over.set()
        if failures:
            stop.wait(pause_of(failures, RETRY_S, RETRY_MAX_S))


def serve_mute(config: NodeConfig, stop: threading.Event) -> None:
    """Run the mute helper until `stop` is set.

    Raises: ConfigError where a mute helper already runs: the new one would take over its socket.
    """
    short_path(config.run_folder)
    config.radio.make_ready_to_silence()
    with held(config.run_folder, HELPER, "bandpact warden --only-mute", wait_s=BEFORE_S):
        helper = MuteHelper(config.run_folder / MUTE, config.radio.silence)
        try:
            helper.serve(stop)
        finally:
            helper.close()
