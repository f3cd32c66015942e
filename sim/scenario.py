"""Scenario files: stations with radios and clocks, other emitters, and the trial's own table."""

import tomllib
from collections import Counter
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from hw_profiles.smallfile import read_small_text
from hw_profiles.tomltext import read_toml
from radio.errors import LocalError, SourceError
from radio.ports import RxSettings
from settlement.core.scriptedclock import HOLDOVER_PPB, Jump, Outage, SimClock
from sim.checked import BadValue, checked
from sim.device import Device, OutOfLimits
from sim.emitters import waveform
from sim.stations import STRICT, AirConfig, Dbm, Emitter, Hardware, Lat, Lon, Name, Station

DEFAULT = "neighbours"

Role: TypeAlias = Literal["holder", "user", "attacker", "authority", "witness", "observer"]


class ScenarioError(LocalError):
    """A scenario that cannot be used: one line with the file, the key and the mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AirSpec:
    """`[air]`: the path-loss model and the default seed."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    reference_m: Annotated[float, Field(gt=0)] = 100.0
    exponent: Annotated[float, Field(ge=1, le=8)] = 2.8
    seed: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioSpec:
    """`[radio]`: how every node's receiver is set at the start."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    center_hz: Annotated[int, Field(gt=0)] = 3_560_000_000
    sample_rate_hz: Annotated[int, Field(gt=0)] = 30_720_000
    bandwidth_hz: Annotated[int, Field(gt=0)] = 20_000_000
    gain_mdb: int = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSpec:
    """A node's clock; see `settlement.core.scriptedclock.SimClock`."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    error_ns: int = 0
    bound_ns: Annotated[int, Field(ge=0)] = 1_000
    drift_ppb: int = 0
    holdover_ppb: Annotated[int, Field(ge=0)] = HOLDOVER_PPB
    outages: tuple[Outage, ...] = ()
    jumps: tuple[Jump, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioNode:
    """One of `[[nodes]]`. `tx_max_dbm` is the conducted power of a full-scale carrier at no attenuation."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: Name
    role: Role
    lat_deg: Lat
    lon_deg: Lon
    antenna_gain_dbi: Annotated[float, Field(ge=-40, le=60)] = 0.0
    noise_figure_db: Annotated[float, Field(ge=0, le=60)] = 6.0
    tx_max_dbm: Dbm = 20.0
    isolation_db: Annotated[float, Field(ge=0)] = 60.0
    lo_leakage_db: Annotated[float, Field(le=0)] = -50.0
    clock: ClockSpec = field(default_factory=ClockSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario file. `about` is a paragraph on its content; `trial` is passed on unchanged."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    nodes: Annotated[tuple[ScenarioNode, ...], Field(min_length=1)]
    air: AirSpec = field(default_factory=AirSpec)
    radio: RadioSpec = field(default_factory=RadioSpec)
    emitters: tuple[Emitter, ...] = ()
    name: str = ""
    about: str = ""
    trial: dict[str, Any] = field(default_factory=dict)

    def node(self, name: str) -> ScenarioNode:
        """The node of that name; raises ScenarioError without it."""
        for one in self.nodes:
            if one.name == name:
                return one
        raise ScenarioError(f"no node named {name}; there are {', '.join(one.name for one in self.nodes)}")

    def first(self, role: Role) -> ScenarioNode:
        """The first node of a role; raises ScenarioError without one."""
        for one in self.nodes:
            if one.role == role:
                return one
        raise ScenarioError(f"no node has the role {role}; give one of [[nodes]] this role")

    def rx_settings(self) -> RxSettings:
        """Initial settings of the receivers."""
        chosen = self.radio
        return RxSettings(
            center_hz=chosen.center_hz,
            sample_rate_hz=chosen.sample_rate_hz,
            bandwidth_hz=chosen.bandwidth_hz,
            gain_mdb=chosen.gain_mdb,
        )

    def air_config(self, *, seed: int | None = None, zero_ns: int = 0) -> AirConfig:
        """The air of one run, whose second 0 is at monotonic `zero_ns`."""
        return AirConfig(
            stations=tuple(_station(number, node) for number, node in enumerate(self.nodes)),
            emitters=self.emitters,
            reference_m=self.air.reference_m,
            exponent=self.air.exponent,
            seed=self.air.seed if seed is None else seed,
            zero_ns=zero_ns,
        )

    def clock(self, name: str, *, utc_at_zero_ns: int, zero_ns: int) -> SimClock:
        """A node's clock in a run whose second 0 is at monotonic `zero_ns` and at that UTC."""
        spec = self.node(name).clock
        return SimClock(
            utc_at_zero_ns=utc_at_zero_ns,
            zero_ns=zero_ns,
            error_ns=spec.error_ns,
            bound_ns=spec.bound_ns,
            drift_ppb=spec.drift_ppb,
            holdover_ppb=spec.holdover_ppb,
            outages=spec.outages,
            jumps=spec.jumps,
        )

    def with_emitter(self, emitter: Emitter) -> "Scenario":
        """The scenario with one more emitter; raises ScenarioError where it cannot be rendered."""
        more = replace(self, emitters=(*self.emitters, emitter))
        _check(more, "the scenario")
        return more


def _station(number: int, node: ScenarioNode) -> Station:
    hardware = Hardware(
        serial=f"SIM-{number + 1:04d}",
        noise_figure_db=node.noise_figure_db,
        tx_full_dbm=node.tx_max_dbm,
        isolation_db=node.isolation_db,
        lo_leakage_db=node.lo_leakage_db,
    )
    return Station(
        name=node.name,
        lat_deg=node.lat_deg,
        lon_deg=node.lon_deg,
        antenna_gain_dbi=node.antenna_gain_dbi,
        hardware=hardware,
    )


def names() -> list[str]:
    """Names of the package's scenarios."""
    here = resources.files("sim") / "scenarios"
    return sorted(one.name.removesuffix(".toml") for one in here.iterdir() if one.name.endswith(".toml"))


def load(name_or_path: str = DEFAULT) -> Scenario:
    """Read a scenario by its name or from a file; raises ScenarioError.

    A recording's path counts from the scenario file's own folder.
    """
    if name_or_path in names():
        path = Path(str(resources.files("sim") / "scenarios" / f"{name_or_path}.toml"))
    else:
        path = Path(name_or_path)
    try:
        data = read_toml(read_small_text(path))
    except FileNotFoundError as exc:
        raise ScenarioError(f"{path}: no such scenario; give a .toml file or one of {', '.join(names())}") from exc
    except OSError as exc:
        raise ScenarioError(f"{path}: cannot be read ({exc.strerror}); give a readable .toml file") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ScenarioError(f"{path}: not valid TOML ({exc}); mend it there") from exc
    found = parse(data, where=str(path), folder=path.parent)
    return found if found.name else replace(found, name=path.stem)


def parse(data: dict[str, Any], *, where: str, folder: Path) -> Scenario:
    """Parse scenario data; `where` names its source in errors. Raises ScenarioError."""
    try:
        found = checked(Scenario, data)
    except BadValue as exc:
        raise ScenarioError(f"{where}: {exc}") from exc
    found = replace(found, emitters=tuple(_rooted(one, folder) for one in found.emitters))
    _check(found, where)
    return found


def _rooted(emitter: Emitter, folder: Path) -> Emitter:
    """The emitter with its recording's path made absolute."""
    path = emitter.params.get("path")
    if emitter.kind != "recording" or not isinstance(path, str):
        return emitter
    return replace(emitter, params={**emitter.params, "path": str((folder / path).absolute())})


def _check(scenario: Scenario, where: str) -> None:
    """Refuse what types cannot: repeated names, emitters that stop before they start or cannot be rendered."""
    for kind, parts in (("nodes", scenario.nodes), ("emitters", scenario.emitters)):
        for name, count in Counter(one.name for one in parts).items():
            if count > 1:
                raise ScenarioError(f"{where}: {kind}: name {name} is used {count} times; give each its own")
    held = Device(_station(0, scenario.nodes[0]), now_ns=0).tune_rx(scenario.rx_settings(), now_ns=0)
    if isinstance(held, OutOfLimits):
        raise ScenarioError(f"{where}: radio.{held.message}")
    for number, emitter in enumerate(scenario.emitters):
        if emitter.stop_s is not None and emitter.stop_s <= emitter.start_s:
            raise ScenarioError(f"{where}: emitters[{number}].stop_s: not after start_s; make it later")
        try:
            waveform(emitter, seed=scenario.air.seed)
        except SourceError as exc:
            raise ScenarioError(f"{where}: emitters[{number}].params: {exc}") from exc
