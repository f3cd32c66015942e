"""First drafts of the files that people edit: a node's configuration, and a rule for all that a desk governs."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import tomli_w

from agent.config.keyfiles import CHAIN, load_chain, load_keys
from agent.config.settings import ConfigError, NodeConfig, load
from agent.desk.classes import class_table
from agent.desk.nodekeys import ROLES
from agent.desk.overlaps import needed
from agent.words.shell import quoted
from hw_profiles.wholefile import write_whole
from radio.drivers.registry import DRIVERS, parted
from settlement.chain.credentials import Registry, Subject
from settlement.chain.scope import Area, Band, Scope
from settlement.records.authority import ClassTerms

SIMULATED_BOUND_NS = 200_000
"""Largest difference in ns between simulated clocks of two nodes on one machine: each is set when its draft is made."""
REAL_BOUND_NS = 20_000_000
"""Largest error in ns of a real radio's clock, in a drafted rule and in a drafted node."""
OUTLINE_RADIUS_MM = 10_000_000
S = 1_000_000_000
HOUR_S = 3600
NEIGHBOURS_MIN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A neighbour: its name, its credential file and its endpoint `tcp://HOST:PORT`."""

    endpoint: str
    chain: Path


NEEDED: Final = {"holder": "grant", "user": "request", "coordinator": "coordinate", "auditor": "audit"}
"""The action that a node's credential must allow, by the node's role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDraft:
    """The settings of a node that only the person who sets it up knows."""

    role: str
    network: str
    anchor: str
    rule: Path
    listen: str
    radio: str
    simulated: bool
    lat_e7: int
    lon_e7: int
    peers: Sequence[Neighbour] = ()
    authorities: Sequence[Path] = ()
    """Credential chains of authorities below the root."""


def _fresh(path: Path, values: dict[str, Any]) -> None:
    """Write a new file; an existing one is never overwritten. Raises ConfigError."""
    try:
        write_whole(path, tomli_w.dumps(values).encode(), replace=False)
    except FileExistsError as exc:
        raise ConfigError(f"{path}: is there already and is never overwritten; edit it, or move it away") from exc
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; name a place you can write to") from exc


def _admitted(draft: NodeDraft, chain: Path) -> Subject:
    try:
        registry = Registry(draft.network, [bytes.fromhex(draft.anchor)])
    except ValueError as exc:
        raise ConfigError(f"--anchor: {exc}; give 64 hexadecimal digits, as `bandpact authority show` prints") from exc
    subject = registry.admit_chain(load_chain(chain))
    if not isinstance(subject, Subject):
        raise ConfigError(f"{chain}: {subject}; check --network and --anchor, or ask the authority again")
    return subject


def draft_node(folder: Path, draft: NodeDraft, checked: Callable[[NodeConfig], object] = lambda _: None) -> Path:
    """Write `node.toml` into an enrolled node's folder, and check it as `bandpact run` will. Raises ConfigError.

    Args: checked: a further check of the configuration; raises ConfigError where it fails.
    """
    if draft.role not in ROLES:
        raise ConfigError(f"--role {draft.role}: no such role; give one of {', '.join(ROLES)}")
    if not (folder / CHAIN).is_file():
        raise ConfigError(f"{folder / CHAIN}: no credential yet; run: bandpact node enrol {quoted(folder)} CHAIN …")
    load_keys(folder)
    me = _admitted(draft, folder / CHAIN)
    if NEEDED[draft.role] not in me.scope.actions:
        may = ", ".join(me.scope.actions)
        raise ConfigError(f"--role {draft.role}: its credential allows {may}; give the role that it was issued for")
    target = folder / "node.toml"
    _fresh(target, _node(folder.resolve(), draft, me))
    try:
        checked(load(target))
    except ConfigError:
        target.unlink()
        raise
    return target


