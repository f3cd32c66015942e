"""Checks, in a separate network namespace as root, who reaches a device's daemon, with and without the firewall.

`python -m tests.deploy.doorprobe RULES`: prints one JSON object. The user names of the rules stand for numbers here.
"""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.doctor import reach
from agent.doctor.checks import _reach
from radio.drivers.pluto.section import PlutoSection

WARDEN, AGENT, OTHER = 4711, 4712, 65534
ADDRESSES = {"loopback": ("127.0.0.1", 30431), "device": ("192.168.2.1", 30431), "shell": ("192.168.2.1", 22)}
BESIDE = ("192.168.2.1", 8080), ("127.0.0.1", 8080)


def listen(address: tuple[str, int]) -> None:
    server = socket.create_server(address)

    def take() -> None:
        while True:
            server.accept()[0].close()

    threading.Thread(target=take, daemon=True).start()


def reached() -> dict[str, dict[str, bool]]:
    users = {"root": None, "warden": WARDEN, "agent": AGENT, "other": OTHER}
    return {
        name: {who: reach.connects(address, user) for who, user in users.items()} for name, address in ADDRESSES.items()
    }


def doctor(folder: Path) -> list[str]:
    """What the doctor says, run as root."""
    radio = PlutoSection.at("ip:127.0.0.1")
    config: Any = SimpleNamespace(radio=radio, run_folder=folder, warden=SimpleNamespace(apart=True))
    return [f"{check.state}: {check.found}" for check in _reach(config)]


def main(rules: Path) -> None:
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    subprocess.run(("ip", "addr", "add", "192.168.2.1/32", "dev", "lo"), check=True)
    for address in (*ADDRESSES.values(), *BESIDE):
        listen(address)
    told: dict[str, Any] = {"before": reached(), "doctor before": doctor(rules.parent)}
    text = rules.read_text(encoding="utf-8").replace('"bandpact-warden"', str(WARDEN)).replace('"root"', "0")
    for _ in range(2):  # loading it again changes nothing
        subprocess.run(("nft", "-f", "-"), input=text, text=True, check=True)
    told |= {"behind": reached(), "doctor behind": doctor(rules.parent)}
    told["beside"] = {str(port): reach.connects((host, port), OTHER) for host, port in BESIDE[1:]}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
