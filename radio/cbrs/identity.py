"""Which base station a settlement is for: the device text of a credential, for one CBSD or for a list of them.

An SDR's credential names its serial number. A base station's is `cbsd:FCCID/SERIAL`. A node that is the domain proxy of
several has `cbsds:SHA256`, the hash of the sorted list of those names, one a line; the list is in its configuration, so
that whoever verifies a settlement learns how many radios it binds only when the node shows the list.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

ONE, SEVERAL = "cbsd:", "cbsds:"


def identity(fcc: str, serial: str) -> str:
    """The device text of one CBSD."""
    return f"{ONE}{fcc}/{serial}"


def several(identities: Iterable[str]) -> str:
    """The device text that binds exactly these CBSDs."""
    return _several(frozenset(identities))


@lru_cache(maxsize=16)
def _several(identities: frozenset[str]) -> str:
    listed = "\n".join(sorted(identities))
    return SEVERAL + hashlib.sha256(listed.encode()).hexdigest()


def binds(device: str | None, who: str, members: Iterable[str]) -> bool:
    """Whether a credential's device text names that CBSD: alone, or in `members`, the list it is the hash of."""
    listed = frozenset(members)
    return device is not None and (device == who or (who in listed and device == several(listed)))
