"""A trial as its coordinator writes it: one TOML file in people's units, every key checked before anything is made.

An error names the file, the line, the key and how to mend it. What is read is in the whole numbers that records hold.
"""

from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from agent.config.settings import ConfigError, line_of, read_table
from agent.words import units
from hw_profiles.misfit import first_misfit
from hw_profiles.smallfile import read_small_text
from hw_profiles.switch import Switch
from radio.drivers.registry import DRIVERS, USUAL
from settlement.chain.names import alike, name_flaw
from settlement.chain.quantities import DAY_NS, HERTZ_MAX, LIFE_MAX_NS
from settlement.chain.scope import Area

T = TypeVar("T")
NODES_MAX: Final = 64
"""Most nodes of one trial, as a trial is set up by hand."""
WELCOME: Final = "welcome"
"""Name of the coordinator's archive `welcome.kit`; no node may have it, as a node's archive has the node's name."""


def _read(parse: Callable[[str], T]) -> BeforeValidator:
    """Return a validator that parses a quantity with its unit; a bare number is refused with the way to write it."""

    def read(value: Any) -> T:
        if not isinstance(value, str):
            value = str(value)
        return parse(value)

    return BeforeValidator(read)


def _named(value: str) -> str:
    wrong = name_flaw(value)
    if wrong is not None:
        raise ValueError(f"{value!r}: {wrong}")
    return value


def _endpoint(value: str) -> str:
    """Return an endpoint as `tcp://HOST:PORT`, given so or as `HOST:PORT`. Raises ValueError."""
    text = value if "://" in value else f"tcp://{value}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"{value!r}: {exc}; write it as 192.0.2.7:4711") from exc
    if parts.scheme != "tcp" or not parts.hostname or not port or parts.path or parts.username:
        raise ValueError(f"{value!r}: write it as 192.0.2.7:4711, an address and a port")
    return text


def _reachable(value: str) -> str:
    """Refuse the wildcard address (`*`, 0.0.0.0, ::), to which nobody can connect. Raises ValueError."""
    host = urlsplit(value).hostname or "*"
    if host == "*" or (host.strip(".:0") == "" and ip_address(host).is_unspecified):
        raise ValueError(f"{value!r}: nobody is reached there; write the node's own address, and this one as bind")
    return value


