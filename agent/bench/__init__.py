"""Benches: figures of this machine, each beside its baseline or its theory in the same run."""
