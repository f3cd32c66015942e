"""`bandpact kit enrol`: turns the enrolment files of nodes into credentials and the welcome."""

import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from agent.config.keyfiles import load_chain
from agent.config.locks import held
from agent.config.settings import ConfigError
from agent.desk.folder import Desk
from agent.desk.nodekeys import IssueLimits, issue_for
from agent.desk.requests import read_request
from agent.kit import folder as kits
from agent.kit.archive import KitRefused, sealed, short_code
from agent.kit.folder import Trial
from agent.kit.invitations import CHAIN
from agent.kit.join import mark_of
from agent.words.shell import quoted
from hw_profiles.smallfile import read_small, read_small_text
from hw_profiles.tomltext import read_toml
from hw_profiles.wholefile import write_whole
from settlement.chain.credentials import Registry, Subject

WELCOME, DAY_S = "welcome", 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """Result of an enrolment: nodes entitled now, entitled before and still missing, and the welcome.

    `codes` has the short code of each node's file, as `kit join` printed it.
    """

    fresh: tuple[str, ...]
    known: tuple[str, ...]
    missing: tuple[str, ...]
    welcome: Path
    codes: dict[str, str]


def enrol(trial: Trial, files: Sequence[Path], passphrase: str | None = None) -> Enrolled:
    """Entitle each node that handed in its enrolment file, and write the welcome for all nodes. Raises ConfigError.

    A refused file does not affect the others; the first refusal is raised after they are done.
    """
    fresh, known, refused, codes = list[str](), list[str](), list[ConfigError](), dict[str, str]()
    with held(trial.root / kits.DESK, None, "bandpact kit", wait_s=10.0):
        desk = trial.desk(passphrase)
        for file in files:
            try:
                name, asked, codes[name] = _asked_in(trial, file)
                (known if _entitled(trial, desk, file, name, asked) else fresh).append(name)
            except ConfigError as exc:
                refused.append(exc)
        welcome = _welcome(trial, desk)
    if refused:
        raise refused[0]
    missing = tuple(node.name for node in trial.spec.nodes if not trial.chain_of(node.name).is_file())
    return Enrolled(fresh=tuple(fresh), known=tuple(known), missing=missing, welcome=welcome, codes=codes)


def _asked_in(trial: Trial, file: Path) -> tuple[str, str, str]:
    """Return name, request as TOML and short code of an enrolment file of an invited node. Raises KitRefused.

    The file is read only here, so that a file that changes meanwhile cannot be entitled unchecked.
    """
    try:
        written = read_small_text(file)
        table = read_toml(written)
    except OSError as exc:
        raise ConfigError(f"{file}: {exc.strerror}; give the enrolment file that `kit join` wrote") from exc
    except (ValueError, RecursionError) as exc:
        raise KitRefused(f"{file}: MALFORMED: no enrolment file ({exc}); have the node hand it back again") from exc
    of_trial, mark, name = table.pop("trial", None), table.pop("mark", None), table.get("name")
    if not isinstance(of_trial, str) or not isinstance(mark, str) or not isinstance(name, str):
        raise KitRefused(f"{file}: MALFORMED: no enrolment file of the kit; give what `kit join` wrote")
    if of_trial != trial.state.trial:
        raise KitRefused(f"{file}: OTHER_TRIAL: it belongs to another trial; enrol it there")
    token = trial.state.tokens.get(name)
    if token is None:
        raise KitRefused(f"{file}: UNINVITED: {name!r} is none of this trial's nodes; add it to the trial first")
    text = tomli_w.dumps(table)
    if not hmac.compare_digest(mark_of(token, text).encode(), mark.encode()):
        raise KitRefused(f"{file}: ALTERED: not what {name!r} wrote with its invitation; have it hand it back again")
    return name, text, short_code(hashlib.sha256(written.encode()).digest())


def _entitled(trial: Trial, desk: Desk, file: Path, name: str, text: str) -> bool:
    """Issue the node's credential; returns True where it has one for that key already. Raises ConfigError."""
    request = trial.root / kits.ENROLLED / f".{name}.request"
    write_whole(request, text.encode())
    try:
        asked = read_request(request)
        if asked.device != trial.spec.node(name).radio.device:
            raise KitRefused(f"{file}: BINDING: it is for the radio {asked.device!r}, not the trial's; make it anew")
        target = trial.chain_of(name)
        if target.is_file():
            return _same_key(trial, target, asked.public, name, file)
        node = trial.spec.node(name)
        limits = IssueLimits(eirp_mdbm=node.eirp)
        days = min(trial.spec.authority.life, max(1, _days_left(desk)))
        issue_for(desk, request, name=name, role=node.role, limits=limits, days=days, out=target)
    finally:
        request.unlink(missing_ok=True)
    return False


def _days_left(desk: Desk) -> int:
    return int((desk.me.expires_ns - time.time_ns()) // (DAY_S * 10**9))


def _same_key(trial: Trial, chain: Path, public: bytes, name: str, file: Path) -> bool:
    registry = Registry(trial.state.network, [bytes.fromhex(trial.state.anchor)])
    known = registry.admit_chain(load_chain(chain))
    if isinstance(known, Subject) and known.public == public:
        return True
    raise KitRefused(
        f"{file}: JOINED_TWICE: {name!r} is enrolled with another key; if that one is lost, run "
        f"`bandpact authority revoke {quoted(name)} --desk {quoted(trial.root / kits.DESK)} --out status.list`, "
        f"remove {chain}, "
        "and enrol again"
    )


def _welcome(trial: Trial, desk: Desk) -> Path:
    """Write the archive that every node gets: all credentials, and a status list of those revoked."""
    status = trial.root / kits.STATUS
    desk.revoke((), fresh_s=trial.spec.authority.status_list * DAY_S, out=status)
    files = {f"{name}.chain": read_small(trial.chain_of(name)) for name in trial.enrolled}
    files[kits.STATUS] = read_small(status)
    files[CHAIN] = read_small(trial.root / kits.DESK / "credential.chain")
    data, _ = sealed({**trial.manifest, "kind": WELCOME}, files, desk.vouch)
    write_whole(trial.root / kits.WELCOME, data)
    return trial.root / kits.WELCOME
