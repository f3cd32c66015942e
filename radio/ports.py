"""The interfaces that every radio implements, hardware and simulated: receiver, transmitter, mute, and checks.

Levels and gains are milli-decibels, frequencies hertz, times nanoseconds of the host's monotonic clock: a driver
knows nothing of UTC, the interval clock maps its times. Samples are int16 pairs (I, Q) of shape (n, 2).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Iq16: TypeAlias = NDArray[np.int16]


class RxFlag(Flag):
    """Faults of a block that the driver knows of; a flagged block is never read as "free"."""

    NONE = 0
    CLIPPED = auto()
    GAP = auto()
    SHORT = auto()
    OWN_TX = auto()
    STALE = auto()
    GAIN_CHANGED = auto()
    OVERFLOW_UNKNOWN = auto()
    UNCALIBRATED = auto()
    MOVED = auto()
    """The receiver is not set as it was tuned: another program changed it."""
    DEAF = auto()
    """The receiver's noise does not change with its gain: it would not hear a signal either."""


class RfState(Enum):
    """Whether the antenna radiates, as far as a readback can tell."""

    OFF = "off"
    ON = "on"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An interval of the host's monotonic clock, in ns, that surely contains the true instant."""

    earliest_ns: int
    latest_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RxSettings:
    """How the receiver is set; `tune_rx` returns the values read back from the device."""

    center_hz: int
    sample_rate_hz: int
    bandwidth_hz: int
    gain_mdb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TxSettings:
    """How the transmitter is set; attenuation is from the device's full output, 0 is loudest."""

    center_hz: int
    sample_rate_hz: int
    bandwidth_hz: int
    attenuation_mdb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RxBlock:
    """Consecutive samples of one setting: `iq` shape (n, 2), read-only; `start` is when the first one was taken."""

    iq: Iq16
    sequence: int
    start: Span
    settings: RxSettings
    full_scale: int
    flags: RxFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One finite burst handed to the device: when its first sample leaves and how many leave."""

    start: Span
    samples: int


class Receiver(Protocol):
    """The receiving part of a radio."""

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        """Apply the settings and read them back; raises SettingRefused outside the profile, else HardwareError."""
        ...

    def receive(self, samples: int) -> RxBlock:
        """Return `samples` samples taken after the call at the current setting; fewer only with RxFlag.SHORT."""
        ...


@runtime_checkable
class Streamer(Protocol):
    """A receiver that gives a continuous stream, for programs that need every sample."""

    def stream(self, samples: int) -> Iterator[RxBlock]:
        """Yield block after block of `samples` until closed; a loss between two blocks is flagged RxFlag.GAP.

        Sequence numbers go on by one for each block, a lost one or not. Raises HardwareError.
        """
        ...


class Transmitter(Protocol):
    """The transmitting part of a radio: sends finite bursts; only the warden's gate holds one."""

    def tune_tx(self, settings: TxSettings) -> TxSettings:
        """Tune with the output at maximum attenuation, then raise it last; returns the readback."""
        ...

    def send(self, iq: Iq16) -> Sent:
        """Send the samples once, now or right after the previous burst; then silence. Does not block."""
        ...


class Mute(Protocol):
    """The part of a radio that mutes, kept apart from everything that can hang."""

    def mute(self) -> RfState:
        """Silence the output at once, drop what is queued, and read back."""
        ...

    def rf_state(self) -> RfState:
        """Read back whether the output can radiate."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A device that can have a dead-man of its own, which mutes it when its host stops sending heartbeats."""

    def heartbeat(self) -> None:
        """Send a heartbeat to the device's dead-man; raises HardwareError."""
        ...

    def guarded(self) -> bool:
        """Whether the device's own dead-man answered a recent heartbeat; raises HardwareError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A transmitter setting that changed without its driver: what it reads, and what it was set to, both as text.

    `silenced`: all of the difference is that somebody muted it.
    """

    read: str
    wanted: str
    silenced: bool = False


@runtime_checkable
class Questioned(Protocol):
    """A device that other programs can change unknown to its driver, and that can be asked whether they did."""

    def drift(self) -> Drift | None:
        """The transmitter settings that read otherwise than set; raises HardwareError when the device cannot be asked.

        Safe beside every other use of the radio, from a thread of its own; holds nothing up.
        """
        ...


class Radio(Receiver, Transmitter, Mute, Protocol):
    """A whole radio: identity, receiver, transmitter, mute."""

    @property
    def device_id(self) -> str:
        """Stable identity of the unit (model and serial)."""
        ...

    def close(self) -> None:
        """Mute and close the device."""
        ...
