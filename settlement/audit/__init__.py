"""Offline audit: checks a log, both sides of a settlement, verdicts by replay, bundles, seals and leases."""
