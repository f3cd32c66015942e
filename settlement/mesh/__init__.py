"""Encrypted ZeroMQ sockets to the neighbours: which keys may connect, and how much each may send."""

from settlement.mesh.keys import MeshError, TransportKey
from settlement.mesh.limits import Limits, Rate
from settlement.mesh.sockets import Arrived, Mesh

__all__ = ["Arrived", "Limits", "Mesh", "MeshError", "Rate", "TransportKey"]
