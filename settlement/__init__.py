"""Signed records and their log, the rules that govern them, the two-party protocol, and the mesh that carries it."""
