"""Transport keys, and the one error of the mesh."""

from dataclasses import dataclass

import zmq
from zmq.utils import z85


class MeshError(Exception):
    """The mesh cannot start; the message names the endpoint and the remedy."""


@dataclass(frozen=True, slots=True)
class TransportKey:
    """A CURVE key pair, raw bytes; its text form never shows the secret."""

    public: bytes
    secret: bytes

    @classmethod
    def generate(cls) -> "TransportKey":
        """Make a new pair from the operating system's randomness."""
        public, secret = zmq.curve_keypair()
        return cls(z85.decode(public), z85.decode(secret))

    @classmethod
    def from_secret(cls, secret: bytes) -> "TransportKey":
        """Load from the 32 secret bytes."""
        return cls(z85.decode(zmq.curve_public(z85.encode(secret))), secret)

    def __repr__(self) -> str:
        return f"TransportKey({self.public.hex()})"
