"""What people read and write: quantities with units, cells and leases in words, spreads of measured values."""
