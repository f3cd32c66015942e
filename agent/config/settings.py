"""A node's configuration: one TOML file, every key checked, errors that name the file and the key.

Values come from the file, then from the environment (BANDPACT_…, nested keys joined by __).

Long because every key of a node's file is found in one place, and beside it how the file is read.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import tomli_w
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from agent.config.auctions import AuctionSection, BidSection
from agent.config.cbrs import CalendarSection, CbsdSection, SasSection
from agent.config.hands import LeasesSection
from agent.config.samples import SamplesSection
from agent.config.section import Section
from agent.timekeeping.registry import CLOCKS
from agent.timekeeping.section import ClockSourceSection
from hw_profiles.misfit import first_misfit
from hw_profiles.smallfile import read_small_text
from hw_profiles.switch import Switch
from hw_profiles.tomltext import read_toml
from radio.drivers.registry import DRIVERS
from radio.drivers.section import RadioSection

PREFIX = "BANDPACT_"
"""What an environment variable that sets a value begins with."""


class ConfigError(Exception):
    """The configuration cannot be used; one line that names the file, the key and the mend."""


class Peer(Section):
    """A neighbour: where it listens, and the file with its credential chain."""

    name: str
    endpoint: str
    chain: Path


def _driver_of(value: Any) -> str:
    """The driver that a radio's table names; the simulated one where it names none."""
    return str(value.get("driver", "sim") if isinstance(value, dict) else getattr(value, "driver", ""))


if TYPE_CHECKING:
    AnyRadio = RadioSection
else:
    AnyRadio = Annotated[
        Union[tuple(Annotated[section, Tag(name)] for name, section in DRIVERS.items())],  # noqa: UP007
        Discriminator(
            _driver_of,
            custom_error_type="driver",
            custom_error_message=f"no such driver; there are {', '.join(DRIVERS)}",
        ),
    ]
"""The table of any driver, checked by its own keys."""


class PlaceSection(Section):
    """Where the antenna is: surveyed, simulated, or wherever the GPS receiver says (`source = "gps"`)."""

    lat_e7: int = 0
    lon_e7: int = 0
    radius_mm: int = 1_000
    source: Literal["surveyed", "simulated", "gps"] = "simulated"
    budget_mm: int = Field(default=50_000, gt=0)
    speed_mm_per_s: int = Field(default=0, ge=0)


if TYPE_CHECKING:
    ClockSource = ClockSourceSection
else:
    ClockSource = Annotated[Union[tuple(CLOCKS.values())], Field(discriminator="kind")]  # noqa: UP007
"""The table of any kind of clock source, checked by its own keys."""


class ClockSection(Section):
    """What the node's clock is held to, and whom it listens to. Without `drift_ppb` the radio profile's holds.

    `system_clock_within_s`: so far may a real radio's sources be from the host's clock; beyond, neither is trusted.
    """

    budget_us: float = Field(default=1_000.0, gt=0)
    drift_ppb: int | None = Field(default=None, ge=0, le=10**9)
    agree_s: float = Field(default=10.0, ge=0)
    stale_s: float = Field(default=3.0, gt=0)
    holdover_s: float = Field(default=600.0, gt=0)
    need: int = Field(default=1, ge=1)
    system_clock_within_s: float = Field(default=1.0, gt=0, le=1e9)
    sources: list[ClockSource] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> "ClockSection":
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("two sources have one name; give each its own `name`")
        if self.need > len(names):
            raise ValueError(f"need = {self.need} with {len(names)} source(s); it can never be trusted")
        able = [source.name for source in self.sources if source.best_us <= self.budget_us]
        if len(able) < self.need:
            best = "; ".join(f"{source.name} bounds it to {source.best_us:g} us at best" for source in self.sources)
            said = f"budget_us = {self.budget_us:g} can never be met ({best})"
            raise ValueError(f"{said}: raise budget_us, or use a better source (chrony, gpsd with PPS)")
        return self


class ChannelSection(Section):
    """A channel to sense."""

    low_hz: int
    high_hz: int


