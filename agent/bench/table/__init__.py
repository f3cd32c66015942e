"""The benchmark table: every figure the project aims at, measured on this machine, beside what bounds it."""
