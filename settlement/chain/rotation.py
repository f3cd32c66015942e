"""Key rotation: the old key signs the record, the new key signs inside it, the issuer has signed the successor.

(1) the record is signed by the old key (it is the record's author)
(2) the successor is a complete credential: same issuer (or the issuer's successor), same name, no wider scope; a node
keeps its transport key and its device
(3) the new key has signed that it succeeds exactly this credential
(4) a credential is replaced once, and never by one that it replaced itself
"""

from settlement.chain import keys
from settlement.chain.bodies import Rotation
from settlement.chain.credentials import Registry, Subject
from settlement.chain.keys import SigningKey
from settlement.chain.records import aad, digest
from settlement.chain.scope import wider_than
from settlement.core.reasons import Reason, Refusal, refuse

_DOMAIN = b"/rotation"


def _to_sign(network: str, old: bytes, successor: bytes) -> bytes:
    return aad(network) + _DOMAIN + old + digest(successor)


def rotation_of(old: bytes, successor: bytes, new_key: SigningKey, network: str) -> Rotation:
    """Make the body of a rotation from the credential `old` to the raw credential `successor`."""
    return Rotation(successor=successor, proof=new_key.sign(_to_sign(network, old, successor)))


def judge_rotation(author: Subject, body: Rotation, registry: Registry) -> Subject | Refusal:
    """Run checks (2) to (4) and return the successor, without adding it to the registry."""
    if registry.successor(author.hash) not in (None, digest(body.successor)):
        return refuse(Reason.ROTATION, "rotation.once", "another successor", "one successor")
    successor = registry.examine_root(body.successor) if author.issuer is None else registry.examine(body.successor)
    if isinstance(successor, Refusal):
        return refuse(Reason.ROTATION, "rotation.successor", successor, "a credential that holds")
    if successor.hash in registry.line(author.hash):
        return refuse(Reason.ROTATION, "rotation.back", "a credential of before", "a new one")
    same_issuer = successor.issuer == author.issuer or (
        author.issuer is not None and successor.issuer is not None and author.issuer in registry.line(successor.issuer)
    )
    if not same_issuer or successor.name != author.name:
        return refuse(Reason.ROTATION, "rotation.name", successor.name, author.name)
    wider = wider_than(successor.scope, author.scope, strictly=False)
    if wider is not None:
        return refuse(Reason.ROTATION, "rotation.scope", wider, "nothing wider than before")
    if successor.device != author.device:
        return refuse(Reason.BINDING, "rotation.device", successor.device or "none", author.device or "none")
    if successor.transport_key != author.transport_key:
        return refuse(Reason.BINDING, "rotation.transport", "another transport key", "the one of before")
    if not keys.verify(successor.public, body.proof, _to_sign(registry.network, author.hash, body.successor)):
        return refuse(Reason.ROTATION, "rotation.proof", "does not verify", "signed by the new key")
    return successor
