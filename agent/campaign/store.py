"""The folder of a campaign: stores each outcome on disk before the next is counted, so that it can be resumed.

`campaign.json` says what was asked for; `runs.jsonl` has a line for each run that is done, appended and synced. A line
that was cut off by the end of a process is not there: that run is made again.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.campaign.outcome import RunOutcome
from agent.campaign.spec import CampaignError
from agent.config.locks import InUse, held
from hw_profiles.wholefile import write_whole

ASKED, DONE = "campaign.json", "runs.jsonl"


class CampaignStore:
    """Outcomes by key; only one process writes."""

    def __init__(self, folder: Path, asked: dict[str, Any]) -> None:
        """Start in a new folder, or resume in one with the same definition. Raises CampaignError."""
        self.folder, self._held = folder, ExitStack()
        new = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(held(folder, None, "bandpact campaign"))
            self._begin(json.dumps(asked, indent=1, sort_keys=True))
            self.done = {one.key: one for one in self._whole()}
            self._file = (folder / DONE).open("a", encoding="utf-8")
        except OSError as exc:
            self._held.close()
            if new:
                with suppress(OSError):
                    folder.rmdir()
            raise CampaignError(f"{folder}: {exc.strerror or exc}; give another --out") from exc
        except InUse as exc:
            raise CampaignError(str(exc)) from exc
        except BaseException:
            self._held.close()
            raise

    def _begin(self, text: str) -> None:
        """Write the campaign's definition, or check the one in the folder. Raises CampaignError, OSError."""
        kept = self.folder / ASKED
        if kept.is_file():
            if kept.read_bytes() != text.encode():
                raise CampaignError(f"{self.folder} holds another campaign; give another --out, or move it away")
        elif any(self.folder.iterdir()):
            raise CampaignError(f"{self.folder} is not empty and holds no campaign; give another --out")
        else:
            write_whole(kept, text.encode())

    def _whole(self) -> Iterator[RunOutcome]:
        path = self.folder / DONE
        if not path.is_file():
            return
        data = path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end != len(data):
            os.truncate(path, end)
        for line in data[:end].splitlines():
            try:
                yield RunOutcome(**json.loads(line))
            except (ValueError, TypeError, RecursionError) as exc:
                raise CampaignError(f"{path}: a line is no outcome: {exc}; move the folder away") from exc

    def keep(self, outcome: RunOutcome) -> None:
        """Append an outcome, on disk when this returns. Raises OSError."""
        self._file.write(json.dumps(asdict(outcome)) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done[outcome.key] = outcome

    def left(self, keys: Iterable[str]) -> list[str]:
        """Return the keys that are not done; runs that could not be made are tried again."""
        return [key for key in keys if key not in self.done or self.done[key].outcome == "error"]

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()
        self._held.close()
