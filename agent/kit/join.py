"""`bandpact kit join`: makes on a node, from its invitation, its keys, its configuration and an enrolment file.

The private keys never leave the node; the enrolment file holds the public ones, signed by them.
"""

import hashlib
import hmac
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.config.keyfiles import load_chain, make_keys, text_file, write_files
from agent.config.settings import ConfigError, load
from agent.desk.drafts import NodeDraft, node_table
from agent.desk.requests import request_text
from agent.kit.archive import SMALL_MAX, KitRefused, OpenedArchive, open_sealed, short_code
from agent.kit.invitations import CHAIN, INVITATION, RULE, SETUP, qr_svg
from agent.kit.spec import NODES_MAX, Endpoint
from agent.kit.trust import by_authority, fingerprint
from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import WholeFile
from settlement.chain.credentials import Registry
from settlement.chain.keys import SigningKey
from settlement.chain.names import name_flaw
from settlement.chain.quantities import COUNT_MAX, DISTANCE_MAX_MM, HERTZ_MAX, LIFE_MAX_NS, MILLIDECIBEL_MAX
from settlement.chain.ruling import verify_rule
from settlement.chain.scope import Band
from settlement.core.reasons import Refusal
from settlement.mesh import TransportKey

JOINED, NODE_TOML, PEERS, WORDS = "kit.json", "node.toml", "peers", "words"
ENROLMENT = ".enrol"
SOCKET_MAX: Final = 90
"""Most bytes of the folder's path: a local socket's path is limited, and its own name follows."""