def _node(folder: Path, draft: NodeDraft, me: Subject) -> dict[str, Any]:
    peers = [
        {"name": _admitted(draft, p.chain).name, "endpoint": p.endpoint, "chain": str(p.chain.resolve())}
        for p in draft.peers
    ]
    for chain in draft.authorities:
        _admitted(draft, chain)
    known = {"authorities": [str(chain.resolve()) for chain in draft.authorities]} if draft.authorities else {}
    radius_mm = me.scope.area.radius_mm or OUTLINE_RADIUS_MM
    table = node_table(folder, draft, name=me.name, band=_radio_band(me.scope), radius_mm=radius_mm)
    return table | known | {"peers": peers}


def _radio_band(scope: Scope) -> Band:
    """Return the credential's first band in Hz. Raises ConfigError without one: the node has no radio to configure."""
    found = next((band for band in scope.bands if band.unit is None), None)
    if found is None:
        raise ConfigError(f"{', '.join(map(str, scope.bands))}: no frequencies; the credential entitles no radio")
    return found


def node_table(folder: Path, draft: NodeDraft, *, name: str, band: Band, radius_mm: int) -> dict[str, Any]:
    """The configuration of a node as `node.toml` holds it, without its neighbours. Raises ConfigError.

    Args: radius_mm: radius of the area that the node may act in.
    """
    radio = _radio(draft, band)
    return {
        "name": name,
        "role": "holder" if draft.role == "holder" else "user",
        "network": draft.network,
        "listen": draft.listen,
        "folder": str(folder),
        "run_folder": str(folder / "run"),
        "anchors": [draft.anchor],
        "rule": str(draft.rule.resolve()),
        "area_radius_mm": radius_mm // 2,
        "radio": radio,
        "place": {"lat_e7": draft.lat_e7, "lon_e7": draft.lon_e7, "source": _place(draft)},
        "clock": _clock(draft),
        "channels": _channels(band, _heard_hz(radio, band)),
    }


def _place(draft: NodeDraft) -> str:
    return "simulated" if draft.simulated else "surveyed"


def _radio(draft: NodeDraft, band: Band) -> dict[str, Any]:
    """Return the radio section, tuned to the middle of the sensed band; a real radio starts disarmed, uncalibrated."""
    driver, rest = parted(draft.radio)
    try:
        radio = DRIVERS[driver].draft(rest, center_hz=0, simulated=draft.simulated)
    except ValueError as exc:
        raise ConfigError(f"--radio {draft.radio}: {exc}") from exc
    radio["rx_center_hz"] = band.low_hz + _heard_hz(radio, band) // 2
    # A holder only listens, with a frame length other than the users', so that its looks meet their transmissions.
    return radio | ({"frame_us": 19_000} if draft.role == "holder" else {})


def _clock(draft: NodeDraft) -> dict[str, Any]:
    """Return the clock section: chrony, or the kernel without chrony; for a simulated radio a simulated receiver.

    The budget is that of the drafted rule: no network source guarantees less than a few milliseconds.
    """
    if not draft.simulated:
        kind = "chrony" if shutil.which("chronyc") else "kernel"
        return {"budget_us": REAL_BOUND_NS / 1000, "sources": [{"kind": kind}]}
    clock = {"utc_at_zero_ns": time.time_ns() - time.monotonic_ns(), "zero_ns": 0, "bound_ns": SIMULATED_BOUND_NS}
    return {"agree_s": 0.0, "sources": [{"kind": "simulated", "clock": clock}]}


def _heard_hz(radio: dict[str, Any], band: Band) -> int:
    """Return the width in Hz of the band's lower part that the radio receives at once."""
    width_hz: int = min(band.high_hz - band.low_hz, radio["rx_bandwidth_hz"])
    return width_hz


def _channels(band: Band, heard_hz: int) -> list[dict[str, int]]:
    """Return two channels that halve the part of the band that the radio receives at once."""
    width_hz = heard_hz // 2
    low = band.low_hz
    return [{"low_hz": low + n * width_hz, "high_hz": low + (n + 1) * width_hz} for n in range(2)]


