"""What a rule may say about handing on leases of a class: which ways, how many times, and whether with consent."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, text, uint

TRANSFER, SUBLEASE = "transfer", "sublease"
KINDS = (TRANSFER, SUBLEASE)
DEPTH_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingTerms:
    """Terms for handing on leases of a class; without them no lease of the class is handed on.

    kinds    transfer (the whole lease, for good), sublease (a part of band, area, time or EIRP), or both
    depth    how many times a lease may be handed on, counted from the settlement with the licence's holder, 1 to 3
    consent  1 if the holder of the settlement that is handed on must sign a CONSENT; else 0
    """

    kinds: tuple[str, ...] = array(1, text(0, 16), 2, low=1)
    depth: int = uint(2, high=DEPTH_MAX)
    consent: int = uint(3, high=1)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the kinds exist, each once, and the depth is at least 1."""
        wrong = [one for one in self.kinds if one not in KINDS]
        if wrong or len(set(self.kinds)) != len(self.kinds):
            return ".kinds", wrong[0] if wrong else "one kind twice", f"each once, of {', '.join(KINDS)}"
        return None if self.depth >= 1 else (".depth", self.depth, f"1 to {DEPTH_MAX}")
