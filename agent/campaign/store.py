"""The folder of a campaign: each outcome on disk before the next is counted, so that it goes on where it was ended.

`campaign.json` says what was asked for; `runs.jsonl` has a line for each run that is done, appended and synced. A line
that was cut off by the end of a process is not there: that run is made again.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.campaign.outcome import RunOutcome
from agent.campaign.spec import CampaignError

ASKED, DONE = "campaign.json", "runs.jsonl"


class CampaignStore:
    """Outcomes by key; one process writes."""

    def __init__(self, folder: Path, asked: dict[str, Any]) -> None:
        """Begin in a new folder or go on in one that asks the same. Raises CampaignError."""
        self.folder = folder
        text = json.dumps(asked, indent=1, sort_keys=True)
        kept = folder / ASKED
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if kept.is_file():
                if kept.read_text(encoding="utf-8") != text:
                    raise CampaignError(f"{folder} holds another campaign; give another --out, or move it away")
            elif any(folder.iterdir()):
                raise CampaignError(f"{folder} is not empty and holds no campaign; give another --out")
            else:
                kept.write_text(text, encoding="utf-8")
            self.done = {one.key: one for one in self._whole()}
            self._file = (folder / DONE).open("a", encoding="utf-8")
        except OSError as exc:
            raise CampaignError(f"{folder}: {exc.strerror or exc}; give another --out") from exc

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
            except (ValueError, TypeError) as exc:
                raise CampaignError(f"{path}: a line is no outcome: {exc}; move the folder away") from exc

    def keep(self, outcome: RunOutcome) -> None:
        """One more, on disk when this returns. Raises OSError."""
        self._file.write(json.dumps(asdict(outcome)) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done[outcome.key] = outcome

    def left(self, keys: Iterable[str]) -> list[str]:
        """Which of these are not done; what could not be run is tried again."""
        return [key for key in keys if key not in self.done or self.done[key].outcome == "error"]

    def __enter__(self) -> Self:
        """As it is."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()