class OfferSection(Section):
    """What a holder offers once it has sensed that the band is free.

    `price_form` says what the price follows: `price` (fixed), bargaining from there down to `least` (negotiated), the
    rule's tariff (parametric), the median of what this node's settlements cost (discovered), or `curve` (dynamic):
    prices from seconds after the offer on. With a `unit` it is an amount of something that nothing senses, such as the
    bit/s of a `link` between two places (degrees x 1e7), `corridor_mm` to each side of the line between them.
    """

    low_hz: int
    high_hz: int
    unit: str | None = Field(default=None, max_length=16)
    link: tuple[tuple[int, int], tuple[int, int]] | None = None
    corridor_mm: int | None = Field(default=None, ge=1)
    commodity: str
    price: int = 0
    price_form: Literal["fixed", "negotiated", "parametric", "discovered", "dynamic"] = "fixed"
    least: int | None = Field(default=None, ge=0)
    curve: tuple[tuple[float, int], ...] = ()
    max_eirp_mdbm: int
    after_s: float = 0.0
    for_s: float
    reactive: Switch = False
    """Offered only in answer to an intent."""

    @model_validator(mode="after")
    def _linked(self) -> "OfferSection":
        if (self.link is None) != (self.corridor_mm is None):
            raise ValueError("link and corridor_mm go together")
        if self.link is not None and self.unit is None:
            raise ValueError("unit is missing; a link is offered in a unit such as bit/s")
        return self


class WantSection(Section):
    """What a user asks for: bands in order of preference, the first that is granted.

    Either from `start_s` to `end_s`, in seconds of the start signal, or for so long (`for_s`) once it is offered. A
    `partial` one, which has a start and an end, may be filled by several holders, each with a part of its first band.
    `bid` is what it offers at first where the price is bargained over, `price_max` the most that it may cost. With
    `handed` only what another hands on to this node of its own lease will do.
    """

    bands_hz: list[tuple[int, int]]
    ask_s: float = 0.0
    start_s: float | None = None
    end_s: float | None = None
    for_s: float | None = Field(default=None, gt=0)
    eirp_mdbm: int
    partial: Switch = False
    bid: int | None = Field(default=None, ge=0)
    price_max: int | None = Field(default=None, ge=0)
    emergency: Switch = False
    handed: Switch = False
    fallback: int | None = Field(default=None, ge=0, le=255)
    """Number of the class's fallback that is to bind the holder; none if left out."""

    @model_validator(mode="after")
    def _timed(self) -> "WantSection":
        set_out = self.start_s is not None and self.end_s is not None
        if set_out == (self.for_s is not None):
            raise ValueError("give start_s and end_s, or for_s")
        if self.partial and not set_out:
            raise ValueError("a partial want needs start_s and end_s")
        return self


class MeshSection(Section):
    """What the mesh takes from one neighbour, and whether it says and hears on the local network who is where."""

    discover: Switch = False
    messages_per_s: int = Field(default=1000, ge=1)
    messages_burst: int = Field(default=2000, ge=1)
    bytes_per_s: int = Field(default=4 << 20, ge=1024)
    bytes_burst: int = Field(default=8 << 20, ge=256 << 10)
    queue_messages: int = Field(default=32, ge=1)
    unread_bytes: int = Field(default=2 << 20, ge=256 << 10)
    unread_bytes_total: int = Field(default=64 << 20, ge=1 << 20)
    connections: int = Field(default=512, ge=2)


class SharesSection(Section):
    """What one neighbour may cost this node beyond its settlements, and how much of the disk the node may fill."""

    work_ms_per_s: int = Field(default=250, ge=1, le=1000)
    work_burst_ms: int = Field(default=1000, ge=10, le=4000)
    log_bytes_per_s: int = Field(default=64 << 10, ge=1024)
    log_burst_bytes: int = Field(default=8 << 20, ge=64 << 10)
    disk_bytes: int = Field(default=32 << 30, ge=64 << 20)


class WardenSection(Section):
    """Where the warden runs. `apart`: as a service under a user of its own, which alone reaches the radio.

    `state` is the folder in which it keeps the rules it has seen; the node's own folder if left out.
    """

    apart: Switch = False
    state: Path | None = None


class StockWitnessSection(Section):
    """A witness over HTTP (C2SP tlog-witness) that this node asks: the name the rule has for it, and its address."""

    name: str
    url: str = Field(pattern=r"^https?://[^\s]+$")


class DoorSection(Section):
    """Where the trial's coordinator asks how this node is, and by which transport key it is known (hexadecimal)."""

    listen: str
    coordinator: str = Field(pattern="^[0-9a-f]{64}$")


