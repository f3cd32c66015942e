"""Radio ports, drivers, the transmit gate and the warden that owns them."""
