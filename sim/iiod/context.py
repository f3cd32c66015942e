"""A Pluto's firmware as libiio sees it: devices, channels, attributes at boot, and the XML that lists them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import quoteattr

from sim.iiod.attributes import ADC, DAC, PHY, XADC, Shown, labels
from sim.iiod.protocol import Name

IDS: Final = {PHY: "iio:device0", XADC: "iio:device1", DAC: "iio:device2", ADC: "iio:device3"}

DTD: Final = (
    "<!DOCTYPE context ["
    "<!ELEMENT context (device | context-attribute)*>"
    "<!ELEMENT context-attribute EMPTY>"
    "<!ELEMENT device (channel | attribute | debug-attribute | buffer-attribute)*>"
    "<!ELEMENT channel (scan-element?, attribute*)>"
    "<!ELEMENT attribute EMPTY>"
    "<!ELEMENT scan-element EMPTY>"
    "<!ELEMENT debug-attribute EMPTY>"
    "<!ELEMENT buffer-attribute EMPTY>"
    "<!ATTLIST context name CDATA #REQUIRED version-major CDATA #REQUIRED version-minor CDATA #REQUIRED "
    "version-git CDATA #REQUIRED description CDATA #IMPLIED>"
    "<!ATTLIST context-attribute name CDATA #REQUIRED value CDATA #REQUIRED>"
    "<!ATTLIST device id CDATA #REQUIRED name CDATA #IMPLIED>"
    "<!ATTLIST channel id CDATA #REQUIRED type (input|output) #REQUIRED name CDATA #IMPLIED>"
    "<!ATTLIST scan-element index CDATA #REQUIRED format CDATA #REQUIRED scale CDATA #IMPLIED>"
    "<!ATTLIST attribute name CDATA #REQUIRED filename CDATA #IMPLIED>"
    "<!ATTLIST debug-attribute name CDATA #REQUIRED>"
    "<!ATTLIST buffer-attribute name CDATA #REQUIRED>"
    "]>"
)


def scan_of(device: str, kind: str, channel: str, *, two: bool) -> tuple[int, str] | None:
    """Index and format of a channel that carries samples; None for any other."""
    number = channel.removeprefix("voltage")
    if not number.isdigit() or int(number) >= (4 if two else 2):
        return None
    if (device, kind) == (ADC, "input"):
        return int(number), "le:S12/16&gt;&gt;0"
    return (int(number), "le:S16/16&gt;&gt;0") if (device, kind) == (DAC, "output") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """The unit, and what its firmware lacks: whole devices, or attributes as `device/channel/attribute`.

    `two_channels`: its second receiver and transmitter are in use (2R2T). `rate_resets`: what a change of the sample
    rate sets back to its value at boot, as some firmware does: any of `hardwaregain`, `powerdown` of the transmitter.
    """

    serial: str = "SIM-0000"
    hw_model: str = "Analog Devices PlutoSDR Rev.C (Z7010-AD9363A)"
    chip_model: str = "ad9363a"
    fw_version: str = "v0.38"
    lacks: frozenset[str] = field(default_factory=frozenset)
    two_channels: bool = False
    rate_resets: frozenset[str] = field(default_factory=frozenset)

    def shows(self, name: Name) -> bool:
        """Whether the firmware has an attribute."""
        whole = {name.device, f"{name.device}/{name.channel}", f"{name.device}/{name.channel}/{name.attribute}"}
        return self.lacks.isdisjoint(whole)

    def context_attributes(self) -> dict[str, str]:
        """The attributes of the context."""
        return {
            "hw_model": self.hw_model,
            "hw_model_variant": "0",
            "hw_serial": self.serial,
            "fw_version": self.fw_version,
            f"{PHY},xo_correction": "40000000",
            f"{PHY},model": self.chip_model,
            "local,kernel": "5.15.0",
        }


def xml_of(firmware: Firmware, attributes: list[Shown]) -> bytes:
    """The XML context description that lists these attributes."""
    parts = ['<?xml version="1.0" encoding="utf-8"?>', DTD]
    parts.append(
        '<context name="local" version-major="0" version-minor="24" version-git="v0.24" '
        f"description={quoteattr('Linux (none) simulated Pluto armv7l')}>"
    )
    parts += [
        f"<context-attribute name={quoteattr(key)} value={quoteattr(text)} />"
        for key, text in firmware.context_attributes().items()
    ]
    for device in dict.fromkeys(one.name.device for one in attributes):
        parts += _device(device, [one for one in attributes if one.name.device == device], two=firmware.two_channels)
    return "".join([*parts, "</context>"]).encode()


def _device(device: str, attributes: list[Shown], *, two: bool) -> Iterator[str]:
    named = labels(two=two)
    yield f'<device id="{IDS[device]}" name="{device}">'
    for kind, channel in dict.fromkeys((one.name.kind, one.name.channel) for one in attributes if one.name.channel):
        label = named.get((device, kind, channel))
        yield f'<channel id="{channel}" type="{kind}"{f" name={quoteattr(label)}" if label else ""}>'
        scan = scan_of(device, kind, channel, two=two)
        if scan is not None:
            yield f'<scan-element index="{scan[0]}" format="{scan[1]}" />'
        for one in attributes:
            if (one.name.kind, one.name.channel) == (kind, channel):
                yield f'<attribute name="{one.name.attribute}" filename="{one.file}" />'
        yield "</channel>"
    for kind, tag in (("device", "attribute"), ("buffer", "buffer-attribute"), ("debug", "debug-attribute")):
        yield from (f'<{tag} name="{one.name.attribute}" />' for one in attributes if one.name.kind == kind)
    yield "</device>"
