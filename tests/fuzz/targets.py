"""Every parser of untrusted bytes, with its valid seeds and what must hold for any bytes.

A parser returns a value or a refusal, or raises the one error its docstring names; anything else breaks its promise.
"""

import json
from collections.abc import Callable
from pathlib import Path

import cbor2

from agent.node import control
from agent.node.commands import BadCommand, parse_command
from agent.node.events import plain
from agent.samples.counts import Counts
from agent.samples.levels import SAMPLE_BYTES, decoded, to_codes
from agent.timekeeping.chrony import parse_tracking
from agent.words.units import parse_edges, parse_hz, parse_power, parse_time_ns
from hw_profiles.printable import printable
from radio.link import AgentBeat, Burst, TimedBurst
from radio.link import decode as decode_link
from radio.recording.metadata import read_metadata
from settlement.audit.bundle import BUNDLE_LIMIT, Bundle, BundledLog
from settlement.audit.bundleform import read_form
from settlement.chain import cose, records
from settlement.chain.bodies import BODIES
from settlement.chain.checkpoint import open_note
from settlement.chain.codec import decode, encode
from settlement.chain.leaf import decode_leaf
from settlement.chain.scan import scan
from settlement.core.reasons import Refusal, RefusedError
from settlement.formats import tlogproof, tlogwitness, vkey
from settlement.governing.rulefile import RuleFileError, read_rule
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact
from settlement.quorum.certificate import Certificate
from settlement.state.messages import decode_message
from sim.iiod import protocol

VECTORS = Path(__file__).resolve().parent.parent / "settlement" / "vectors" / "records.json"
TYPES = tuple(BODIES)
Target = Callable[[bytes], None]


class BrokenPromiseError(AssertionError):
    """A parser broke what its docstring promises."""


def _scan(data: bytes) -> None:
    if scan(data) is None and cbor2.dumps(cbor2.loads(data)) != data:
        raise BrokenPromiseError("accepted bytes are not the only encoding of their value")


def _record(data: bytes) -> None:
    parsed = records.parse(data)
    if isinstance(parsed, records.Unproven):
        if parsed.message.raw != data:
            raise BrokenPromiseError("a record is not the bytes it came from")
        parsed.opened()


def _body(data: bytes) -> None:
    if data:
        body = decode(BODIES[TYPES[data[0] % len(TYPES)]], data[1:], "body")
        try:
            twice = not isinstance(body, Refusal) and encode(body) != data[1:]
        except RefusedError:
            return  # well-formed but meaningless bytes: the meaning is checked after the signature
        if twice:
            raise BrokenPromiseError("a body has two encodings")


def _bundle(data: bytes) -> None:
    form = read_form(data, limit=BUNDLE_LIMIT)
    if not isinstance(form, Refusal):
        logs = [BundledLog(origin=o.origin, checkpoint=o.checkpoint, entries=tuple(o.entries)) for o in form[1]]
        if encode(Bundle(network=form[0], logs=tuple(logs)), limit=BUNDLE_LIMIT) != data:
            raise BrokenPromiseError("a bundle has two encodings")


def _rule(data: bytes) -> None:
    try:
        read_rule(data.decode("utf-8", "replace"))
    except RuleFileError:
        return


def _command(data: bytes) -> None:
    fields = control._decoded(data)
    if fields is not None:
        try:
            parse_command(fields)
        except BadCommand as exc:
            printable(exc)


def _recording(data: bytes) -> None:
    from radio.errors import RadioError

    try:
        read_metadata(data, where="x")
    except RadioError as exc:
        if "\n" in printable(exc):
            raise BrokenPromiseError("more than a line") from exc


def _cbsd(data: bytes) -> None:
    """Parse and answer a batch of every method: one response item for each item, with a known code."""
    from radio.cbrs.codes import known
    from radio.cbrs.messages import METHODS, BadBody, read_batch
    from tests.radio.cbrs.made import CERT, NOW, sas

    for method in METHODS:
        items = read_batch(method, data)
        if isinstance(items, BadBody):
            continue
        made, _ = sas()
        answered = made.answer("v1.2", method, items, CERT, NOW)[f"{method}Response"]
        if len(answered) != len(items) or any(known(one["response"]["responseCode"]) is None for one in answered):
            raise BrokenPromiseError("an item without its answer")
        json.dumps(answered)