class NodeConfig(Section):
    """Everything one node needs to run."""

    name: str
    role: Literal["holder", "user"]
    network: str
    listen: str
    folder: Path
    run_folder: Path
    anchors: list[str]
    rule: Path
    area_radius_mm: int
    heartbeat_limit_ms: int = 200
    protect_s: float = Field(default=5.0, gt=0, le=3600)
    start_file: Path | None = None
    radio: AnyRadio
    place: PlaceSection
    clock: ClockSection
    channels: list[ChannelSection]
    incumbent_bands: list[ChannelSection] | None = None
    """Where a radar can be: elsewhere a train of pulses is reported and closes nothing. None: it can be anywhere."""
    mesh: MeshSection = MeshSection()
    shares: SharesSection = SharesSection()
    warden: WardenSection = WardenSection()
    samples: SamplesSection = SamplesSection()
    authorities: list[Path] = Field(default=[], max_length=32)
    """Files with credential chains of authorities below the root, beside those in neighbours' chains: their rulings,
    lists and rules count here."""
    peers: list[Peer] = Field(default=[])
    stock_witnesses: list[StockWitnessSection] = Field(default=[])
    sas: SasSection | None = None
    cbsd: CbsdSection | None = None
    calendar: CalendarSection | None = None
    door: DoorSection | None = None
    words: Path | None = None
    """A folder of what the authority signed, such as a status list, that the node takes in each time it starts."""
    directories: list[str] = Field(default=[], max_length=8)
    """Addresses of directories, as http://127.0.0.1:8470: asked for what others offer or look for, told of ours."""
    offers: list[OfferSection] = Field(default=[])
    wants: list[WantSection] = Field(default=[])
    leases: LeasesSection = LeasesSection()
    auctions: list[AuctionSection] = Field(default=[])
    bids: list[BidSection] = Field(default=[])


def load(path: Path) -> NodeConfig:
    """Read a node's configuration from its folder or file, and the environment. Raises ConfigError."""
    path = path / "node.toml" if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; give a node's folder or its node.toml")
    return load_layers([path])


def load_layers(paths: Sequence[Path]) -> NodeConfig:
    """Read a node's configuration: the environment before the files, each file before the next. Raises ConfigError."""
    tables = [read_table(path) for path in paths]
    try:
        if any(name.upper().startswith(PREFIX) for name in os.environ):
            return _with_environment(tables)
        return NodeConfig.model_validate(layered(tables))
    except ValidationError as exc:
        first = first_misfit(exc)
        raise ConfigError(f"{_where(paths, _keys(first.loc))}: {first.said}; mend this key") from exc


def _with_environment(tables: Sequence[dict[str, Any]]) -> NodeConfig:
    from agent.config.environment import BadVariable, with_environment

    try:
        return with_environment(NodeConfig, tables, PREFIX)
    except BadVariable as exc:
        raise ConfigError(f"environment: {exc}; mend the {PREFIX} variable") from exc


def layered(tables: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Merge tables: a value of an earlier table takes precedence, nested tables are merged in the same way."""
    made: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            here = made.get(key)
            if key not in made:
                made[key] = value
            elif isinstance(here, dict) and isinstance(value, dict):
                made[key] = layered([here, value])
    return made


def write_effective(config: NodeConfig, path: Path) -> Path:
    """Write every value in force as one TOML file, readable by its owner only. Raises ConfigError."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.touch(mode=0o600)
        fresh.write_text(tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
        fresh.replace(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; the run folder must be writable") from exc
    return path


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises ConfigError, which names file and line."""
    try:
        return read_toml(read_small_text(path))
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; give a file that can be read") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path}: {exc}; the file must be TOML") from exc


def _keys(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return an error's place in the file, without the driver name by which a radio's table is checked."""
    return (loc[0], *loc[2:]) if loc[:1] == ("radio",) and loc[1:2] and loc[1] in DRIVERS else loc


def _where(paths: Sequence[Path], loc: Sequence[int | str]) -> str:
    """Return file, line and key of an error: in the first file that has the key, else in the last file."""
    key = ".".join(str(part) for part in loc)
    for path in paths:
        line = line_of(read_small_text(path), loc)
        if line is not None:
            return f"{path}:{line}: {key}"
    return f"{paths[-1]}: {key}" if paths else key


def line_of(text: str, loc: Sequence[int | str]) -> int | None:
    """Return the line of a TOML text that sets a key, as far as it can be found: its own, else its table's."""
    table: tuple[str, ...] = ()
    names = [str(part) for part in loc if isinstance(part, str)]
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"\s*\[\[?([^\]]+)\]", line)
        if head:
            table = tuple(part.strip(" \"'") for part in head[1].split("."))
            found = table
        else:
            found = (*table, *(part.strip(" \"'") for part in line.partition("=")[0].split(".")))
        if found and "=" in line + ("=" if head else "") and tuple(names[: len(found)]) == found:
            best = max(best or (0, 0), (len(found), number), key=lambda pair: pair[0])
    return best[1] if best else None
