"""Cost of a node with 32 neighbours in a signed directory of many identities, beside one of a thousand.

Every row of both directories is signed; the credentials of a node's neighbours are real, the other rows' hashes are
random, as nobody looks them up. Each node is its own process that looks its neighbours up, admits their credentials,
takes the status lists of their issuers, logs them, and settles nothing.
"""

import json
import secrets
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from settlement.chain import bodies, records
from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Registry, Subject, issue
from settlement.chain.identities import IdentityDirectory, IdentityRow, write_directory
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage
from settlement.chain.scope import Area, Band, Scope
from settlement.chain.status import bits_of
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from settlement.core.reasons import Refusal
from settlement.pair.artifact import verify_rule
from settlement.party.party import Party
from settlement.state.messages import Message
from settlement.state.step import Identity
from sim.world.trust import NETWORK, T0_NS, before_start, claims_for, make_rule, secret, signed_by

SMALL, NEIGHBOURS, OF_ONE_ISSUER = 1000, 32, 1000
SAMPLE, STEPS = 200, 200
ISSUERS_MET = 2
EVERYWHERE = Area(lat_e7=369_500_000, lon_e7=-763_000_000, radius_mm=20_000_000)
BAND = Band(low_hz=3_550_000_000, high_hz=3_590_000_000)


def _scope(actions: tuple[str, ...], tier: int, depth: int) -> Scope:
    return Scope(
        bands=(BAND,), area=EVERYWHERE, classes=("cbrs",), actions=actions, tier=tier, max_eirp_mdbm=30_000, depth=depth
    )


def _issued(name: str, key: SigningKey, issuer: Subject | None, by: SigningKey, body: bodies.Credential) -> bytes:
    claims = replace(claims_for(key.public, name), issuer=issuer.name if issuer is not None else name)
    return issue(by, issuer, body, claims, network=NETWORK, fix=before_start(), seq=secrets.randbelow(1 << 40) + 10)


