"""Gives back to the system what answered requests left free, for a page that runs for weeks.

The C library keeps what is freed between what is still used: of a page that strangers asked half a million times 37 MB
of 62 lay free, and grew, while what it used did not.
"""

import asyncio
from typing import Final

from radio.process import give_back

EVERY_S: Final = 60.0


async def given_back(every_s: float = EVERY_S) -> None:
    """Give it back so often until cancelled; it takes a few ms."""
    while True:
        await asyncio.sleep(every_s)
        give_back()
