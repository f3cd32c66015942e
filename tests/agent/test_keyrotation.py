"""The files of a key that was succeeded, and a node that ended in the middle of exchanging them."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.config.keyfiles import (
    CHAIN,
    NEXT,
    SIGN,
    former_keys,
    load_chain,
    make_keys,
    make_next_key,
    read_key,
    take_over,
)
from agent.config.keyfiles import write_chain as write
from agent.node.assembly import LINEAGE, finish_rotation
from settlement.chain.checkpoint import origin_of
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import RECEIVED, admitted_leaf
from settlement.chain.lineage import Lineage
from tests.settlement.world import fix

OLD, NEW = (b"old root", b"old"), (b"new root", b"new")


class Cut(Exception):
    """The power is gone."""


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Path, SigningKey, SigningKey]:
    """A node's folder with its next key and the credential of that laid ready."""
    key, _ = make_keys(tmp_path / "node")
    write(tmp_path / "node" / CHAIN, OLD)
    write(tmp_path / "node" / (CHAIN + NEXT), NEW)
    return tmp_path / "node", key, make_next_key(tmp_path / "node")


def holds(folder: Path, old: SigningKey, new: SigningKey) -> None:
    assert read_key(folder / SIGN).public == new.public
    assert load_chain(folder / CHAIN) == NEW
    ((former, chain),) = former_keys(folder)
    assert (former.public, chain) == (old.public, OLD)
    assert sorted(p.name for p in folder.iterdir() if p.name.endswith(NEXT)) == []


@pytest.mark.feature("G9")
@pytest.mark.parametrize("cut", range(5))
def test_an_exchange_that_was_cut_short_is_finished(
    folder: tuple[Path, SigningKey, SigningKey], monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    where, old, new = folder
    moves, replace = [], Path.replace

    def counted(self: Path, target: Any) -> Path:
        if len(moves) == cut:
            raise Cut
        moves.append(self)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", counted)
    if cut < 4:
        with pytest.raises(Cut):
            take_over(where)
    else:
        take_over(where)
    monkeypatch.undo()
    if cut < 4:
        take_over(where)
    holds(where, old, new)


def log_named(folder: Path, key: SigningKey) -> None:
    log = Lineage(folder / LINEAGE, origin=origin_of("net", key.public))
    with log.transaction():
        log.append(admitted_leaf(b"x", origin=RECEIVED, now=fix(0.0).time), None)
        log.stand(key)
    log.close()


@pytest.mark.feature("G9")
@pytest.mark.parametrize("durable", [False, True], ids=["before the rotation was durable", "after"])
def test_a_start_goes_by_whose_name_the_log_has(folder: tuple[Path, SigningKey, SigningKey], durable: bool) -> None:
    where, old, new = folder
    log_named(where, new if durable else old)
    config: Any = SimpleNamespace(folder=where, network="net")
    finish_rotation(config)
    if durable:
        holds(where, old, new)
    else:
        assert read_key(where / SIGN).public == old.public
        assert load_chain(where / CHAIN) == OLD
    before = {p.name: p.read_bytes() for p in where.iterdir()}
    finish_rotation(config)
    assert {p.name: p.read_bytes() for p in where.iterdir()} == before


def test_without_a_log_or_a_next_key_nothing_is_exchanged(folder: tuple[Path, SigningKey, SigningKey]) -> None:
    where, old, _ = folder
    config: Any = SimpleNamespace(folder=where, network="net")
    finish_rotation(config)
    shutil.copy(where / SIGN, where / LINEAGE)
    finish_rotation(config)
    assert read_key(where / SIGN).public == old.public