def _network(folder: Path) -> dict[str, Any]:
    """Make a root, two issuers, a node and its neighbours: chains, the rule, a status list of each issuer."""
    root_key = SigningKey.from_seed(secret("root"))
    actions = ("issue", "rule", "offer", "grant", "request", "observe")
    root = _issued("root", root_key, None, root_key, bodies.Credential(level="authority", scope=_scope(actions, 1, 3)))
    registry = Registry(NETWORK, [records.digest(root)])
    authority = registry.admit(root)
    if isinstance(authority, Refusal):
        raise TypeError(str(authority))
    chains, lists, rows = [], [], []
    for number in range(ISSUERS_MET):
        name = f"issuer-{number}"
        key = SigningKey.from_seed(secret(name))
        body = bodies.Credential(level="authority", scope=_scope(("issue", "request", "observe"), 1, 1))
        raw = _issued(name, key, authority, root_key, body)
        issuer = registry.admit(raw)
        if isinstance(issuer, Refusal):
            raise TypeError(str(issuer))
        listed = bodies.Revocation(version=1, fresh_until_ns=T0_NS + 3600 * 10**9, bits=bits_of((), OF_ONE_ISSUER))
        lists.append(signed_by(key, issuer, listed, 1).hex())
        for member in range((NEIGHBOURS + 1) // ISSUERS_MET + 1):
            who = f"member-{number}-{member}"
            body = bodies.Credential(
                level="operator",
                scope=_scope(("request", "observe"), 2, 0),
                transport_key=secret(who + "/transport"),
                status_index=member,
            )
            leaf = _issued(who, SigningKey.from_seed(secret(who)), issuer, key, body)
            chains.append([one.hex() for one in (root, raw, leaf)])
            rows.append(
                IdentityRow(
                    credential=records.digest(leaf),
                    transport_key=secret(who + "/transport"),
                    issuer=number,
                    status_index=member,
                )
            )
    rule = signed_by(root_key, authority, make_rule(quorum=0, budget_hz_s=None, suspends=False), 2)
    (folder / "network.json").write_text(
        json.dumps({"chains": chains, "lists": lists, "rule": rule.hex(), "root": root.hex(), "me": "member-0-0"})
    )
    return {"rows": rows, "key": root_key}


def _directory(path: Path, network: dict[str, Any], count: int) -> float:
    """Write a directory of `count` identities; returns the seconds it took."""
    began_s, rng, known = time.perf_counter(), Random(count), network["rows"]
    drawn = (
        IdentityRow(
            credential=rng.randbytes(32),
            transport_key=rng.randbytes(32),
            issuer=number // OF_ONE_ISSUER,
            status_index=number % OF_ONE_ISSUER,
        )
        for number in range(count - len(known))
    )
    with path.open("wb") as file:
        write_directory(file, NETWORK, network["key"], [*known, *drawn])
    return time.perf_counter() - began_s


def run(folder: Path, *, count: int, rounds: int) -> dict[str, Any]:
    """Make both directories, and run nodes in each in turns. Raises RuntimeError where a node fails."""
    network, made = _network(folder), {}
    for name, size in (("small", SMALL), ("large", count)):
        made[name] = _directory(folder / name, network, size)
    nodes: dict[str, list[dict[str, Any]]] = {"small": [], "large": []}
    for number in range(rounds):
        for name, found in nodes.items():
            command = [sys.executable, "-P", "-m", "agent.bench.identities", str(folder), name, str(number)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"a node of the bench failed: {done.stderr[-500:]}")
            found.append(json.loads(done.stdout))
    small, large = ({key: min(one[key] for one in nodes[name]) for key in nodes[name][0]} for name in nodes)
    return {
        "identities": count,
        "beside": SMALL,
        "neighbours": NEIGHBOURS,
        "nodes": rounds,
        "directory_bytes": (folder / "large").stat().st_size,
        "directory_s": round(made["large"], 1),
        **{f"small_{key}": value for key, value in small.items()},
        **{f"large_{key}": value for key, value in large.items()},
    }


def _fix(at_ns: int) -> Fix:
    clock = TimeFix(earliest_ns=at_ns, latest_ns=at_ns + 1000, source=TimeSource.SIMULATED, trusted=True)
    place = PositionFix(
        lat_e7=369_500_000, lon_e7=-763_000_000, radius_mm=1000, source=PositionSource.SIMULATED, trusted=True
    )
    return Fix(time=clock, position=place)


def _looked_up(directory: IdentityDirectory, credential: bytes) -> IdentityRow:
    row = directory.find(credential)
    if not isinstance(row, IdentityRow) or row.revoked:
        raise TypeError(f"the directory of the bench does not hold a credential: {row}")
    return row


def node(folder: Path, name: str, number: str) -> dict[str, Any]:
    """Run one node; returns the cost of its start and of some hundred steps, its log, its memory, the lookup time."""
    told = json.loads((folder / "network.json").read_text())
    root, chains = bytes.fromhex(told["root"]), [[bytes.fromhex(one) for one in chain] for chain in told["chains"]]
    root_key = SigningKey.from_seed(secret("root"))
    used_s = time.process_time()
    with (folder / name).open("rb", buffering=0) as file:
        directory = IdentityDirectory.at(file, NETWORK, root_key.public)
        if isinstance(directory, Refusal):
            raise TypeError(str(directory))
        registry = Registry(NETWORK, [records.digest(root)])
        for chain in chains[: NEIGHBOURS + 1]:
            _looked_up(directory, records.digest(chain[-1]))
            if isinstance(refused := registry.admit_chain(chain), Refusal):
                raise TypeError(str(refused))
        party = _party(folder / f"{name}-{number}.db", told, root, chains[0], registry)
        _work(party, told)
        used_s = time.process_time() - used_s
        took_us = _lookups(directory, chains)
    size = party.lineage.path.stat().st_size + Path(f"{party.lineage.path}-wal").stat().st_size
    party.lineage.close()
    status = Path("/proc/self/status").read_text()
    resident_kib = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    return {
        "cpu_ms": round(used_s * 1e3, 2),
        "log_bytes": size,
        "memory_mib": round(resident_kib / 1024, 2),
        "lookup_p50_us": round(statistics.median(took_us), 1),
        "lookup_p99_us": round(sorted(took_us)[int(len(took_us) * 0.99)], 1),
    }


def _party(path: Path, told: dict[str, Any], root: bytes, mine: list[bytes], registry: Registry) -> Party:
    raw = bytes.fromhex(told["rule"])
    rule = verify_rule(raw, (root,), registry)
    if isinstance(rule, Refusal):
        raise TypeError(str(rule))
    key = SigningKey.from_seed(secret(told["me"]))
    return Party(
        identity=Identity(key=key, credential=records.digest(mine[-1]), network=NETWORK),
        registry=registry,
        rule=rule,
        rule_raw=raw,
        rule_chain=(root,),
        lineage=Lineage(path, origin=origin_of(NETWORK, key.public)),
        entropy=secrets.token_bytes,
    )


def _work(party: Party, told: dict[str, Any]) -> None:
    """Log credentials and rule, take the issuers' status lists through a neighbour, and run some hundred steps."""
    with party.step(_fix(T0_NS)) as step:
        party.register(step)
        carrier = party.witness.neighbours()[0].transport_key or b""
        for raw in told["lists"]:
            refusal = party.receive(step, Message(record=bytes.fromhex(raw)).encoded(), carrier)
            if refusal is not None:
                raise TypeError(str(refusal))
    for number in range(STEPS):
        now = _fix(T0_NS + number * 10**7)
        with party.step(now) as step:
            party.tick(step)
            for subject in party.witness.neighbours():
                refused = party.status.standing(subject, party.registry, now.time)
                if refused is not None:
                    raise TypeError(str(refused))


def _lookups(directory: IdentityDirectory, chains: list[list[bytes]]) -> list[float]:
    """Return lookup times in microseconds of processor time: of neighbours, and of unknown credentials."""
    rng, took_us = Random(1), []
    for number in range(SAMPLE):
        wanted = records.digest(chains[number % len(chains)][-1]) if number % 2 else rng.randbytes(32)
        began_ns = time.thread_time_ns()
        found = directory.find(wanted)
        took_us.append((time.thread_time_ns() - began_ns) / 1e3)
        if isinstance(found, Refusal):
            raise TypeError(str(found))
    return took_us


if __name__ == "__main__":
    print(json.dumps(node(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
