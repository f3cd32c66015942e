"""The port to an outside authorisation, such as a Spectrum Access System's grant, for bands where the rule wants one.

The gate is the AND of both: a settlement does not replace the grant, nor the grant the settlement.
"""

from typing import Protocol

from settlement.chain.scope import Band


class OutsideAuthorisation(Protocol):
    """The port to an outside authority, such as a SAS; asked at every turn of the warden's loop, so it never waits."""

    def authorised_until_ns(self, band: Band, max_eirp_mdbm: int) -> int | None:
        """Until when (monotonic ns) the band may be used at that EIRP; None when it may not, or nobody knows.

        Answers from what it holds already: it neither waits nor asks anyone.
        """
        ...


class NoAuthority:
    """The authorisation port of a node without a SAS: a band that needs an outside authorisation stays closed."""

    def authorised_until_ns(self, band: Band, max_eirp_mdbm: int) -> int | None:
        """Never."""
        del band, max_eirp_mdbm
        return None
