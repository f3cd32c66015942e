"""Detectors, each behind a small typed interface, tested against `sensing.theory`."""
