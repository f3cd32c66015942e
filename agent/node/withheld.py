"""What the warden's process does without: Python's own OpenSSL, which is loaded beside the one that checks signatures.

The clocks' event loop asks for TLS and Python's hashes ask for OpenSSL, 4.5 MB of a process that speaks TLS with
nobody and hashes a few kilobytes a second. Both have a plain way without it, and take that where it cannot be imported.
TLS towards base stations and a SAS is spoken by processes of their own, which load it.
"""

import sys
from types import ModuleType
from typing import Final, cast

WARDEN: Final = "agent.node.warden_process"
WITHHELD: Final = ("ssl", "_ssl", "_hashlib")


def withhold() -> None:
    """Have every later import of them fail, as where Python was built without; what is loaded already stays."""
    for name in WITHHELD:
        sys.modules.setdefault(name, cast("ModuleType", None))


def _is_warden() -> bool:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == WARDEN


if _is_warden():
    withhold()
