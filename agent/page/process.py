"""The page as a process: `python -m agent.page.process PLAN.json`. Ends with the node or the trial that started it.

It shares only the live feed with the node: requests to the page, however many, cost the node one publishing socket
and do not affect the gate.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn
import zmq.asyncio

from agent.page.app import app_of
from agent.page.connections import BOUNDED
from agent.page.live import NodeLive
from agent.page.plan import PagePlan, read_plan, token_at
from hw_profiles.printable import printable
from radio.priority import after_others
from radio.process import OrphanedAtBirth, die_with_parent, one_heap

YIELDS_TO_OTHERS = 5
REQUESTS_AT_ONCE = 384
"""Most requests at once, a second bound beside that of connections.py: a closed connection may still be answered."""
LOG, LOG_BYTES = "page.log", 1 << 20


def serve(plan: PagePlan) -> None:
    """Serve the page, or only keep the history, until told to stop."""
    nodes = {one.name: NodeLive(node=one, history=plan.history) for one in plan.nodes}
    if plan.fd is None:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_only_keep(nodes))
        return
    settings = uvicorn.Config(
        app_of(plan, nodes, token_at(plan.token_file)),
        fd=plan.fd,
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=1024,
        ws_per_message_deflate=False,
        limit_concurrency=REQUESTS_AT_ONCE,
        timeout_graceful_shutdown=1,
        **BOUNDED,
    )
    uvicorn.Server(settings).run()


async def _only_keep(nodes: dict[str, NodeLive]) -> None:
    """Keep the history without serving a page."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    context = zmq.asyncio.Context(io_threads=1)
    tasks = [asyncio.create_task(node.run(context)) for node in nodes.values()]
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    context.destroy(linger=0)


def main(arguments: list[str]) -> int:
    """Run the page; returns 0 when stopped, 1 when it cannot work."""
    one_heap()
    path = Path(arguments[0])
    # Strangers' requests can make a library write log lines, so the log file is bounded.
    handler = RotatingFileHandler(path.with_name(LOG), maxBytes=LOG_BYTES, backupCount=1)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    try:
        die_with_parent()
        after_others(YIELDS_TO_OTHERS)
        serve(read_plan(path))
    except OrphanedAtBirth:
        return 0
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        sys.stderr.write(f"page: {printable(exc)}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
