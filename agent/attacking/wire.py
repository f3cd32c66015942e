"""Attack rows that are bytes on the wire: forms, headers, keys, and records that their author may not sign.

Long because each row of the attack table is a case of its own here, and all share one environment.
"""

import secrets
import time
from dataclasses import replace
from typing import Any

import cbor2
from geographiclib.geodesic import Geodesic

from agent.attacking.ground import HOLDER, MHZ, NS, STATUS_INDEX, UPPER, Ground
from agent.attacking.stranger import Stranger
from agent.attacking.table import case
from agent.config.keyfiles import load_chain
from settlement.chain import bodies, codec, cose, records
from settlement.chain.bodies import Revocation
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, sign_record
from settlement.chain.scope import Band, Window
from settlement.chain.status import bits_of
from settlement.core.fixes import PositionSource, TimeSource
from settlement.state.messages import Message

U62 = 2**62


def rebuilt(by: Stranger, raw: bytes, *, drop: tuple[int, ...] = (), unprotected: Any = None, **add: Any) -> bytes:
    """Return the same record under another header, with a valid signature."""
    protected, _, payload, _ = cbor2.loads(raw).value
    fields = {k: v for k, v in cbor2.loads(protected).items() if k not in drop}
    fields |= {int(k.removeprefix("label")): v for k, v in add.items()}
    encoded = cbor2.dumps(dict(sorted(fields.items())))
    signature = by.key.sign(cose.to_be_signed(encoded, payload, records.aad(by.network)))
    return cbor2.dumps(cbor2.CBORTag(18, [encoded, unprotected or {}, payload, signature]))


def with_payload(by: Stranger, change: Any) -> bytes:
    """Return a REQUEST whose payload map is changed before it is signed."""
    frame = codec.to_map(by.frame())
    payload = cbor2.dumps({**frame, 6: change})
    fields: dict[int, object] = {cose.KID: by.key.kid, cose.TYP: records.TYPE_PREFIX + "request"}
    return cose.sign(by.key, payload, records.aad(by.network), fields)


# -- forms ------------------------------------------------------------------------------------------------------------


@case(1, "a message whose map has a key twice", "MALFORMED")
def _twice(ground: Ground) -> str:
    return ground.bare(HOLDER, b"\xa2\x01\x41\x00\x01\x41\x00")


@case(2, "a message with bytes behind its end", "MALFORMED")
def _trailing(ground: Ground) -> str:
    return ground.bare(HOLDER, Message(record=ground.mallory.sign(ground.request())).encoded() + b"\x00")


@case(3, "a length that is not in the shortest form", "NONCANONICAL")
def _longer(ground: Ground) -> str:
    return ground.bare(HOLDER, b"\xa1\x01\x58\x01\x00")


@case(3, "an indefinite length", "NONCANONICAL")
def _indefinite(ground: Ground) -> str:
    return ground.bare(HOLDER, b"\xbf\x01\x41\x00\xff")


@case(3, "keys out of order", "NONCANONICAL")
def _disordered(ground: Ground) -> str:
    return ground.bare(HOLDER, b"\xa2\x03\x01\x01\x41\x00")


@case(4, "a float in a signed payload", "FORBIDDEN_TYPE")
def _float(ground: Ground) -> str:
    return ground.told(HOLDER, with_payload(ground.mallory, {1: 1.5}))


@case(4, "a tag in a signed payload", "FORBIDDEN_TYPE")
def _tag(ground: Ground) -> str:
    return ground.told(HOLDER, with_payload(ground.mallory, {1: cbor2.CBORTag(0, "now")}))


@case(5, "an item nested three thousand deep", "TOO_LARGE")
def _deep(ground: Ground) -> str:
    return ground.bare(HOLDER, b"\xa1\x01" + b"\x81" * 3000)


@case(5, "a length that promises a terabyte", "MALFORMED")
def _promise(ground: Ground) -> str:
    return ground.bare(HOLDER, b"\xa1\x01\x5b" + (1 << 40).to_bytes(8, "big") + b"x")


