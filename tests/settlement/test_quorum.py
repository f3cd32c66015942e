"""Quorum certificates from bytes: who counts, once, in which epoch."""

from dataclasses import replace

import pytest

from settlement.chain.codec import encode
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Reason, Refusal, RefusedError
from settlement.quorum.certificate import Certificate, Membership, verify, vote
from tests.settlement.world import NETWORK, seed

KEYS = [SigningKey.from_seed(seed(f"member-{n}")) for n in range(4)]
STRANGER = SigningKey.from_seed(seed("stranger"))
NOW = Membership(network=NETWORK, epoch=5, members=tuple(k.public for k in KEYS), required=3)
BEFORE = replace(NOW, epoch=4)
SUBJECT = seed("what was decided")


def certificate(*keys: SigningKey, of: Membership = NOW) -> Certificate:
    votes = tuple(vote(key, of, SUBJECT) for key in keys)
    return Certificate(epoch=of.epoch, membership=of.name, subject=SUBJECT, votes=votes)


def verdict(made: Certificate | bytes, of: Membership = NOW, subject: bytes = SUBJECT) -> Reason | None:
    outcome = verify(made if isinstance(made, bytes) else encode(made), of, subject)
    return outcome.reason if isinstance(outcome, Refusal) else None


@pytest.mark.feature("S8")
def test_enough_members_decide() -> None:
    assert verdict(certificate(*KEYS[:3])) is None
    assert verdict(certificate(*KEYS)) is None


@pytest.mark.attack(29)
@pytest.mark.parametrize(
    "keys",
    [
        KEYS[:2],
        [KEYS[0], KEYS[1], KEYS[1]],
        [KEYS[0], KEYS[1], KEYS[1], KEYS[1]],
        [*KEYS[:2], STRANGER],
        [*KEYS, STRANGER],
    ],
    ids=["too few", "one twice", "one thrice", "a stranger for a member", "a stranger beside them"],
)
def test_repeated_or_foreign_keys_make_no_quorum(keys: list[SigningKey]) -> None:
    assert verdict(certificate(*keys)) is Reason.QUORUM


@pytest.mark.attack(30)
def test_a_vote_from_an_old_membership_counts_in_no_other() -> None:
    good = certificate(*KEYS[:3])
    old = vote(KEYS[2], BEFORE, SUBJECT)
    assert verdict(certificate(*KEYS, of=BEFORE)) is Reason.EPOCH
    assert verdict(replace(good, votes=(*good.votes[:2], old))) is Reason.EPOCH
    assert verdict(replace(good, votes=(*good.votes[:2], replace(old, epoch=5)))) is Reason.SIGNATURE
    assert verdict(replace(certificate(*KEYS[:3], of=BEFORE), epoch=5)) is Reason.EPOCH
    shrunk = replace(NOW, members=NOW.members[:3], required=2)
    assert verdict(good, shrunk) is Reason.EPOCH, "the same epoch with other members is another membership"


def test_a_certificate_is_about_one_thing_and_every_bit_of_it_counts() -> None:
    data = encode(certificate(*KEYS[:3]))
    assert verdict(data, subject=seed("other")) is Reason.ENTRY_MISMATCH
    for at in range(len(data)):
        assert verdict(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) is not None, at


@pytest.mark.parametrize(
    "flawed",
    [
        replace(NOW, required=2),
        replace(NOW, required=5),
        replace(NOW, members=(*NOW.members[:3], NOW.members[0])),
        replace(NOW, members=(bytes(32),), required=1),
    ],
    ids=["no majority", "out of reach", "twice", "low order"],
)
def test_no_membership(flawed: Membership) -> None:
    with pytest.raises(RefusedError, match="MALFORMED"):
        encode(flawed)
