"""Benchmarks of the SAS-CBSD interface: answering batches of heartbeats, and a SAS's suspension to RF off."""
