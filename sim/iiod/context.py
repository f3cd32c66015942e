"""What a Pluto's firmware shows: devices, channels, attributes with their values at boot, the XML that lists them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import quoteattr

from sim.iiod.protocol import Name

PHY: Final = "ad9361-phy"
ADC: Final = "cf-ad9361-lpc"
DAC: Final = "cf-ad9361-dds-core-lpc"
IDS: Final = {PHY: "iio:device0", "xadc": "iio:device1", DAC: "iio:device2", ADC: "iio:device3"}

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

SCAN: Final = {
    (ADC, "input", "voltage0"): (0, "le:S12/16&gt;&gt;0"),
    (ADC, "input", "voltage1"): (1, "le:S12/16&gt;&gt;0"),
    (DAC, "output", "voltage0"): (0, "le:S16/16&gt;&gt;0"),
    (DAC, "output", "voltage1"): (1, "le:S16/16&gt;&gt;0"),
}
DDS: Final = {
    "altvoltage0": "TX1_I_F1",
    "altvoltage1": "TX1_I_F2",
    "altvoltage2": "TX1_Q_F1",
    "altvoltage3": "TX1_Q_F2",
}
NAMES: Final = {
    (PHY, "output", "altvoltage0"): "RX_LO",
    (PHY, "output", "altvoltage1"): "TX_LO",
    **{(DAC, "output", channel): name for channel, name in DDS.items()},
}


def _phy() -> Iterator[tuple[Name, str]]:
    for channel, attribute, text in (
        ("voltage0", "hardwaregain", "71.000000 dB"),
        ("voltage0", "gain_control_mode", "slow_attack"),
        ("voltage0", "gain_control_mode_available", "manual fast_attack slow_attack hybrid"),
        ("voltage0", "rf_bandwidth", "18000000"),
        ("voltage0", "sampling_frequency", "30720000"),
        ("voltage0", "rssi", "100.00 dB"),
        ("out", "voltage_filter_fir_en", "0"),
    ):
        yield Name(device=PHY, kind="input", channel=channel, attribute=attribute), text
    for channel, attribute, text in (
        ("voltage0", "hardwaregain", "-10.000000 dB"),
        ("voltage0", "rf_bandwidth", "18000000"),
        ("voltage0", "sampling_frequency", "30720000"),
        ("altvoltage0", "frequency", "2400000000"),
        ("altvoltage0", "powerdown", "0"),
        ("altvoltage1", "frequency", "2450000000"),
        ("altvoltage1", "powerdown", "0"),
    ):
        yield Name(device=PHY, kind="output", channel=channel, attribute=attribute), text
    for attribute, text in (
        ("ensm_mode", "fdd"),
        ("ensm_mode_available", "sleep wait alert fdd pinctrl pinctrl_fdd_indep"),
        ("filter_fir_config", "FIR Rx: 0,0 Tx: 0,0"),
        ("tx_path_rates", ""),
        ("xo_correction", "40000000"),
    ):
        yield Name(device=PHY, kind="device", attribute=attribute), text
    yield Name(device=PHY, kind="debug", attribute="loopback"), "0"


def _streams() -> Iterator[tuple[Name, str]]:
    rates = "30720000 3840000"
    for device, kind, channels in (
        (ADC, "input", ("voltage0", "voltage1")),
        (DAC, "output", ("voltage0", "voltage1")),
    ):
        for channel in channels:
            yield Name(device=device, kind=kind, channel=channel, attribute="sampling_frequency"), "30720000"
            yield Name(device=device, kind=kind, channel=channel, attribute="sampling_frequency_available"), rates
        yield Name(device=device, kind="debug", attribute="direct_reg_access"), "0x0"
    for channel in DDS:
        for attribute, text in (("raw", "1"), ("scale", "0.000000"), ("frequency", "999985"), ("phase", "0")):
            yield Name(device=DAC, kind="output", channel=channel, attribute=attribute), text


def at_boot() -> dict[Name, str]:
    """Every attribute with its value when the firmware comes up: FDD, 2.45 GHz, 10 dB below full output, TX LO on."""
    temperature = Name(device="xadc", kind="input", channel="temp0", attribute="raw")
    return {**dict(_phy()), **dict(_streams()), temperature: "2566"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """Which unit this is and what its firmware lacks: whole devices, or attributes as `device/channel/attribute`."""

    serial: str = "SIM-0000"
    hw_model: str = "Analog Devices PlutoSDR Rev.B (Z7010-AD9363A)"
    chip_model: str = "ad9363a"
    fw_version: str = "v0.38"
    lacks: frozenset[str] = field(default_factory=frozenset)

    def shows(self, name: Name) -> bool:
        """Whether the firmware has an attribute."""
        whole = {name.device, f"{name.device}/{name.channel}", f"{name.device}/{name.channel}/{name.attribute}"}
        return self.lacks.isdisjoint(whole)

    def context_attributes(self) -> dict[str, str]:
        """What the context says of itself."""
        return {
            "hw_model": self.hw_model,
            "hw_model_variant": "0",
            "hw_serial": self.serial,
            "fw_version": self.fw_version,
            f"{PHY},xo_correction": "40000000",
            f"{PHY},model": self.chip_model,
            "local,kernel": "5.15.0",
        }


def xml_of(firmware: Firmware, names: list[Name]) -> bytes:
    """Return the context description that lists these attributes."""
    parts = ['<?xml version="1.0" encoding="utf-8"?>', DTD]
    parts.append(
        '<context name="local" version-major="0" version-minor="24" version-git="v0.24" '
        f"description={quoteattr('Linux (none) simulated Pluto armv7l')}>"
    )
    parts += [
        f"<context-attribute name={quoteattr(key)} value={quoteattr(text)} />"
        for key, text in firmware.context_attributes().items()
    ]
    for device in dict.fromkeys(name.device for name in names):
        parts += _device(device, [name for name in names if name.device == device])
    return "".join([*parts, "</context>"]).encode()


def _device(device: str, names: list[Name]) -> Iterator[str]:
    yield f'<device id="{IDS[device]}" name="{device}">'
    channels = dict.fromkeys((name.kind, name.channel) for name in names if name.channel)
    for kind, channel in channels:
        named = NAMES.get((device, kind, channel))
        yield f'<channel id="{channel}" type="{kind}"{f" name={quoteattr(named)}" if named else ""}>'
        scan = SCAN.get((device, kind, channel))
        if scan is not None:
            yield f'<scan-element index="{scan[0]}" format="{scan[1]}" />'
        for name in names:
            if (name.kind, name.channel) == (kind, channel):
                yield f'<attribute name="{name.attribute}" filename="{file_of(name)}" />'
        yield "</channel>"
    yield from (f'<attribute name="{one.attribute}" />' for one in names if one.kind == "device")
    yield from (f'<debug-attribute name="{one.attribute}" />' for one in names if one.kind == "debug")
    yield "</device>"


def file_of(name: Name) -> str:
    """Return the attribute's file name under sysfs."""
    if name.channel == "out":
        return f"out_{name.attribute}"
    direction = "in" if name.kind == "input" else "out"
    extended = NAMES.get((name.device, name.kind, name.channel))
    return "_".join(part for part in (direction, name.channel, extended, name.attribute) if part)