def _cbsd_question(data: bytes) -> None:
    """Parse a request of an endpoint to the warden: an accepted one must fit into the book on disk."""
    from radio.cbrs.book import LIMIT, Page
    from radio.cbrs.door import answer_of, ask_of
    from radio.cbrs.outlet import _noted
    from radio.cbrs.permission import Given
    from settlement.chain.codec import encode

    try:
        value = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError):
        return
    answer_of(value)
    ask = ask_of(value)
    if ask is not None:
        given = Given(sid=bytes(32), transmit_until_ns=10**18, grant_until_ns=10**18, interval_s=60)
        encode(Page(out=(_noted(ask, given, 60 * 10**9),)), limit=LIMIT)


def _sas_answer(data: bytes) -> None:
    """Parse a response of a SAS above: RF may be on only after code 0 with a time in the future."""
    from radio.cbrs.grant import beaten
    from radio.cbrs.messages import BadBody, read_json
    from tests.radio.cbrs.made import at
    from tests.radio.cbrs.test_session import grant

    value = read_json(data)
    if isinstance(value, dict) and not isinstance(value, BadBody):
        after, _, _ = beaten(grant(), value, at(10))
        good = isinstance(value.get("response"), dict) and value["response"].get("responseCode") == 0
        if after.rf_until_ns(at(10)) is not None and not (good and isinstance(value.get("transmitExpireTime"), str)):
            raise BrokenPromiseError("RF on by an answer that is none")


def _calendar(data: bytes) -> None:
    from radio.cbrs.calendar import open_calendar
    from radio.cbrs.tardys import Lists, imported

    open_calendar(data, [bytes(32)])
    imported(data, Lists(channels={}, areas={}), name="x", serial=1, valid_until_ns=1)


def _samples(data: bytes) -> None:
    counts = Counts()
    found = decoded(data, counts)
    if (found is None) != bool(len(data) % SAMPLE_BYTES) or counts.not_finite > len(data) // SAMPLE_BYTES:
        raise BrokenPromiseError("neither samples nor counted")
    if found is not None and abs(to_codes(found, 16_384).astype(int)).max(initial=0) > 32_767:
        raise BrokenPromiseError("beyond int16")


def _printable(data: bytes) -> None:
    text = printable(data.decode("utf-8", "surrogateescape"))
    if not text.isprintable():
        raise BrokenPromiseError("not printable")
    json.dumps(plain(text)).encode("ascii")


