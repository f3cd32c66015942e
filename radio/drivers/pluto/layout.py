"""The devices, channels and attributes of a Pluto, and the ranges that one kind of unit can be set to."""

from dataclasses import dataclass
from typing import Final, Protocol

from hw_profiles.profile import RadioProfile
from radio.errors import SettingRefused
from radio.ports import RxSettings, TxSettings

PHY: Final = "ad9361-phy"
ADC: Final = "cf-ad9361-lpc"
DAC: Final = "cf-ad9361-dds-core-lpc"
SILENT_DB: Final = -89.75
DDS: Final = ("altvoltage0", "altvoltage1", "altvoltage2", "altvoltage3")
STATUS_REGISTER: Final = 0x80000088
OVERFLOW: Final = 4
DAC_FULL_SCALE: Final = 16_384
ADC_FULL_SCALE: Final = 2048
MUTE_TIMEOUT_MS: Final = 400
KERNEL_BUFFERS: Final = 4
MUTE_STEPS: Final = ("tx_attenuation_max", "tx_lo_powerdown", "tx_buffer_close", "dds_zero")
LEAST_RATE_HZ: Final = 521_000
"""Lowest sample rate, Hz: below it a Pluto needs its divider by eight, which this driver leaves off."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute, by names that every firmware uses; without a channel it is the device's own."""

    device: str
    channel: str
    output: bool
    name: str
    debug: bool = False

    def __str__(self) -> str:
        """Format the attribute for messages."""
        return "/".join(part for part in (self.device, self.channel, self.name) if part)


ATTENUATION: Final = Attribute(PHY, "voltage0", True, "hardwaregain")
POWERDOWN: Final = Attribute(PHY, "altvoltage1", True, "powerdown")
DDS_RAW: Final = tuple(Attribute(DAC, channel, True, "raw") for channel in DDS)
DDS_SCALE: Final = tuple(Attribute(DAC, channel, True, "scale") for channel in DDS)
HEARTBEAT: Final = Attribute(DAC, "altvoltage3", True, "phase")
ECHO: Final = Attribute(DAC, "altvoltage2", True, "phase")
MUTE: Final = (ATTENUATION, POWERDOWN, *DDS_RAW, *DDS_SCALE)
"""Every attribute that muting needs; a firmware that lacks one cannot be muted and is refused."""

