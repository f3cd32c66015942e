"""Golden vectors: one record of every type, most from a small settlement, with the same bytes every time.

`python -m tests.settlement.golden` writes them again, and docs/protocol-fields.md from them.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from settlement.chain import bodies, cose
from settlement.chain.codec import encode
from settlement.chain.credentials import issue
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.records import Attestation, Frame, Unproven, digest, parse, sign_record
from settlement.chain.rotation import rotation_of
from settlement.chain.scope import Area, Band, Cell, Corner, Window
from settlement.quorum.certificate import Certificate, vote
from settlement.quorum.group import membership_of
from settlement.quorum.seals import commitment
from settlement.records.handover import Consent, Handover, Reclaim, Vacated
from settlement.records.jurisdiction import Jurisdiction, JurisdictionTerms
from settlement.records.registry import RECORDS
from tests.settlement.schema_text import (
    BEGIN_MEANING,
    BEGIN_SCHEMAS,
    END_MEANING,
    END_SCHEMAS,
    meaning_section,
    schema_section,
)
from tests.settlement.world import LAT, LON, LOWER, NETWORK, NS, RULE, T0, World, claims, fix, scope, seed, trio

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = Path(__file__).resolve().parent / "vectors" / "records.json"
DOC, FIELDS = ROOT / "docs" / "protocol.md", ROOT / "docs" / "protocol-fields.md"
"""The protocol page, with a generated table of values, and its appendix, generated as a whole."""
BEGIN, END = "<!-- vectors -->", "<!-- /vectors -->"


FIRST_TYPES = tuple(name for name, row in RECORDS.items() if row.number <= 34)
"""The record types that the vectors' rule admits: only the oldest, so that a new type changes no vector."""
FIRST_RULE = replace(RULE, levels=tuple(replace(level, admits=FIRST_TYPES) for level in RULE.levels))


def _settlement(folder: Path) -> World:
    world = trio(folder, rule=FIRST_RULE)
    sid = world.settle()
    del sid
    world.request("bob", 1.2, Band(low_hz=LOWER.low_hz, high_hz=LOWER.high_hz), 2.0, 9.0)
    world.carry(1.2)
    world.do("holder", 3.6, world.members["holder"].party.tick)
    world.carry(3.6)
    (pair,) = world.members["alice"].party.user.pairs.values()
    world.do("alice", 4.0, lambda step: world.members["alice"].party.user.relinquish(step, pair.sid, "done"))
    world.carry(4.0)
    return world


OUTLINE = Area(
    outline=tuple(
        Corner(lat_e7=LAT + north, lon_e7=LON + east)
        for north, east in ((100_000, -100_000), (100_000, 100_000), (-100_000, 100_000), (-100_000, -100_000))
    )
)
WISH = Cell(band=LOWER, area=OUTLINE, window=Window(start_ns=T0 + 2 * NS, end_ns=T0 + 12 * NS))
HOUR = Window(start_ns=T0, end_ns=T0 + 3600 * NS)


def _from_authority(rule: bytes, subject: bytes) -> list[Any]:
    axis = bodies.Axis(name="bandwidth", unit="hz", low=1_000_000, high=40_000_000)
    return [
        bodies.Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=b"\x08"),
        bodies.Schema(
            commodity="cbrs", version=1, effective=HOUR, axes=(axis,), recognition=("content match", "challenge")
        ),
        bodies.Admission(subject=subject, outcome=1, classes=("cbrs",), window=HOUR, rule=rule),
        bodies.Ruling(
            dispute=seed("dispute"), sid=seed("sid"), rule=rule, outcome="upheld", compensation=7, pays=subject,
            reason="displaced without notice",
        ),
    ]  # fmt: skip


