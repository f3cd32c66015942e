"""Finds a node's configuration files, and tells which place each value came from.

Order of precedence: flags, environment (BANDPACT_…), `--config`, the user's file, the system's file.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from agent.config.settings import PREFIX, ConfigError, NodeConfig, load_layers, read_table

NODE_TOML = "node.toml"
SYSTEM = Path("/etc/bandpact/config.toml")


def user_file() -> Path:
    """Return the path of the user's own configuration."""
    return Path(platformdirs.user_config_dir("bandpact")) / "config.toml"


def node_file(source: Path) -> Path:
    """Return the configuration file for a node's folder or its file."""
    return source / NODE_TOML if source.is_dir() else source


def files(given: Path | None) -> list[Path]:
    """Return the existing files, highest precedence first. Raises ConfigError if the given one, or all, are missing."""
    given = node_file(given) if given is not None else None
    if given is not None and not given.is_file():
        raise ConfigError(f"{given}: no such file; give a node's folder or its node.toml")
    found = ([given] if given else []) + [path for path in (user_file(), SYSTEM) if path.is_file()]
    if not found:
        raise ConfigError(
            f"no configuration: give the node's folder as NODE, or --config FILE, or write {user_file()} or {SYSTEM}"
        )
    return found


def load_found(given: Path | None) -> NodeConfig:
    """Load the configuration in force. Raises ConfigError."""
    return load_layers(files(given))


def origins(given: Path | None) -> dict[str, str]:
    """Return for every value in force the file or environment variable it came from. Raises ConfigError."""
    found: dict[str, str] = {}
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX):
            found.setdefault(name[len(PREFIX) :].lower().replace("__", "."), f"environment {name}")
    for path in files(given):
        for key in _leaves(read_table(path), ""):
            found.setdefault(key, str(path))
    return found


def values(config: NodeConfig) -> dict[str, Any]:
    """Return every value in force by its dotted key; a list is one value."""
    return dict(_pairs(config.model_dump(mode="json"), ""))


def _leaves(table: Mapping[str, Any], before: str) -> Iterator[str]:
    return (key for key, _ in _pairs(table, before))


def _pairs(table: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{before}{key}.")
        else:
            yield before + key, value
