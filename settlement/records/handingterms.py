"""What a rule may say of a class's leases changing hands: how, how often below the licence, by whose consent."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, text, uint

TRANSFER, SUBLEASE = "transfer", "sublease"
KINDS = (TRANSFER, SUBLEASE)
DEPTH_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingTerms:
    """Leases of a class may change hands; without it none does.

    kinds    transfer (the whole lease, for good), sublease (a part of band, area, time or EIRP), or both
    depth    how many times a lease may be handed on below the settlement with the licence's holder, 1 to 3
    consent  1 where the holder of the settlement that is handed on must have signed a CONSENT
    """

    kinds: tuple[str, ...] = array(1, text(0, 16), 2, low=1)
    depth: int = uint(2, high=DEPTH_MAX)
    consent: int = uint(3, high=1)

    def meaning_flaw(self) -> Flaw | None:
        """Kinds that exist, each once; a depth that lets something be handed on."""
        wrong = [one for one in self.kinds if one not in KINDS]
        if wrong or len(set(self.kinds)) != len(self.kinds):
            return ".kinds", wrong[0] if wrong else "one kind twice", f"each once, of {', '.join(KINDS)}"
        return None if self.depth >= 1 else (".depth", self.depth, f"1 to {DEPTH_MAX}")