def _header(ground: Ground, **changes: Any) -> str:
    return ground.told(HOLDER, rebuilt(ground.mallory, ground.mallory.sign(ground.request()), **changes))


@case(6, "an unknown critical extension", "CRIT")
def _critical(ground: Ground) -> str:
    return _header(ground, label2=[99])


@case(7, "the algorithm in the unprotected header", "ALG")
def _unprotected_alg(ground: Ground) -> str:
    return _header(ground, drop=(1,), unprotected={1: -8})


@case(7, "no algorithm", "ALG")
def _no_alg(ground: Ground) -> str:
    return _header(ground, drop=(1,))


@case(7, "another key's algorithm", "ALG")
def _other_alg(ground: Ground) -> str:
    return _header(ground, label1=-7)


@case(8, "an unprotected field", "HEADER")
def _unprotected(ground: Ground) -> str:
    return _header(ground, unprotected={99: 0})


# -- keys and names ---------------------------------------------------------------------------------------------------


@case(9, "a key id that is not the key's", "KEY")
def _kid(ground: Ground) -> str:
    return _header(ground, label4=bytes(len(ground.mallory.key.kid)))


@case(10, "a rotation to a key of low order", "KEY", "SIGNATURE", "ROTATION")
def _low_order(ground: Ground) -> str:
    return ground.told(HOLDER, ground.mallory.sign(_successor(ground, b"\x01" + bytes(31))))


def _successor(ground: Ground, public: bytes) -> bodies.Rotation:
    """Return a rotation of the attacker's own credential to a key without its proof."""
    known = ground.layout.desk.registry.get(ground.mallory.hash)
    if known is None:
        raise LookupError("the attacker is not enrolled")
    body = bodies.Credential(
        level="operator", scope=known.scope, transport_key=known.transport_key, device=known.device
    )
    return bodies.Rotation(successor=ground.layout.desk.entitle(public, known.name, body), proof=bytes(64))


@case(10, "a signature of zeros", "SIGNATURE")
def _zeros(ground: Ground) -> str:
    raw = ground.mallory.sign(ground.request())
    return ground.told(HOLDER, raw[:-64] + bytes(64))


@case(11, "a record under another type", "TYPE")
def _relabelled(ground: Ground) -> str:
    raw = ground.mallory.sign(ground.request())
    return ground.told(HOLDER, raw.replace(b"bandpact/request", b"bandpact/requesx", 1))


@case(12, "a record of another network", "DOMAIN")
def _network(ground: Ground) -> str:
    frame = ground.mallory.frame(network="elsewhere")
    return ground.told(HOLDER, sign_record(ground.mallory.key, frame, ground.request()))


@case(17, "the holder's own offer, sent by another", "TRANSPORT_BINDING")
def _echo(ground: Ground) -> str:
    ground.mallory.say(HOLDER, ground.offer)
    found = ground.until(
        lambda: [
            e
            for e in ground.events(HOLDER, "refusal")
            if e["peer"] == ground.mallory_name and e["reason"] == "TRANSPORT_BINDING"
        ]
    )
    return str(found[-1]["reason"]) if found else ""


@case(17, "a neighbour's offer, relayed under another's transport key", "TRANSPORT_BINDING")
def _relayed(ground: Ground) -> str:
    return ground.told(HOLDER, ground.eve.sign(ground.request()))


@case(46, "a record by an author nobody knows", "UNKNOWN_AUTHOR")
def _unknown(ground: Ground) -> str:
    key = SigningKey.from_seed(secrets.token_bytes(32))
    return ground.told(HOLDER, sign_record(key, ground.mallory.frame(author=bytes(32)), ground.request()))


@case(46, "a neighbour's name over another's key", "SIGNATURE")
def _posing(ground: Ground) -> str:
    key = replace(ground.mallory.key, kid=ground.eve.key.kid)
    return ground.told(HOLDER, sign_record(key, ground.mallory.frame(author=ground.eve.hash), ground.request()))


