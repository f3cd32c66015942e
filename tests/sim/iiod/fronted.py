"""Tests a simulated Pluto behind Debian's own libiio daemon, with this driver as client, in a separate network.

`unshare -rn python -m tests.sim.iiod.fronted` ends with 0 and prints what it saw. The daemon listens on every
interface, so it must not run in the host's network.
"""

import shutil
import socket
import subprocess
import sys
import time

from radio.drivers.pluto.radio import PlutoRadio
from radio.ports import RfState
from tests.radio.plutobench import NOISE, RX, SHORT, TX, bench

PATIENCE_S = 20.0


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def main() -> int:
    """Serve, query through the daemon, drive the radio through the daemon."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    daemon = shutil.which("iiod") or shutil.which("iiod", path="/usr/sbin") or "iiod"
    with bench() as made:
        port = _port()
        with subprocess.Popen([daemon, "-u", made.uri, "-p", str(port)], stderr=subprocess.DEVNULL) as front:
            end = time.monotonic() + PATIENCE_S
            while not _answers(port) and time.monotonic() < end:
                time.sleep(0.02)
            uri = f"ip:127.0.0.1:{port}"
            told = subprocess.run(["iio_info", "-u", uri], capture_output=True, text=True, check=True, timeout=30)
            print("devices", told.stdout.count("iio:device"), "temp", "temp0" in told.stdout, flush=True)
            radio = PlutoRadio(uri, options=SHORT)
            radio.tune_rx(RX)
            print("received", len(radio.receive(4096).iq), flush=True)
            radio.tune_tx(TX)
            radio.send(NOISE[:19_200])
            print("radiates", made.radiates(), radio.drift() is None, flush=True)
            print("muted", radio.mute() is RfState.OFF, not made.radiates(), flush=True)
            radio.close()
            front.kill()  # killed: asked to end it would first look for a way to announce itself for a minute
    return 0


if __name__ == "__main__":
    sys.exit(main())
