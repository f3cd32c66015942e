"""A running node's next key: its part in the durable step, and its files once the step is durable."""

from pathlib import Path

from agent.config.keyfiles import CHAIN, NEXT, SIGN, load_chain, read_key, take_over
from agent.config.settings import ConfigError
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.party.party import Party
from settlement.party.succession import announce, rotate
from settlement.state.nodestate import ROTATED
from settlement.state.step import Step


class KeyTurn:
    """Takes up the key that waits in the node's folder, and tells neighbours that come up later."""

    def __init__(self, party: Party, folder: Path) -> None:
        self._party, self._folder = party, folder
        self._before: bytes | None = None
        self._met = False

    def rotate(self, step: Step) -> Refusal | None:
        """Inside a step: sign the rotation and go on under the new key, or say why not."""
        try:
            key, chain = read_key(self._folder / (SIGN + NEXT)), load_chain(self._folder / (CHAIN + NEXT))
        except ConfigError as exc:
            return refuse(Reason.ROTATION, "rotation.files", exc, "bandpact node rekey, and its credential")
        before = self._party.identity.credential
        refusal = rotate(self._party, step, key, chain[-1])
        if refusal is None:
            self._before = before
        return refusal

    def durable(self) -> bytes | None:
        """The step is durable: where the key turned in it, exchange the files; returns the rotation for the warden."""
        if self._before is None:
            return None
        before, self._before = self._before, None
        take_over(self._folder)
        return self._party.lineage.get(ROTATED, before)

    def met(self) -> None:
        """A neighbour came up: it may not have heard of the keys this node has had."""
        self._met = True

    def act(self, step: Step) -> None:
        """Inside a step: tell whoever came up."""
        if self._met:
            self._met = False
            announce(self._party, step)
