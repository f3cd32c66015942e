"""Test vectors for other implementations: inputs of the verifying functions in the tests, and their verdicts.

`python -m tests.settlement.named_vectors` runs the tests of the chain, listens to each verifying function, and writes a
few of the shortest inputs for every verdict that came up into docs/vectors/. The files are reviewed and frozen: a test
asks every function the same again. With the word market it writes market.json alone: artifacts of leases that changed
hands, of what a group decided, of settlements over several classes.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from settlement.audit import bundle
from settlement.chain import admission, checkpoint, credentials, merkle
from settlement.chain.admission import Admitted, Context
from settlement.chain.credentials import Registry
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Refusal
from settlement.pair import artifact
from settlement.state import rules

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "vectors"
TESTS = (
    "admission", "areas", "artifact", "attack_bytes", "attacks", "bounded", "bundle", "complaints", "coordination",
    "cose", "desk_terms", "envelopes", "hostile", "merkle", "recognition", "revocation", "rules", "succession",
    "suspension", "taxonomy", "terms", "windows", "witness",
)  # fmt: skip
MARKET = (
    "handing/test_changing_hands", "handing/test_refused", "quorum/test_decided", "quorum/test_auction",
    "quorum/test_approval", "quorum/test_coalition", "market/test_wholes",
)  # fmt: skip
EACH = {"admission": 3, "artifact": 2, "credential": 2, "bundle": 1, "inclusion": 3, "consistency": 3, "checkpoint": 3}
EACH_COSIGNATURE = 3
BUNDLE_MAX = 48 * 1024
Vector = dict[str, Any]


def verdict_of(said: object) -> str | dict[str, str]:
    """The verdict of a function as text: `accepted`, or reason and clause."""
    if isinstance(said, Refusal):
        return {"reason": said.reason.value, "clause": said.clause}
    return "accepted"


def instant(now: TimeFix) -> dict[str, Any]:
    """A time as the vectors encode it."""
    return {"earliest_ns": now.earliest_ns, "latest_ns": now.latest_ns, "trusted": now.trusted}


@dataclass(slots=True)
class Heard:
    """The recorded calls by kind and verdict; rules by their hash."""

    kinds: dict[str, dict[str, list[Vector]]] = field(default_factory=dict)
    rules: dict[bytes, dict[str, Any]] = field(default_factory=dict)

    def keep(self, kind: str, vector: Vector) -> None:
        """Keep a vector, unless there are enough shorter ones with its verdict."""
        of_verdict = self.kinds.setdefault(kind, {}).setdefault(json.dumps(vector["verdict"], sort_keys=True), [])
        if all(vector != other for other in of_verdict):
            of_verdict.append(vector)
            of_verdict.sort(key=lambda one: (len(json.dumps(one)), json.dumps(one, sort_keys=True)))
            del of_verdict[EACH.get(kind, EACH_COSIGNATURE) :]

    def vectors(self, kind: str) -> list[Vector]:
        """The vectors of a kind, named by what they show."""
        found = []
        for said, vectors in sorted(self.kinds.get(kind, {}).items()):
            verdict = json.loads(said)
            name = verdict if isinstance(verdict, str) else f"{verdict['clause']} {verdict['reason']}"
            found += [{"name": f"{kind} {name} {n}", **vector} for n, vector in enumerate(vectors, 1)]
        return found


def registry_of(registry: Registry) -> dict[str, Any]:
    """The content of a registry: the credentials in order of admission, and their successors."""
    subjects = registry.subjects()
    return {
        "network": registry.network,
        "anchors": sorted(anchor.hex() for anchor in registry.anchors),
        "credentials": [subject.chain[-1].hex() for subject in subjects],
        "successions": [
            [one.hash.hex(), new.hex()] for one in subjects if (new := registry.successor(one.hash)) is not None
        ],
    }


def listen(heard: Heard) -> dict[int, Callable[..., Any]]:
    """The recorded functions, each with its replacement, by the identity of the original."""

    def admit(raw: bytes, context: Context, **asked: Any) -> Any:
        said = plain_admit(raw, context, **asked)
        rule = heard.rules.get(context.rule.hash)
        if rule is not None and not asked.get("allow_seen") and under_one_rule(raw, context):
            heard.keep("admission", admission_vector(raw, context, said, rule, asked))
        return said

    def verify(data: bytes, *, network: str, anchors: Any) -> Any:
        trusted = list(anchors)
        said = plain_verify(data, network=network, anchors=trusted)
        known = {"network": network, "anchors": [one.hex() for one in trusted]}
        heard.keep("artifact", {"verdict": verdict_of(said), "input": data.hex(), **known})
        return said

    def verify_bundle(data: bytes, *, network: str, anchors: Any) -> Any:
        trusted = list(anchors)
        said = plain_verify_bundle(data, network=network, anchors=trusted)
        if isinstance(data, bytes) and len(data) <= BUNDLE_MAX:
            holds = not isinstance(said, Refusal) and said.ok
            verdict = verdict_of(said) if isinstance(said, Refusal) else "accepted" if holds else "does not hold"
            known = {"network": network, "anchors": [one.hex() for one in trusted]}
            heard.keep("bundle", {"verdict": verdict, "input": data.hex(), **known})
        return said

    def verify_inclusion(leaf: bytes, index: int, size: int, proof: Any, expected: bytes) -> Any:
        said = plain_inclusion(leaf, index, size, proof, expected)
        asked = {
            "leaf": leaf.hex(),
            "index": index,
            "size": size,
            "path": [p.hex() for p in proof],
            "root": expected.hex(),
        }
        heard.keep("inclusion", {"verdict": verdict_of(said), **asked})
        return said

    def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Any) -> Any:
        said = plain_consistency(old, new, old_root, new_root, proof)
        roots = {"old_root": old_root.hex(), "new_root": new_root.hex()}
        heard.keep(
            "consistency",
            {"verdict": verdict_of(said), "old": old, "new": new, **roots, "path": [p.hex() for p in proof]},
        )
        return said

    def open_note(note: str, public: bytes) -> Any:
        said = plain_open(note, public)
        heard.keep("checkpoint", {"verdict": verdict_of(said), "note": note, "public": public.hex()})
        return said

    def check_cosignature(note: str, *, name: str, public: bytes) -> Any:
        said = plain_cosignature(note, name=name, public=public)
        heard.keep("cosignature", {"verdict": verdict_of(said), "note": note, "witness": name, "public": public.hex()})
        return said

    plain_admit, plain_verify = admission.admit, artifact.verify
    plain_verify_bundle, plain_inclusion = bundle.verify_bundle, merkle.verify_inclusion
    plain_consistency, plain_open = merkle.verify_consistency, checkpoint.open_note
    plain_cosignature = checkpoint.check_cosignature
    return {
        id(plain_admit): admit,
        id(plain_verify): verify,
        id(plain_verify_bundle): verify_bundle,
        id(plain_inclusion): verify_inclusion,
        id(plain_consistency): verify_consistency,
        id(plain_open): open_note,
        id(plain_cosignature): check_cosignature,
    }


def under_one_rule(raw: bytes, context: Context) -> bool:
    """Whether the rule in force now is the one that the record was signed under."""
    admitted = admission.prove(raw, context.registry)
    if isinstance(admitted, Refusal):
        return True
    return context.rule_for(admitted.record.frame.attestation).hash == context.rule.hash


def admission_vector(raw: bytes, context: Context, said: object, rule: dict[str, Any] | None, asked: Any) -> Vector:
    """All inputs of one verdict of admission."""
    registry, status = context.registry, context.status
    transport: bytes | None = asked["transport_key"]
    named = said.record.digest if isinstance(said, Admitted) else None
    lists = [status.held(one.hash) for one in registry.subjects()]
    return {
        "verdict": verdict_of(said),
        "input": raw.hex(),
        "over": None if transport is None else transport.hex(),
        "now": instant(asked["now"]),
        **registry_of(registry),
        "rule": rule,
        "status_lists": [held.record.hex() for held in lists if held is not None],
        **before(raw, context, named),
    }


def before(raw: bytes, context: Context, named: bytes | None) -> dict[str, Any]:
    """What the log holds of the record and of its number."""
    del named
    admitted = admission.prove(raw, context.registry)
    if isinstance(admitted, Refusal):
        return {"seen": False, "other_with_its_number": None}
    frame = admitted.record.frame
    other = context.history.author_record(frame.author, frame.seq) if frame.author else None
    return {
        "seen": context.history.seen(admitted.record.digest),
        "other_with_its_number": None if other is None else other.hex(),
    }


class Listener:
    """A pytest plugin that replaces each verifying function wherever it is imported."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard
        examine = Registry.admit

        def admit(registry: Registry, raw: bytes) -> Any:
            around = registry_of(registry)
            said = examine(registry, raw)
            heard.keep("credential", {"verdict": verdict_of(said), "input": raw.hex(), **around})
            return said

        credentials.Registry.admit = admit  # type: ignore[method-assign]
        made = rules.HeldRule.__init__

        def hold(held: rules.HeldRule, **parts: Any) -> None:
            made(held, **parts)
            heard.rules[held.rule.hash] = {"record": held.raw.hex(), "chain": [one.hex() for one in held.chain]}

        rules.HeldRule.__init__ = hold  # type: ignore[method-assign]

    def pytest_collection_finish(self) -> None:
        """Replace the functions."""
        stands_in = listen(self.heard)
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in ("settlement", "tests", "agent", "radio") and name != __name__:
                for key, value in list(vars(module).items()):
                    if callable(value) and id(value) in stands_in:
                        setattr(module, key, stands_in[id(value)])


