"""Tests of leases that are handed on."""
