"""What a device's module says of its transmitter, read with care: a reading that failed looks like the least gain."""

from types import SimpleNamespace
from typing import Any

import pytest

from radio.drivers.soapy.handle import Handle
from radio.ports import RfState


def handle(**readings: float) -> Handle:
    """A handle of a device with one transmit channel whose module answers these readings."""
    said = {"frequency": 3.555e9, "gain": 0.0, **readings}
    device: Any = SimpleNamespace(
        getNumChannels=lambda _direction: 1,
        getFrequency=lambda _direction, _channel: said["frequency"],
        getGain=lambda _direction, _channel: said["gain"],
        getGainRange=lambda _direction, _channel: SimpleNamespace(minimum=lambda: 0.0),
    )
    made = Handle.__new__(Handle)
    made.device, made.tx, made.transmits, made.arguments = device, 0, True, "driver=x"
    return made


@pytest.mark.feature("R9")
@pytest.mark.parametrize(
    ("readings", "state"),
    [
        ({}, RfState.OFF),
        ({"gain": 30.0}, RfState.ON),
        ({"frequency": 0.0}, RfState.UNKNOWN),
        ({"frequency": 0.0, "gain": 30.0}, RfState.UNKNOWN),
    ],
)
def test_silence_is_claimed_only_where_a_frequency_reads_back(readings: dict[str, float], state: RfState) -> None:
    assert handle(**readings).state() is state
