"""Leases that change hands."""
