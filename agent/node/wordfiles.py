"""Takes in, as a node starts, an authority's signed records in the node's folder: status lists, rotations, rules."""

from collections.abc import Iterator
from pathlib import Path

from agent.config.settings import ConfigError
from agent.desk.words import word_of
from settlement.chain.records import digest
from settlement.core.reasons import Refusal
from settlement.party.party import Party
from settlement.state.messages import Message
from settlement.state.step import Step


def words_in(folder: Path | None) -> Iterator[bytes]:
    """Yield the signed records in a folder's files, in order of file names; an unreadable one is skipped."""
    for path in sorted(folder.iterdir()) if folder is not None and folder.is_dir() else ():
        try:
            yield word_of(path)
        except ConfigError:
            continue


def take_words(party: Party, step: Step, folder: Path | None) -> None:
    """Judge the folder's records that were not seen before; each verdict is logged."""
    for raw in words_in(folder):
        if not party.lineage.seen(digest(raw)):
            take_word(party, step, raw)


def take_word(party: Party, step: Step, raw: bytes) -> Refusal | None:
    """Judge an authority's record as if a neighbour had passed it on; returns the refusal if it was not taken."""
    me = party.registry.get(party.identity.credential)
    own = me.transport_key if me is not None else None
    return party.receive(step, Message(record=raw).encoded(), own or b"")
