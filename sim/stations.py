"""Data of an air: stations with radios, static emitters, and the air's settings.

These are data only; they cross process boundaries as plain JSON and are checked when they are read.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from radio.propagation import Position, Propagation

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Lat: TypeAlias = Annotated[float, Field(ge=-80, le=80)]
Lon: TypeAlias = Annotated[float, Field(ge=-180, le=180)]
Hertz: TypeAlias = Annotated[int, Field(gt=0, le=300_000_000_000)]
Dbm: TypeAlias = Annotated[float, Field(ge=-200, le=120)]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLimits:
    """Inclusive limits of a setting and the step it moves in, in the setting's own integer unit."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    low: int
    high: int
    step: Annotated[int, Field(gt=0)] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One simulated radio: its ranges and imperfections.

    `rx_full_scale_dbm` is the carrier at the antenna port that just fills the ADC at 0 dB gain; `tx_full_dbm` the
    conducted power of a carrier of `tx_full_scale` amplitude at 0 dB attenuation. Samples beyond it are clipped.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    serial: str = "SIM-0000"
    lo_hz: SettingLimits = field(default_factory=lambda: SettingLimits(low=70_000_000, high=6_000_000_000))
    rate_hz: SettingLimits = field(default_factory=lambda: SettingLimits(low=520_834, high=61_440_000))
    bandwidth_hz: SettingLimits = field(default_factory=lambda: SettingLimits(low=200_000, high=56_000_000))
    rx_gain_mdb: SettingLimits = field(default_factory=lambda: SettingLimits(low=0, high=71_000, step=1000))
    attenuation_mdb: SettingLimits = field(default_factory=lambda: SettingLimits(low=0, high=89_750, step=250))
    block_samples: SettingLimits = field(default_factory=lambda: SettingLimits(low=1, high=16_777_216))
    adc_bits: Annotated[int, Field(ge=4, le=16)] = 12
    rx_full_scale_dbm: Dbm = 0.0
    noise_figure_db: Annotated[float, Field(ge=0, le=60)] = 6.0
    dc_offset_dbfs: Annotated[float, Field(le=0)] = -60.0
    iq_image_db: Annotated[float, Field(le=0)] = -45.0
    tx_full_scale: Annotated[int, Field(ge=16, le=32767)] = 16384
    tx_full_dbm: Dbm = 20.0
    lo_leakage_db: Annotated[float, Field(le=0)] = -50.0
    isolation_db: Annotated[float, Field(ge=0)] = 50.0

    @property
    def rx_full_scale(self) -> int:
        """The ADC's full scale in codes: one more than its highest."""
        return 1 << (self.adc_bits - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A position with an antenna and a radio."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: Name
    lat_deg: Lat
    lon_deg: Lon
    antenna_gain_dbi: Annotated[float, Field(ge=-40, le=60)] = 0.0
    hardware: Hardware = field(default_factory=Hardware)

    @property
    def position(self) -> Position:
        """Where the antenna is."""
        return Position(lat_deg=self.lat_deg, lon_deg=self.lon_deg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitter:
    """A transmitter that follows no settlement: on from `start_s` until `stop_s` of the air's own time.

    `eirp_dbm` is the peak for radar and the mean while on for everything else. `params` are the generator's own.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: Name
    kind: Literal["radar", "recording", "ofdm", "wifi", "fm", "hopping"]
    lat_deg: Lat
    lon_deg: Lon
    eirp_dbm: Dbm
    center_hz: Hertz
    start_s: Annotated[float, Field(ge=0)] = 0.0
    stop_s: Annotated[float, Field(gt=0)] | None = None
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        """Where the antenna is."""
        return Position(lat_deg=self.lat_deg, lon_deg=self.lon_deg)


@dataclass(frozen=True, slots=True, kw_only=True)
class AirConfig:
    """A whole air. `zero_ns` is the monotonic time of second 0 of emitters and noise."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    stations: tuple[Station, ...]
    emitters: tuple[Emitter, ...] = ()
    reference_m: Annotated[float, Field(gt=0)] = 100.0
    exponent: Annotated[float, Field(ge=1, le=8)] = 2.8
    seed: Annotated[int, Field(ge=0)] = 0
    zero_ns: Annotated[int, Field(ge=0)] = 0

    @property
    def propagation(self) -> Propagation:
        """The path-loss model."""
        return Propagation(reference_m=self.reference_m, exponent=self.exponent)
