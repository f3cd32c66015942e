"""Reads a record that an authority signed from its file."""

from pathlib import Path

from agent.config.keyfiles import load_chain
from agent.config.settings import ConfigError
from hw_profiles.smallfile import read_small
from settlement.chain import records


def word_of(path: Path) -> bytes:
    """Return the record in a desk's file: alone, or the last of a chain, as rules are written. Raises ConfigError."""
    try:
        data = read_small(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; give what the authority signed") from exc
    if isinstance(records.parse(data), records.Unproven):
        return data
    try:
        raw = load_chain(path)[-1]
    except ConfigError:
        raw = b""
    if not isinstance(records.parse(raw), records.Unproven):
        raise ConfigError(f"{path}: no signed record; give what the authority signed")
    return raw