def _from_holder(rule: bytes, raws: dict[str, bytes]) -> list[Any]:
    sid, confirm, grant = seed("sid"), digest(raws["confirm"]), digest(raws["grant"])
    note = "bandpact/test-net/example\n2\nAAAA\n"
    return [
        bodies.Counter(
            declaration=digest(raws["declaration"]), answers=digest(raws["request"]), round=1, cell=WISH,
            commodity="cbrs", price=9, answer_by_ns=T0 + 3 * NS, rule=rule,
        ),
        bodies.Abort(sid=sid, grant=grant, reason="TIMEOUT"),
        bodies.Preempt(
            sid=sid, confirm=confirm, tier=1, reason="INCUMBENT", vacate_by_ns=T0 + 5 * NS, evidence=seed("seen")
        ),
        bodies.Coordination(
            sid=sid, grant=grant, accept=digest(raws["accept"]), shards=("coast",), until_ns=T0 + 12 * NS
        ),
        bodies.Suspend(
            sid=sid, confirm=confirm, number=2, fence=8, reason="INCUMBENT", until_ns=T0 + 9 * NS,
            evidence=seed("seen"),
        ),
        bodies.Resume(sid=sid, confirm=confirm, number=3, transmit_until_ns=T0 + 10 * NS, fence=9),
        bodies.Fallback(
            sid=sid, confirm=confirm, choice=0, cell=WISH, from_ns=T0 + 6 * NS, notice_ns=NS,
            reason="INCUMBENT", fence=7,
        ),
        bodies.Checkpoint(note=note, old_size=1, proof=(seed("node"),)),
        bodies.Cosignature(note=note, line="\u2014 example AAAA"),
        bodies.Evidence(reason="EQUIVOCATION", first=raws["grant"], second=raws["confirm"]),
        bodies.Gate(
            state="OPEN", previous="ARMED", reason="", measured="", required="", sid=sid,
            at_earliest_ns=T0, at_latest_ns=T0 + 1000,
        ),
        bodies.Compensation(
            sid=sid, confirm=confirm, request=digest(raws["request"]), amount=374, currency="EUR", to=seed("payee")
        ),
        bodies.DisputeAnswer(
            dispute=seed("dispute"), sid=sid, confirm=confirm, stance="denied", evidence=(seed("seen"),),
            reason="moved",
        ),
    ]  # fmt: skip


def _from_user(rule: bytes, raws: dict[str, bytes], holder: bytes) -> list[Any]:
    sid, confirm = seed("sid"), digest(raws["confirm"])
    quantity = bodies.Quantity(value=100_000, low=80_000, high=120_000)
    channel = bodies.ChannelObservation(
        band=LOWER, state="busy", occupancy_ppm=quantity, floor_mdb=bodies.Quantity(value=-9, low=-12, high=-6),
        floor_unit="dBm/Hz", flags=("CLIPPED",), clear_above_mdbm=-100_000,
    )  # fmt: skip
    return [
        bodies.Intent(
            cell=WISH, commodity="cbrs", tier=2, eirp_mdbm=20_000, price=10, answer_by_ns=T0 + NS, rule=rule,
            nonce=seed("wish")[:16],
        ),
        bodies.Usage(
            sid=sid, confirm=confirm, airtime_ns=NS, bursts=3, ended="window end",
            used=Window(start_ns=T0 + 2 * NS, end_ns=T0 + 3 * NS),
        ),
        bodies.Dispute(
            sid=sid, confirm=confirm, rule=rule, against=holder, grounds="displaced without notice", claim=7,
            evidence=(seed("seen"),),
        ),
        bodies.Envelope(
            kind="place", observed=HOUR, valid_until_ns=T0 + 3700 * NS, level_ppm=950_000, looks=12,
            channels=(channel,), incumbents=("radar",), max_eirp_mdbm=23_000, sensitivity_mdbm=-104_000,
            modality="energy",
        ),
    ]  # fmt: skip


def _rotated(world: World) -> bytes:
    """Alice's key succeeded by another, with the credential her authority issued for it."""
    new = SigningKey.from_seed(seed("alice-next"))
    body = bodies.Credential(level="operator", scope=scope(("request", "observe"), tier=2))
    raw = issue(
        world.root_key, world.authority, body, claims(new.public, "alice", "root"), network=NETWORK, fix=fix(-8), seq=98
    )
    return _signed(world, "alice", rotation_of(world.members["alice"].hash, raw, new, NETWORK), 708)


