"""Decides which base stations may register, and keeps what is known of each. Pure.

(1) the device is on this node's list, else 103 fccId and cbsdSerialNumber; marked `blocked`, 101
(2) its groups are known, else 201
(3) what the installer signed is verified (an installer this node knows, the same device), else 103
(4) category, radio technology, place and capabilities are there, in the message, signed, or in the list; else 200
(5) a category B device, and an outdoor one of category A above 6 m, has an installer's signature, else 200; where the
    list has its whole place this node's operator vouches for it
(6) what the list says goes before what the device says without a signature; another category than listed is 103
(7) its place is known to the 50 m that 47 CFR 96.39(a) asks for, whatever the device itself claims; better only where
    an installer signed or the list says the accuracy with both coordinates, never better than `HORIZONTAL_MIN_M`
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from radio.cbrs.codes import Code, CodeFault
from radio.cbrs.fields import Item, check, real
from radio.cbrs.identity import identity
from radio.cbrs.messages import HORIZONTAL_MAX_M, INSTALLATION, Registration
from radio.cbrs.permission import Spot

CATEGORY_EIRP_DBM = {"A": 20.0, "B": 37.0}
"""Highest EIRP density of each category, dBm/MHz: 30 and 47 dBm/10 MHz (47 CFR 96.41)."""
TEN_MHZ_DB = 10.0
COORDINATES = ("latitude", "longitude")
HORIZONTAL_MIN_M = 1.0
"""Least position error that is believed: the datum alone, WGS 84 or NAD 83, makes a metre or two."""
NEEDED = ("latitude", "longitude", "height", "heightType", "indoorDeployment")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCbsd:
    """A base station on this node's list; parameters that it does not send may stand here (multi-step registration)."""

    fcc: str
    serial: str
    category: str | None = None
    air_interface: str | None = None
    capabilities: tuple[str, ...] | None = None
    installation: Item | None = None
    blocked: bool = False
    certificate: str | None = None
    """SHA-256 of the only client certificate that it may use; None: any certificate of the trusted roots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cbsd:
    """A registered base station."""

    cbsd: str
    device: str
    certificate: str
    spot: Spot
    eirp_max_dbm: float
    measures: tuple[str, ...] = ()


Verify = Callable[[Item, str, str], Item | str]
"""Verifies an installer's signature for fccId and serial number; returns the installation parameters or why not."""


def _no_installer(_signed: Item, _fcc: str, _serial: str) -> Item | str:
    return "no installer is known here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """This node's list of base stations."""

    known: tuple[KnownCbsd, ...]
    groups: tuple[str, ...] = ()
    verify: Verify = field(default=_no_installer)

    def judge(self, asked: Registration, certificate: str) -> Cbsd | CodeFault:
        """Register a base station or refuse it: rules (1) to (6). `certificate`: SHA-256 of its client certificate."""
        listed = next((k for k in self.known if (k.fcc, k.serial) == (asked.fcc, asked.serial)), None)
        if listed is None:
            return CodeFault(
                code=Code.INVALID_VALUE, data=("fccId", "cbsdSerialNumber"), message="not on this node's list"
            )
        if listed.blocked:
            return CodeFault(code=Code.BLACKLISTED)
        if listed.certificate not in (None, certificate):
            return CodeFault(code=Code.CERT_ERROR, message="another certificate than this device's")
        if any(group not in self.groups for group in asked.groups):
            return CodeFault(code=Code.GROUP_ERROR, data=("groupId",))
        return self._installed(asked, listed, certificate)

    def _installed(self, asked: Registration, listed: KnownCbsd, certificate: str) -> Cbsd | CodeFault:
        signed: Item = {}
        if asked.signed is not None:
            verified = self.verify(asked.signed, asked.fcc, asked.serial)
            if isinstance(verified, str):
                return CodeFault(code=Code.INVALID_VALUE, data=("cpiSignatureData",), message=verified)
            fault = check(INSTALLATION, verified, "cpiSignatureData")
            if fault is not None:
                return fault
            signed = verified
        own, vouched = asked.installation or {}, listed.installation or {}
        sited = all(vouched.get(name) is not None for name in NEEDED)
        if sited:  # the device's own position is not used; a lower capability of its own counts
            own = {name: own[name] for name in ("eirpCapability",) if name in own and name not in vouched}
        place: Item = {**own, **vouched, **signed}
        category = listed.category or asked.category
        if asked.category not in (None, category):
            return CodeFault(
                code=Code.INVALID_VALUE, data=("cbsdCategory",), message=f"on this node's list as category {category}"
            )
        technology = asked.air_interface or listed.air_interface
        measures = asked.capabilities if asked.capabilities is not None else listed.capabilities
        has = {"cbsdCategory": category, "airInterface": technology, "measCapability": measures}
        missing = [name for name, value in has.items() if value is None]
        missing += ["installationParam"] if any(place.get(name) is None for name in NEEDED) else []
        if missing or category is None:
            return CodeFault(code=Code.REG_PENDING, data=tuple(missing))
        if _needs_installer(category, place) and not signed and not sited:
            return CodeFault(code=Code.REG_PENDING, data=("cpiSignatureData",))
        return Cbsd(
            cbsd=f"{asked.fcc}/{asked.serial}",
            device=identity(asked.fcc, asked.serial),
            certificate=certificate,
            spot=_spot(place, signed, vouched),
            eirp_max_dbm=_loudest(category, place),
            measures=measures or (),
        )


def _needs_installer(category: str, place: Item) -> bool:
    high = place["heightType"] != "AGL" or (real(place["height"]) or 0.0) > 6.0
    return category == "B" or (not place["indoorDeployment"] and high)


def _spot(place: Item, signed: Item, vouched: Item) -> Spot:
    """A base station's position and its error bound: rule (7)."""
    return Spot(
        lat_e7=round((real(place["latitude"]) or 0.0) * 1e7),
        lon_e7=round((real(place["longitude"]) or 0.0) * 1e7),
        radius_mm=round(_accuracy_m(signed, vouched) * 1000) + 1,
    )


def _accuracy_m(signed: Item, vouched: Item) -> float:
    """Position accuracy in m as an installer, else this node's list, gave it with both coordinates; else 50 m."""
    given = [one for one in (signed, vouched) if any(one.get(name) is not None for name in COORDINATES)]
    if not given or any(given[0].get(name) is None for name in COORDINATES):
        return HORIZONTAL_MAX_M
    told = real(given[0].get("horizontalAccuracy"))
    return HORIZONTAL_MAX_M if not told else max(told, HORIZONTAL_MIN_M)


def _loudest(category: str, place: Item) -> float:
    """Highest EIRP density in dBm/MHz, by category and by the capability that the device states (dBm/10 MHz)."""
    capability = real(place.get("eirpCapability"))
    able = CATEGORY_EIRP_DBM[category]
    return able if capability is None else min(able, capability - TEN_MHZ_DB)
