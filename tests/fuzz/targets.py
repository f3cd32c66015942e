"""Every parser that takes a stranger's bytes, with what must hold for any bytes and what to begin from.

A parser returns a value or a refusal, or raises the one error its docstring names; anything else breaks its promise.
"""

import json
from collections.abc import Callable
from pathlib import Path

import cbor2

from agent.node import control
from agent.node.commands import BadCommand, parse_command
from agent.node.events import plain
from agent.timekeeping.chrony import parse_tracking
from agent.words.units import parse_edges, parse_hz, parse_power, parse_time_ns
from hw_profiles.printable import printable
from radio.link import AgentBeat, Burst
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
    """What a parser says of bytes does not hold for these."""


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
            return  # of the right form and no meaning: what it means is asked behind the signature
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
    "command": _command,
    "rule": _rule,
    "recording": _recording,
    "chrony": lambda data: parse_tracking(data.decode("utf-8", "replace")) and None,
    "iiod": lambda data: protocol.parse(data) and None,
    "printable": _printable,
    "quantity": _quantity,
}

_SIGMF = {"global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6, "core:version": "1.0.0"},
          "captures": [{"core:sample_start": 0, "core:frequency": 3.55e9}], "annotations": []}  # fmt: skip
_NOTE = "bandpact/net/00\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u2014 bandpact/net/00 AAAAAAAA\n"
_BEATS = (
    AgentBeat(said_ns=1, listened_ns=None, incumbents_hz=[[1, 2]], cause_ns=None),
    Burst(sid=bytes(32), ticket=1),
)


def seeds_of(name: str) -> list[bytes]:
    """What to begin from: valid inputs of the parser, or of its kin."""
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
    texts = {
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
        "link": [cbor2.dumps([type(beat).__name__, asdict(beat)]) for beat in _BEATS],
    }  # fmt: skip
    return raw.get(name) or [text.encode("utf-8") for text in texts.get(name, [])] or signed
