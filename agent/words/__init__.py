"""Text that people read and write: quantities with units, cells and leases, spreads of measured values."""
