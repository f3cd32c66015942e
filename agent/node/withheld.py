"""Keeps Python's own OpenSSL modules out of the warden's process, which already loads another OpenSSL for signatures.

The clocks' event loop imports TLS and Python's hashes import OpenSSL: 4.5 MB for a process that speaks no TLS and
hashes a few kilobytes a second. Both fall back to plain Python where the import fails. TLS towards base stations and
a SAS is done by separate processes, which load it.
"""

import sys
from types import ModuleType
from typing import Final, cast

WARDEN: Final = "agent.node.warden_process"
WITHHELD: Final = ("ssl", "_ssl", "_hashlib")


def withhold() -> None:
    """Make every later import of these modules fail, as where Python was built without them; loaded ones stay."""
    for name in WITHHELD:
        sys.modules.setdefault(name, cast("ModuleType", None))


def _is_warden() -> bool:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == WARDEN


if _is_warden():
    withhold()
