"""The warden as a process: `python -m agent.node.warden_process NODE.toml`. Ends, muted, with its agent."""

import gc
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from agent.config import ConfigError, NodeConfig, load
from agent.timekeeping.wiring import timekeeper
from agent.wiring import radio_of, warden_of
from radio.errors import HardwareError, RadioError
from radio.ports import Radio
from radio.priority import before_others
from sim.process import OrphanedAtBirth, die_with_parent

RETRY_S = 0.1


def _until_found(config: NodeConfig, stop: threading.Event) -> Radio | None:
    """Wait for the device to answer; None when told to stop before it did."""
    while not stop.is_set():
        try:
            return radio_of(config)
        except HardwareError:
            stop.wait(RETRY_S)
    return None


def run(config: NodeConfig, stop: threading.Event) -> None:
    """Guard the radio until told to stop."""
    radio = _until_found(config, stop)
    if radio is None:
        return
    clock = timekeeper(config)
    warden = warden_of(config, radio, clock.fix)
    warden.start()
    # What is loaded now stays: collecting it again and again would hold the loop up for a tenth of a second.
    gc.collect()
    gc.freeze()
    try:
        while not stop.is_set():
            warden.step()
    finally:
        warden.close()
        clock.close()


def main(arguments: list[str]) -> int:
    """Run; exit code 0 when stopped, 4 when the device or the configuration is not usable."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        die_with_parent()
        before_others()
        run(load(Path(arguments[0])), stop)
    except OrphanedAtBirth:
        return 0
    except (ConfigError, RadioError) as exc:
        sys.stderr.write(f"warden: {exc}\n")
        return 4
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