# -- time and place ---------------------------------------------------------------------------------------------------


def _attested(ground: Ground, *, shift_ns: int = 0, widen_ns: int = 0, **changes: Any) -> str:
    here = Attestation.of(ground.mallory.fix())
    moved = replace(here, earliest_ns=here.earliest_ns + shift_ns - widen_ns, latest_ns=here.latest_ns + shift_ns)
    return ground.told(HOLDER, ground.mallory.sign(ground.request(), attestation=replace(moved, **changes)))


@case(13, "a record signed two seconds ahead", "NOT_YET")
def _ahead(ground: Ground) -> str:
    return _attested(ground, shift_ns=2 * NS)


@case(23, "a record kept back for half a minute", "STALE")
def _old(ground: Ground) -> str:
    return _attested(ground, shift_ns=-30 * NS)


@case(36, "a record by a clock that its author does not trust", "TIME_UNTRUSTED")
def _no_clock(ground: Ground) -> str:
    return _attested(ground, time_source=int(TimeSource.NONE))


@case(36, "a clock with a bound wider than the rule's", "TIME_UNTRUSTED")
def _wide_clock(ground: Ground) -> str:
    return _attested(ground, widen_ns=3_000_000)


@case(37, "a place its author does not trust", "POSITION_UNTRUSTED")
def _no_place(ground: Ground) -> str:
    return _attested(ground, position_source=int(PositionSource.NONE))


@case(37, "a place far outside the area", "SPATIAL_OUTSIDE")
def _far(ground: Ground) -> str:
    return _attested(ground, lat_e7=ground.centre_e7[0] + 30_000_000)


@case(38, "a disc across the area's edge", "SPATIAL_UNDECIDED")
def _edge(ground: Ground) -> str:
    lat_e7, lon_e7 = ground.centre_e7
    radius_mm = ground.body(ground.offer).cell.area.radius_mm
    end = Geodesic.WGS84.Direct(lat_e7 / 1e7, lon_e7 / 1e7, 0, radius_mm / 1000)
    return _attested(ground, lat_e7=round(end["lat2"] * 1e7), lon_e7=lon_e7, radius_mm=45_000)


# -- entitlement ------------------------------------------------------------------------------------------------------


def _asked(ground: Ground, **changes: Any) -> str:
    return ground.told(HOLDER, ground.mallory.sign(ground.request(**changes)))


@case(14, "a band beyond the credential", "SCOPE")
def _band(ground: Ground) -> str:
    cell = ground.cell(Band(low_hz=3_540 * MHZ, high_hz=3_550 * MHZ))
    return _asked(ground, cell=cell)


@case(14, "more power than the credential", "POWER")
def _power(ground: Ground) -> str:
    return _asked(ground, eirp_mdbm=60_000)


@case(15, "a class that begins as the credential's", "SCOPE")
def _prefix(ground: Ground) -> str:
    return _asked(ground, commodity=ground.request().commodity + "x")


@case(41, "a request in a tier it does not hold", "TIER")
def _tier(ground: Ground) -> str:
    return _asked(ground, tier=1)


@case(51, "a price outside the rule's bounds", "PRICE")
def _price(ground: Ground) -> str:
    return _asked(ground, price=10**9)


@case(49, "a dispute that cites a rule nobody knows", "RULE_UNKNOWN")
def _dispute(ground: Ground) -> str:
    body = bodies.Dispute(
        sid=bytes(32), confirm=bytes(32), rule=bytes(32), against=ground.mallory.hash, grounds="x", claim=1, evidence=()
    )
    return ground.told(HOLDER, ground.mallory.sign(body))


@case(57, "an envelope at a level of nothing", "TERMS", "MALFORMED")
def _level(ground: Ground) -> str:
    return ground.told(HOLDER, ground.mallory.sign(_envelope(level_ppm=0)))


