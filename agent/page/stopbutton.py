"""The page's emergency stop: tells the warden at once, then mutes and reads back the radio as `bandpact stop` does.

The second part runs that command in its own process, so that the readback comes over a fresh connection and a page
that hangs cannot stop it.
"""

import asyncio
import json
import sys
import time
from typing import Any, Final

from agent.page.plan import ServedNode
from radio.operator import OperatorError, ask

OPERATOR: Final = "operator"
WARDEN_S: Final = 2.0
COMMAND_S: Final = 30.0


async def stop_node(node: ServedNode) -> dict[str, Any]:
    """Mute a node's radio; returns the warden's answer and the fresh connection's, with `rf` off, on or unknown."""
    began = time.monotonic()
    path = node.run_folder / OPERATOR
    try:
        said = await asyncio.to_thread(ask, path, {"op": "stop"}, timeout_s=WARDEN_S)
        warden: dict[str, Any] = {"latched": said.get("state") == "LATCHED", "why": ""}
    except (OperatorError, OSError, RuntimeError) as exc:  # no warden, or no descriptor or thread to ask it with
        warden = {"latched": False, "why": str(exc)}
    warden["took_ms"] = round(1000 * (time.monotonic() - began))
    return {"node": node.name, "warden": warden, **await _command(node)}


async def _command(node: ServedNode) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "agent.cli.main", "stop", "--json", "--config", str(node.config)]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as exc:
        return {"rf": "unknown", "why": f"`bandpact stop` was not started: {exc.strerror or exc}", "nodes": []}
    try:
        out, err = await asyncio.wait_for(process.communicate(), COMMAND_S)
        found = json.loads(out)
    except TimeoutError:
        process.kill()
        return {"rf": "unknown", "why": f"`bandpact stop` did not answer in {COMMAND_S:g} s", "nodes": []}
    except (ValueError, RecursionError):
        said = err.decode(errors="replace").strip().splitlines()
        return {"rf": "unknown", "why": said[-1] if said else "`bandpact stop` said nothing", "nodes": []}
    return {"rf": str(found["rf"]), "why": str(found["why"]), "nodes": found["nodes"]}