def _of_auctions(world: World, rule: bytes) -> list[bytes]:
    """The records of an auction by the holder: list of members, one record of each kind, and its outcome."""
    holder, alice, bob = (world.members[name] for name in ("holder", "alice", "bob"))
    members = tuple(
        bodies.GroupMember(role=role, credential=one.hash, key=one.key.public, weight=weight)
        for role, one, weight in (("holder", holder, 1), ("bidder", alice, 1), ("regulator", bob, 2))
    )
    group = bodies.MemberList(name="notaries", epoch=3, effective=HOUR, faulty=0, members=members)
    listed = world.by_authority(group, 0.0, seq=120)
    cell = Cell(band=LOWER, area=OUTLINE, window=Window(start_ns=T0 + 30 * NS, end_ns=T0 + 60 * NS))
    terms = bodies.AuctionTerms(
        declaration=seed("offer"), cell=cell, commodity="cbrs", reserve=10, deposit=5,
        bids_by_ns=T0 + 10 * NS, reveals_by_ns=T0 + 20 * NS,
    )  # fmt: skip
    asked = bodies.Proposal(
        members="notaries", epoch=3, membership=digest(listed), function="second price", need=0,
        vote_by_ns=T0 + 25 * NS, rule=rule, auction=terms,
    )  # fmt: skip
    proposal = _signed(world, "holder", asked, 730)
    name, nonce = digest(proposal), seed("nonce")[:16]
    bid = bodies.Bid(proposal=name, commitment=commitment(name, alice.hash, 40, nonce), deposit=5)
    sealed = _signed(world, "alice", bid, 730)
    shown = _signed(world, "alice", bodies.Reveal(proposal=name, bid=digest(sealed), price=40, nonce=nonce), 731)
    counted = bodies.CountedBid(bid=digest(sealed), reveal=digest(shown))
    tally = _signed(
        world, "holder", bodies.AuctionTally(proposal=name, bids=(counted,), winner=alice.hash, price=10), 731
    )
    membership, choice = membership_of(NETWORK, group), digest(tally)
    votes = tuple(vote(one.key, membership, choice) for one in (holder, alice))
    ballot = bodies.Ballot(proposal=name, epoch=3, choice=choice, signature=votes[0].signature)
    certificate = Certificate(epoch=3, membership=membership.name, subject=choice, votes=votes)
    outcome = bodies.GroupOutcome(
        proposal=name, epoch=3, choice=choice, certificate=encode(certificate), tally=choice,
        winner=alice.hash, price=10,
    )  # fmt: skip
    return [
        listed, proposal, sealed, shown, tally,
        _signed(world, "holder", ballot, 732), _signed(world, "holder", outcome, 733),
    ]  # fmt: skip


def _signed(world: World, name: str, body: Any, seq: int) -> bytes:
    member = world.members[name]
    here = Attestation.of(fix(5.0))
    frame = Frame(network=NETWORK, author=member.hash, seq=seq, previous=seed("before"), attestation=here)
    return sign_record(member.key, frame, body)


def _others(world: World, raws: dict[str, bytes]) -> list[bytes]:
    rule = world.members["holder"].party.rule.hash
    alice, holder = world.members["alice"].hash, world.members["holder"].hash
    made = [world.by_authority(b, 0.0, seq=99 + n) for n, b in enumerate(_from_authority(rule, alice))]
    made += [_signed(world, "holder", b, 700 + n) for n, b in enumerate(_from_holder(rule, raws))]
    made += [_signed(world, "alice", b, 700 + n) for n, b in enumerate(_from_user(rule, raws, holder))]
    return [*made, *_handed(world, rule, raws), _rotated(world), *_of_auctions(world, rule)]