TX_LO: Final = Attribute(PHY, "altvoltage1", True, "frequency")
TX_BAND: Final = Attribute(PHY, "voltage0", True, "rf_bandwidth")
TX_RATE: Final = Attribute(PHY, "voltage0", True, "sampling_frequency")
TX_PORT: Final = Attribute(PHY, "voltage0", True, "rf_port_select")
TX_EXTERNAL: Final = Attribute(PHY, "altvoltage1", True, "external")
TX_PROFILE: Final = Attribute(PHY, "altvoltage1", True, "fastlock_recall")
DAC_RATE: Final = Attribute(DAC, "voltage0", True, "sampling_frequency")
DAC_SCALES: Final = (Attribute(DAC, "voltage0", True, "calibscale"), Attribute(DAC, "voltage1", True, "calibscale"))
RX_LO: Final = Attribute(PHY, "altvoltage0", True, "frequency")
RX_DOWN: Final = Attribute(PHY, "altvoltage0", True, "powerdown")
RX_EXTERNAL: Final = Attribute(PHY, "altvoltage0", True, "external")
RX_PROFILE: Final = Attribute(PHY, "altvoltage0", True, "fastlock_recall")
RX_GAIN: Final = Attribute(PHY, "voltage0", False, "hardwaregain")
RX_GAINS: Final = Attribute(PHY, "voltage0", False, "hardwaregain_available")
RX_MODE: Final = Attribute(PHY, "voltage0", False, "gain_control_mode")
RX_BAND: Final = Attribute(PHY, "voltage0", False, "rf_bandwidth")
RX_RATE: Final = Attribute(PHY, "voltage0", False, "sampling_frequency")
RX_PORT: Final = Attribute(PHY, "voltage0", False, "rf_port_select")
RX_TRACKING: Final = tuple(
    Attribute(PHY, "voltage0", False, name)
    for name in ("quadrature_tracking_en", "rf_dc_offset_tracking_en", "bb_dc_offset_tracking_en")
)
ADC_RATE: Final = Attribute(ADC, "voltage0", False, "sampling_frequency")
ADC_SCALES: Final = (Attribute(ADC, "voltage0", False, "calibscale"), Attribute(ADC, "voltage1", False, "calibscale"))
STATE: Final = Attribute(PHY, "", False, "ensm_mode")
CALIBRATION: Final = Attribute(PHY, "", False, "calib_mode")
CRYSTAL: Final = Attribute(PHY, "", False, "xo_correction")
FILTER: Final = Attribute(PHY, "", False, "filter_fir_config")
FILTER_ON: Final = Attribute(PHY, "out", False, "voltage_filter_fir_en")
LOOPBACK: Final = Attribute(PHY, "", False, "loopback", debug=True)
TEST_TONE: Final = Attribute(PHY, "", False, "bist_tone", debug=True)
TEST_NOISE: Final = Attribute(PHY, "", False, "bist_prbs", debug=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlutoOptions:
    """Limits and firmware options of the driver for one kind of unit.

    `burst_samples`: the longest burst. `overflow_register`: whether this firmware's is to be believed.
    `kernel_buffers`: how many the device's kernel queues in each direction.
    """

    timeout_ms: int = 1000
    mute_timeout_ms: int = MUTE_TIMEOUT_MS
    burst_samples: int = 262_144
    block_samples_max: int = 4_194_304
    overflow_register: bool = True
    kernel_buffers: int = KERNEL_BUFFERS

    @classmethod
    def of(cls, profile: RadioProfile, *, burst_samples: int) -> "PlutoOptions":
        """The options from this unit's profile; raises SettingRefused for a profile that is muted in another way."""
        if tuple(profile.mute.steps) != MUTE_STEPS or not profile.mute.readback:
            raise SettingRefused(
                f"profile {profile.id}: this driver mutes by {', '.join(MUTE_STEPS)}, with readback; say so in [mute]"
            )
        return cls(
            timeout_ms=profile.connection.timeout_ms,
            burst_samples=burst_samples,
            block_samples_max=profile.stream.max_block,
            kernel_buffers=profile.stream.kernel_buffers,
        )


class Outside(Protocol):
    """Why a setting is outside the range; printed as one line."""

    def __str__(self) -> str:
        """Return the line."""
        ...


class Ranges(Protocol):
    """The ranges that a unit may be set to: `hw_profiles` has them for every kind of radio."""

    def check_rx(self, *, center_hz: int, sample_rate_hz: int, bandwidth_hz: int, gain_db: float) -> Outside | None:
        """Return why a receive setting is refused, None if it is not."""
        ...

    def check_tx(
        self, *, center_hz: int, sample_rate_hz: int, bandwidth_hz: int, attenuation_db: float
    ) -> Outside | None:
        """Return why a transmit setting is refused, None if it is not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipRanges:
    """The ranges of one chip's data sheet, not what the device advertises. Default: AD9363, the stock Pluto's."""

    lo_hz: tuple[int, int] = (325_000_000, 3_800_000_000)
    bandwidth_hz: tuple[int, int] = (200_000, 20_000_000)
    rate_hz: tuple[int, int] = (LEAST_RATE_HZ, 61_440_000)
    gain_db: tuple[float, float] = (0, 71)
    attenuation_db: tuple[float, float] = (0, 89.75)

    def check_rx(self, *, center_hz: int, sample_rate_hz: int, bandwidth_hz: int, gain_db: float) -> str | None:
        """Return why a receive setting is refused, None if it is not."""
        return self._outside(center_hz, sample_rate_hz, bandwidth_hz) or _beyond(
            "gain_mdb", gain_db * 1000, (self.gain_db[0] * 1000, self.gain_db[1] * 1000)
        )

    def check_tx(self, *, center_hz: int, sample_rate_hz: int, bandwidth_hz: int, attenuation_db: float) -> str | None:
        """Return why a transmit setting is refused, None if it is not."""
        low, high = self.attenuation_db
        return self._outside(center_hz, sample_rate_hz, bandwidth_hz) or _beyond(
            "attenuation_mdb", attenuation_db * 1000, (low * 1000, high * 1000)
        )

    def _outside(self, center_hz: int, sample_rate_hz: int, bandwidth_hz: int) -> str | None:
        return (
            _beyond("center_hz", center_hz, self.lo_hz)
            or _beyond("sample_rate_hz", sample_rate_hz, self.rate_hz)
            or _beyond("bandwidth_hz", bandwidth_hz, self.bandwidth_hz)
        )


def _beyond(name: str, value: float, limits: tuple[float, float]) -> str | None:
    if limits[0] <= value <= limits[1]:
        return None
    return f"{name} {value:.12g} is outside {limits[0]:.12g} to {limits[1]:.12g}; choose a value inside"


def _refuse_slow(sample_rate_hz: int) -> None:
    if 0 < sample_rate_hz < LEAST_RATE_HZ:
        raise SettingRefused(
            f"sample_rate_hz {sample_rate_hz} is below {LEAST_RATE_HZ}, the least without the device's divider by "
            "eight; choose that or more"
        )


def on_rx_steps(settings: RxSettings, ranges: Ranges) -> RxSettings:
    """A receive setting as the device can hold it, gain in whole dB; raises SettingRefused out of range."""
    _refuse_slow(settings.sample_rate_hz)
    gain_db = round(settings.gain_mdb / 1000)
    refused = ranges.check_rx(
        center_hz=settings.center_hz,
        sample_rate_hz=settings.sample_rate_hz,
        bandwidth_hz=settings.bandwidth_hz,
        gain_db=gain_db if settings.gain_mdb >= 0 else settings.gain_mdb / 1000,
    )
    if refused is not None:
        raise SettingRefused(str(refused))
    return RxSettings(
        center_hz=settings.center_hz,
        sample_rate_hz=settings.sample_rate_hz,
        bandwidth_hz=settings.bandwidth_hz,
        gain_mdb=gain_db * 1000,
    )


def on_tx_steps(settings: TxSettings, ranges: Ranges) -> TxSettings:
    """A transmit setting as the device can hold it, attenuation in 0.25 dB steps; raises SettingRefused outside."""
    _refuse_slow(settings.sample_rate_hz)
    refused = ranges.check_tx(
        center_hz=settings.center_hz,
        sample_rate_hz=settings.sample_rate_hz,
        bandwidth_hz=settings.bandwidth_hz,
        attenuation_db=settings.attenuation_mdb / 1000,
    )
    if refused is not None:
        raise SettingRefused(str(refused))
    return TxSettings(
        center_hz=settings.center_hz,
        sample_rate_hz=settings.sample_rate_hz,
        bandwidth_hz=settings.bandwidth_hz,
        attenuation_mdb=round(settings.attenuation_mdb / 250) * 250,
    )
