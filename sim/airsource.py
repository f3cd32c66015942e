"""Opens a station of a running simulated air as receiver, `air:ENDPOINT#STATION`."""

from radio.errors import SourceError
from radio.ports import RxSettings
from radio.receivers import Opened
from sim.airclient import AirClient
from sim.radio import SimRadio


def open_receiver(rest: str) -> Opened:
    """Connect as a station of the air at an ipc:// endpoint; closing it mutes the station.

    Raises: SourceError where the name is no endpoint and station, or the air has no such station; Disconnected.
    """
    endpoint, mark, station = rest.rpartition("#")
    if not mark or not station or not endpoint.startswith("ipc://"):
        raise SourceError(f"source 'air:{rest}' is not understood; write it as air:ipc:///PATH#STATION")
    radio = SimRadio(endpoint, station)
    client = AirClient(endpoint)
    try:
        held = RxSettings(**client.state()["radios"][station]["rx"])
    except BaseException:
        radio.close()
        raise
    finally:
        client.close()
    return Opened(
        receiver=radio,
        full_scale=radio.full_scale,
        settings=held,
        device_id=radio.device_id,
        simulated=True,
        close=radio.close,
    )