def _handed(world: World, rule: bytes, raws: dict[str, bytes]) -> list[bytes]:
    """The records of a lease that is handed on and comes back."""
    sid, handover = seed("sid"), seed("handover")
    said = [
        ("alice", Handover(
            sid=sid, confirm=digest(raws["confirm"]), kind="sublease", to=world.members["bob"].hash, cell=WISH,
            commodity="cbrs", tier=2, max_eirp_mdbm=17_000, price=7, rule=rule, artifact=b"\xa0",
        )),
        ("holder", Consent(sid=sid, handover=handover)),
        ("alice", Vacated(
            sid=sid, handover=handover, silent_earliest_ns=T0, silent_latest_ns=T0 + 1000, lease=raws["renew"],
        )),
        ("alice", Reclaim(sid=sid, handover=handover, reason="it is over")),
    ]  # fmt: skip
    terms = JurisdictionTerms(commodity="cbrs", max_eirp_mdbm=17_000, max_window_ns=NS, price_low=0, price_high=50)
    law = Jurisdiction(
        name="north", clause="N-12.3", area=WISH.area, effective=HOUR, classes=(terms,), reconciliation="stricter"
    )
    signed = [_signed(world, name, body, 740 + n) for n, (name, body) in enumerate(said)]
    return [*signed, world.by_authority(law, 0.0, seq=140)]


def vectors() -> list[dict[str, Any]]:
    """One of each type: those of a settlement in the order in which the holder logged them, then the others."""
    with tempfile.TemporaryDirectory() as folder:
        world = _settlement(Path(folder))
        leaves = [decode_leaf(b) for b in world.members["holder"].party.lineage.bodies()]
        raws = [leaf.record for leaf in leaves if isinstance(leaf, Leaf) and leaf.record is not None]
        first = {vector["type"]: bytes.fromhex(vector["record"]) for vector in _firsts(raws)}
        return _firsts([*raws, *_others(world, first)])


def _firsts(raws: list[bytes]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for raw in raws:
        unproven = parse(raw)
        if isinstance(unproven, Unproven) and unproven.typ not in found:
            found[unproven.typ] = {
                "type": unproven.typ,
                "protected": unproven.message.protected.hex(),
                "payload": unproven.message.payload.hex(),
                "signature": unproven.message.signature.hex(),
                "record": raw.hex(),
                "sha256": digest(raw).hex(),
            }
    return list(found.values())


def document() -> dict[str, Any]:
    """The whole vectors file."""
    names = ("root", "holder", "alice", "bob", "alice-next")
    return {
        "network": NETWORK,
        "external_aad": (b"bandpact/1/" + NETWORK.encode()).hex(),
        "seeds": {name: seed(name).hex() for name in names},
        "signed_near_ns": fix(0).time.middle_ns,
        "records": vectors(),
    }


def table(held: dict[str, Any]) -> str:
    """The part of the protocol page that is made from the vectors."""
    parts = [f"Network `{held['network']}`, external_aad `{held['external_aad']}`.\n"]
    for vector in held["records"]:
        parts.append(f"### {vector['type']}\n")
        parts.append(f"SHA-256 `{vector['sha256']}`\n")
        parts.append(f"```\n{vector['record']}\n```\n")
    return "\n".join(parts)


def _between(page: str, begin: str, end: str, text: str) -> str:
    before, _, rest = page.partition(begin)
    after = rest.partition(end)[2]
    return f"{before}{begin}\n{text}\n{end}{after}"


def with_meaning(page: str) -> str:
    """The page with the table of what values can mean written anew."""
    return _between(page, BEGIN_MEANING, END_MEANING, meaning_section())


def with_fields(page: str, held: dict[str, Any]) -> str:
    """The appendix with its schemas and vectors written anew."""
    return _between(_between(page, BEGIN_SCHEMAS, END_SCHEMAS, schema_section()), BEGIN, END, table(held))


def to_be_signed(vector: dict[str, Any]) -> bytes:
    """The bytes that a vector's signature covers."""
    aad = b"bandpact/1/" + NETWORK.encode()
    return cose.to_be_signed(bytes.fromhex(vector["protected"]), bytes.fromhex(vector["payload"]), aad)


if __name__ == "__main__":
    made = document()
    FILE.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    DOC.write_text(with_meaning(DOC.read_text(encoding="utf-8")), encoding="utf-8")
    FIELDS.write_text(with_fields(FIELDS.read_text(encoding="utf-8"), made), encoding="utf-8")
