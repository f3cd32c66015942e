"""`bandpact watch`: the running node's live state in the terminal."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import Exit, fail
from agent.cli.sources import ConfigOption, NodeArg, chosen


def watch(
    node: NodeArg = None,
    config: ConfigOption = None,
    folder: Annotated[Path | None, typer.Option(help="the node's run folder, instead of a configuration")] = None,
) -> None:
    """Show the running node live in this terminal: why it is silent, settlements, clock, neighbours. K stops the radio.

    It needs no page, no browser and no network: it reads the node's own socket, as the same user.
    """
    from agent.config.files import files, load_found
    from agent.config.settings import ConfigError, load
    from agent.page.plan import ServedNode
    from agent.service.service import EFFECTIVE
    from hw_profiles.printable import bare

    try:
        if folder is not None:
            beside = [one for one in (folder / EFFECTIVE, folder.parent / "node.toml") if one.is_file()]
            if not beside:
                fail(f"{folder}: no node runs there; give a node's run folder, or NODE", Exit.USAGE)
            path = beside[0]
            found = load(path)
        else:
            config = chosen(node, config)
            found, path = load_found(config), files(config)[-1]
    except ConfigError as exc:
        fail(str(exc))
    if not bare(sys.stdout).isatty() and not os.environ.get("BANDPACT_WATCH_ANYWAY"):
        fail("watch draws on a terminal; for programs there is `bandpact status --json`", Exit.USAGE)
    from agent.watch.app import WatchApp

    effective = found.run_folder / EFFECTIVE
    served = ServedNode(
        name=found.name,
        run_folder=found.run_folder,
        folder=found.folder,
        config=effective if effective.is_file() else path,
    )
    WatchApp(served, color="NO_COLOR" not in os.environ).run()
