"""Several classes in one settlement: how a REQUEST names the whole, and how later parts are shown."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, blob, uint
from settlement.records.sizes import HASH

WHOLE_MAX = 8
"""Most parts of one whole."""
SHOWN_BYTES_MAX = 4096
"""Most bytes of a GRANT or a CONFIRM inside a `LaterPart`; of an ACCEPT, WHOLE_MAX times as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeOf:
    """The whole of which a REQUEST asks for one part: its id, the index of this part, and every part in order.

    A part is named by its declaration and by a hash over class, cell, tier, EIRP and price (`terms`). `id` is the
    SHA-256 over user, nonce and all parts, so that no part can be exchanged. The CONFIRM of the first part commits all
    of them.
    """

    id: bytes = blob(1, HASH)
    index: int = uint(2, high=WHOLE_MAX - 1)
    nonce: bytes = blob(3, 16)
    declarations: tuple[bytes, ...] = array(4, blob(0, HASH), WHOLE_MAX, low=2)
    terms: tuple[bytes, ...] = array(5, blob(0, HASH), WHOLE_MAX, low=2)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless `index` is that of a part, and each part has its terms."""
        if len(self.terms) != len(self.declarations):
            return ".terms", len(self.terms), f"{len(self.declarations)}, as declarations"
        return None if self.index < len(self.terms) else (".index", self.index, f"< {len(self.terms)} parts")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterPart:
    """A later part of a whole, settled with another holder; its user shows it in the ACCEPT of an earlier part."""

    place: int = uint(1, high=WHOLE_MAX - 1)
    grant: bytes = blob(2, SHOWN_BYTES_MAX, least=1)
    accept: bytes = blob(3, SHOWN_BYTES_MAX * WHOLE_MAX, least=1)
    confirm: bytes = blob(4, SHOWN_BYTES_MAX, least=1)
