"""`bandpact kit make`: makes from a trial's file the desk, the signed rule, and a sealed invitation for each node."""

import json
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from agent.config.keyfiles import TRANSPORT, secret_file, write_files
from agent.config.settings import ConfigError
from agent.desk import folder as desks
from agent.desk.drafts import draft_rule
from agent.desk.nodekeys import sign_rule
from agent.kit import folder as kits
from agent.kit.archive import sealed, short_code
from agent.kit.folder import Trial, open_trial
from agent.kit.settleable import unsettleable
from agent.kit.spec import NodePart, TrialFile, read_trial
from agent.words.shell import quoted
from agent.words.units import band_text
from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import SECRET_MODE, WholeFile, write_together
from settlement.chain.scope import Area, Band, Scope
from settlement.governing.rulefile import RuleFileError
from settlement.mesh import TransportKey
from settlement.records.authority import Rule

INVITATION = "invitation"
SETUP, CHAIN, RULE, README = "setup.json", "authority.chain", "rule.signed", "README.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """One node's invitation: its file, its QR code, and its short code."""

    node: str
    archive: Path
    qr: Path
    code: str


def make(file: Path, target: Path | None, passphrase: str | None = None) -> tuple[Trial, list[Invited]]:
    """Make a trial's folder; after any error no folder is left. Raises ConfigError."""
    spec = read_trial(file)
    root = target if target is not None else file.with_suffix("")
    if root.exists():
        raise ConfigError(f"{root}: is there already and is never overwritten; move it away, or give another --out")
    try:
        root.mkdir(parents=True, mode=0o700)
    except OSError as exc:
        raise ConfigError(f"{root}: {exc.strerror}; give --out a folder you can write to") from exc
    try:
        return _made(file, root, spec, passphrase)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise


def _made(file: Path, root: Path, spec: TrialFile, passphrase: str | None) -> tuple[Trial, list[Invited]]:
    authority, scope = spec.authority, _scope(spec)
    lat_e7, lon_e7, _ = authority.area
    anchor = desks.init(
        root / kits.DESK,
        name=authority.name,
        network=spec.network,
        scope=scope,
        days=authority.life,
        place=desks.DeskPlace(lat_e7=lat_e7, lon_e7=lon_e7),
        passphrase=passphrase,
    )
    state = kits.new_state(spec.network, anchor, [node.name for node in spec.nodes])
    door = TransportKey.generate()
    for folder in (kits.KITS, kits.ENROLLED, kits.DOOR_KEY):
        (root / folder).mkdir(mode=0o700)
    write_files(
        secret_file(root / kits.DOOR_KEY / TRANSPORT, door.secret),
        WholeFile(path=root / kits.SPEC, data=read_small(file)),
        WholeFile(path=root / kits.STATE, data=state.model_dump_json(indent=1).encode(), mode=SECRET_MODE),
    )
    trial = open_trial(root)
    rule = _rule(trial, scope, passphrase)
    wrong = unsettleable(spec, rule)
    if wrong is not None:
        raise ConfigError(f"{file}: {wrong}")
    return trial, [_invite(trial, node, door.public, passphrase) for node in spec.nodes]


def _scope(spec: TrialFile) -> Scope:
    lat_e7, lon_e7, radius_mm = spec.authority.area
    return Scope(
        bands=(Band(low_hz=spec.band[0], high_hz=spec.band[1]),),
        area=Area(lat_e7=lat_e7, lon_e7=lon_e7, radius_mm=radius_mm),
        classes=tuple(spec.rule.classes),
        actions=desks.AUTHORITY_ACTIONS,
        tier=1,
        max_eirp_mdbm=spec.authority.max_eirp,
        depth=3,
    )


def _rule(trial: Trial, scope: Scope, passphrase: str | None) -> Rule:
    """Draft the rule for the trial's numbers of holders and nodes, and sign it."""
    spec, draft = trial.spec, trial.root / "rule.toml"
    draft_rule(
        draft,
        name=spec.rule.name,
        scope=scope,
        days=spec.authority.life,
        simulated=spec.simulated,
        holders=max(1, sum(node.role == "holder" for node in spec.nodes)),
        nodes=len(spec.nodes),
    )
    try:
        return sign_rule(trial.desk(passphrase), draft, trial.root / kits.RULE, None)[1]
    except RuleFileError as exc:
        raise ConfigError(f"{draft}: {exc}") from exc


def setup_of(trial: Trial, node: NodePart, door: bytes) -> dict[str, Any]:
    """Return what an invitation tells a node about itself and its neighbours."""
    spec = trial.spec
    lat_e7, lon_e7 = node.place
    return {
        "name": node.name,
        "role": node.role,
        "device": node.radio.device,
        "radio": {"driver": node.radio.driver, "uri": node.radio.uri, "serial": node.radio.serial},
        "simulated": spec.simulated,
        "place": {"lat_e7": lat_e7, "lon_e7": lon_e7},
        "listen": node.listen,
        "door": node.door,
        "bind": node.bind,
        "band": list(spec.band),
        "area_radius_mm": spec.authority.area[2],
        "peers": [{"name": one.name, "endpoint": one.listen} for one in spec.nodes if one.name != node.name],
        "coordinator": door.hex(),
        "token": trial.state.tokens[node.name],
        "offers": [
            {
                "low_hz": one.band[0],
                "high_hz": one.band[1],
                "for_ns": one.length,
                "eirp_mdbm": one.eirp,
                "commodity": one.commodity or spec.rule.classes[0],
                "price": one.price,
            }
            for one in node.offers
        ],
        "wants": [
            {"low_hz": one.band[0], "high_hz": one.band[1], "for_ns": one.length, "eirp_mdbm": one.eirp}
            for one in node.wants
        ],
    }


def _invite(trial: Trial, node: NodePart, door: bytes, passphrase: str | None) -> Invited:
    desk, path = trial.desk(passphrase), trial.root / kits.KITS / f"{node.name}{kits.KIT}"
    files = {
        SETUP: json.dumps(setup_of(trial, node, door), indent=1).encode(),
        CHAIN: read_small(trial.root / kits.DESK / "credential.chain"),
        RULE: read_small(trial.root / kits.RULE),
        README: _readme(trial, node).encode(),
    }
    data, digest = sealed({**trial.manifest, "kind": INVITATION, "node": node.name}, files, desk.vouch)
    code, qr = short_code(digest), path.with_suffix(".svg")
    said = f"bandpact {trial.state.network} {node.name} {code} anchor {trial.state.anchor}"
    write_together([WholeFile(path=path, data=data, mode=SECRET_MODE), WholeFile(path=qr, data=qr_svg(said))])
    return Invited(node=node.name, archive=path, qr=qr, code=code)


def qr_svg(text: str) -> bytes:
    """Return a QR code (ISO/IEC 18004) of a text, as an SVG file."""
    import segno

    out = BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", scale=6, xmldecl=True, title="bandpact kit")
    return out.getvalue()


def _readme(trial: Trial, node: NodePart) -> str:
    return (
        f"Invitation of {node.name!r}, {node.role}, to the trial {trial.state.network!r} "
        f"on {band_text(*trial.spec.band)}.\n\n"
        f"On that node's machine:\n\n    bandpact kit join {quoted(node.name + kits.KIT)}\n\n"
        "It makes the node's keys there and an enrolment file, which goes back to the coordinator. Then, with the\n"
        f"welcome that the coordinator sends:\n\n    bandpact kit run {quoted(node.name)} welcome.kit\n\n"
        "Whoever has this archive can enrol in that node's name: hand it to nobody else.\n"
    )
