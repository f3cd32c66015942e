"""Signals that are made, not received: the test waveform of a node, and what every generator needs."""
