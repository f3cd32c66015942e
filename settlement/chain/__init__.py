"""Credentials, rules, records, admission and the tamper-evident lineage; no sockets in here."""
