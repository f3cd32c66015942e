"""A directory of identities proves each answer under one signature: what is there, what is not, any alteration."""

import io
from random import Random

import pytest

from settlement.chain.identities import HEAD_BYTES, ROW, IdentityDirectory, IdentityRow, write_directory
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Reason, Refusal

pytestmark = pytest.mark.feature("S10")
KEY = SigningKey.from_seed(bytes(32))
NETWORK = "town"


def made(count: int, *, key: SigningKey = KEY, network: str = NETWORK) -> tuple[io.BytesIO, list[IdentityRow]]:
    rng = Random(count)
    rows = [
        IdentityRow(
            credential=rng.randbytes(32),
            transport_key=rng.randbytes(32),
            issuer=number // 10,
            status_index=number % 10,
            revoked=number % 7 == 0,
        )
        for number in range(count)
    ]
    file = io.BytesIO()
    write_directory(file, network, key, rows)
    return file, rows


def opened(file: io.BytesIO) -> IdentityDirectory:
    directory = IdentityDirectory.at(file, NETWORK, KEY.public)
    assert isinstance(directory, IdentityDirectory)
    return directory


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 100, 257])
def test_whatever_is_in_it_is_found_and_nothing_else(count: int) -> None:
    file, rows = made(count)
    directory, rng = opened(file), Random("others")
    assert [directory.find(row.credential) for row in rows] == rows
    for _ in range(50):
        assert directory.find(rng.randbytes(32)) is None
    assert directory.find(bytes(32)) is None
    assert directory.find(b"\xff" * 32) is None


def test_no_byte_of_a_row_can_be_altered_unseen() -> None:
    """A status cannot be turned over, a key not exchanged, a row not hidden: some answer is refused, none is false."""
    file, rows = made(20)
    whole, by_name = file.getvalue(), {row.credential: row for row in rows}
    for at in range(HEAD_BYTES, HEAD_BYTES + 20 * ROW, 3):
        altered = bytearray(whole)
        altered[at] ^= 1
        directory = opened(io.BytesIO(bytes(altered)))
        answers = {name: directory.find(name) for name in by_name}
        assert any(isinstance(answer, Refusal) for answer in answers.values())
        for name, answer in answers.items():
            assert isinstance(answer, Refusal) or answer == by_name[name]


def test_a_row_that_is_left_out_is_not_proven_absent() -> None:
    """Rows behind an old signed head, one of them taken out and the others moved up."""
    file, rows = made(20)
    whole = file.getvalue()
    names = sorted(row.credential for row in rows)
    shorter = whole[: HEAD_BYTES + 4 * ROW] + whole[HEAD_BYTES + 5 * ROW : HEAD_BYTES + 20 * ROW] + bytes(ROW)
    directory = opened(io.BytesIO(shorter + whole[HEAD_BYTES + 20 * ROW :]))
    assert isinstance(directory.find(names[4]), Refusal)


def test_a_head_of_somebody_else_another_network_or_before_is_refused() -> None:
    other = SigningKey.from_seed(bytes([1]) * 32)
    strange = IdentityDirectory.at(made(5, key=other)[0], NETWORK, KEY.public)
    assert isinstance(strange, Refusal)
    elsewhere = IdentityDirectory.at(made(5, network="other")[0], NETWORK, KEY.public)
    assert isinstance(elsewhere, Refusal)
    assert elsewhere.reason is Reason.DOMAIN
    older = IdentityDirectory.at(made(5)[0], NETWORK, KEY.public, least=6)
    assert isinstance(older, Refusal)
    assert older.reason is Reason.ROLLBACK
    assert isinstance(IdentityDirectory.at(io.BytesIO(bytes(HEAD_BYTES)), NETWORK, KEY.public), Refusal)
    assert isinstance(IdentityDirectory.at(io.BytesIO(b""), NETWORK, KEY.public), Refusal)


def test_a_file_that_ends_too_early_is_refused() -> None:
    file, rows = made(20)
    cut = opened(io.BytesIO(file.getvalue()[: HEAD_BYTES + 5 * ROW]))
    assert all(isinstance(cut.find(row.credential), Refusal) for row in rows)


def test_a_credential_is_in_it_once() -> None:
    row = made(1)[1][0]
    with pytest.raises(ValueError, match="twice"):
        write_directory(io.BytesIO(), NETWORK, KEY, [row, row])


def test_a_look_reads_little_however_large_it_is() -> None:
    file, rows = made(4096)
    read: list[int] = []

    def counted(offset: int, count: int) -> bytes:
        read.append(count)
        file.seek(offset)
        return file.read(count)

    directory = IdentityDirectory.opened(counted, NETWORK, KEY.public)
    assert isinstance(directory, IdentityDirectory)
    read.clear()
    assert directory.find(rows[7].credential) == rows[7]
    assert len(read) <= 2 * 12 + 3
    assert sum(read) < 2048
