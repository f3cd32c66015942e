"""Tests SoapySDR's own server over the simulated air, with its tool and this driver as clients, in a separate network.

`unshare -rn python -m tests.radio.soapy.remoted` ends with 0 and prints what it saw. The server listens for, and sends,
announcements on every interface, so it must not run in the host's network.
"""

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from radio.drivers.soapy.radio import SoapyRadio
from radio.ports import RfState, RxFlag
from sim.radio import SimRadio
from tests.radio.plutobench import NOISE, RX, TX
from tests.radio.soapy.soapybench import SoapyBench, soapy_bench

PATIENCE_S = 20.0


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def _unannounced(folder: Path) -> Path:
    """A library that replaces Avahi for the server."""
    made = folder / "noannounce.so"
    source = Path(__file__).with_name("noannounce.cpp")
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", str(source), "-o", str(made)], check=True, timeout=60)
    return made


def _far(bench: SoapyBench, port: int) -> str:
    """The air's Soapy arguments for a client of the server."""
    here = ",".join(f"remote:{one}" for one in bench.arguments.split(","))
    return f"driver=remote,remote=tcp://127.0.0.1:{port},remote:prot=tcp,{here}"


def _drive(bench: SoapyBench, arguments: str) -> None:
    radio = SoapyRadio(arguments, profile=bench.profile)
    print("called", radio.device_id, flush=True)
    radio.tune_rx(RX)
    look = radio.receive(4096)
    print("received", len(look.iq), float(look.iq.std()) > 1, RxFlag.DEAF in look.flags, RxFlag.MOVED in look.flags)
    other = SimRadio(bench.endpoint, "s")
    other.tune_rx(replace(RX, center_hz=3_600_000_000))
    other._release()
    print("moved", RxFlag.MOVED in radio.receive(1000).flags, flush=True)
    radio.tune_tx(TX)
    radio.send(NOISE[:19_200])
    print("radiates", bench.radiates(), flush=True)
    print("muted", radio.mute() is RfState.OFF, not bench.radiates(), flush=True)
    radio.close()


def main() -> int:
    """Serve, ask with the family's tool, drive."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with soapy_bench() as bench:
        port, silent = _port(), _unannounced(bench.bridge.path.parent)
        command = ["SoapySDRServer", f"--bind=tcp://127.0.0.1:{port}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env={**os.environ, "LD_PRELOAD": str(silent)}, **quiet) as server:
            try:
                print("serves", _answers(port), flush=True)
                arguments = _far(bench, port)
                told = subprocess.run(
                    ["SoapySDRUtil", f"--probe={arguments}"], capture_output=True, text=True, check=False, timeout=60
                )
                print("probed", "driver=bandpact_air" in told.stdout, flush=True)
                _drive(bench, arguments)
            finally:
                server.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
