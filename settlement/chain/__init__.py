"""Credentials, rules, records, admission and the tamper-evident log of a node (lineage); contains no sockets."""
