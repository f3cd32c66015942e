"""The daemon, its wiring to clocks and radios, the command line and the trial."""
