"""The SAS-CBSD interface on this machine: batches of heartbeats answered, and a SAS's suspension to RF off."""
