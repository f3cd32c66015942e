"""Rotation of a running node's key: signs the rotation in a durable step, then exchanges the key files."""

from pathlib import Path

from agent.config.keyfiles import CHAIN, NEXT, SIGN, load_chain, read_key, take_over
from agent.config.settings import ConfigError
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.party.party import Party
from settlement.party.succession import announce, rotate
from settlement.state.nodestate import ROTATED
from settlement.state.step import Step


class KeyTurn:
    """Takes up the key that waits in the node's folder, and tells neighbours that connect later."""

    def __init__(self, party: Party, folder: Path) -> None:
        self._party, self._folder = party, folder
        self._before: bytes | None = None
        self._met = False

    def rotate(self, step: Step) -> Refusal | None:
        """Sign the rotation inside a step and continue under the new key; returns a refusal where it cannot."""
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
        """Exchange the key files once the step is durable; returns the rotation for the warden, or None without one."""
        if self._before is None:
            return None
        before, self._before = self._before, None
        take_over(self._folder)
        return self._party.lineage.get(ROTATED, before)

    def met(self) -> None:
        """Note that a neighbour connected, which may not know of this node's rotations."""
        self._met = True

    def act(self, step: Step) -> None:
        """Send the rotations to neighbours that connected, inside a step."""
        if self._met:
            self._met = False
            announce(self._party, step)
