"""Parses SAS-CBSD requests: bytes to a batch, and each item to a typed request or to its fault.

    (1) a body is at most `BODY_MAX` bytes of JSON: UTF-8, no NaN, no name twice in one object, not deeply nested
    (2) it is one object whose member for the method is a list of 1 to `BATCH_MAX` items
    (3) each item is judged for itself, so that one bad item spoils no other: 102 before 103

Source: WINNF-TS-0016, the message tables; ranges as the Forum's JSON schemas have them.
"""

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from radio.cbrs.codes import Code, CodeFault
from radio.cbrs.fields import Field, Item, check, whole

BODY_MAX = 4 * 1024 * 1024
BATCH_MAX = 100
METHODS = ("registration", "spectrumInquiry", "grant", "heartbeat", "relinquishment", "deregistration")
EIRP_LOW_DBM, EIRP_HIGH_DBM = -137, 37
"""Range of maxEirp, dBm/MHz."""
HORIZONTAL_MAX_M, VERTICAL_MAX_M = 50.0, 3.0
"""Required accuracy of a CBSD's position (47 CFR 96.39(a))."""
GRANTED, AUTHORIZED = "GRANTED", "AUTHORIZED"
ID_MAX = 256

_ID = Field(name="cbsdId", kind="text", required=True, text_max=ID_MAX)
_GRANT_ID = Field(name="grantId", kind="text", required=True, text_max=ID_MAX)
HZ_MAX = 3_000_000_000_000
RANGE = (
    Field(name="lowFrequency", kind="integer", required=True, low=0, high=HZ_MAX),
    Field(name="highFrequency", kind="integer", required=True, low=0, high=HZ_MAX),
)
OPERATION = (
    Field(name="maxEirp", kind="number", required=True, low=EIRP_LOW_DBM, high=EIRP_HIGH_DBM),
    Field(name="operationFrequencyRange", kind="object", required=True, inner=RANGE),
)
RSSI = (
    Field(name="measFrequency", kind="integer", required=True, low=0, high=HZ_MAX),
    Field(name="measBandwidth", kind="integer", required=True, low=1, high=HZ_MAX),
    Field(name="measRcvdPower", kind="number", required=True, low=-100, high=-25),
)
_CARRIER = (*RSSI[:2], Field(name="measCarrierRssi", kind="number", required=True, low=-100, high=-25))
MEASURED = Field(
    name="measReport",
    kind="object",
    inner=(
        Field(name="rcvdPowerMeasReports", kind="list", inner=RSSI),
        Field(name="eutraCarrierRssiRpt", kind="list", inner=_CARRIER),
    ),
)
"""A measurement report; the specification and the Forum's JSON schemas name it differently, and both names are read."""
INSTALLATION = (
    Field(name="latitude", kind="number", low=-90, high=90),
    Field(name="longitude", kind="number", low=-180, high=180),
    Field(name="height", kind="number", low=-1000, high=20_000),
    Field(name="heightType", kind="text", choices=("AGL", "AMSL")),
    Field(name="horizontalAccuracy", kind="number", low=0, high=HORIZONTAL_MAX_M),
    Field(name="verticalAccuracy", kind="number", low=0, high=VERTICAL_MAX_M),
    Field(name="indoorDeployment", kind="flag"),
    Field(name="antennaAzimuth", kind="integer", low=0, high=359),
    Field(name="antennaDowntilt", kind="integer", low=-90, high=90),
    Field(name="antennaGain", kind="integer", low=-127, high=128),
    Field(name="eirpCapability", kind="integer", low=-127, high=47),
    Field(name="antennaBeamwidth", kind="integer", low=0, high=360),
    Field(name="antennaModel", kind="text", text_max=128),
)
CAPABILITIES = ("RECEIVED_POWER_WITHOUT_GRANT", "RECEIVED_POWER_WITH_GRANT")
SIGNED = (
    Field(name="protectedHeader", kind="text", required=True, text_max=65_536),
    Field(name="encodedCpiSignedData", kind="text", required=True, text_max=65_536),
    Field(name="digitalSignature", kind="text", required=True, text_max=65_536),
)
GROUP_TYPES = ("INTERFERENCE_COORDINATION", "interference-coordination")
TECHNOLOGIES = ("E_UTRA", "NR", "CAMBIUM_NETWORKS", "4G_BBW_SAA_1", "TARANA_G1", "FW", "RW", "DOODLE_CBRS", "REDLINE")
REQUESTS: dict[str, tuple[Field, ...]] = {
    "registration": (
        Field(name="userId", kind="text", required=True, text_max=253),
        Field(name="fccId", kind="text", required=True, text_max=19),
        Field(name="cbsdSerialNumber", kind="text", required=True, text_max=64),
        Field(name="callSign", kind="text", text_max=32),
        Field(name="cbsdCategory", kind="text", choices=("A", "B")),
        Field(name="cbsdInfo", kind="object"),
        Field(
            name="airInterface",
            kind="object",
            inner=(Field(name="radioTechnology", kind="text", required=True, choices=TECHNOLOGIES),),
        ),
        Field(name="measCapability", kind="list", choices=CAPABILITIES),
        Field(
            name="groupingParam",
            kind="list",
            inner=(
                Field(name="groupType", kind="text", required=True, choices=GROUP_TYPES),
                Field(name="groupId", kind="text", required=True, text_max=ID_MAX),
            ),
        ),
        Field(name="installationParam", kind="object", inner=INSTALLATION),
        Field(name="cpiSignatureData", kind="object", inner=SIGNED),
    ),
    "spectrumInquiry": (
        _ID,
        Field(name="inquiredSpectrum", kind="list", required=True, inner=RANGE, least=1),
        MEASURED,
    ),
    "grant": (_ID, Field(name="operationParam", kind="object", required=True, inner=OPERATION), MEASURED),
    "heartbeat": (
        _ID,
        _GRANT_ID,
        Field(name="operationState", kind="text", required=True, choices=(GRANTED, AUTHORIZED)),
        Field(name="grantRenew", kind="flag"),
        MEASURED,
    ),
    "relinquishment": (_ID, _GRANT_ID),
    "deregistration": (_ID,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operationParam: frequencies in Hz, EIRP density in dBm/MHz."""

    low_hz: int
    high_hz: int
    max_eirp: float

    def as_param(self) -> Item:
        """The operationParam object of a message."""
        return {
            "maxEirp": self.max_eirp,
            "operationFrequencyRange": {"lowFrequency": self.low_hz, "highFrequency": self.high_hz},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A registration request; `installation` as sent, `signed` the installer's JWS where there is one."""

    user: str
    fcc: str
    serial: str
    category: str | None
    air_interface: str | None
    capabilities: tuple[str, ...] | None
    groups: tuple[str, ...]
    installation: Item | None
    signed: Item | None
    item: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A spectrum inquiry; frequency ranges in Hz."""

    cbsd: str
    ranges_hz: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAsk:
    """A grant request."""

    cbsd: str
    operation: Operation
    measured: Item | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A heartbeat request, with the grant state that the CBSD assumes."""

    cbsd: str
    grant: str
    authorized: bool
    renew: bool
    measured: Item | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relinquishment:
    """A relinquishment request."""

    cbsd: str
    grant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deregistration:
    """A deregistration request."""

    cbsd: str


Request: TypeAlias = Registration | Inquiry | GrantAsk | Heartbeat | Relinquishment | Deregistration


@dataclass(frozen=True, slots=True, kw_only=True)
class BadBody:
    """Why a request body is not a batch, and the HTTP status to answer with."""

    status: int
    why: str


class _Twice(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> Item:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Twice("a name stands twice in one object")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def read_json(body: bytes, *, limit: int = BODY_MAX) -> Any | BadBody:
    """Parse a JSON body by rule (1)."""
    if len(body) > limit:
        return BadBody(status=413, why=f"more than {limit} bytes")
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        return BadBody(status=400, why=f"not JSON: {type(exc).__name__}")


def read_batch(method: str, body: bytes) -> list[Any] | BadBody:
    """Parse a request body into its list of items: rules (1) and (2)."""
    value = read_json(body)
    if isinstance(value, BadBody):
        return value
    items = value.get(f"{method}Request") if isinstance(value, dict) else None
    if not isinstance(items, list) or not items:
        return BadBody(status=400, why=f"no list {method}Request")
    if len(items) > BATCH_MAX:
        return BadBody(status=413, why=f"{len(items)} requests in one batch, at most {BATCH_MAX}")
    return items


def read_item(method: str, item: object) -> Request | CodeFault:
    """Parse one item of a batch: rule (3)."""
    fault = check(REQUESTS[method], item, f"{method}Request")
    if fault is not None or not isinstance(item, dict):
        return fault or CodeFault(code=Code.INVALID_VALUE, data=(f"{method}Request",))
    return _READ[method](item)


def _registration(item: Item) -> Request | CodeFault:
    groups = [g["groupId"] for g in item.get("groupingParam") or ()]
    air, capabilities = item.get("airInterface"), item.get("measCapability")
    return Registration(
        user=item["userId"],
        fcc=item["fccId"],
        serial=item["cbsdSerialNumber"],
        category=item.get("cbsdCategory"),
        air_interface=None if air is None else air["radioTechnology"],
        capabilities=None if capabilities is None else tuple(capabilities),
        groups=tuple(groups),
        installation=item.get("installationParam"),
        signed=item.get("cpiSignatureData"),
        item=item,
    )


def frequencies(item: Item) -> tuple[int, int] | None:
    """A FrequencyRange in Hz; None where its low end is not below its high end."""
    low, high = whole(item.get("lowFrequency")), whole(item.get("highFrequency"))
    return (low, high) if low is not None and high is not None and low < high else None


def operation(item: object) -> Operation | None:
    """Parse an unchecked OperationParam of an answer or a request; None where it is malformed."""
    if not isinstance(item, dict) or check(OPERATION, item, "operationParam") is not None:
        return None
    span = frequencies(item["operationFrequencyRange"])
    return None if span is None else Operation(low_hz=span[0], high_hz=span[1], max_eirp=float(item["maxEirp"]))


def _inquiry(item: Item) -> Request | CodeFault:
    spans = [frequencies(one) for one in item["inquiredSpectrum"]]
    if None in spans:
        return CodeFault(code=Code.INVALID_VALUE, data=("inquiredSpectrum",))
    return Inquiry(cbsd=item["cbsdId"], ranges_hz=tuple(span for span in spans if span is not None))


def _grant(item: Item) -> Request | CodeFault:
    wanted = operation(item["operationParam"])
    if wanted is None:
        return CodeFault(code=Code.INVALID_VALUE, data=("operationFrequencyRange",))
    return GrantAsk(cbsd=item["cbsdId"], operation=wanted, measured=item.get("measReport"))


def _heartbeat(item: Item) -> Request | CodeFault:
    return Heartbeat(
        cbsd=item["cbsdId"],
        grant=item["grantId"],
        authorized=item["operationState"] == AUTHORIZED,
        renew=item.get("grantRenew") is True,
        measured=item.get("measReport"),
    )


def _relinquishment(item: Item) -> Request | CodeFault:
    return Relinquishment(cbsd=item["cbsdId"], grant=item["grantId"])


def _deregistration(item: Item) -> Request | CodeFault:
    return Deregistration(cbsd=item["cbsdId"])


_READ = {
    "registration": _registration,
    "spectrumInquiry": _inquiry,
    "grant": _grant,
    "heartbeat": _heartbeat,
    "relinquishment": _relinquishment,
    "deregistration": _deregistration,
}
