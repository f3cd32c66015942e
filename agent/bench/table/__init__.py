"""The benchmark table: every figure with a target, measured on this machine, beside its bound."""
