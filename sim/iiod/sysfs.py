"""Mirrors a simulated Pluto's attributes as files in a folder, for on-device scripts.

Both ways: what a script writes into a file is written to the device, what clients write shows in the files.
"""

import asyncio
from pathlib import Path
from typing import Final

from sim.iiod.context import IDS
from sim.iiod.pluto import Pluto
from sim.iiod.protocol import Name

POLL_S: Final = 0.01


class Sysfs:
    """The mirror; it has attributes of channels and devices only, as under /sys/bus/iio/devices."""

    def __init__(self, pluto: Pluto, root: Path) -> None:
        """Create the folder's files; raises OSError."""
        self._pluto = pluto
        self._files: dict[Name, Path] = {}
        self._seen: dict[Name, str] = {}
        for one in pluto.attributes:
            name = one.name
            folder = root / IDS[name.device]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "name").write_text(f"{name.device}\n")
            if one.file and name in pluto.values and not one.error:
                self._files[name] = folder / one.file
        self.step()

    def step(self) -> None:
        """Copy every change to the other side, a script's first."""
        for name, path in self._files.items():
            held = _text(path)
            if held is None and name in self._seen:
                continue
            if held is not None and held != self._seen.get(name):
                self._pluto.write(name, held)
            value = self._pluto.read(name)
            text = value if isinstance(value, str) else ""
            if text != held:
                fresh = path.with_name(f".{path.name}")
                fresh.write_text(f"{text}\n")
                fresh.replace(path)
            self._seen[name] = text

    async def run(self) -> None:
        """Mirror until cancelled."""
        while True:
            self.step()
            await asyncio.sleep(POLL_S)


def _text(path: Path) -> str | None:
    """The content of a file; None while a script is about to write it."""
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
