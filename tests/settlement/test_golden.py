"""Our own vectors are made again byte for byte, verify, and are what the protocol page shows."""

import json

from settlement.chain import keys
from settlement.chain.keys import SigningKey
from tests.settlement.golden import DOC, FIELDS, FILE, document, to_be_signed, with_fields, with_meaning


def test_the_same_settlement_makes_the_same_bytes() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == document()


def test_every_vector_verifies_and_no_flipped_bit_of_it_does() -> None:
    held = json.loads(FILE.read_text(encoding="utf-8"))
    publics = [SigningKey.from_seed(bytes.fromhex(s)).public for s in held["seeds"].values()]
    assert len(held["records"]) >= 9
    for vector in held["records"]:
        signature, message = bytes.fromhex(vector["signature"]), to_be_signed(vector)
        (public,) = [p for p in publics if keys.verify(p, signature, message)]
        for at in range(0, len(message), 7):
            changed = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
            assert not keys.verify(public, signature, changed), (vector["type"], at)


def test_the_protocol_page_and_its_appendix_are_made_from_this_code() -> None:
    page, fields = DOC.read_text(encoding="utf-8"), FIELDS.read_text(encoding="utf-8")
    assert with_meaning(page) == page, "python -m tests.settlement.golden"
    assert with_fields(fields, json.loads(FILE.read_text(encoding="utf-8"))) == fields, (
        "python -m tests.settlement.golden"
    )
