"""The page's emergency stop: tells the warden at once, then mutes and reads back the radio as `bandpact stop` does.

The second part runs that command in its own process, so that the readback comes over a fresh connection and a page
that hangs cannot stop it. The warden is asked at once, whatever else the page does: by threads that serve nothing else,
and not after the command of an earlier stop, which may take half a minute.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import Any, Final

from agent.page.plan import ServedNode
from radio.operator import OperatorError, ask

OPERATOR: Final = "operator"
WARDEN_S: Final = 2.0
COMMAND_S: Final = 30.0


THREADS: Final = ThreadPoolExecutor(4, thread_name_prefix="stop")
"""Threads for stops alone: those of the event loop may all be reading the history for seconds."""


async def stop_node(node: ServedNode, one_command: asyncio.Lock | None = None) -> dict[str, Any]:
    """Mute a node's radio; returns the warden's answer and the fresh connection's, with `rf` off, on or unknown.

    Args: one_command: held while `bandpact stop` runs, so that several requests do not run it several times at once.
    """
    latching = asyncio.ensure_future(_latched(node))
    async with one_command if one_command is not None else nullcontext():
        found = await _command(node)
    return {"node": node.name, "warden": await latching, **found}


async def _latched(node: ServedNode) -> dict[str, Any]:
    """Ask the warden to stop; returns whether it is latched, why not, and how long it took."""
    began = time.monotonic()
    request = partial(ask, node.run_folder / OPERATOR, {"op": "stop"}, timeout_s=WARDEN_S)
    try:
        said = await asyncio.get_running_loop().run_in_executor(THREADS, request)
        warden: dict[str, Any] = {"latched": said.get("state") == "LATCHED", "why": ""}
    except (OperatorError, OSError, RuntimeError) as exc:  # no warden, or no descriptor or thread to ask it with
        warden = {"latched": False, "why": str(exc)}
    return {**warden, "took_ms": round(1000 * (time.monotonic() - began))}


async def _command(node: ServedNode) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "agent.cli.main", "stop", "--json", "--config", str(node.config)]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except (OSError, RuntimeError) as exc:  # RuntimeError: no thread to wait for its end
        why = getattr(exc, "strerror", None) or exc
        return {"rf": "unknown", "why": f"`bandpact stop` was not started: {why}", "nodes": []}
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
