"""A campaign file: scenarios, seeds, and values of parameters; checked as a whole before anything runs.

    [campaign]
    name = "lossy"
    scenarios = ["world"]          # "world": a virtual neighbourhood; else a trial's scenario, by name or .toml file
    seeds = "0-99"                 # or a list
    duration = "20s"               # of a trial; without it the scenario's own

    [parameters]                   # every value with every other
    "weather.drop_ppt" = [0, 50, 200]

A parameter names a value by the keys that lead to it, a row of a table of rows by its name: `nodes.user-a.lat_deg`.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.words.units import parse_time
from hw_profiles.smallfile import read_small_text
from hw_profiles.tomltext import read_toml

WORLD: Final = "world"
RUNS_MAX: Final = 1_000_000
SEED: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_KEYS: Final = {"name", "scenarios", "seeds", "duration"}


class CampaignError(Exception):
    """A campaign that cannot be run; the message is one line with the file, the key and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run as plain values, so that it can be named by its hash and sent to another machine."""

    scenario: str
    seed: int
    parameters: tuple[tuple[str, Any], ...]
    duration_s: float | None = None

    @property
    def key(self) -> str:
        """The run's name, the same on every machine."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSpec:
    """A whole campaign."""

    name: str
    scenarios: tuple[str, ...]
    seeds: tuple[int, ...]
    parameters: tuple[tuple[str, tuple[Any, ...]], ...]
    duration_s: float | None

    def runs(self) -> Iterator[RunSpec]:
        """Yield every run, scenario by scenario, and for each set of values seed by seed."""
        names = [name for name, _ in self.parameters]
        for scenario in self.scenarios:
            for values in itertools.product(*(values for _, values in self.parameters)):
                for seed in self.seeds:
                    chosen = tuple(zip(names, values, strict=True))
                    yield RunSpec(scenario=scenario, seed=seed, parameters=chosen, duration_s=self.duration_s)

    @property
    def count(self) -> int:
        """Number of runs."""
        sets = 1
        for _, values in self.parameters:
            sets *= len(values)
        return len(self.scenarios) * len(self.seeds) * sets


def read_campaign(path: Path) -> CampaignSpec:
    """Read and check a campaign file. Raises CampaignError."""
    try:
        found = read_toml(read_small_text(path))
    except FileNotFoundError as exc:
        raise CampaignError(f"{path}: no such file; give a campaign, see docs/campaigns.md") from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise CampaignError(f"{path}: cannot be read as TOML: {exc}") from exc
    unknown = sorted(set(found) - {"campaign", "parameters"})
    if unknown:
        raise CampaignError(f"{path}: {unknown[0]} is no part of a campaign; there are [campaign] and [parameters]")
    head, parameters = found.get("campaign"), found.get("parameters", {})
    if not isinstance(head, dict) or not isinstance(parameters, dict):
        raise CampaignError(f"{path}: a [campaign] with scenarios and seeds is needed")
    more = sorted(set(head) - _KEYS)
    if more:
        raise CampaignError(f"{path}: campaign.{more[0]} is not known; there are {', '.join(sorted(_KEYS))}")
    spec = CampaignSpec(
        name=str(head.get("name", path.stem)),
        scenarios=tuple(_scenario(path, one) for one in _list(path, "campaign.scenarios", head.get("scenarios"))),
        seeds=_seeds(path, head.get("seeds")),
        parameters=tuple((name, tuple(_list(path, f"parameters.{name}", parameters[name]))) for name in parameters),
        duration_s=_duration(path, head.get("duration")),
    )
    if not 1 <= spec.count <= RUNS_MAX:
        raise CampaignError(f"{path}: {spec.count:,} runs; 1 to {RUNS_MAX:,} are taken")
    return spec


def _list(path: Path, key: str, found: Any) -> list[Any]:
    if not isinstance(found, list) or not found:
        raise CampaignError(f"{path}: {key} is {found!r:.80}; give a list with at least one value")
    for one in found:
        if not isinstance(one, str | int | float | bool):
            raise CampaignError(f"{path}: {key} has {one!r:.80}; give numbers, texts, true or false")
    seen = set[Any]()
    for one in found:
        if one in seen:
            raise CampaignError(f"{path}: {key} has {one!r:.80} twice; each once")
        seen.add(one)
    return found


def _scenario(path: Path, one: Any) -> str:
    """Return the name of a shipped scenario, or the absolute path of a file beside the campaign's."""
    if not isinstance(one, str):
        raise CampaignError(f"{path}: campaign.scenarios has {one!r:.80}; give names and .toml files")
    if not one.endswith(".toml"):
        return one
    file = (path.absolute().parent / one).resolve()
    if not file.is_file():
        raise CampaignError(f"{path}: campaign.scenarios names {one}, and there is no {file}")
    return str(file)


def _seeds(path: Path, found: Any) -> tuple[int, ...]:
    if isinstance(found, str):
        first, dash, last = found.partition("-")
        if not (dash and SEED.fullmatch(first) and SEED.fullmatch(last)):
            raise CampaignError(f'{path}: campaign.seeds is {found!r:.80}; give a list, or a range such as "0-99"')
        low, high = int(first), int(last)
        if not low <= high < low + RUNS_MAX:
            raise CampaignError(f"{path}: campaign.seeds is {found!r:.80}; the first comes first, at most {RUNS_MAX:,}")
        return tuple(range(low, high + 1))
    seeds = _list(path, "campaign.seeds", found)
    if not all(type(one) is int and 0 <= one < 1 << 63 for one in seeds):
        raise CampaignError(f"{path}: campaign.seeds: give whole numbers from 0 to {(1 << 63) - 1}")
    return tuple(seeds)


def _duration(path: Path, found: Any) -> float | None:
    if found is None:
        return None
    if not isinstance(found, str):
        raise CampaignError(f'{path}: campaign.duration is {found!r:.80}; give a time with its unit, such as "20s"')
    return parse_time(found, f"{path}: campaign.duration")
