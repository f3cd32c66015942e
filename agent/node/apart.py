"""The warden as a service of its own, under a user of its own, with its mute helper beside it as another."""

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
"""Tries after which rings that do not read are told of: an agent that has just begun needs a moment to make them."""


def _identity(config: NodeConfig) -> tuple[int, int] | None:
    """Which file the receive ring is; None while the agent has made none."""
    try:
        found = os.stat(config.run_folder / "rx")  # noqa: PTH116 - one call, no object each second
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _until_replaced(config: NodeConfig, first: tuple[int, int], stop: threading.Event, over: threading.Event) -> None:
    """Tell the warden to end once the agent has made other rings: it would read and write where nobody looks.

    Ends with the warden: `over`.
    """
    while not over.wait(LOOK_S):
        if _identity(config) not in (first, None):
            stop.set()


def guard_apart(config: NodeConfig, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Wait for the agent's rings, then guard the radio until told to stop or until the rings are others.

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
        # A second warden would take the first one's sockets over, and both would have a gate.
        with held(config.run_folder, WARDEN, "bandpact warden", wait_s=BEFORE_S):
            over = threading.Event()
            threading.Thread(target=_until_replaced, args=(config, first, stop, over), daemon=True).start()
            try:
                run(config, stop)
            except RingError as exc:
                # Made while we looked, by an agent that has not finished: look again, later each time.
                failures += 1
                if failures == SAY_AFTER:
                    say(f"the agent's sample rings do not fit: {exc}; start the agent again, with this configuration")
            finally:
                over.set()
        if failures:
            stop.wait(pause_of(failures, RETRY_S, RETRY_MAX_S))


def serve_mute(config: NodeConfig, stop: threading.Event) -> None:
    """Be the mute helper until told to stop.

    Raises: ConfigError where another is: it would lose its socket to this one.
    """
    short_path(config.run_folder)
    config.radio.make_ready_to_silence()
    with held(config.run_folder, HELPER, "bandpact warden --only-mute", wait_s=BEFORE_S):
        helper = MuteHelper(config.run_folder / MUTE, config.radio.silence)
        try:
            helper.serve(stop)
        finally:
            helper.close()
