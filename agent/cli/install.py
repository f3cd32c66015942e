"""`bandpact install-service`: writes the systemd services of a node that starts at boot, under separate users."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.common import fail, say


def install_service(
    node: Annotated[Path, typer.Argument(metavar="NODE", help="The node's folder or its node.toml.")],
    root: Annotated[
        Path, typer.Option(metavar="DIR", help="Write below another root, for a package or an image.")
    ] = Path("/"),
    program: Annotated[
        str | None, typer.Option(metavar="PATH", help="The bandpact that the services run; this one if left out.")
    ] = None,
) -> None:
    """Write systemd units for agent, warden and mute helper, their users, the udev rule and the firewall's.

    It writes files and starts nothing; it ends with the commands that do. The node's folder must be /var/lib/bandpact;
    its node.toml is given the run folder of the services, /run/bandpact.
    """
    from agent.config.settings import ConfigError
    from agent.install import service

    try:
        made = service.install_service(node, root=root, command=program)
    except ConfigError as exc:
        fail(str(exc))
    for path in made.files:
        say(path)
    say("next, as root:")
    for line in made.then:
        say(f"  {line}")
