"""The small interface that every radio stands behind, hardware and simulated alike.

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
    """What the driver knows to be wrong with a block; a flagged block is never read as "free"."""

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
    """The receiver is not set as it was tuned: somebody else changed it."""
    DEAF = auto()
    """Its own noise does not change with its gain: it would not hear a signal either."""


class RfState(Enum):
    """Whether the antenna radiates, as far as a readback can tell."""

    OFF = "off"
    ON = "on"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An interval of the host's monotonic clock that holds the true instant, in ns."""

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
    """Takes samples off the air."""

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        """Apply and read back; raises SettingRefused outside the profile, HardwareError when it cannot tell."""
        ...

    def receive(self, samples: int) -> RxBlock:
        """Block until `samples` fresh ones of the current setting were taken; fewer only with RxFlag.SHORT."""
        ...


@runtime_checkable
class Streamer(Protocol):
    """Takes samples off the air without a break, for those that need every one."""

    def stream(self, samples: int) -> Iterator[RxBlock]:
        """Give block after block of `samples` until closed; whatever is lost between two is flagged RxFlag.GAP.

        Sequence numbers go on by one for each block, a lost one or not. Raises HardwareError.
        """
        ...


class Transmitter(Protocol):
    """Puts finite bursts on the air; only the warden's gate holds one."""

    def tune_tx(self, settings: TxSettings) -> TxSettings:
        """Tune with the output at maximum attenuation, then raise it last; returns the readback."""
        ...

    def send(self, iq: Iq16) -> Sent:
        """Play the samples once, now, or right after the burst before; then silence. Does not block."""
        ...


class Mute(Protocol):
    """The way to silence, kept apart from everything that can hang."""

    def mute(self) -> RfState:
        """Silence the output at once, drop what is queued, and read back."""
        ...

    def rf_state(self) -> RfState:
        """Read back whether the output can radiate."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A device that can have a dead-man of its own, which mutes when its host falls silent."""

    def heartbeat(self) -> None:
        """Tell the device that its host is alive; raises HardwareError."""
        ...

    def guarded(self) -> bool:
        """Whether the device's own dead-man answered a heartbeat of late; raises HardwareError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A transmitter that is not as its driver set it: what it reads, what it was set to, both as text.

    `silenced`: all of the difference is that somebody muted it.
    """

    read: str
    wanted: str
    silenced: bool = False


@runtime_checkable
class Questioned(Protocol):
    """A device that others can change behind its driver's back, and that can be asked whether they did."""

    def drift(self) -> Drift | None:
        """What of the transmitter reads otherwise than it was set; raises HardwareError when it cannot be asked.

        Safe beside every other use of the radio, from a thread of its own; holds nothing up.
        """
        ...


class Radio(Receiver, Transmitter, Mute, Protocol):
    """A whole device."""

    @property
    def device_id(self) -> str:
        """Stable identity of the unit (model and serial)."""
        ...

    def close(self) -> None:
        """Mute and let go of the device."""
        ...