class _Loose(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


OFFERS_MAX: Final = 64
Hertz = Annotated[int, Field(ge=0, le=HERTZ_MAX)]
Length = Annotated[int, Field(ge=1, le=LIFE_MAX_NS)]
Power = Annotated[int, Field(ge=-MILLIDECIBEL_MAX, le=MILLIDECIBEL_MAX)]
Word = Annotated[str, Field(max_length=128)]


class _Radio(_Loose):
    driver: Word
    uri: Word
    serial: Word


class _At(_Loose):
    lat_e7: int = Field(ge=-900_000_000, le=900_000_000)
    lon_e7: int = Field(ge=-1_800_000_000, le=1_800_000_000)


class _Peer(_Loose):
    name: Word
    endpoint: Endpoint


class _Want(_Loose):
    low_hz: Hertz
    high_hz: Hertz
    for_ns: Length
    eirp_mdbm: Power

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low_hz >= self.high_hz:
            raise ValueError("low_hz is not below high_hz")
        return self


class _Offer(_Want):
    commodity: Word
    price: int = Field(ge=0, le=COUNT_MAX)


class Setup(_Loose):
    """What an invitation tells a node about itself and its neighbours."""

    name: Word
    role: Word
    device: Word
    radio: _Radio
    simulated: bool
    place: _At
    listen: Endpoint
    door: Endpoint
    bind: str | None = Field(max_length=64, pattern=r"^[0-9A-Za-z.:\[\]_-]+$")
    band: list[Hertz] = Field(min_length=2, max_length=2)
    area_radius_mm: int = Field(ge=1, le=DISTANCE_MAX_MM)
    peers: list[_Peer] = Field(max_length=NODES_MAX)
    coordinator: Word
    token: Word
    offers: list[_Offer] = Field(max_length=OFFERS_MAX)
    wants: list[_Want] = Field(max_length=OFFERS_MAX)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.band[0] >= self.band[1]:
            raise ValueError("a band ends above where it begins")
        return self


class Joined(_Loose):
    """What a node's folder stores about its trial."""

    trial: str
    network: str
    anchor: str
    node: str
    invitation: str
    peers: list[_Peer]


@dataclass(frozen=True, slots=True, kw_only=True)
class NowJoined:
    """A node that has just joined: its folder, its enrolment file, and the short codes to compare by telephone."""

    folder: Path
    enrolment: Path
    invitation_code: str
    enrolment_code: str


def join(archive: Path, folder: Path | None = None, *, code: str | None = None, anchor: str | None = None) -> NowJoined:
    """Set a node up from its invitation; after any error the folder is unchanged. Raises ConfigError, KitRefused.

    Args: folder: the node's folder; one named after the node, here, if left out. code, anchor: the values that the
    coordinator told, where they came another way than the archive.
    """
    anchor = None if anchor is None else fingerprint(anchor)
    opened = open_sealed(archive, INVITATION, by_authority(archive, anchor=anchor), limit=SMALL_MAX)
    if code is not None and opened.code != code.strip().lower():
        raise KitRefused(f"{archive}: CODE: its code is {opened.code}, not {code}; it is not what was handed out")
    setup = _setup(opened)
    root = folder if folder is not None else Path(setup.name)
    _free(root, opened)
    try:
        root.mkdir(mode=0o700, parents=True)
    except OSError as exc:
        raise ConfigError(f"{root}: {exc.strerror}; give --folder one you can write to") from exc
    try:
        return _joined(root.resolve(), opened, setup)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise


def _setup(opened: OpenedArchive) -> Setup:
    try:
        setup = Setup.model_validate_json(opened.files.get(SETUP, b""))
    except ValidationError as exc:
        raise KitRefused(f"{opened.path}: MALFORMED: {SETUP} does not read; the coordinator's version differs") from exc
    names = [setup.name, *(peer.name for peer in setup.peers)]
    if setup.name != opened.manifest.node or any(name_flaw(name) is not None for name in names):
        raise KitRefused(f"{opened.path}: MALFORMED: {SETUP} is not of {opened.manifest.node!r}; ask for it again")
    return setup


def _free(root: Path, opened: OpenedArchive) -> None:
    """Check that the folder holds no node yet, as one that joined keeps its keys. Raises KitRefused, ConfigError."""
    if not root.exists():
        return
    if not (root / JOINED).is_file():
        raise ConfigError(f"{root}: is there already and is never overwritten; give another --folder")
    before = joined_in(root)
    if before.trial == opened.manifest.trial:
        raise KitRefused(
            f"{root}: JOINED_TWICE: {before.node!r} has joined this trial here, and its keys stay; "
            f"hand in {enrolment_of(root, before.node)}, or move the folder away"
        )
    raise KitRefused(
        f"{root}: OTHER_TRIAL: {before.node!r} of another trial ({before.network!r}) lives here; give another --folder"
    )


def joined_in(root: Path) -> Joined:
    """Read what a node's folder stores about its trial. Raises ConfigError."""
    try:
        return Joined.model_validate_json(read_small(root / JOINED))
    except OSError as exc:
        raise ConfigError(f"{root}: no node of a trial here; run: bandpact kit join ARCHIVE") from exc
    except ValidationError as exc:
        raise ConfigError(f"{root / JOINED}: does not read as it was written; join again in another folder") from exc


def enrolment_of(root: Path, name: str) -> Path:
    """Return the path of a node's enrolment file."""
    return root / f"{name}{ENROLMENT}"


def _joined(root: Path, opened: OpenedArchive, setup: Setup) -> NowJoined:
    manifest = opened.manifest
    for folder, mode in ((PEERS, 0o750), (WORDS, 0o750), ("run", 0o700)):  # a warden of another user reads by its group
        (root / folder).mkdir(mode=mode)
    joined = Joined(
        trial=manifest.trial,
        network=manifest.network,
        anchor=manifest.anchor,
        node=setup.name,
        invitation=opened.digest.hex(),
        peers=setup.peers,
    )
    write_files(
        text_file(root / JOINED, joined.model_dump_json(indent=1)),
        *(WholeFile(path=root / name, data=opened.files.get(name, b"")) for name in (CHAIN, RULE)),
    )
    _rule_holds(root / RULE, opened)
    _configure(root, opened, setup)
    enrolment = enrolment_of(root, setup.name)

    def asked(key: SigningKey, transport: TransportKey) -> list[WholeFile]:
        text = request_text(key, name=setup.name, transport=transport.public, device=setup.device)
        whole = tomli_w.dumps({"trial": manifest.trial, "mark": mark_of(setup.token, text)}) + text
        return [text_file(enrolment, whole, replace=False), WholeFile(path=_qr(enrolment), data=qr_svg(whole))]

    make_keys(root, asked)
    return NowJoined(
        folder=root,
        enrolment=enrolment,
        invitation_code=opened.code,
        enrolment_code=short_code(hashlib.sha256(read_small(enrolment)).digest()),
    )


def _qr(enrolment: Path) -> Path:
    return enrolment.with_suffix(enrolment.suffix + ".svg")


def mark_of(token: str, request: str) -> str:
    """Return the proof that the sender holds the invitation: HMAC-SHA256 (RFC 2104) of the request under its token."""
    return hmac.new(token.encode(), request.encode(), hashlib.sha256).hexdigest()


def _rule_holds(path: Path, opened: OpenedArchive) -> None:
    *chain, raw = load_chain(path)
    registry = Registry(opened.manifest.network, [bytes.fromhex(opened.manifest.anchor)])
    rule = verify_rule(raw, chain, registry)
    if isinstance(rule, Refusal):
        raise KitRefused(f"{opened.path}: its rule does not hold: {rule}; ask the coordinator to make it again")


def _configure(root: Path, opened: OpenedArchive, setup: Setup) -> None:
    """Write node.toml, checked as `bandpact run` will; the welcome adds the neighbours. Raises ConfigError."""
    if len(str(root / "run" / "control").encode()) > SOCKET_MAX:
        raise ConfigError(f"{root}: too long for a local socket; give a shorter --folder")
    values = table_of(root, opened, setup)
    write_files(text_file(root / NODE_TOML, tomli_w.dumps(values), replace=False))
    load(root / NODE_TOML)


def table_of(root: Path, opened: OpenedArchive, setup: Setup) -> dict[str, Any]:
    """Return the node's configuration as its invitation defines it."""
    draft = NodeDraft(
        role=setup.role,
        network=opened.manifest.network,
        anchor=opened.manifest.anchor,
        rule=root / RULE,
        listen=_local(setup.listen, setup.bind),
        radio=f"{setup.radio.driver}:{setup.radio.uri}",
        simulated=setup.simulated,
        lat_e7=setup.place.lat_e7,
        lon_e7=setup.place.lon_e7,
    )
    band = Band(low_hz=setup.band[0], high_hz=setup.band[1])
    values = node_table(root, draft, name=setup.name, band=band, radius_mm=setup.area_radius_mm)
    values["radio"]["serial"] = setup.radio.serial
    values["words"] = str(root / WORDS)
    values["door"] = {"listen": _local(setup.door, setup.bind), "coordinator": setup.coordinator}
    values["offers"] = [_offer(one) for one in setup.offers]
    values["wants"] = [
        {"bands_hz": [[one.low_hz, one.high_hz]], "for_s": one.for_ns / 1e9, "eirp_mdbm": one.eirp_mdbm}
        for one in setup.wants
    ]
    return values


def _offer(one: _Offer) -> dict[str, Any]:
    return {
        "low_hz": one.low_hz,
        "high_hz": one.high_hz,
        "commodity": one.commodity,
        "price": one.price,
        "max_eirp_mdbm": one.eirp_mdbm,
        "for_s": one.for_ns / 1e9,
    }


def _local(endpoint: str, bind: str | None) -> str:
    """Return the address to listen on: the one that neighbours use, or `bind` for this machine with the same port."""
    return endpoint if bind is None else f"tcp://{bind}:{endpoint.rpartition(':')[2]}"
