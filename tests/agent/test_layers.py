"""Files are layered alike whether a variable of the environment stands before them or not."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from agent.config.environment import with_environment
from agent.config.settings import ConfigError, NodeConfig, layered, load_layers
from tests.agent.test_service import config

pytestmark = pytest.mark.feature("U2")


def test_the_first_table_that_has_a_key_decides_it() -> None:
    tables: list[dict[str, Any]] = [
        {"a": 1, "t": {"x": 1, "deep": {"p": 1}}, "l": [1]},
        {"a": 2, "b": 2, "t": {"x": 2, "y": 2, "deep": {"q": 2}}, "l": [2, 2]},
        {"b": 3, "t": 3, "c": None},
    ]
    before = repr(tables)
    assert layered(tables) == {
        "a": 1,
        "b": 2,
        "c": None,
        "l": [1],
        "t": {"x": 1, "y": 2, "deep": {"p": 1, "q": 2}},
    }
    assert repr(tables) == before


def test_our_layers_are_the_librarys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[dict[str, Any]] = [
        {"heartbeat_limit_ms": 150, "mesh": {"connections": 9}},
        {**config(tmp_path), "mesh": {"connections": 8, "discover": True}, "protect_s": 9.0},
    ]
    ours = NodeConfig.model_validate(layered(tables))
    assert ours.model_dump() == with_environment(NodeConfig, tables, "NOBODYS_").model_dump()
    assert (ours.mesh.connections, ours.mesh.discover, ours.heartbeat_limit_ms) == (9, True, 150)

    paths = [tmp_path / "first.toml", tmp_path / "second.toml"]
    for path, table in zip(paths, tables, strict=True):
        path.write_text(tomli_w.dumps(table))
    assert load_layers(paths).model_dump() == ours.model_dump()
    monkeypatch.setenv("bandpact_mesh__connections", "7")
    assert load_layers(paths).mesh.connections == 7
    monkeypatch.setenv("BANDPACT_OFFERS", "{")
    with pytest.raises(ConfigError, match=r"environment: .*offers.*; mend the BANDPACT_ variable"):
        load_layers(paths)