def _quantity(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for parse in (parse_time_ns, parse_power, parse_hz, parse_edges):
        try:
            parse(text)
        except ValueError:
            continue


TARGETS: dict[str, Target] = {
    "scan": _scan,
    "cose": lambda data: cose.parse(data) and None,
    "record": _record,
    "body": _body,
    "leaf": lambda data: decode_leaf(data) and None,
    "message": lambda data: decode_message(data) and None,
    "artifact": lambda data: decode(Artifact, data, "artifact", limit=ARTIFACT_LIMIT) and None,
    "certificate": lambda data: decode(Certificate, data, "quorum") and None,
    "bundle": _bundle,
    "note": lambda data: open_note(data.decode("utf-8", "replace"), bytes(32)) and None,
    "tlog-proof": lambda data: tlogproof.read(data.decode("utf-8", "replace")) and None,
    "witness request": lambda data: tlogwitness.read_request(data) and None,
    "verifier key": lambda data: vkey.read_key(data.decode("utf-8", "replace")) and None,
    "link": lambda data: decode_link(data) and None,
    "samples": _samples,
    "command": _command,
    "rule": _rule,
    "recording": _recording,
    "chrony": lambda data: parse_tracking(data.decode("utf-8", "replace")) and None,
    "iiod": lambda data: protocol.parse(data) and None,
    "cbsd": _cbsd,
    "cbsd question": _cbsd_question,
    "sas answer": _sas_answer,
    "calendar": _calendar,
    "printable": _printable,
    "quantity": _quantity,
}

_SIGMF = {"global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6, "core:version": "1.0.0"},
          "captures": [{"core:sample_start": 0, "core:frequency": 3.55e9}], "annotations": []}  # fmt: skip
_NOTE = "bandpact/net/00\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u2014 bandpact/net/00 AAAAAAAA\n"
_ASK = {"device": "cbsd:fcc1/s1", "grant": "00", "low_hz": 3_550_000_000, "high_hz": 3_560_000_000, "fresh": True,
        "density_mdbm_per_mhz": 20_000, "spot": {"lat_e7": 1, "lon_e7": 2, "radius_mm": 3}}  # fmt: skip
_BEATS = (
    AgentBeat(said_ns=1, listened_ns=None, incumbents_hz=[[1, 2]], cause_ns=None),
    Burst(sid=bytes(32), ticket=1),
    TimedBurst(sid=bytes(32), ticket=1, at_ns=2),
)


def seeds_of(name: str) -> list[bytes]:
    """Seeds: valid inputs of the parser, or of a similar one."""
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))["records"]
    signed = [bytes.fromhex(vector["record"]) for vector in vectors]
    payloads = [bytes.fromhex(vector["payload"]) for vector in vectors]
    bodies = [
        bytes([TYPES.index(vector["type"])]) + cbor2.dumps(cbor2.loads(payload)[6])
        for vector, payload in zip(vectors, payloads, strict=True)
    ]
    from dataclasses import asdict

    from settlement.state.messages import Message

    form = BundledLog(origin="x", checkpoint="y", entries=(payloads[0], payloads[1]))
    beat = '{"cbsdId":"fcc1/s1","grantId":"0000000000000000","operationState":"GRANTED"}'
    radar = '{"eventId":"e","channels":["c"],"dateTimeStart":"2023-11-14T22:13:20","dateTimeEnd":"2023-11-15T22:13:20"}'
    texts = {
        "cbsd": [
            '{"registrationRequest":[{"userId":"u","fccId":"fcc1","cbsdSerialNumber":"s1","cbsdCategory":"A"}]}',
            f'{{"heartbeatRequest":[{beat},{beat}]}}', f'{{"deregistrationRequest":[{beat}]}}',
            ('{"grantRequest":[{"cbsdId":"a","operationParam":{"maxEirp":3,"operationFrequencyRange":'
            '{"lowFrequency":3550000000,"highFrequency":3560000000}}}]}'),
            '{"spectrumInquiryRequest":[{"cbsdId":"a","inquiredSpectrum":[{"lowFrequency":1,"highFrequency":2}]}]}',
        ],
        "sas answer": [('{"cbsdId":"c1","grantId":"g1","transmitExpireTime":"2023-11-14T22:14:50Z",'
                       '"response":{"responseCode":0}}'), '{"response":{"responseCode":501}}'],
        "calendar": [f'{{"scheduledEvents":[{radar}]}}', '{"payloadType":"x","payload":"AAAA","signatures":[]}'],
        "note": [_NOTE], "tlog-proof": [_NOTE], "witness request": ["old 3\n\n" + _NOTE],
        "verifier key": ["x+00000000+AQ=="],
        "command": ['{"do": "cancel"}', '{"do": "tell", "record": "00"}', '{"do":"acquire","low_hz":1,"high_hz":2}'],
        "rule": ['name = "x"\nversion = 1\neffective_from = 2030-01-01T00:00:00Z\neffective_until = 2031-01-01'],
        "recording": [json.dumps(_SIGMF)], "chrony": ["A,B,3,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,64.0,Normal"],
        "iiod": ["OPEN iio:device0 4096 00000001", "READ a INPUT voltage0 x", "WRITE a DEBUG x 3"],
        "quantity": ["3550-3570MHz", "10min", "20dBm", "1e400Hz"], "printable": ["\x1b[31m\u202e"],
    }  # fmt: skip
    raw = {
        "scan": payloads, "body": bodies, "bundle": [encode(Bundle(network="n", logs=(form,)), limit=BUNDLE_LIMIT)],
        "message": [Message(record=one).encoded() for one in signed[:6]],
        "samples": [bytes(16), b"\x00\x00\x80\x3f" * 8, b"\xff\xff\xff\x7f" * 4, b"\x00\x00\x80\xff" * 2],
        "link": [cbor2.dumps([type(beat).__name__, asdict(beat)]) for beat in _BEATS],
        "cbsd question": [cbor2.dumps(_ASK)],
    }  # fmt: skip
    return raw.get(name) or [text.encode("utf-8") for text in texts.get(name, [])] or signed