@case(57, "an envelope that is sure of everything", "TERMS", "MALFORMED")
def _certain(ground: Ground) -> str:
    return ground.told(HOLDER, ground.mallory.sign(_envelope(level_ppm=bodies.PPM)))


@case(57, "a band of no width", "TERMS", "MALFORMED", "SCOPE")
def _narrow(ground: Ground) -> str:
    return _asked(ground, cell=ground.cell(Band(low_hz=UPPER.low_hz, high_hz=UPPER.low_hz)))


@case(57, "a window to the end of time", "TERMS", "MALFORMED", "SCOPE")
def _endless(ground: Ground) -> str:
    cell = ground.cell()
    return _asked(ground, cell=replace(cell, window=Window(start_ns=cell.window.start_ns, end_ns=U62)))


@case(57, "the holder still answers after all of these", "alive")
def _still(ground: Ground) -> str:
    return "alive" if ground.alive(HOLDER) and not ground.count(HOLDER, "FAULT") else "it raised"


@case(58, "a rule signed by a user", "SCOPE")
def _rule(ground: Ground) -> str:
    return ground.told(HOLDER, ground.mallory.sign(_rule_of(ground)))


def _rule_of(ground: Ground) -> bodies.Rule:
    """The rule in force, as a user would sign it with a new version."""
    rule: bodies.Rule = ground.body(load_chain(ground.folder(HOLDER) / "rule.signed")[-1])
    return replace(rule, version=rule.version + 1)


@case(64, "an observer's envelope outside its own band", "SCOPE")
def _outside(ground: Ground) -> str:
    channel = bodies.ChannelObservation(
        band=Band(low_hz=5_000 * MHZ, high_hz=5_010 * MHZ), state="occupied", floor_unit="dBFS/Hz", flags=()
    )
    return ground.told(HOLDER, ground.mallory.sign(_envelope(channels=(channel,))))


def _envelope(**changes: Any) -> bodies.Envelope:
    now_ns = time.time_ns()
    base = bodies.Envelope(
        kind="place",
        observed=Window(start_ns=now_ns - NS, end_ns=now_ns),
        valid_until_ns=now_ns + 2 * NS,
        level_ppm=950_000,
        looks=10,
        channels=(),
        incumbents=(),
    )
    return replace(base, **changes)


# -- the authority's word ---------------------------------------------------------------------------------------------


def _list(ground: Ground, version: int, revoked: tuple[int, ...] = ()) -> str:
    body = Revocation(version=version, fresh_until_ns=time.time_ns() + 600 * NS, bits=bits_of(revoked, 32))
    return ground.told(HOLDER, ground.layout.desk.says(body))


def _by_eve(ground: Ground) -> str:
    return ground.told(HOLDER, ground.eve.sign(ground.request()), ground.eve)


@case(19, "a credential with a place in a list nobody has", "STATUS_UNKNOWN")
def _no_list(ground: Ground) -> str:
    return _by_eve(ground)


@case(20, "an older status list", "ROLLBACK")
def _older(ground: Ground) -> str:
    taken = _list(ground, 5)
    return _list(ground, 4) if taken == "admitted" else f"version 5 was not taken: {taken}"


@case(21, "a status list whose version jumps to 2^62", "FAST_FORWARD")
def _jump(ground: Ground) -> str:
    return _list(ground, U62)


@case(18, "a credential that was taken back", "REVOKED")
def _revoked(ground: Ground) -> str:
    taken = _list(ground, 6, (STATUS_INDEX,))
    return _by_eve(ground) if taken == "admitted" else f"version 6 was not taken: {taken}"


@case(20, "a list that gives back what was revoked", "ROLLBACK")
def _given_back(ground: Ground) -> str:
    return _list(ground, 7)


@case(22, "a rotation that the old key did not sign", "ROTATION")
def _rotation(ground: Ground) -> str:
    fresh = SigningKey.from_seed(secrets.token_bytes(32))
    return ground.told(HOLDER, sign_record(fresh, ground.mallory.frame(), _successor(ground, fresh.public)))
