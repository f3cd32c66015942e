"""Opens a Pluto as receiver: `pluto:URI` as libiio writes it, `pluto:serial=…`, or the one that is found."""

from radio.drivers.pluto.layout import ADC_FULL_SCALE
from radio.drivers.pluto.libiio import serials
from radio.drivers.pluto.radio import PlutoRadio
from radio.errors import Disconnected, SourceError
from radio.receivers import Opened

SERIAL = "serial="


def open_receiver(rest: str) -> Opened:
    """Connect, which mutes the device, and tune nothing.

    Args: rest is `ip:ADDRESS[:PORT]`, `usb:…`, `serial=…`, or nothing where one device is attached.

    Raises: SourceError where the choice is not clear; LibraryMissing, Disconnected, HardwareError.
    """
    serial = rest.removeprefix(SERIAL) if rest.startswith(SERIAL) else None
    uri = "" if serial is not None else rest
    if serial is None and not uri:
        uri = _only_one()
    radio = PlutoRadio(uri, serial=serial)
    return Opened(receiver=radio, full_scale=ADC_FULL_SCALE, device_id=radio.device_id, close=radio.close)


def _only_one() -> str:
    found = serials()
    if not found:
        raise Disconnected("no Pluto is attached; name one as pluto:ip:192.168.2.1")
    if len(found) > 1:
        raise SourceError(f"{len(found)} devices are attached; name one as pluto:serial=…, of {', '.join(found)}")
    return next(iter(found.values()))
