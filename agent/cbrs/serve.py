"""The base stations' endpoint as a process: `bandpact cbsd serve`, or `python -m agent.cbrs.serve NODE.toml`.

It holds the TLS key and the base stations' registrations, and no permission: its answers come from the node's warden.
After a restart it knows no base station; they register again.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from agent.cbrs.assembly import sas_of, tls_files
from agent.cbrs.endpoint import CbsdEndpoint, server_of
from agent.cbrs.shown import DOOR
from agent.cbrs.tls import ServerTls, TlsFileError
from agent.config.settings import ConfigError, NodeConfig, load
from hw_profiles.printable import printable
from radio.cbrs.door import WardenGiver
from radio.process import OrphanedAtBirth, die_with_parent, stop_on_signals


def serve(config: NodeConfig, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Answer base stations until told to stop. Raises ConfigError, OSError."""
    section = config.cbsd
    if section is None:
        raise ConfigError("no [cbsd]: name the base stations that may come, the TLS files and the port")
    try:
        tls = ServerTls(tls_files(section))
    except TlsFileError as exc:
        raise ConfigError(str(exc)) from exc
    giver = WardenGiver(config.run_folder / DOOR)
    endpoint = CbsdEndpoint(sas=sas_of(section, giver), now_ns=giver.now_ns)
    server = server_of(endpoint, host=section.host, port=section.port, tls=tls, roles=section.roles, say=say)

    def answer() -> None:
        asyncio.run(server.serve())

    thread = threading.Thread(target=answer, name="endpoint")
    thread.start()
    while thread.is_alive() and not server.started:
        thread.join(0.01)
    if server.started:
        port = server.servers[0].sockets[0].getsockname()[1]
        say(f"base stations: https://{section.host}:{port}/v1.2")
    while thread.is_alive() and not stop.is_set():
        stop.wait(0.2)
    server.should_exit = True
    thread.join()
    giver.close()


def main(arguments: list[str]) -> int:
    """Run the endpoint; returns 0 when stopped, 1 when it cannot work."""
    stop = stop_on_signals()
    try:
        die_with_parent()
        serve(load(Path(arguments[0])), stop, lambda line: print(line, file=sys.stderr, flush=True))
    except OrphanedAtBirth:
        return 0
    except (ConfigError, OSError) as exc:
        sys.stderr.write(f"{printable(exc)}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
