"""Quorum certificates: proof that enough members of one membership voted for the same thing.

`verify` takes bytes and checks, in this order:

    (1) well formed, in the accepted CBOR form
    (2) of the expected membership: its epoch (EPOCH), and exactly this list of members (EPOCH)
    (3) about the expected subject (ENTRY_MISMATCH)
    (4) each vote by a member, each member once (QUORUM)
    (5) each vote signed over network, membership, epoch and subject (SIGNATURE)
    (6) as many votes as the membership requires (QUORUM)

The signature of a vote covers its epoch and its membership: a vote in an old membership does not count in a new one,
even if the key is in both.
"""

import hashlib
from dataclasses import dataclass

from settlement.chain import keys
from settlement.chain.codec import array, blob, decode, encode, text, uint
from settlement.chain.keys import KEY_BYTES, SIGNATURE_BYTES, SigningKey
from settlement.chain.records import aad
from settlement.core.reasons import Reason, Refusal, refuse

MEMBERS_MAX = 64
_DOMAIN = b"/vote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The members that may vote in an epoch, by Ed25519 public key, and the number of votes that is required."""

    network: str = text(1, 64)
    epoch: int = uint(2)
    members: tuple[bytes, ...] = array(3, blob(0, KEY_BYTES), MEMBERS_MAX, low=1)
    required: int = uint(4, high=MEMBERS_MAX)

    def flaw(self) -> str | None:
        """Return why this is not a valid membership; None where it is."""
        if len(set(self.members)) != len(self.members):
            return "a member comes twice"
        if not 2 * self.required > len(self.members):
            return f"{self.required} of {len(self.members)} is no majority"
        if self.required > len(self.members):
            return f"{self.required} of {len(self.members)} can never be reached"
        return None if all(keys.usable(m) for m in self.members) else "a key that cannot sign"

    @property
    def name(self) -> bytes:
        """Return SHA-256 of the membership's encoding."""
        return hashlib.sha256(encode(self)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One member's vote: its public key, the epoch in which it voted, and its signature over `to_sign`."""

    member: bytes = blob(1, KEY_BYTES)
    epoch: int = uint(2)
    signature: bytes = blob(3, SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Votes for `subject`, the SHA-256 of what was decided."""

    epoch: int = uint(1)
    membership: bytes = blob(2, 32)
    subject: bytes = blob(3, 32)
    votes: tuple[Vote, ...] = array(4, Vote, MEMBERS_MAX)


def to_sign(network: str, membership: bytes, epoch: int, subject: bytes) -> bytes:
    """Return the bytes that a vote signs."""
    return aad(network) + _DOMAIN + membership + epoch.to_bytes(8, "big") + subject


def vote(key: SigningKey, membership: Membership, subject: bytes) -> Vote:
    """Sign a vote for a subject."""
    signed = to_sign(membership.network, membership.name, membership.epoch, subject)
    return Vote(member=key.public, epoch=membership.epoch, signature=key.sign(signed))


def verify(data: bytes, membership: Membership, subject: bytes) -> Certificate | Refusal:
    """Run checks (1) to (6) on an encoded certificate; return it decoded, or the first refusal."""
    certificate = decode(Certificate, data, "quorum")  # (1)
    if isinstance(certificate, Refusal):
        return certificate
    name = membership.name
    epochs = {certificate.epoch, *(v.epoch for v in certificate.votes)} - {membership.epoch}
    if epochs:  # (2)
        return refuse(Reason.EPOCH, "quorum.2", min(epochs), membership.epoch)
    if certificate.membership != name:
        return refuse(Reason.EPOCH, "quorum.2.members", certificate.membership.hex()[:16], name.hex()[:16])
    if certificate.subject != subject:  # (3)
        return refuse(Reason.ENTRY_MISMATCH, "quorum.3", certificate.subject.hex()[:16], subject.hex()[:16])
    return _votes(certificate, membership) or certificate


def _votes(certificate: Certificate, membership: Membership) -> Refusal | None:
    signed = to_sign(membership.network, membership.name, membership.epoch, certificate.subject)
    voted: set[bytes] = set()
    for one in certificate.votes:
        if one.member not in membership.members:  # (4)
            return refuse(Reason.QUORUM, "quorum.4.member", one.member.hex()[:16], "a member")
        if one.member in voted:
            return refuse(Reason.QUORUM, "quorum.4.once", f"{one.member.hex()[:16]} twice", "each member once")
        if not keys.verify(one.member, one.signature, signed):  # (5)
            return refuse(Reason.SIGNATURE, "quorum.5", one.member.hex()[:16], "its signature over this decision")
        voted.add(one.member)
    if len(voted) < membership.required:  # (6)
        return refuse(Reason.QUORUM, "quorum.6", f"{len(voted)} votes", f">= {membership.required}")
    return None
