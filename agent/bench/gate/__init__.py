"""Benchmark of the time from a cause to RF off: each cause many times, on real processes, timed by the RF oracle."""
