"""Signal generators: a node's OFDM test waveform, and what all generators share."""
