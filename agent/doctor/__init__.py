"""Diagnosis of a node's faults, without changing anything."""
