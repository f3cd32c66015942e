"""IQ samples to occupancy with honest error bars: spectra, noise floor, detectors, envelopes."""