def draft_rule(
    path: Path,
    *,
    name: str,
    scope: Scope,
    days: int,
    simulated: bool,
    holders: int = 1,
    nodes: int = 0,
    classes: Mapping[str, ClassTerms] | None = None,
) -> None:
    """Write a rule for everything in a scope, to be edited and then signed. Raises ConfigError.

    Args: holders: number of holders that may grant one cell; so many must co-sign that no two can grant it twice.
    nodes: in the network; from three neighbours on, more than half of them witness a node's log. classes: terms of the
    classes whose schema is signed, by name.
    """
    signed = classes or {}
    now = datetime.now(tz=UTC).replace(microsecond=0)
    _fresh(
        path,
        {
            "name": name,
            "version": 1,
            "effective_from": now - timedelta(minutes=1),
            "effective_until": now + timedelta(days=days),
            "time_sources": ["simulated"] if simulated else ["gps", "chrony", "kernel"],
            "position_sources": ["simulated"] if simulated else ["gps", "surveyed"],
            "time_bound_ns_max": 1_000_000 if simulated else REAL_BOUND_NS,
            "position_radius_mm_max": 50_000,
            "record_age_ns_max": 5 * S,
            "sensing_age_ns_max": S,
            "witness_quorum": witnesses(nodes),
            "outside_authorisation": 0,
            "validity_ns_max": 48 * 3600 * S,
            "desk": {
                "time_sources": ["kernel"],
                "position_sources": ["surveyed"],
                "time_bound_ns_max": 2 * S,
                "position_radius_mm_max": 1_000_000,
            },
            "area": _area(scope.area),
            "bands": [_band(band) for band in scope.bands],
            "levels": [
                {"name": "authority", "response": "obey", "weight_ppm": 1_000_000, "admits": ["*"]},
                {"name": "operator", "response": "consider", "weight_ppm": 500_000, "admits": ["*"]},
            ],
            "classes": [
                class_table(signed[one]) if one in signed else _terms(one, scope.max_eirp_mdbm) for one in scope.classes
            ],
            "coordination": [{"name": "all", "mode": "neighbours", "need": needed(holders)}],
            "budgets": [_budget(one, scope, signed[one].unit if one in signed else None) for one in scope.classes],
        },
    )


def witnesses(nodes: int) -> int:
    """Return how many witnesses a log needs in a network of `nodes`: one of two neighbours, or a majority of more."""
    neighbours = nodes - 1
    return 0 if neighbours < NEIGHBOURS_MIN else max(1, neighbours // 2 + (neighbours > NEIGHBOURS_MIN))


def _band(band: Band) -> dict[str, Any]:
    unit = {} if band.unit is None else {"unit": band.unit}
    return {"low_hz": band.low_hz, "high_hz": band.high_hz, **unit}


def _budget(commodity: str, scope: Scope, unit: str | None) -> dict[str, Any]:
    """Return a budget of one hour of all there is in a unit; a newcomer gets a quarter, more as it fulfils its dues."""
    width_hz = sum(band.high_hz - band.low_hz for band in scope.bands if band.unit == unit)
    return {
        "level": "operator",
        "commodity": commodity,
        "window_ns": HOUR_S * S,
        "amount_hz_s": width_hz * HOUR_S,
        "first_share_ppm": 250_000,
        "step_ppm": 50_000,
    }


def _area(area: Area) -> dict[str, Any]:
    if area.outline is not None:
        return {"outline": [[corner.lat_e7, corner.lon_e7] for corner in area.outline]}
    return {"lat_e7": area.lat_e7, "lon_e7": area.lon_e7, "radius_mm": area.radius_mm}


def _terms(commodity: str, max_eirp_mdbm: int) -> dict[str, Any]:
    return {
        "name": commodity,
        "raster_hz": 5_000_000,
        "time_unit_ns": 1_000_000,
        "max_window_ns": 600 * S,
        "max_eirp_mdbm": max_eirp_mdbm,
        "accept_ns": 2 * S,
        "confirm_ns": 2 * S,
        "lease_ns": 3 * S,
        "vacate_ns": S // 2,
        "price_low": 0,
        "price_high": 1_000_000,
        "out_of_band_mdbm_per_mhz": -13_000,
    }
