"""A whole trial on one machine: keys and rules made for it, real processes, and a judge who trusts only the oracle."""
