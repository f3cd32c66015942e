"""Benchmarks on this machine, each beside its baseline or theory from the same run."""
