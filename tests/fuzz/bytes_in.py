"""Coverage-guided fuzzing of everything that takes a stranger's bytes: `make fuzz`, or

    python -m tests.fuzz.bytes_in -max_total_time=60 CORPUS_FOLDER

What the scanner accepts is the only encoding of its value; every decoder returns a value or a refusal and raises
nothing; what a record decoder accepts has the bytes it came from.
"""

import json
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["settlement", "cbor2"]):
    import cbor2

    from settlement.chain import cose, records
    from settlement.chain.bodies import BODIES
    from settlement.chain.codec import decode, encode
    from settlement.chain.leaf import decode_leaf
    from settlement.chain.scan import scan
    from settlement.messages import decode_message
    from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact
    from settlement.quorum.certificate import Certificate
    from settlement.reasons import Refusal

VECTORS = Path(__file__).resolve().parent.parent / "settlement" / "vectors" / "records.json"
TYPES = tuple(BODIES)


class BrokenPromiseError(AssertionError):
    """What the module says of bytes does not hold for these."""


def one_input(data: bytes) -> None:
    """Everything that must hold for any bytes."""
    refusal = scan(data)
    if refusal is None and cbor2.dumps(cbor2.loads(data)) != data:
        raise BrokenPromiseError("accepted bytes are not the only encoding of their value")
    parsed = records.parse(data)
    if isinstance(parsed, records.Unproven) and parsed.message.raw != data:
        raise BrokenPromiseError("a record is not the bytes it came from")
    cose.parse(data)
    decode_leaf(data)
    decode_message(data)
    decode(Artifact, data, "artifact", limit=ARTIFACT_LIMIT)
    decode(Certificate, data, "quorum")
    if data:
        body = decode(BODIES[TYPES[data[0] % len(TYPES)]], data[1:], "body")
        if not isinstance(body, Refusal) and encode(body) != data[1:]:
            raise BrokenPromiseError("a body has two encodings")


def seeds(folder: Path) -> None:
    """Start from one record of every type, and from their bodies."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, vector in enumerate(json.loads(VECTORS.read_text(encoding="utf-8"))["records"]):
        (folder / f"record-{number}").write_bytes(bytes.fromhex(vector["record"]))
        payload = bytes.fromhex(vector["payload"])
        (folder / f"payload-{number}").write_bytes(payload)
        body = cbor2.dumps(cbor2.loads(payload)[6])
        (folder / f"body-{number}").write_bytes(bytes([TYPES.index(vector["type"])]) + body)


if __name__ == "__main__":
    given = [Path(a) for a in sys.argv[1:] if not a.startswith("-")]
    if given:
        seeds(given[0])
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
