"""The simulated air as a source to sense: a receiver in virtual time, without server or waiting."""

from pathlib import Path

from radio.errors import SettingRefused
from radio.ports import RxBlock, RxFlag, RxSettings, Span
from radio.receivers import Opened
from radio.recording.metadata import RecordedPlace
from sim import receiver
from sim.air import NS, Air
from sim.device import Device, OutOfLimits
from sim.scenario import DEFAULT, Scenario, load


class SimSource:
    """A node's receiver among the scenario's emitters; blocks follow one another without a gap.

    It is tuned as the scenario says until `tune_rx` changes that. Times are the scenario's own, second 0 at 0 ns.
    """

    def __init__(
        self, scenario: Scenario, *, node: str | None = None, seed: int | None = None, start_s: float = 0
    ) -> None:
        """Receive at a node's position, the holder's if none is named.

        Raises:
            ScenarioError: there is no such node.
        """
        chosen = scenario.first("holder") if node is None else scenario.node(node)
        config = scenario.air_config(seed=seed)
        station = next(one for one in config.stations if one.name == chosen.name)
        self._air = Air(config)
        self._device = Device(station, now_ns=0)
        self._device.tune_rx(scenario.rx_settings(), now_ns=0)
        self._at = round(start_s * self.settings.sample_rate_hz)
        self._sequence = 0

    @property
    def settings(self) -> RxSettings:
        """The receiver's settings."""
        return self._device.rx

    @property
    def device_id(self) -> str:
        """Model and serial of the simulated unit."""
        return f"bandpact-sim {self._device.hardware.serial}"

    @property
    def place(self) -> RecordedPlace:
        """Exact position of the node's antenna."""
        station = self._device.station
        return RecordedPlace(lat_deg=station.lat_deg, lon_deg=station.lon_deg, radius_m=0.0)

    def pass_time(self, seconds: float) -> None:
        """Advance virtual time without receiving."""
        self._at += round(seconds * self.settings.sample_rate_hz)

    @property
    def full_scale(self) -> int:
        """The ADC's full scale."""
        return self._device.hardware.rx_full_scale

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        """Set the receiver and return what it then holds; virtual time goes on. Raises SettingRefused."""
        now_ns = self._at * NS // self.settings.sample_rate_hz
        held = self._device.tune_rx(settings, now_ns=now_ns)
        if isinstance(held, OutOfLimits):
            raise SettingRefused(f"{self._device.station.name}: {held.message}")
        self._at = -(-now_ns * held.sample_rate_hz // NS)
        return held

    def receive(self, samples: int) -> RxBlock:
        """Return the next `samples` samples at once; raises SettingRefused outside the radio's limits."""
        limits, settings = self._device.hardware.block_samples, self.settings
        if not limits.low <= samples <= limits.high:
            raise SettingRefused(f"samples {samples} is outside {limits.low} to {limits.high}; ask for fewer")
        rate = settings.sample_rate_hz
        iq = self._air.receive(
            station=self._device.station.name, settings=settings, start_ns=self._at * NS // rate, samples=samples
        )
        iq.flags.writeable = False
        start = Span(earliest_ns=self._at * NS // rate, latest_ns=-(-self._at * NS // rate))
        self._at += samples
        self._sequence += 1
        flags = RxFlag.CLIPPED if receiver.clipped(iq, self._device.hardware) else RxFlag.NONE
        return RxBlock(
            iq=iq,
            sequence=self._sequence,
            start=start,
            settings=settings,
            full_scale=self.full_scale,
            flags=flags,
        )

    def close(self) -> None:
        """Do nothing: no resource is held."""


def open_source(
    scenario: str = "", *, node: str | None = None, seed: int | None = None, start_s: float = 0
) -> SimSource:
    """Open a scenario by name or file, the default one if empty.

    Raises:
        ScenarioError: the scenario cannot be read, or has no such node.
    """
    return SimSource(load(scenario or DEFAULT), node=node, seed=seed, start_s=start_s)


def open_receiver(rest: str) -> Opened:
    """Open `SCENARIO` or `SCENARIO/NODE` (the default one if empty), already tuned as it says; raises ScenarioError."""
    scenario, node = (rest, None) if Path(rest).exists() else _node_of(rest)
    source = open_source(scenario, node=node)
    return Opened(
        receiver=source,
        full_scale=source.full_scale,
        settings=source.settings,
        device_id=source.device_id,
        place=source.place,
        simulated=True,
        simulated_time=True,
        pause=source.pass_time,
        close=source.close,
    )


def _node_of(rest: str) -> tuple[str, str | None]:
    scenario, mark, node = rest.rpartition("/")
    return (scenario, node) if mark and not node.endswith(".toml") else (rest, None)
