"""A whole trial on one machine: keys and rules made for it, real processes, and a judge that uses the oracle only."""
