"""Simulates neighbouring nodes in virtual time: real protocol code and bytes, one process, one seed, many faults.

plan         what a seed makes of it: who there is, what they want, what goes wrong and when
trust        the authority, its rule and the credentials
clock        interval clocks that drift, step and lose their source
network      loss, duplicates, delay, partitions
node         a party on its log, the log's disk, its transmitter; crash and restart
ledger       what lies durably in every log, read from the bytes and nothing else
invariants   I1 to I20, each a pure function
monitor      asks every invariant after every step
run          the loop
"""
