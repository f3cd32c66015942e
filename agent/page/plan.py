"""The page process's instructions as a file: which nodes it serves, their sockets, and where the token lies."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from hw_profiles.smallfile import read_small_text

TOKEN = "page.token"  # noqa: S105 - a file's name
OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedNode:
    """A node whose page is served; `config` is the file that its stop command reads."""

    name: str
    run_folder: Path
    folder: Path
    config: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePlan:
    """What to serve. `fd` is the listening socket passed on; None: no page, only the history is kept."""

    nodes: tuple[ServedNode, ...]
    host: str
    port: int
    fd: int | None
    token_file: Path
    history: bool = True

    def write(self, path: Path) -> Path:
        """Write the plan for the page's process."""
        plain = asdict(self)
        plain["nodes"] = [{key: str(value) for key, value in one.items()} for one in plain["nodes"]]
        path.write_text(json.dumps({**plain, "token_file": str(self.token_file)}), encoding="utf-8")
        return path

    @property
    def origin(self) -> str:
        """The page's own origin."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def read_plan(path: Path) -> PagePlan:
    """Read a plan. Raises OSError, ValueError, KeyError, TypeError where the file is none."""
    plain = json.loads(read_small_text(path))
    if not isinstance(plain, dict) or not isinstance(plain.get("nodes"), list):
        raise TypeError("not the plan of a page")
    nodes = tuple(
        ServedNode(
            name=one["name"],
            run_folder=Path(one["run_folder"]),
            folder=Path(one["folder"]),
            config=Path(one["config"]),
        )
        for one in plain.pop("nodes")
    )
    return PagePlan(**{**plain, "nodes": nodes, "token_file": Path(plain["token_file"])})


def token_at(path: Path) -> str:
    """Return the token in a file, so that bookmarks survive a restart.

    A new token is made where the file is missing, holds fewer than 32 characters or is accessible to other users.
    """
    try:
        held = read_small_text(path).strip()
    except OSError:
        held = ""
    if len(held) >= 32 and path.stat().st_mode & 0o077 == 0:
        return held
    made = secrets.token_urlsafe(32)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(made)
    fresh.replace(path)
    return made
