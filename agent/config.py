"""A node's configuration: one TOML file, every key checked, errors that name the file and the key.

Values come from the file, then from the environment (BANDPACT_…, nested keys joined by __).
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from sim.clock import SimClock


class ConfigError(Exception):
    """The configuration cannot be used; one line that names the file, the key and the mend."""


def _clock(value: Any) -> Any:
    """Read the clock's table by its own strict rules."""
    return TypeAdapter(SimClock).validate_json(json.dumps(value)) if isinstance(value, dict) else value


class Section(BaseModel):
    """A table of the file; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Peer(Section):
    """A neighbour: where it listens, and the file with its credential chain."""

    name: str
    endpoint: str
    chain: Path


class RadioSection(Section):
    """The radio and how it is set."""

    driver: Literal["sim"] = "sim"
    endpoint: str
    station: str
    rx_center_hz: int
    sample_rate_hz: int
    rx_bandwidth_hz: int
    rx_gain_mdb: int = 30_000
    adc_full_scale: int = 2048
    tx_full_scale: int = 16384
    full_scale_eirp_mdbm: int = 20_000
    full_scale_sd_mdb: int = Field(default=0, ge=0)
    attenuation_mdb: int = 0
    profile: str = "simulated"
    limits: str | None = None
    close_lead_us: int = 15_000
    arm_for_s: float = Field(default=0.0, ge=0, le=86_400)
    frame_us: int = 20_000
    burst_us: int = 2_000
    look_offset_us: int = 9_000
    look_us: int = 2_250
    look_every: int = Field(default=1, ge=1)


class PlaceSection(Section):
    """Where the antenna is, as surveyed or simulated."""

    lat_e7: int
    lon_e7: int
    radius_mm: int = 1_000
    source: Literal["surveyed", "simulated"] = "simulated"


class ChannelSection(Section):
    """A channel to sense."""

    low_hz: int
    high_hz: int


class OfferSection(Section):
    """What a holder offers once it has sensed that the band is free."""

    low_hz: int
    high_hz: int
    commodity: str
    price: int = 0
    max_eirp_mdbm: int
    after_s: float = 0.0
    for_s: float


class WantSection(Section):
    """What a user asks for: bands in order of preference, times in seconds of the start signal."""

    bands_hz: list[tuple[int, int]]
    ask_s: float
    start_s: float
    end_s: float
    eirp_mdbm: int


class NodeConfig(BaseSettings):
    """Everything one node needs to run."""

    model_config = SettingsConfigDict(env_prefix="BANDPACT_", env_nested_delimiter="__", extra="forbid", frozen=True)

    name: str
    role: Literal["holder", "user", "attacker"]
    network: str
    listen: str
    folder: Path
    run_folder: Path
    anchors: list[str]
    rule: Path
    area_radius_mm: int
    heartbeat_limit_ms: int = 200
    protect_s: float = 5.0
    start_file: Path | None = None
    radio: RadioSection
    place: PlaceSection
    clock: Annotated[SimClock, BeforeValidator(_clock)]
    channels: list[ChannelSection]
    peers: list[Peer] = []
    offers: list[OfferSection] = []
    wants: list[WantSection] = []

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; no secrets from either."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(path: Path) -> NodeConfig:
    """Read a node's configuration. Raises ConfigError."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; give a node's TOML configuration")

    class FromFile(NodeConfig):
        model_config = SettingsConfigDict(**{**NodeConfig.model_config, "toml_file": path})

    nothing: dict[str, Any] = {}
    try:
        return FromFile(**nothing)
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {key}: {first['msg']}; mend this key") from exc
    except ValueError as exc:
        raise ConfigError(f"{path}: {exc}; the file must be TOML") from exc
