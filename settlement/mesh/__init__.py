"""Sockets to the neighbours: who may knock, how much each may send, and what must never reach the settlement."""

from settlement.mesh.keys import MeshError, TransportKey
from settlement.mesh.limits import Limits, Rate
from settlement.mesh.sockets import Arrived, Mesh

__all__ = ["Arrived", "Limits", "Mesh", "MeshError", "Rate", "TransportKey"]