def main() -> None:
    """Run the tests, record the calls, and write the files."""
    heard, here = Heard(), Path(__file__).resolve().parent
    paths = [str(here / f"test_{name}.py") for name in TESTS]
    code = pytest.main(["-q", "-p", "no:cacheprovider", *paths], plugins=[Listener(heard)])
    if code:
        raise SystemExit(f"the tests do not pass (exit {code}); nothing was written")
    from tests.settlement.test_named_vectors import said_again

    FOLDER.mkdir(exist_ok=True)
    for kind in (*EACH, "cosignature"):
        # A test that changes a rule only in memory cannot be shown in bytes.
        found = [vector for vector in heard.vectors(kind) if said_again(kind, vector) == vector["verdict"]]
        (FOLDER / f"{kind}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{kind}: {len(found)} vectors")


def market() -> None:
    """Run the tests of what is more than a pair, listen to the verifier of artifacts alone, and write market.json.

    The shortest for each verdict; one whose clause artifact.json has already is left out, but for what is accepted.
    """
    heard, here = Heard(), Path(__file__).resolve().parent
    paths = [str(here / f"{name}.py") for name in MARKET]
    code = pytest.main(["-q", "-p", "no:cacheprovider", "-m", "not realtime", *paths], plugins=[Listener(heard)])
    if code:
        raise SystemExit(f"the tests do not pass (exit {code}); nothing was written")
    from tests.settlement.test_named_vectors import said_again

    had = {json.dumps(v["verdict"]) for v in json.loads((FOLDER / "artifact.json").read_text(encoding="utf-8"))}
    found, seen = [], set()
    for vector in heard.vectors("artifact"):
        verdict = json.dumps(vector["verdict"])
        new = verdict not in had and verdict not in seen
        if (new or vector["verdict"] == "accepted") and said_again("artifact", vector) == vector["verdict"]:
            seen.add(verdict)
            found.append(vector | {"name": vector["name"].replace("artifact ", "market ", 1)})
    (FOLDER / "market.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"market: {len(found)} vectors")


if __name__ == "__main__":
    market() if sys.argv[1:] == ["market"] else main()
