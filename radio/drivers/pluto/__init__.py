"""The ADALM-Pluto driver: adi.Pluto for tuning, libiio buffers for samples, one connection to mute and one to watch."""
