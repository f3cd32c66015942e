"""Installs a node as systemd services: agent, warden and mute helper, under separate users, from files of `deploy/`.

Only files are written; the commands that make systemd, udev and nftables load them are returned.
"""

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.config.settings import ConfigError, load
from hw_profiles.wholefile import PUBLIC_MODE, WholeFile, write_together

STATE: Final = Path("/var/lib/bandpact")
RUN: Final = Path("/run/bandpact")
"""The run folder that agent, warden and mute helper share; created by `bandpact.tmpfiles`."""
UNITS: Final = ("bandpact.service", "bandpact-warden.service", "bandpact-mute.service")
PLACES: Final = {
    "bandpact.sysusers": "etc/sysusers.d/bandpact.conf",
    "bandpact.tmpfiles": "etc/tmpfiles.d/bandpact.conf",
    "70-bandpact-pluto.rules": "etc/udev/rules.d/70-bandpact-pluto.rules",
    "bandpact.nft": "etc/bandpact/bandpact.nft",
    "bandpact.sleep": "usr/lib/systemd/system-sleep/bandpact",
}
PROGRAMS: Final = frozenset({"bandpact.sleep"})
"""Files that are executed and not only read."""
THEN: Final = (
    "systemd-sysusers",
    "systemd-tmpfiles --create",
    "udevadm control --reload && udevadm trigger",
    "nft -f /etc/bandpact/bandpact.nft",
    "systemctl daemon-reload",
    "systemctl enable --now bandpact",
)
PROGRAM_MODE: Final = 0o755
_EXEC: Final = re.compile(r"/usr/bin/env bandpact\b")
_PLAIN: Final = re.compile(r"/[A-Za-z0-9._+/@:-]+", re.ASCII)
"""Paths that need no escaping: blanks, %, quotes, backslashes and line ends have a special meaning in a unit."""
_CONFIG: Final = "/etc/bandpact/config.toml"
_RUN_FOLDER: Final = re.compile(r"^run_folder\s*=.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceInstalled:
    """The files written, and the commands that make the system load them, in order."""

    files: tuple[Path, ...]
    then: tuple[str, ...]


def deployed() -> Path:
    """Return the folder with the units: in the installed package, or in the source tree."""
    packed = Path(__file__).parent / "files"
    return packed if packed.is_dir() else Path(__file__).resolve().parents[2] / "deploy"


def program() -> str:
    """Return the absolute path of the running command. Raises ConfigError."""
    called = Path(sys.argv[0])
    found = str(called.resolve()) if called.name == "bandpact" and called.is_file() else shutil.which("bandpact")
    if found is None:
        raise ConfigError("no `bandpact` command is installed here; install the package, or give --program PATH")
    return found


def install_service(node: Path, *, root: Path = Path("/"), command: str | None = None) -> ServiceInstalled:
    """Write the units and their files. Raises ConfigError; OSError where a place cannot be written.

    Args: node: the node's folder, which is to be the services' state folder. root: the system's root, another one for
    a package or an image. command: the absolute path of bandpact, if not the one that runs now.
    """
    config = node / "node.toml" if node.is_dir() else node
    there = STATE / "node.toml"
    files: list[WholeFile] = []
    if root == Path("/"):
        folder = load(config).folder
        if folder.resolve() != STATE:
            raise ConfigError(
                f"{config}: folder is {folder}, and the services reach only {STATE}; "
                f"join there: bandpact kit join ARCHIVE --folder {STATE}"
            )
        files += with_run_folder(config)
    run = command or program()
    if _PLAIN.fullmatch(run) is None:
        raise ConfigError(
            f"{run!r}: systemd would not run that as it stands; give --program an absolute path of plain letters"
        )
    files += [_unit(name, root, run, str(there)) for name in UNITS]
    files += [
        WholeFile(
            path=root / place,
            data=(deployed() / name).read_bytes(),
            mode=PROGRAM_MODE if name in PROGRAMS else PUBLIC_MODE,
        )
        for name, place in sorted(PLACES.items())
    ]
    for file in files:
        file.path.parent.mkdir(parents=True, exist_ok=True)
    write_together(files)
    return ServiceInstalled(files=tuple(file.path for file in files), then=THEN)


def with_run_folder(config: Path) -> list[WholeFile]:
    """Return the node's file with the services' run folder set, by which `status`, `tx` and `stop` find the services.

    Empty where the file names that folder already. Raises ConfigError; OSError where it cannot be read.
    """
    if load(config).run_folder == RUN:
        return []
    text, found = _RUN_FOLDER.subn(f'run_folder = "{RUN}"', config.read_text(encoding="utf-8"), count=1)
    if not found:
        raise ConfigError(f'{config}: run_folder: write run_folder = "{RUN}", where the services meet')
    return [WholeFile(path=config, data=text.encode(), mode=config.stat().st_mode & 0o777)]


def _unit(name: str, root: Path, run: str, config: str) -> WholeFile:
    text = (deployed() / name).read_text(encoding="utf-8")
    text = _EXEC.sub(run, text).replace(_CONFIG, config)
    # Agent and warden share one run folder, whatever the node's own file says.
    text = text.replace("[Service]\n", f"[Service]\nEnvironment=BANDPACT_RUN_FOLDER={RUN}\n", 1)
    return WholeFile(path=root / "etc/systemd/system" / name, data=text.encode())
