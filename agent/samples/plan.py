"""Timing and rates of a node's samples door, from its configuration: sample rates, endpoints, transmit slots.

The node's one receiver also looks for incumbents, and cannot hear beside its own transmitter. So each period of the
look plan (`frame_us` times `look_every`) has a quiet part around the look, in which the program's samples are
dropped, and one slot in which they are transmitted.
"""

from dataclasses import dataclass
from math import gcd
from pathlib import Path

from agent.config.samples import OFF
from agent.config.settings import ConfigError, NodeConfig
from radio.drivers.section import RadioSection

NS = 1_000_000_000
STRETCH_US = 2_000
"""Length in us of one stretch of the receiver's stream, as the warden hands it over."""
BEFORE_LOOK_US = STRETCH_US + 500
"""Quiet time in us before a look: a stretch that holds any transmission of our own counts as our own."""
AFTER_LOOK_US = STRETCH_US + 500
LATE_US = 2_500
"""Most lateness in us of a burst's start; a later burst would reach into the look and is dropped."""
SLOT_US_MIN = 500
CHECK_US = 8_000
"""Time in us before its slot at which a burst is handed over, for the warden to check it first."""
RATIO_MAX = 1_024
TRANSMIT, RECEIVE, STATUS = "program-tx", "program-rx", "program-status"
LINK = "samples"
"""The local socket between door and warden; `TRANSMIT`.ring and `RECEIVE`.ring lie beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """The periodic transmit slot: `length_ns` from `offset_ns` on, every `period_ns`."""

    period_ns: int
    offset_ns: int
    length_ns: int

    def after(self, at_ns: int) -> int:
        """Return the start of the first slot that begins at or after an instant (monotonic ns)."""
        return at_ns + (self.offset_ns - at_ns) % self.period_ns

    @property
    def share(self) -> float:
        """Share of time in which a program's samples are transmitted."""
        return self.length_ns / self.period_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorPlan:
    """The door's settings. `transmit`, `receive` and `status` are ZeroMQ endpoints, None for one that is off.

    `program_hz` and `radio_hz` are the sample rates of program and radio.
    """

    transmit: str | None
    receive: str | None
    status: str | None
    asks: bool
    """Whether the node requests the program's samples (REQ), or takes those it pushes (PULL)."""
    answers: bool
    """Whether the node answers the program's requests (REP), or pushes unasked (PUSH)."""
    program_hz: int
    radio_hz: int
    radio_center_hz: int
    tx_full_scale: int
    rx_full_scale: int
    gain_mdb: int
    slots: Slots
    run_folder: Path

    def ring(self, direction: str) -> Path:
        """Return the ring file between door and warden for a direction, `TRANSMIT` or `RECEIVE`."""
        return self.run_folder / f"{direction}.ring"

    @property
    def slot_samples(self) -> int:
        """Length of the longest burst, in the radio's samples."""
        return self.slots.length_ns * self.radio_hz // NS

    @property
    def stretch_samples(self) -> int:
        """Length of one stretch of the received stream, in the radio's samples."""
        return stretch_samples(self.radio_hz)


def stretch_samples(rate_hz: int) -> int:
    """Return the number of samples in one stretch of the received stream at a rate."""
    return max(1, rate_hz * STRETCH_US // 1_000_000)


def slots_of(radio: RadioSection, guard_us: int = 0) -> Slots:
    """Return the part of the look plan's period in which this node does not listen, at most one burst long.

    Raises ConfigError where none is left.
    """
    period_us = radio.frame_us * radio.look_every
    begin_us = radio.look_offset_us + radio.look_dither_us + radio.look_us + AFTER_LOOK_US
    end_us = period_us + radio.look_offset_us - BEFORE_LOOK_US - LATE_US - guard_us
    length_us = min(radio.burst_us, end_us - begin_us)
    if length_us < SLOT_US_MIN:
        raise ConfigError(
            f"radio: frames of {period_us} us with looks of {radio.look_us} us and bursts of {radio.burst_us} us leave "
            f"{max(0, length_us)} us to send a program's samples in, {SLOT_US_MIN} us required; raise frame_us or "
            "burst_us, or lower samples.guard_us"
        )
    return Slots(period_ns=period_us * 1000, offset_ns=begin_us % period_us * 1000, length_ns=length_us * 1000)


def door_plan(config: NodeConfig) -> DoorPlan | None:
    """Return the door's plan where a program makes the node's samples; None otherwise. Raises ConfigError."""
    section, radio = config.samples, config.radio
    if section.source != "program":
        return None
    program_hz = section.sample_rate_hz or radio.sample_rate_hz
    common = gcd(program_hz, radio.sample_rate_hz)
    up, down = radio.sample_rate_hz // common, program_hz // common
    if max(up, down) > RATIO_MAX:
        raise ConfigError(
            f"samples.sample_rate_hz: {program_hz} S/s and the radio's {radio.sample_rate_hz} S/s are as {down} to "
            f"{up}; choose a rate whose ratio to the radio's has no term above {RATIO_MAX}"
        )
    folder = config.run_folder
    return DoorPlan(
        transmit=_endpoint(section.transmit, folder / TRANSMIT),
        receive=_endpoint(section.receive, folder / RECEIVE),
        status=_endpoint(section.status, folder / STATUS),
        asks=section.transmit_by == "req",
        answers=section.receive_by == "rep",
        program_hz=program_hz,
        radio_hz=radio.sample_rate_hz,
        radio_center_hz=radio.rx_center_hz,
        tx_full_scale=radio.tx_full_scale,
        rx_full_scale=radio.adc_full_scale,
        gain_mdb=section.transmit_gain_mdb,
        slots=slots_of(radio, section.guard_us),
        run_folder=folder,
    )


def _endpoint(given: str, usual: Path) -> str | None:
    return None if given == OFF else given or f"ipc://{usual}"