def _plain(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError(f"{value!r}: write it in one line, without spaces around it")
    return value


def _signable_band(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] <= 0 or value[1] > HERTZ_MAX:
        raise ValueError(f"{units.band_text(*value)}: its edges must lie above 0 Hz, up to {units.hz_text(HERTZ_MAX)}")
    return value


Name = Annotated[str, AfterValidator(_named)]
Endpoint = Annotated[str, AfterValidator(_endpoint), AfterValidator(_reachable)]
BandHz = Annotated[tuple[int, int], _read(units.parse_edges), AfterValidator(_signable_band)]
PowerMdbm = Annotated[int, _read(units.parse_power)]
TimeNs = Annotated[int, _read(units.parse_time_ns)]
Days = Annotated[int, _read(partial(units.parse_days, most=LIFE_MAX_NS // DAY_NS))]
Place = Annotated[tuple[int, int], _read(units.parse_place)]
Circle = Annotated[tuple[int, int, int], _read(units.parse_circle)]
Plain = Annotated[str, AfterValidator(_plain)]


class Part(BaseModel):
    """A table of the trial's file; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class AuthorityPart(Part):
    """Who governs the trial, where, and how long what it issues lives."""

    name: Name
    area: Circle
    """Where all of it is valid."""
    max_eirp: PowerMdbm = Field(default="30dBm", validate_default=True)
    """The most that it can allow anybody."""
    life: Days = Field(default="30d", validate_default=True)
    """How long credentials and the rule hold."""
    status_list: Days = Field(default="7d", validate_default=True)
    """How long a status list speaks; a node that hears no newer one by then trusts nobody."""


class RulePart(Part):
    """What the rule is called and which commodity classes it has; the rest is as `authority rule draft` writes it."""

    name: Name = "rule"
    classes: list[str] = Field(default=["cbrs"], min_length=1)


class RadioPart(Part):
    """A node's radio: the driver, its address, the serial number that the credential is bound to."""

    driver: str = USUAL
    uri: Plain = Field(min_length=1)
    """Its address, such as ip:192.168.2.1, or driver=uhd for a radio of driver soapy."""
    serial: Plain = Field(min_length=1)
    """Its serial number, as `bandpact doctor` and iio_info show it."""
    identity: Plain | None = Field(default=None, min_length=1)
    """What the unit calls itself, as `bandpact doctor` shows it, where the driver alone does not tell."""

    @model_validator(mode="after")
    def _known(self) -> "RadioPart":
        if self.driver not in DRIVERS:
            raise ValueError(f"radio.driver: {self.driver!r} is none of {', '.join(DRIVERS)}")
        try:
            DRIVERS[self.driver].draft(self.uri, center_hz=0, simulated=False)
        except ValueError as exc:
            raise ValueError(f"radio: {exc}") from exc
        if DRIVERS[self.driver].named(self.serial) is None and self.identity is None:
            raise ValueError(
                f"radio.identity: a {self.driver} radio alone knows its name; see what `bandpact doctor` says"
            )
        return self

    @property
    def device(self) -> str:
        """The identity the radio gives itself."""
        return self.identity or DRIVERS[self.driver].named(self.serial) or self.serial


class OfferPart(Part):
    """What a holder offers by itself, once it hears the band to be free."""

    band: BandHz
    length: TimeNs = Field(alias="for", gt=0)
    eirp: PowerMdbm
    commodity: str | None = Field(default=None, alias="class")
    price: int = Field(default=0, ge=0)


class WantPart(Part):
    """What a user asks for by itself, once somebody offers it."""

    band: BandHz
    length: TimeNs = Field(alias="for", gt=0)
    eirp: PowerMdbm


class NodePart(Part):
    """One node: what it is, where it stands, its radio, and where it can be reached."""

    name: Name
    role: Literal["holder", "user"]
    place: Place
    """Where its antenna stands."""
    radio: RadioPart
    listen: Endpoint
    """Where its neighbours reach it."""
    door: Endpoint
    """Where the coordinator asks how it is and fetches its log; the same address, another port."""
    bind: str | None = None
    """The local address to listen on, where it differs from the one the others use; such as 0.0.0.0."""
    eirp: PowerMdbm = Field(default="20dBm", validate_default=True)
    """The most it may radiate."""
    offers: list[OfferPart] = []
    wants: list[WantPart] = []

    @model_validator(mode="after")
    def _fits(self) -> "NodePart":
        if self.role == "user" and self.offers:
            raise ValueError(f"node {self.name!r} is a user and offers nothing; make it a holder, or leave out offers")
        if self.role == "holder" and self.wants:
            raise ValueError(f"node {self.name!r} is a holder and wants nothing; make it a user, or leave out wants")
        if self.listen == self.door:
            raise ValueError(f"node {self.name!r}: listen and door are one address; give the door a port of its own")
        return self


class TrialFile(Part):
    """The whole trial."""

    network: Name
    """The trial's name, which every record carries."""
    band: BandHz
    """What the authority governs."""
    simulated: Switch = False
    """Radios are `bandpact sim pluto`: then their clocks and places are simulated too."""
    authority: AuthorityPart
    rule: RulePart = RulePart()
    nodes: list[NodePart] = Field(min_length=1, max_length=NODES_MAX)

    @model_validator(mode="after")
    def _agrees(self) -> "TrialFile":
        for number, node in enumerate(self.nodes):
            _among(node, self.nodes[:number])
            _within(node, self)
        return self

    def node(self, name: str) -> NodePart:
        """The node of that name."""
        return next(one for one in self.nodes if one.name == name)


def _among(node: NodePart, others: list[NodePart]) -> None:
    if alike(node.name, WELCOME):
        raise ValueError(f"node {node.name!r}: its archive would have the welcome's name; give it another")
    for other in others:
        if alike(node.name, other.name):
            raise ValueError(f"nodes {other.name!r} and {node.name!r} look alike; give each a name of its own")
        shared = {node.listen, node.door} & {other.listen, other.door}
        if shared:
            raise ValueError(f"nodes {other.name!r} and {node.name!r} share {shared.pop()}; give each its own address")
        if node.radio.device == other.radio.device:
            raise ValueError(f"nodes {other.name!r} and {node.name!r} share one radio; give each its own")


def _within(node: NodePart, trial: TrialFile) -> None:
    low_hz, high_hz = trial.band
    for what, parts in (("offers", node.offers), ("wants", node.wants)):
        for part in parts:
            if not low_hz <= part.band[0] < part.band[1] <= high_hz:
                raise ValueError(f"node {node.name!r}, {what}: {units.band_text(*part.band)} is outside the band")
            if part.eirp > min(node.eirp if what == "wants" else trial.authority.max_eirp, trial.authority.max_eirp):
                raise ValueError(f"node {node.name!r}, {what}: {units.power_text(part.eirp)} is above what is allowed")
            if isinstance(part, OfferPart) and (part.commodity or trial.rule.classes[0]) not in trial.rule.classes:
                raise ValueError(f"node {node.name!r}, offers: class {part.commodity!r} is none of the rule's")
    (lat_e7, lon_e7), (at_lat_e7, at_lon_e7, radius_mm) = node.place, trial.authority.area
    where = Area(lat_e7=at_lat_e7, lon_e7=at_lon_e7, radius_mm=radius_mm)
    if not where.holds(Area(lat_e7=lat_e7, lon_e7=lon_e7, radius_mm=0)):
        there = units.place_text(lat_e7, lon_e7)
        raise ValueError(
            f"node {node.name!r}: place {there} is outside the authority's area; mend the place or the area"
        )
    if node.eirp > trial.authority.max_eirp:
        raise ValueError(f"node {node.name!r}: eirp {units.power_text(node.eirp)} is above the authority's max_eirp")
    if trial.simulated:
        try:
            DRIVERS[node.radio.driver].draft(node.radio.uri, center_hz=0, simulated=True)
        except ValueError as exc:
            raise ValueError(f"node {node.name!r}: {exc}; set simulated = false") from exc


def read_trial(path: Path) -> TrialFile:
    """Read and check a trial's file. Raises ConfigError with file, line, key and mend."""
    table = read_table(path)
    try:
        return TrialFile.model_validate(table)
    except ValidationError as exc:
        raise ConfigError(_said(path, exc)) from exc


def _said(path: Path, exc: ValidationError) -> str:
    first = first_misfit(exc)
    loc, key, said = first.loc, first.key, first.said
    line = _line(read_small_text(path), loc)
    where = f"{path}:{line}" if line is not None else f"{path}"
    mends = {
        "extra_forbidden": f"{said}; take it out, see docs/configuration.md",
        "misspelt": f"{said}; see docs/configuration.md",
        "missing": f"{said}; write it, see docs/configuration.md",
    }
    mend = mends.get(first.kind, said if ";" in said or "write it" in said else f"{said}; mend this key")
    return f"{where}: {key}: {mend}" if key else f"{where}: {mend}"


def _line(text: str, loc: tuple[int | str, ...]) -> int | None:
    """Return the number of the line that sets a key, in a list of tables within the indexed one; None without one."""
    names = [str(part) for part in loc if isinstance(part, str)]
    index = next((part for part in loc if isinstance(part, int)), None)
    if index is None or not names:
        return line_of(text, loc)
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines, 1) if line.strip().startswith(f"[[{names[0]}]]")]
    if index >= len(heads):
        return line_of(text, loc)
    after = [number for number, line in enumerate(lines, 1) if line.strip().startswith("[[") and number > heads[index]]
    end = next((number for number in after if lines[number - 1].strip() == f"[[{names[0]}]]"), len(lines) + 1)
    keys = names[1:]
    for key in reversed(keys):
        for number in range(heads[index] + 1, end):
            if lines[number - 1].partition("=")[0].strip(" []\"'").split(".")[-1] == key:
                return number
    return heads[index]
