"""`bandpact warden`: the warden, or its mute helper, as a service under the only user that can open the radio."""

from typing import Annotated

import typer

from agent.cli.common import Exit, fail, say
from agent.cli.sources import ConfigOption, NodeArg, chosen


def warden(
    node: NodeArg = None,
    config: ConfigOption = None,
    only_mute: Annotated[
        bool, typer.Option("--only-mute", help="Be the mute helper: silence the radio whenever the agent asks.")
    ] = False,
) -> None:
    """Guard the radio of a node whose agent runs as another user ([warden] apart = true).

    Ends muted: with 0 when stopped, 1 when the configuration is not usable, 4 when the device is not.
    """
    from agent.config.files import load_found
    from agent.config.settings import ConfigError
    from agent.node.apart import guard_apart, serve_mute
    from radio.errors import RadioError
    from radio.priority import before_others
    from radio.process import stop_on_signals

    try:
        found = load_found(chosen(node, config))
        stop = stop_on_signals()
        if only_mute:
            serve_mute(found, stop)
            return
        before_others()
        guard_apart(found, stop, lambda line: say(f"bandpact: {line}", err=True))
    except ConfigError as exc:
        fail(str(exc))
    except RadioError as exc:
        fail(str(exc), Exit.NOT_READY)
