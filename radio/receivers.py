"""An opened receiver, as a driver returns it, with what a recording has to state of the unit."""

from collections.abc import Callable
from dataclasses import dataclass

from radio.ports import Receiver, RxSettings
from radio.recording.metadata import RecordedPlace


def _nothing() -> None:
    """Do nothing: the default `close` of a receiver that holds no resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A receiver opened by its name.

    `settings` is how it is set already, None for one that has to be tuned first. `simulated`: what it hears is made up.
    `simulated_time`: its times are its own and pass as samples are taken; `pause` then lets so many seconds pass.
    """

    receiver: Receiver
    full_scale: int
    settings: RxSettings | None = None
    device_id: str = ""
    place: RecordedPlace | None = None
    simulated: bool = False
    simulated_time: bool = False
    pause: Callable[[float], None] | None = None
    close: Callable[[], None] = _nothing
